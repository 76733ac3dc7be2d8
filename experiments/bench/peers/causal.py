"""Causal attention on features in plain torch, a chunk at a time.

Inside a chunk the masked product of queries and keys; before it the state
S = sum k v' and z = sum k.  'split' instead of slices: the gradient of a slice
is as large as the whole sequence.
"""
import torch

CHUNK = 128


def chunks(fq, fk, v):
    mask = fq.new_ones(CHUNK, CHUNK).tril()
    S = z = None
    out = []
    for q, k, w in zip(fq.split(CHUNK, -2), fk.split(CHUNK, -2), v.split(CHUNK, -2)):
        c = q.shape[-2]
        A = (q @ k.mT) * mask[:c, :c]
        top, bottom = A @ w, A.sum(-1, keepdim=True)
        if S is not None:
            top, bottom = top + q @ S, bottom + q @ z
        out.append(top / bottom)
        dS, dz = k.mT @ w, k.sum(-2, keepdim=True).mT
        S, z = (dS, dz) if S is None else (S + dS, z + dz)
    return torch.cat(out, -2)
