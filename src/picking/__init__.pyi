from .run import main as main
from .settings import PickSettings as PickSettings
