from .ada import AdaController as AdaController
from .pipe import AugmentPipe as AugmentPipe
