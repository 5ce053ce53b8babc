"""Photographs to caricatures: the whole way, from a folder of pictures to a page with sliders."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
