"""Faces in photographs: landmarks, the FFHQ crop, why a face is refused, and the way back into the photograph."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
