"""Draws of PyTorch's own Gumbel-Softmax on given log weights.

usage: python3 gumbel_softmax.py > ../fixtures/gumbel_softmax.json        (needs torch 2.11)

Floats are written as the integers of their bits, because the comparison is for equality.
"""
import json

import torch
import torch.nn.functional as F


def bits(tensor):
    return tensor.contiguous().view(torch.int32).flatten().tolist()


torch.manual_seed(7)
log_weights = torch.log_softmax(torch.randn(3, 12), -1)
torch.manual_seed(11)
soft = F.gumbel_softmax(log_weights, tau=0.5)
torch.manual_seed(11)
hard = F.gumbel_softmax(log_weights, tau=0.5, hard=True)
print(json.dumps({
    "shape": [3, 12], "seed": 11, "temperature": 0.5, "log_weights": bits(log_weights),
    "weights": bits(soft), "hard": hard.argmax(-1).tolist(),
}))
