"""Procedural portraits: people and their caricatures, drawn from the same parameters, with exact landmarks."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
