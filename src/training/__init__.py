"""A training run: one iteration, what happens between iterations, the run's folder, going on where it stopped."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
