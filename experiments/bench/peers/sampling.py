"""Random draws."""


def orthogonal():
    import torch
    import shared  # noqa: F401
    d, rows = shared.WIDTH, 256

    @torch.no_grad()
    def call():
        blocks = torch.linalg.qr(torch.randn(rows // d, d, d))[0].mT.reshape(rows, d)
        return blocks * torch.randn(rows, d).norm(dim=1, keepdim=True)
    return call


def normals():
    import torch
    import shared  # noqa: F401
    return lambda: torch.randn(1 << 20)


def normals_numpy():
    import numpy as np
    rng = np.random.default_rng(1)
    return lambda: rng.standard_normal(1 << 20, dtype=np.float32)


FORMS = {"orthogonal": orthogonal, "normals": normals, "normals_numpy": normals_numpy}
