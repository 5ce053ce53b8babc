from .run import Result as Result, caricature as caricature, main as main, share as share
from .settings import BlendChoice as BlendChoice, CaricatureSettings as CaricatureSettings
