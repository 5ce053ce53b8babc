"""The operations StyleGAN2 needs beyond PyTorch's own: FIR resampling, bias + activation, modulated convolution.

Needs torch alone. Importing builds nothing; `backend_info()` says which implementation serves each op and why.
"""

from .backend import POLICIES, KernelsRequired, backend_info, kernels_for, set_policy
from .bias_act import bias_act
from .conv import conv2d, conv_transpose2d, filters_and_energy
from .epilogue import LRELU_SLOPE, epilogue
from .filters import setup_filter
from .grid_sample import grid_sample
from .memory import ALLOCATORS, choose_allocator
from .modulated_conv import demodulation, modulate, upsample_conv2d
from .product import linear, product
from .start import start_ops
from .upfirdn2d import downsample2d, fork2d, upfirdn2d, upsample2d
from .wavelet_warp import wavelet_warp

__all__ = [
    "ALLOCATORS",
    "LRELU_SLOPE",
    "POLICIES",
    "KernelsRequired",
    "backend_info",
    "bias_act",
    "choose_allocator",
    "conv2d",
    "conv_transpose2d",
    "demodulation",
    "downsample2d",
    "epilogue",
    "filters_and_energy",
    "fork2d",
    "grid_sample",
    "kernels_for",
    "linear",
    "modulate",
    "product",
    "set_policy",
    "setup_filter",
    "start_ops",
    "upfirdn2d",
    "upsample2d",
    "upsample_conv2d",
    "wavelet_warp",
]
