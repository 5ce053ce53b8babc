"""`prepare.py`: a data set as a plain configuration says, with the detectors of faces that stand above the data."""

from collections.abc import Mapping
from typing import Any

from ..data.prepare import prepare
from ..data.prepare_settings import prepare_settings
from ..weights.remote import configure
from .drawn import open_face_detector


def main(config: Mapping[str, Any]) -> None:
    """Prepare as a plain configuration composed from `conf/prepare.yaml` says.

    Raises:
        UserError: for everything that the user can put right.
    """
    settings = prepare_settings(config)
    configure(**config["weights"])
    prepare(settings, open_detector=open_face_detector)
