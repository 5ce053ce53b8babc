"""Measuring one set of pictures with several processes: who takes which pictures, and putting the features together."""

from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor


@dataclass(frozen=True)
class Shards:
    """Consecutive shares of a set, one a process; the default is a process by itself.

    Attributes:
        rank: of this process.
        world: how many processes measure together; all of them must make the same calls.
    """

    rank: int = 0
    world: int = 1

    @classmethod
    def of_group(cls) -> "Shards":
        """All processes of `torch.distributed`'s default group; without one, this process by itself."""
        if dist.is_available() and dist.is_initialized():
            return cls(dist.get_rank(), dist.get_world_size())
        return cls()

    def share(self, count: int) -> range:
        """Indices out of `count` that are this process's."""
        return range(self.rank * count // self.world, (self.rank + 1) * count // self.world)

    def gather(self, rows: Tensor) -> Tensor:
        """Put the rows of all processes together, in the order of their ranks.

        Args:
            rows: `[n, d]` on the CPU; n may differ between processes.

        Returns:
            `[sum of n, d]` on the CPU, the same in every process.
        """
        if self.world == 1:
            return rows
        device = _device()
        length = torch.tensor([len(rows)], device=device)
        lengths = [torch.zeros_like(length) for _ in range(self.world)]
        dist.all_gather(lengths, length)
        counts = [int(n) for n in lengths]
        padded = torch.zeros([max(counts), *rows.shape[1:]], dtype=rows.dtype, device=device)
        padded[: len(rows)] = rows.to(device)
        parts = [torch.empty_like(padded) for _ in range(self.world)]
        dist.all_gather(parts, padded)
        return torch.cat([part[:n].cpu() for part, n in zip(parts, counts, strict=True)])

    def all(self, flag: bool) -> bool:
        """Whether `flag` is true in every process."""
        if self.world == 1:
            return flag
        value = torch.tensor([int(flag)], device=_device())
        dist.all_reduce(value, op=dist.ReduceOp.MIN)
        return bool(value.item())


def _device() -> torch.device:
    """Where the group's backend takes tensors."""
    if dist.get_backend() == "nccl":
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("cpu")
