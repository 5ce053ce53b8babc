"""What training and projection ask of a GPU, counted without one: launches, bytes, operations, layouts, kernel sizes.

The phases of `TrainingStep`, or a step of a projection, run on fake tensors: shapes, types and strides, but no values.
Every operation that would start a kernel is a `Launch`; compiled kernels are counted by a stand-in for their library.
"""

import ctypes
import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from src.augment import color, filter as filter_, geometry
from src.augment.pipe import AugmentPipe
from src.device import float32_format, float32_in
from src.networks import Discriminator, Generator, Precision
from src.ops import backend, kernels
from src.projection import PerceptualDistance, ProjectionSettings
from src.projection.descent import Descent, Frame
from src.training.settings import StepSettings
from src.training.step import Batch, TrainingStep

aten = torch.ops.aten
CONVOLUTIONS = (aten.convolution.default, aten.convolution_backward.default)
# instructions of the general FIR kernel: for an output, and for each tap that it meets, along x and along y
GENERAL_FIR, FIR_TAP_X, FIR_TAP_Y = 200, 20, 75
# instructions of the warp kernel for a point: the point itself, each of its pixels; tiles overlap, additions are atomic
WARP_POINT, WARP_PIXELS, WARP_OVERLAP, ATOMIC_INSTRUCTIONS = 150, 49, 1.72, 8
#: Operations that start no kernel: views, allocations, what belongs to Python or the profiler.
NO_KERNEL = (
    *("prim.", "profiler.", "sym_", "empty", "new_empty", "detach", "alias", "lift_fresh", "is_same_size"),
    *("view", "_unsafe_view", "_reshape_alias", "as_strided", "transpose", "t.default", "permute", "expand", "real"),
    *("slice", "select", "unsqueeze", "squeeze", "split", "chunk", "unbind", "unfold", "diagonal", "_local_scalar"),
)
#: Gradients of such views: zeros of the whole, and a copy into them.
OF_VIEWS = ("slice_backward", "select_backward")


@dataclass(frozen=True)
class Launch:
    """One operation on the device.

    Attributes:
        kind: `"convolution"`, `"product"`, `"fir"`, `"epilogue"`, `"augment"`, `"adam"`, `"random"` or `"pointwise"`.
        name: of the operation.
        launches: kernels that it starts.
        bytes: read and written.
        flops: multiplications and additions of convolutions and products.
        format: of the operands: `"bf16"`, `"fp16"`, `"tf32"`, `"fp32"`.
        kernel_px: largest side of a convolution's kernel.
        nchw: whether a convolution's picture is not in channels_last.
        channels: the smaller number of a convolution's channels.
        instructions: of all threads, for a compiled kernel that is bound by them and not by memory.
    """

    kind: str
    name: str
    launches: int
    bytes: int
    flops: int = 0
    format: str = "fp32"
    kernel_px: int = 0
    nchw: bool = False
    channels: int = 0
    instructions: int = 0


class _OneMode(FakeTensorMode):
    """Fake tensors whose copies stay in the same mode.

    A copied network brings its buffers' mode along. PyTorch would copy that too, with its weak references to the
    storages of constants, uncounted: each would be given up twice, and write to memory that is no longer its own.
    """

    def __deepcopy__(self, memo: dict[int, Any]) -> "_OneMode":
        return self


class _Counter(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[Launch] = []
        self.scope: str | None = None

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        name = str(func).removeprefix("aten.")
        if not name.startswith(NO_KERNEL) or name.startswith(OF_VIEWS):
            self.found.append(self._launch(func, name, args, kwargs or {}, result))
        return result

    def add(self, kind: str, name: str, *tensors: Tensor | None, launches: int = 1, instructions: int = 0) -> None:
        """A launch of the compiled kernels."""
        size = sum(_bytes(t) for t in tensors if t is not None)
        self.found.append(Launch(self.scope or kind, name, launches, size, instructions=instructions))

    def _launch(self, func: Any, name: str, args: Any, kwargs: Any, result: Any) -> Launch:
        operands = {id(t): t for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)}
        made = {id(t): t for t in tree_leaves(result) if isinstance(t, Tensor)} | operands
        size = sum(map(_bytes, made.values()))
        formula = flop_registry.get(func._overloadpacket)
        flops = 0 if formula is None else formula(*args, **kwargs, out_val=result)
        format_ = _format(next(iter(operands.values()), None))
        if func in CONVOLUTIONS:
            return _convolution(func, name, args, size, flops, format_)
        kind, launches = self._kind(name, flops)
        return Launch(kind, name, launches, size, flops, format_)

    def _kind(self, name: str, flops: int) -> tuple[str, int]:
        if "_fused_adam" in name:
            return "adam", 4
        if "_foreach" in name:
            return "adam", 3
        if name.startswith(OF_VIEWS):
            return "pointwise", 2
        if self.scope is not None:
            return self.scope, 1
        if flops:
            return "product", 1
        return ("random" if name.startswith(("randn", "rand.", "uniform", "normal")) else "pointwise"), 1


def _convolution(func: Any, name: str, args: Any, size: int, flops: int, format_: str) -> Launch:
    backward = func is aten.convolution_backward.default
    x, weight = args[1:3] if backward else args[:2]
    reads_weight = args[10][0] if backward else True
    brought = reads_weight and not weight.is_contiguous(memory_format=torch.channels_last)  # by a launch of its own
    launches = brought + (sum(args[10]) if backward else 1)
    nchw = max(x.shape[2:]) > 4 and not x.is_contiguous(memory_format=torch.channels_last)
    side, channels = max(weight.shape[2:]), min(weight.shape[:2])
    size += 2 * _bytes(weight) * brought
    return Launch("convolution", name, launches, size, flops, format_, side, nchw, channels)


def _bytes(t: Tensor) -> int:
    return min(t.numel() * t.element_size(), t.untyped_storage().nbytes())


def _format(t: Tensor | None) -> str:
    if t is None or t.dtype not in (torch.bfloat16, torch.float16):
        return "tf32" if float32_format() == "tf32" else "fp32"
    return "bf16" if t.dtype == torch.bfloat16 else "fp16"


class _CountedKernels(kernels.Kernels):
    """The compiled kernels without a library: shapes as they are, calls counted."""

    def __init__(self, counter: _Counter) -> None:
        self.path, self.dtypes, self.counter = Path("none"), frozenset(kernels.DTYPES), counter
        self._library = mock.MagicMock()

    def _call(self, function: object, arguments: ctypes.Structure, x: Tensor) -> None:
        pass

    def fir(self, x: Tensor, taps: kernels.Taps, *args: Any) -> Tensor:
        """Count one pass; filters of any but 4 x 4 taps are looped over, tap by tap."""
        with self._copies_alone():
            y = super().fir(x, taps, *args)
        kh, kw = taps.f.shape
        tap = FIR_TAP_Y if kw == 1 else FIR_TAP_X
        general = 0 if (kh, kw) == (4, 4) else y.numel() * (GENERAL_FIR + tap * kh * kw // math.prod(args[1]))
        self.counter.add("fir", f"fir {kh}x{kw}", x, y, args[6], instructions=general)
        return y

    def epilogue(self, x: Tensor, small: kernels.Small, shape: Any, **how: Any) -> tuple[Tensor | None, Tensor | None]:
        """Count one pass."""
        with self._copies_alone():
            y, z = super().epilogue(x, small, shape, **how)
        self.counter.add("epilogue", "epilogue", x, y, z, small.noise, how.get("add"))
        return y, z

    def epilogue_grad(
        self, given: kernels.Incoming, small: kernels.Small, shape: Any, *, wanted: Any, second: Any = None
    ) -> kernels.Gradients:
        """Count one pass, and the sums of its chunks; with x at hand, y is not read."""
        with self._copies_alone():
            found = super().epilogue_grad(given, small, shape, wanted=wanted, second=second)
        of = found.small
        others = of.scale is not None or of.style is not None
        sums = others + (of.bias is not None)  # a bias alone in one
        read = (*given, small.noise, *(() if second is None else (second[0], second[1].noise)))
        name = "epilogue_grad" if second is None else "epilogue_grad_grad"
        self.counter.add("epilogue", name, *read, found.x, found.y, found.z, of.noise, launches=1 + sums)
        return found

    def warp(self, x: Tensor, affine: Tensor, margins: Tensor, taps: Any, *, adjoint: bool) -> Tensor:
        """Count the picture, the result, and the arithmetic of its points; a scatter's additions go to memory."""
        with self._copies_alone():
            y = super().warp(x, affine, margins, taps, adjoint=adjoint)
        points = 4 * x[:, 0].numel()
        added = points * x.shape[1] * WARP_PIXELS * ATOMIC_INSTRUCTIONS if adjoint else 0
        instructions = points * (WARP_POINT + 2 * x.shape[1] * WARP_PIXELS) * (1 if adjoint else WARP_OVERLAP) + added
        self.counter.add("augment", "warp_adjoint" if adjoint else "warp", x, y, instructions=int(instructions))
        return y

    @contextmanager
    def _copies_alone(self) -> Iterator[None]:
        """Of what a wrapper does besides its kernel, count copies to another layout, and zeros; sums are counted."""
        found, self.counter.found = self.counter.found, []
        try:
            yield
        finally:
            copies = [launch for launch in self.counter.found if not launch.name.startswith("sum")]
            self.counter.found = found + copies


def count_iteration(
    precision: Precision, regularizer_precision: Precision, *, batch: int = 16, px: int = 256, pipe: str | None = "bgc"
) -> tuple[dict[str, list[Launch]], dict[str, int]]:
    """Count each phase of an iteration of config-e with lazy regularisation, and the average of weights.

    Args:
        precision: of the main phases.
        regularizer_precision: of path length and R1.
        batch: images.
        px: of the pictures.
        pipe: of augmentation, or None.

    Returns:
        The launches of each phase, and in how many iterations it runs once.
    """
    with _counting() as counter:
        augment = None if pipe is None else AugmentPipe.preset(pipe, static=True)
        step = TrainingStep(
            Generator(resolution=px),
            Discriminator(resolution=px),
            StepSettings(),
            batch_size=batch,
            augment=augment,
            precision=precision,
            regularizer_precision=regularizer_precision,
        )
        images = Batch(torch.randn(batch, 3, px, px), None)
        phases, intervals = {}, {}
        for phase in step.phases:
            for _ in range(2):  # constants and optimiser states are made in the first
                counter.found = []
                step._run_phase(phase, images, 0)
            phases[phase.name], intervals[phase.name] = counter.found, phase.interval
        counter.found = []
        step.ema.update(step.G, 0, batch)
        return phases | {"average": counter.found}, intervals | {"average": 1}


def count_projection(precision: str, *, batch: int = 16, px: int = 256) -> list[Launch]:
    """Count a step of a projection into config-e with the embedded distance, noise maps left alone.

    Args:
        precision: of the generator's blocks.
        batch, px: of the pictures.
    """
    distance, generators = PerceptualDistance(), [torch.Generator() for _ in range(batch)]
    with _counting() as counter:
        G = Generator(resolution=px).requires_grad_(False)
        frame = Frame(G, ProjectionSettings(precision=precision), distance, G.mapping.w_avg, torch.ones([]))
        described = distance.describe(torch.randn(batch, 3, px, px))
        pictures = Descent(frame, described, G.mapping.w_avg.expand(batch, G.num_ws, -1), [], generators)
        for _ in range(2):
            counter.found = []
            pictures.advance(1)
        return counter.found


@contextmanager
def _counting() -> Iterator[_Counter]:
    """Count what runs on fake tensors."""
    counter = _Counter()
    with ExitStack() as stack:
        stack.enter_context(_own_constants())
        for patch in _patches(counter):
            stack.enter_context(patch)
        stack.enter_context(float32_in(tf32=False))
        stack.enter_context(_OneMode(allow_non_fake_inputs=True))
        stack.enter_context(counter)
        yield counter


@contextmanager
def _own_constants() -> Iterator[None]:
    """Constants that augmentation keeps are fake in here: none may be there before, and none may stay."""
    kept = [f for module in (color, filter_, geometry) for f in vars(module).values() if hasattr(f, "cache_clear")]
    for function in kept:
        function.cache_clear()
    try:
        yield
    finally:
        for function in kept:
            function.cache_clear()


def _patches(counter: _Counter) -> list[Any]:
    shown = TrainingStep._shown

    def scoped(*args: Any) -> Tensor:
        counter.scope = "augment"
        try:
            return shown(*args)
        finally:
            counter.scope = None

    loaded = {"cpu": backend._Loaded(_CountedKernels(counter), "counted", "")}
    taps = lambda f, dtype: kernels.Taps(f, None, None)  # noqa: E731
    return [
        mock.patch.object(backend, "_policy", "auto"),
        mock.patch.object(backend, "_loaded", loaded),
        mock.patch.object(Tensor, "data_ptr", lambda self: 0),
        mock.patch("src.ops.conv.FILTERS_IN_LAYOUT", ("cpu",)),
        mock.patch("src.ops.conv._in_planes", lambda x, weight: False),  # what this processor likes is not asked
        mock.patch("src.ops.upfirdn2d.kernel_taps", taps),
        mock.patch.object(TrainingStep, "_shown", scoped),
    ]
