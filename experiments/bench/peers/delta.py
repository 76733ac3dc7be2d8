"""The delta rule S <- S + b k (v - S'k)', o = S'q."""
import importlib.util

import torch
import torch.nn.functional as F

from shared import HEADS, inputs, passes


def tensors(n):
    q, k, v = inputs(n, 3)
    return [q, F.normalize(k, dim=-1), v, torch.rand(1, HEADS, n, 1)]


def chunked(q, k, v, b, size=64):
    """The WY form: within a chunk (I + tril(b k k', -1)) [u w] = b [v k], then one
    product with the state for each chunk."""
    Q, K, V, B = (x.unflatten(-2, (-1, size)) for x in (q, k, v, b))
    KB = B * K
    lower = (KB @ K.mT).tril(-1) + torch.eye(size)
    UW = torch.linalg.solve_triangular(lower, torch.cat([B * V, KB], -1), upper=False, unitriangular=True)
    U, W = UW.chunk(2, -1)
    A = (Q @ K.mT).tril()
    S, out = None, []
    for qc, kc, uc, wc, ac in zip(*(x.unbind(2) for x in (Q, K, U, W, A))):
        if S is None:
            out.append(ac @ uc)
            S = kc.mT @ uc
        else:
            r = uc - wc @ S
            out.append(qc @ S + ac @ r)
            S = S + kc.mT @ r
    return torch.stack(out, 2).flatten(2, 3)


def stepped(q, k, v, b):
    """A token at a time."""
    S = q.new_zeros(*q.shape[:2], q.shape[-1], v.shape[-1])
    out = []
    for qt, kt, vt, bt in zip(*(x.split(1, -2) for x in (q, k, v, b))):
        S = S + kt.mT @ (bt * (vt - kt @ S))
        out.append(qt @ S)
    return torch.cat(out, -2)


def package(n, backward):
    """The chunkwise reference of flash-linear-attention, in plain torch: its file alone,
    since the package wants triton."""
    where = importlib.util.find_spec("fla")
    if where is None:
        raise ImportError("No module named 'fla'")
    path = where.submodule_search_locations[0] + "/ops/delta_rule/naive.py"
    spec = importlib.util.spec_from_file_location("fla_delta_naive", path)
    naive = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(naive)
    return passes(lambda q, k, v, b: naive.delta_rule_chunkwise(q, k, v, b.squeeze(-1))[0], tensors(n), backward)


FORMS = {
    "package": package,
    "chunks": lambda n, backward: passes(chunked, tensors(n), backward),
    "loop": lambda n, backward: passes(stepped, tensors(n), backward),
}
