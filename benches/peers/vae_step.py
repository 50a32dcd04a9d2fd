"""A training step of the same VAE in eager PyTorch: milliseconds a step.

usage: python3 vae_step.py explicit|implicit|relaxit THREADS STEPS [FOLDER]     (needs torch 2.11; relaxit 1.2; benches/peers/run.py runs it beside gengs)

Images are static MNIST's in the folder, or without one, noise with as many pixels on.

The model of `gengs-vae`: 784-500-500, 50 Poisson latents, 12 atoms, decoder in reverse, batch 100, Adam 1e-3, relaxed ELBO with the
exact KL on the truncated laws. Explicit weights are formed as a PyTorch user would: float32 log-pmf, tail as log(1 - sum).
relaxit is the explicit model with the sampler and the closed-form KL of that library's own Poisson VAE: counts 0..100, eta = 0.999.
"""
import pathlib
import sys
import time

import numpy
import torch
import torch.nn.functional as F
from torch import nn

inference, threads, steps = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
torch.set_num_threads(threads)
torch.manual_seed(0)
K, N = 50, 12


def mlp(*widths):
    layers = []
    for a, b in zip(widths, widths[1:]):
        layers += [nn.Linear(a, b), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


encoder = mlp(784, 500, 500, K * N if inference == "implicit" else K)
decoder = mlp(K, 500, 500, 784)
optimiser = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=1e-3)
atoms = torch.arange(float(N))
if inference == "relaxit":
    from relaxit.distributions import GeneralizedGumbelSoftmaxNP


def relaxit(rate):
    values = torch.arange(101.0).expand(*rate.shape, -1)
    law = torch.distributions.Poisson(rate.unsqueeze(-1).expand_as(values))
    z = GeneralizedGumbelSoftmaxNP(law, values, tau=torch.tensor(0.5), eta=0.999).rsample_value()
    return z, (rate * torch.log(rate / 2 + 1e-10) - (rate - 2)).sum()


def truncated(rate):
    log_pmf = torch.xlogy(atoms[:-1], rate) - rate - torch.lgamma(atoms[:-1] + 1)
    tail = torch.log((1 - log_pmf.exp().sum(-1, keepdim=True)).clamp_min(1e-20))
    return torch.cat([log_pmf, tail], -1)


prior = truncated(torch.tensor([2.0]))
if len(sys.argv) > 4:
    bits = numpy.load(pathlib.Path(sys.argv[4]) / "static_binarized_mnist_bits.npz")["train"]
    images = torch.from_numpy(numpy.unpackbits(bits, axis=1))
else:
    images = (torch.rand(50_000, 784) < 0.13).to(torch.uint8)
order = torch.randperm(len(images))


def step(i):
    start = i * 100 % 50_000
    x = images[order[start:start + 100]].float()
    out = encoder(x)
    if inference == "relaxit":
        z, kl = relaxit(F.softplus(out + 1.85) + 1e-6)
    else:
        if inference == "explicit":
            log_q = truncated(F.softplus(out.unsqueeze(-1) + 1.85) + 1e-6)
        else:
            log_q = F.log_softmax(out.view(-1, K, N), -1)
        z = F.gumbel_softmax(log_q, tau=0.5) @ atoms
        kl = (log_q.exp() * (log_q - prior)).sum()
    loss = (F.binary_cross_entropy_with_logits(decoder(z), x, reduction="sum") + kl) / 100
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()


for i in range(20):
    step(i)
start = time.perf_counter()
for i in range(steps):
    step(i)
print((time.perf_counter() - start) / steps * 1e3)
