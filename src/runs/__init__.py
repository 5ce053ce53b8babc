"""What training leaves behind, found again: runs, their snapshots, the network that they were fine-tuned from."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
