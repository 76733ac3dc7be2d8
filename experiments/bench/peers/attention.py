"""Exact softmax attention."""
import torch
import torch.nn.functional as F

from shared import inputs, passes

BLOCK = 256


def sdpa(n, causal, backward):
    return passes(lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=causal), inputs(n, 3), backward)


def blocks(n, causal, backward):
    """Plain torch, BLOCK queries at a time: the scores in flight stay small."""
    hidden = torch.full((BLOCK, BLOCK), float("-inf")).triu(1)

    def attend(q, k, v):
        out, seen = [], 0
        for part in (q * q.shape[-1] ** -0.5).split(BLOCK, -2):
            rows = part.shape[-2]
            last = seen + rows if causal else n
            scores = part @ k[..., :last, :].mT
            if causal:
                scores[..., seen:] += hidden[:rows, :rows]
            out.append(scores.softmax(-1) @ v[..., :last, :])
            seen += rows
        return torch.cat(out, -2)

    return passes(attend, inputs(n, 3), backward)


FORMS = {"sdpa": sdpa, "blocks": blocks}
