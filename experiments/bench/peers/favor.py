"""FAVOR+: 256 positive features of softmax attention, stabilised as in Performer."""
import torch

from causal import chunks as causal_chunks
from shared import WIDTH, inputs, passes

FEATURES, FLOOR = 256, 1e-4


def projection():
    blocks = [torch.linalg.qr(torch.randn(WIDTH, WIDTH))[0].T for _ in range(FEATURES // WIDTH)]
    return torch.cat(blocks) * torch.randn(FEATURES, WIDTH).norm(dim=1, keepdim=True)


def features(x, W, dims):
    """exp(W x - |x|^2/2 - max) / sqrt(m), the maximum over 'dims'."""
    x = x * WIDTH ** -0.25
    y = x @ W.T
    shift = x.square().sum(-1, keepdim=True) / 2 + y.detach().amax(dims, keepdim=True)
    if torch.is_grad_enabled():
        return ((y - shift).exp() + FLOOR) * FEATURES ** -0.5
    return y.sub_(shift).exp_().add_(FLOOR).mul_(FEATURES ** -0.5)


def with_map(core, n, backward):
    W = projection()
    return passes(lambda q, k, v: core(features(q, W, -1), features(k, W, (-2, -1)), v), inputs(n, 3), backward)


def bidirectional(fq, fk, v):
    return (fq @ (fk.mT @ v)) / (fq @ fk.sum(-2, keepdim=True).mT)


def chunks(n, causal, backward):
    return with_map(causal_chunks if causal else bidirectional, n, backward)


def package(n, backward):
    """performer-pytorch's own causal path without CUDA."""
    from performer_pytorch.performer_pytorch import causal_linear_attention_noncuda
    return with_map(causal_linear_attention_noncuda, n, backward)


FORMS = {"chunks": chunks, "package": package}
