"""What training and sweeping leave behind, found again: runs, snapshots, their base, recipes, the recommended blend."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
