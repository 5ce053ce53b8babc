"""A person's choices between blends: files of clicks, the weight of shape that they speak for, how far it holds."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
