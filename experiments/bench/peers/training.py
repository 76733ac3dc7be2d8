"""One training step of the byte model of ../cases/training.lua, in torch."""
from functools import partial

import torch
import torch.nn as nn
import torch.nn.functional as F

import delta

VOCAB, LAYERS, WIDTH, HEADS, LENGTH, BATCH, CHUNK = 256, 2, 128, 4, 256, 16, 32
HEAD = WIDTH // HEADS


class Softmax(nn.Module):
    def __init__(self):
        super().__init__()
        self.q, self.k, self.v, self.out = (nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(4))

    @staticmethod
    def heads(y):
        return y.unflatten(-1, (HEADS, HEAD)).transpose(1, 2)

    def mix(self, x):
        q, k, v = (self.heads(f(x)) for f in (self.q, self.k, self.v))
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)

    def forward(self, x):
        return self.out(self.mix(x).transpose(1, 2).flatten(2))


class Delta(Softmax):
    """silu and unit keys and queries, beta by a sigmoid, an RMS norm of each head."""

    def __init__(self, rule):
        super().__init__()
        self.beta, self.norm, self.rule = nn.Linear(WIDTH, HEADS), nn.RMSNorm(HEAD), rule

    def mix(self, x):
        q, k = (F.normalize(F.silu(self.heads(f(x))), dim=-1) for f in (self.q, self.k))
        beta = self.beta(x).sigmoid().transpose(1, 2).unsqueeze(-1)
        return self.norm(self.rule(q * HEAD ** -0.5, k, self.heads(self.v(x)), beta))


class Block(nn.Module):
    def __init__(self, mixer):
        super().__init__()
        self.norm1, self.mix, self.norm2 = nn.LayerNorm(WIDTH), mixer, nn.LayerNorm(WIDTH)
        self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x):
        x = x + self.mix(self.norm1(x))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class Model(nn.Module):
    def __init__(self, mixer):
        super().__init__()
        self.embed = nn.Embedding(VOCAB, WIDTH)
        nn.init.normal_(self.embed.weight, std=0.02)
        self.positions = nn.Parameter(0.02 * torch.randn(LENGTH, WIDTH))
        self.blocks = nn.Sequential(*(Block(mixer()) for _ in range(LAYERS)))
        self.norm = nn.LayerNorm(WIDTH)

    def forward(self, ids):
        return self.norm(self.blocks(self.embed(ids) + self.positions)) @ self.embed.weight.mT


def step(mixer, compiled):
    model = Model(mixer)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    ids = torch.randint(VOCAB, (BATCH, LENGTH + 1))
    x, y = ids[:, :-1].contiguous(), ids[:, 1:].flatten()
    forward = torch.compile(model) if compiled else model

    def call():
        F.cross_entropy(forward(x).flatten(0, 1), y).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    return call


def chain(n):
    """n additions of a scalar that is tracked, and their gradients."""
    x = torch.ones(1, requires_grad=True)

    def call():
        y = x
        for _ in range(n):
            y = y + x
        y.backward()
        x.grad = None
    return call


FORMS = {
    "softmax": lambda compiled: step(Softmax, compiled),
    "delta": lambda compiled: step(lambda: Delta(partial(delta.chunked, size=CHUNK)), compiled),
    "delta_loop": lambda compiled: step(lambda: Delta(delta.stepped), compiled),
    "chain": chain,
}
