"""Which gradients a backward pass will use.

`ctx.needs_input_grad` says which operands require a gradient. `torch.autograd.grad` asks for those of some tensors
only: R1 for the picture's, path length for the codes'. Gradients of weights that are made on the way, as dear as the
pass itself, would be thrown away.
"""

from typing import Any

import torch


def used(ctx: Any) -> list[bool]:
    """Say of each operand of a function whether the backward pass that runs now takes its gradient anywhere.

    A compiler, which traces the pass before it runs, leaves out what is used nowhere itself.
    """
    if torch.compiler.is_compiling():
        return list(ctx.needs_input_grad)
    nodes = (node for node, _ in ctx.next_functions if node is not None)  # of the operands that require a gradient
    return [needs and _runs(next(nodes)) for needs in ctx.needs_input_grad]


def _runs(node: torch.autograd.graph.Node) -> bool:
    try:
        return torch._C._will_engine_execute_node(node)
    except RuntimeError:  # a leaf whose gradient is asked for by name
        return True
