from .run import main as main, share as share
from .settings import PrepareSettings as PrepareSettings
