"""The operations StyleGAN2 needs beyond PyTorch's own: FIR resampling, bias + activation, modulated convolution.

Needs torch alone. Importing builds nothing; `backend_info()` says which implementation serves each op and why.
"""

from .backend import backend_info
from .bias_act import bias_act
from .epilogue import epilogue
from .modulated_conv import demodulation, modulated_conv2d, upsample_conv2d
from .upfirdn2d import downsample2d, setup_filter, upfirdn2d, upsample2d

__all__ = [
    "backend_info",
    "bias_act",
    "demodulation",
    "downsample2d",
    "epilogue",
    "modulated_conv2d",
    "setup_filter",
    "upfirdn2d",
    "upsample2d",
    "upsample_conv2d",
]
