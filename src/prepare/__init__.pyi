from .run import main as main
from .settings import PrepareSettings as PrepareSettings
