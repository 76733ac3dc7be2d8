"""One token after n others from the byte model of ../cases/decoding.lua, in torch."""
import torch
import torch.nn as nn
import torch.nn.functional as F

from training import HEAD, HEADS, LAYERS, VOCAB, WIDTH, Block, Delta, Softmax

TOKENS = 64  # decoded after the prompt, then again from there


class Cached(Softmax):
    """Keys and values in room made beforehand."""

    def __init__(self, n):
        super().__init__()
        self.n = self.first = n
        self.keys, self.values = (torch.randn(1, HEADS, n + TOKENS, HEAD) for _ in range(2))

    def mix(self, x):
        if self.n == self.first + TOKENS:
            self.n = self.first
        q, k, v = (self.heads(f(x)) for f in (self.q, self.k, self.v))
        self.keys[:, :, self.n], self.values[:, :, self.n] = k[:, :, 0], v[:, :, 0]
        self.n += 1
        return F.scaled_dot_product_attention(q, self.keys[:, :, :self.n], self.values[:, :, :self.n])


class Recurrent(Delta):
    def __init__(self, n):
        super().__init__(self.step)
        self.state = torch.randn(1, HEADS, HEAD, HEAD)

    def step(self, q, k, v, b):
        self.state = self.state + k.mT @ (b * (v - k @ self.state))
        return q @ self.state


def token(mixer, n):
    embed, norm = nn.Embedding(VOCAB, WIDTH), nn.LayerNorm(WIDTH)
    blocks = nn.Sequential(*(Block(mixer(n)) for _ in range(LAYERS)))
    ids = torch.randint(VOCAB, (1, 1))

    @torch.inference_mode()
    def call():
        return norm(blocks(embed(ids))) @ embed.weight.mT
    return call


FORMS = {
    "softmax": lambda n: token(Cached, n),
    "delta": lambda n: token(Recurrent, n),
}
