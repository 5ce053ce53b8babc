"""Adaptive discriminator augmentation: the controller of the augmentation probability p.

Karras et al., "Training Generative Adversarial Networks with Limited Data" (arXiv 2006.06676), Sec. 3:
overfitting shows in how D's outputs on real images drift from 0, r_t = E[sign(D(real))] (Eq. 1, right). Every
`interval` batches p moves a fixed step up when r_t is above its target and down when it is below.
"""

from collections.abc import Callable

import torch
from torch import Tensor


class AdaController:
    """Accumulate r_t and move p; all arithmetic stays on the device, nothing is read back.

    Args:
        target: r_t aimed at; None keeps p fixed at `initial_p` (r_t is still measured).
        adjust_kimg: images, in thousands, in which p can go from 0 to 1.
        interval: batches between two adjustments.
        initial_p: p at the start, in [0, 1].
        device: where the numbers live (D's device).

    Attributes:
        p: scalar float32 tensor in [0, 1], updated in place.
        rt: scalar float32 tensor, r_t of the last completed interval (0 before the first), updated in place.
    """

    def __init__(
        self,
        *,
        target: float | None = 0.6,
        adjust_kimg: float = 500.0,
        interval: int = 4,
        initial_p: float = 0.0,
        device: torch.device | str = "cpu",
    ) -> None:
        self.target = target
        self.adjust_kimg = float(adjust_kimg)
        self.interval = int(interval)
        self.p = torch.tensor(float(initial_p), device=device)
        self.rt = torch.zeros([], device=device)
        self._sign_sum = torch.zeros([], device=device)
        self._logits = 0  # observed in this interval
        self._images = 0  # shown in this interval
        self._batches = 0

    def apply(self, fn: Callable[[Tensor], Tensor]) -> None:
        """Replace the tensors by `fn` of them, as `nn.Module.to` does with a module's."""
        self.p, self.rt, self._sign_sum = fn(self.p), fn(self.rt), fn(self._sign_sum)

    @torch.no_grad()
    def accumulate(self, real_logits: Tensor) -> None:
        """Add the signs of D's outputs on real images (any shape, any float type); a CUDA graph may repeat it."""
        self._sign_sum += real_logits.detach().sign().sum(dtype=torch.float32)

    def count(self, logits: int) -> None:
        """Say, on the host, that so many outputs were accumulated."""
        self._logits += logits

    @torch.no_grad()
    def end_batch(self, batch: int, sum_: Callable[[Tensor], None] = lambda _: None) -> bool:
        """Close a batch; at the end of an interval adjust p.

        Args:
            batch: real images in it.
            sum_: puts the sum over the processes that observe together in a tensor's place.

        Returns:
            Whether an interval ended: rt is new then, and p has moved unless it is fixed.

        Raises:
            RuntimeError: when an interval ends without any output.
        """
        self._images += batch
        self._batches += 1
        if self._batches < self.interval:
            return False
        if self._logits == 0:
            raise RuntimeError("AdaController.end_batch: no logits were counted in this interval")
        sum_(self._sign_sum)
        self.rt.copy_(self._sign_sum / self._logits)
        if self.target is not None:
            step = self._images / (self.adjust_kimg * 1000)
            self.p.add_((self.rt - self.target).sign() * step).clamp_(0, 1)
        self._sign_sum.zero_()
        self._logits = self._images = self._batches = 0
        return True

    @torch.no_grad()
    def settle(self, sum_: Callable[[Tensor], None], *, holds: bool) -> None:
        """Between two iterations, let the one process that `holds` have the sum of all: its state is then the whole.

        `sum_` is as of `end_batch`.
        """
        sum_(self._sign_sum)
        if not holds:
            self._sign_sum.zero_()

    def state_dict(self) -> dict[str, Tensor]:
        """Everything that changes, the unfinished interval included, as tensors."""
        counters = torch.tensor([self._logits, self._images, self._batches])
        return {
            "p": self.p.clone(),
            "rt": self.rt.clone(),
            "sign_sum": self._sign_sum.clone(),
            "counters": counters,
        }

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Continue exactly where `state_dict` was taken; a KeyError when an entry is missing."""
        self.p.copy_(state["p"])
        self.rt.copy_(state["rt"])
        self._sign_sum.copy_(state["sign_sum"])
        self._logits, self._images, self._batches = (int(v) for v in state["counters"].tolist())
