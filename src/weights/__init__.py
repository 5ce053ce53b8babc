"""Network files in and out, and published ones fetched by name. Loading executes nothing from a file."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
