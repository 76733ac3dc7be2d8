"""Nystrom attention: 64 segment means as landmarks, 6 steps of the pseudoinverse."""
import torch

from shared import WIDTH, inputs, passes

LANDMARKS, STEPS = 64, 6


def inverse(L):
    identity = torch.eye(L.shape[-1])
    Z = L.mT / L.sum(-2).amax(-1)[..., None, None]
    for _ in range(STEPS):
        Y = L @ Z
        Z = Z @ (13 * identity - Y @ (15 * identity - Y @ (7 * identity - Y))) / 4
    return Z


def attend(q, k, v):
    q = q * WIDTH ** -0.5
    ql, kl = (x.unflatten(-2, (LANDMARKS, -1)).mean(-2) for x in (q, k))
    left, middle, right = ((a @ b.mT).softmax(-1) for a, b in ((q, kl), (ql, kl), (ql, k)))
    return left @ (inverse(middle) @ (right @ v))


FORMS = {"torch": lambda n: passes(attend, inputs(n, 3), False)}
