"""`pick.py`: a page on which a person says which of two blends is better. Start at `run.main`."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
