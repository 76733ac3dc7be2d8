"""Random features of vectors of width 64: 256 of them."""
import torch

import shared  # noqa: F401  sets torch's threads

WIDTH, FEATURES = 64, 256


def quiet(f):
    return torch.no_grad()(f)


def sincos(n):
    """Sine and cosine of 128 projections."""
    x, W = torch.randn(n, WIDTH), torch.randn(FEATURES // 2, WIDTH)

    def call():
        y, out = x @ W.T, x.new_empty(n, FEATURES)
        torch.sin(y, out=out[:, : FEATURES // 2])
        torch.cos(y, out=out[:, FEATURES // 2:])
        return out.mul_((FEATURES / 2) ** -0.5)
    return quiet(call)


def cosine(n):
    """Cosine of 256 projections with random phases."""
    x, W, phase = torch.randn(n, WIDTH), torch.randn(FEATURES, WIDTH), torch.rand(FEATURES) * 6.28318530718
    return quiet(lambda: torch.addmm(phase, x, W.T).cos_().mul_((2 / FEATURES) ** 0.5))


def positive(n):
    x, W = torch.randn(n, WIDTH), torch.randn(FEATURES, WIDTH)

    def call():
        y = x * WIDTH ** -0.25
        norm = y.square().sum(-1, keepdim=True).mul_(0.5)
        return (y @ W.T).sub_(norm).exp_().mul_(FEATURES ** -0.5)
    return quiet(call)


def projection(n, d):
    """The product with 2d rows of orthogonal blocks."""
    x = torch.randn(n, d)
    W = torch.linalg.qr(torch.randn(2, d, d))[0].mT.reshape(2 * d, d) * d ** 0.5
    return quiet(lambda: x @ W.T)


FORMS = {"projection": projection, "sincos": sincos, "cosine": cosine, "positive": positive}
