"""What the torch families share: the shapes, and how a pass is called."""
import os

import torch

torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
torch.manual_seed(1)

HEADS, WIDTH = 8, 64


def inputs(n, count):
    return [torch.randn(1, HEADS, n, WIDTH) for _ in range(count)]


def passes(attend, tensors, backward):
    """The call to time: attend(*tensors), and its gradients when backward."""
    if not backward:
        @torch.no_grad()
        def call():
            return attend(*tensors)
        return call
    leaves = [t.requires_grad_() for t in tensors]
    with torch.no_grad():
        g = torch.randn_like(attend(*tensors))

    def call():
        return torch.autograd.grad(attend(*leaves), leaves, g)
    return call
