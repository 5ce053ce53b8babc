"""Pictures to codes: a perceptual distance, a projector, files of codes."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
