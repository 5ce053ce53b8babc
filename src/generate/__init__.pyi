from .run import generate as generate
from .settings import GenerateSettings as GenerateSettings
