"""Pictures and films from a network: `python generate.py`. Above `sweep`, whose runs and blends it shows.

Start at `run.generate`; `codes.read_codes` reads codes of this project, NVIDIA's and rosinality's projectors.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
