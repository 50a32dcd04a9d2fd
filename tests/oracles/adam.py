"""Ten steps of torch.optim.Adam on a quadratic.

usage: python3 adam.py > ../fixtures/adam.json        (needs torch 2.11)
"""
import json

import torch

w = torch.tensor([1.0, -2.0, 0.5, 30.0], requires_grad=True)
scale = torch.tensor([1.0, 10.0, 1e-3, 0.1])
optimiser = torch.optim.Adam([w], lr=0.05)
path = []
for _ in range(10):
    optimiser.zero_grad()
    (scale * w**2).sum().backward()
    optimiser.step()
    path.append(w.tolist())
print(json.dumps({"start": [1.0, -2.0, 0.5, 30.0], "scale": scale.tolist(), "lr": 0.05, "path": path}))
