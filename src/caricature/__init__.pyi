from .run import Result as Result, caricature as caricature, main as main
from .settings import BlendChoice as BlendChoice, CaricatureSettings as CaricatureSettings
