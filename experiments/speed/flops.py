"""Counting the floating-point operations of a call, with PyTorch's own formulas.

`FlopCounterMode` itself also follows modules by hooks that `torch.autograd.grad` refuses, and the regularisers use
that: here is its counting alone. Convolutions with one input channel a group are left out: those are the FIR filters,
which only the reference ops write as convolutions, so that the count is the same for all ops.
"""

from collections.abc import Callable
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry


class FlopCounter(TorchDispatchMode):
    """Adds up the operations (2 a multiply-add) of convolutions and matrix products that run inside."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Count an operation, or look into one that is made of others."""
        kwargs = kwargs or {}
        formula = flop_registry.get(func._overloadpacket)
        if formula is None:
            with self:
                result = func.decompose(*args, **kwargs)
            return func(*args, **kwargs) if result is NotImplemented else result
        result = func(*args, **kwargs)
        if not _is_filter(str(func), args):
            self.total += formula(*args, **kwargs, out_val=result)
        return result


def _is_filter(name: str, args: Any) -> bool:
    if "convolution" not in name:
        return False
    weight = args[2] if "backward" in name else args[1]
    return weight.shape[1] == 1


def count_flops(run: Callable[[], object]) -> float:
    """Floating-point operations of the convolutions and matrix products of a call, gradients included."""
    with FlopCounter() as counter:
        run()
    return float(counter.total)
