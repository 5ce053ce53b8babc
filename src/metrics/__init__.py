"""How good a model is: feature extractors, distances between picture sets, the caricature score."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
