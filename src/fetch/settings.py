"""Where published files lie and are looked for: the group of options `weights`."""

from dataclasses import dataclass

from ..options import Options
from .remote import mirror_base


@dataclass(frozen=True, kw_only=True)
class WeightsSettings(Options):
    """The group `weights`."""

    folder: str = "weights"  # of downloaded files and of those put there by hand
    mirror: str | None = None  # a folder or the base of URLs, looked at before the published addresses

    def check(self) -> None:
        """Refuse a mirror that cannot be opened."""
        if self.mirror is not None:
            mirror_base(self.mirror)
