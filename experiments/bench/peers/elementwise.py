"""Products and elementwise functions, by torch and by numpy."""


def by_torch(f):
    def make(n):
        import torch
        import shared  # noqa: F401
        return torch.no_grad()(f(torch, n))
    return make


def by_numpy(f):
    def make(n):
        import numpy as np
        draw = np.random.default_rng(1).standard_normal
        return f(np, lambda *shape: draw(shape, dtype=np.float32), n)
    return make


def pair(call, a, b):
    return lambda: call(a, b)


def one(call, x):
    return lambda: call(x)


FORMS = {
    "matmul": by_torch(lambda torch, n: pair(torch.matmul, torch.randn(n, n), torch.randn(n, n))),
    "matmul_numpy": by_numpy(lambda np, draw, n: pair(np.matmul, draw(n, n), draw(n, n))),
    "exp": by_torch(lambda torch, n: one(torch.exp, torch.randn(n))),
    "exp_numpy": by_numpy(lambda np, draw, n: one(np.exp, draw(n))),
    "tanh": by_torch(lambda torch, n: one(torch.tanh, torch.randn(n))),
    "erf": by_torch(lambda torch, n: one(torch.erf, torch.randn(n))),
    "gelu": by_torch(lambda torch, n: one(torch.nn.functional.gelu, torch.randn(n))),
    "sin_far": by_torch(lambda torch, n: one(torch.sin, 1e6 * torch.randn(n))),
    "add": by_torch(lambda torch, n: pair(lambda a, b: a + b, torch.randn(n, n), torch.randn(n, n))),
    "add_numpy": by_numpy(lambda np, draw, n: pair(lambda a, b: a + b, draw(n, n), draw(n, n))),
    "ones": by_torch(lambda torch, n: lambda: torch.ones(n)),
}
