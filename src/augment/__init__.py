"""Adaptive discriminator augmentation (arXiv 2006.06676): what D sees of reals and fakes alike, and how often."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
