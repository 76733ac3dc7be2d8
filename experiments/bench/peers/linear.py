"""Causal linear attention with phi = elu + 1."""
import torch
import torch.nn.functional as F

from causal import chunks as causal_chunks
from shared import inputs, passes


def features(x):
    return F.elu(x) + 1


def chunks(n, backward):
    return passes(lambda q, k, v: causal_chunks(features(q), features(k), v), inputs(n, 3), backward)


def package(n, backward):
    """The C++ kernel of fast-transformers."""
    from fast_transformers.causal_product import causal_dot_product

    def attend(q, k, v):
        fq, fk = features(q), features(k)
        z = (fq * fk.cumsum(-2)).sum(-1, keepdim=True)
        return causal_dot_product(fq.contiguous(), fk.contiguous(), v.contiguous()) / z

    return passes(attend, inputs(n, 3), backward)


FORMS = {"chunks": chunks, "package": package}
