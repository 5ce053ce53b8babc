"""Snapshots x blend resolutions: pictures, scores, ranking, recommendation.

Start at `run.run_sweep`, or `sweeper` for Hydra's side. Nothing is imported here, so that a wrong option of `sweep.py`
is answered before torch is loaded.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
