"""A stand-in for CUDA graphs on a processor: records the operations of a piece of work and repeats them.

As a graph does, it repeats operations on the tensors they had, not Python: whatever the work counts, decides or makes
on the host happens at the capture only. Reading a value back, or a shape that depends on data, is refused as there.
"""

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_leaves

READS_BACK = (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default)


class _Operations(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.done = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        assert func not in READS_BACK, f"{func} cannot be captured"
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        read = {t.untyped_storage().data_ptr() for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)}
        made = [t for t in tree_leaves(result) if isinstance(t, Tensor)]
        aliases = any(t.untyped_storage().data_ptr() in read for t in made if t.numel())
        if func._schema.is_mutable:
            self.done.append((func, args, kwargs, []))
        elif not aliases:
            self.done.append((func, args, kwargs, made))
        return result

    @torch.no_grad()
    def repeat(self):
        for func, args, kwargs, made in self.done:
            again = [t for t in tree_leaves(func(*args, **kwargs)) if isinstance(t, Tensor)]
            for old, new in zip(made, again, strict=False):
                old.copy_(new)


class StandIn:
    """Captures by recording. The recording executes, so the first replay, which follows at once, does nothing."""

    def __init__(self):
        self.eager_runs, self.captures, self.replays = 0, 0, 0
        self._operations = None  # while work is being captured

    def eager(self, work):
        self.eager_runs += 1
        return work()

    def outside(self, step):
        if self._operations is None:
            step()
            return
        self._operations.done.append((lambda: step() and None, (), {}, []))
        with _disable_current_modes():
            step()

    def capture(self, work, generator):
        self.captures += 1
        operations, fresh = _Operations(), True
        self._operations = operations
        with operations:
            result = work()
        self._operations = None

        def replay():
            nonlocal fresh
            self.replays += 1
            if not fresh:
                operations.repeat()
            fresh = False

        return replay, result
