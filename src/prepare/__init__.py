"""Making data sets: `python prepare.py`. From files of any kind to one clean zip, with its manifest and report."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
