"""The decoder of examples/torchscript_decoder.rs: `python examples/torchscript_decoder.py tests/fixtures/weights/decoder.pt`."""

import sys

import torch
from torch import nn


class Decoder(nn.Module):
    """The log-likelihood of binary images `[B, 784]` given 8 counts each; whatever TorchScript can express may stand here."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(8, 16), nn.SiLU(), nn.Linear(16, 784))

    def forward(self, z: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        logits = self.layers(torch.log1p(z))
        return -nn.functional.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(-1)


torch.manual_seed(0)
torch.jit.script(Decoder()).save(sys.argv[1])
