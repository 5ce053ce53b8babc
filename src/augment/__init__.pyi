from .ada import AdaController as AdaController
from .pipe import AugmentPipe as AugmentPipe
from .settings import AdaSettings as AdaSettings, AugmentSettings as AugmentSettings
