"""How sharp a picture is."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import laplace

SHARPNESS_PX = 128
LUMA = (0.299, 0.587, 0.114)


def sharpness(image: NDArray[np.uint8]) -> float:
    """Variance of the Laplacian of the luma of a picture uint8 `[S, S, 3]`, reduced to at most 128 px."""
    picture = Image.fromarray(image)
    if picture.width > SHARPNESS_PX:
        picture = picture.resize((SHARPNESS_PX, SHARPNESS_PX), Image.Resampling.BOX)
    return float(laplace(np.asarray(picture, np.float64) @ LUMA).var())
