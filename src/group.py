"""The processes that compute one thing together: who takes which part, and putting their results together."""

from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor


@dataclass(frozen=True)
class Group:
    """Processes of `torch.distributed`'s default group; the default is a process by itself."""

    rank: int = 0
    world: int = 1  # how many there are; all of them must make the same calls in the same order

    @classmethod
    def joined(cls) -> "Group":
        """The group that this process has joined; without one, this process by itself."""
        if dist.is_available() and dist.is_initialized():
            return cls(dist.get_rank(), dist.get_world_size())
        return cls()

    @property
    def is_first(self) -> bool:
        """Whether this process is the one that writes and tells."""
        return self.rank == 0

    def share(self, count: int) -> range:
        """Indices out of `count` that are this process's, one after the other."""
        return range(self.rank * count // self.world, (self.rank + 1) * count // self.world)

    def gather(self, rows: Tensor) -> Tensor:
        """Put the rows `[n, d]` of all processes together, in the order of their ranks.

        Returned are `[sum of n, d]`, the same in every process. Both are on the CPU; n may differ between processes.
        """
        if self.world == 1:
            return rows
        length = torch.tensor([len(rows)])
        lengths = [torch.zeros_like(length) for _ in range(self.world)]
        dist.all_gather(lengths, length)
        counts = [int(n) for n in lengths]
        padded = torch.zeros([max(counts), *rows.shape[1:]], dtype=rows.dtype)
        padded[: len(rows)] = rows
        parts = [torch.empty_like(padded) for _ in range(self.world)]
        dist.all_gather(parts, padded)
        return torch.cat([part[:n] for part, n in zip(parts, counts, strict=True)])

    def all(self, flag: bool) -> bool:
        """Whether `flag` is true in every process."""
        return -self.largest(-int(flag)) == 1

    def largest(self, number: int) -> int:
        """The largest of the processes' numbers; no device is waited for."""
        if self.world == 1:
            return number
        value = torch.tensor([number])
        dist.all_reduce(value, op=dist.ReduceOp.MAX)
        return int(value.item())

    def sum_(self, values: Tensor) -> None:
        """Put the sum over the processes in the place of `values`, on whatever device."""
        if self.world > 1:
            dist.all_reduce(values)

    def told(self, text: str) -> str:
        """The text of the first process."""
        if self.world == 1:
            return text
        texts = [text]
        dist.broadcast_object_list(texts, src=0)
        return texts[0]


ALONE = Group()  # a process by itself
