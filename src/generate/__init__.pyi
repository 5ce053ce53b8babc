from .run import generate as generate
