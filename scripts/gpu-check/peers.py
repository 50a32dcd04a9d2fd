"""What `benches/device.rs` measures, in PyTorch: JSON lines.

usage: python3 peers.py DEVICE [small]

The sampler is Gumbel-Softmax on 12 atoms as a user would write it (float32 log-pmf, tail as log(1 - sum)), eager and compiled; the VAE is the
model of `gengs-vae` at its defaults: 784-500-500, 50 Poisson latents with free logits on 12 atoms, Adam.
"""
import json
import statistics
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

device = torch.device(sys.argv[1])
small = "small" in sys.argv[2:]
torch.manual_seed(0)
atoms = torch.arange(12.0, device=device)


def finish():
    if device.type == "cuda":
        torch.cuda.synchronize()


def seconds(run):
    for _ in range(3):
        run()
    finish()
    began, times = time.perf_counter(), []
    while len(times) < 7 or time.perf_counter() - began < 1:
        start = time.perf_counter()
        run()
        finish()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def truncated(rate):
    log_pmf = torch.xlogy(atoms[:-1], rate) - rate - torch.lgamma(atoms[:-1] + 1)
    tail = torch.log((1 - log_pmf.exp().sum(-1, keepdim=True)).clamp_min(1e-20))
    return torch.cat([log_pmf, tail], -1)


def sampler(rate):
    return F.gumbel_softmax(truncated(rate.unsqueeze(-1)), tau=0.5) @ atoms


def mlp(*widths):
    layers = []
    for a, b in zip(widths, widths[1:]):
        layers += [nn.Linear(a, b), nn.ReLU()]
    return nn.Sequential(*layers[:-1]).to(device)


rows = 64 if small else 4096
rate = (torch.rand(rows, 512, device=device) * 2 + 1e-3).requires_grad_()
for name, draw in [("eager", sampler), ("compiled", None if small else torch.compile(sampler))]:
    if draw is None:
        continue
    try:
        taken = seconds(lambda: torch.autograd.grad(draw(rate).sum(), rate))
    except Exception as error:  # torch.compile needs a compiler, which a machine may lack
        print(json.dumps({"what": "sampler", "by": f"PyTorch, {name}", "error": str(error).splitlines()[0]}))
        continue
    print(json.dumps({"what": "sampler", "by": f"PyTorch, {name}", "rows": rows, "latents": 512, "atoms": 12,
                      "millions_a_second": rate.numel() / taken / 1e6}))

prior = truncated(torch.tensor([2.0], device=device))
for batch in [100] if small else [100, 1_000, 10_000]:
    encoder, decoder = mlp(784, 500, 500, 600), mlp(50, 500, 500, 784)
    optimiser = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=1e-3)
    x = (torch.rand(batch, 784, device=device) < 0.13).float()

    def step():
        log_q = F.log_softmax(encoder(x).view(-1, 50, 12), -1)
        z = F.gumbel_softmax(log_q, tau=0.5) @ atoms
        kl = (log_q.exp() * (log_q - prior)).sum()
        loss = (F.binary_cross_entropy_with_logits(decoder(z), x, reduction="sum") + kl) / batch
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    print(json.dumps({"what": "vae step", "by": "PyTorch, eager", "batch": batch, "milliseconds": seconds(step) * 1e3}))
