"""Sample and backward of 128 x 512 Poisson latents with rates in 0..2, as a PyTorch user would write it: millions of latents a second.

usage: python3 sampler.py plain|compiled|relaxit THREADS       (needs torch 2.11; relaxit 1.2; benches/peers/run.py runs it beside gengs)

plain: Gumbel-Softmax on 12 atoms, float32 log-pmf, tail as log(1 - sum); compiled: the same through torch.compile; relaxit: the sampler of
that library's own Poisson VAE, `GeneralizedGumbelSoftmaxNP` on the counts 0..100 with eta = 0.999.
"""
import sys
import time
import warnings

import torch
import torch.nn.functional as F

what, threads = sys.argv[1], int(sys.argv[2])
warnings.filterwarnings("ignore")
torch.set_num_threads(threads)
torch.manual_seed(0)
rate = (torch.rand(128, 512) * 2 + 1e-3).requires_grad_()
atoms = torch.arange(12.0)


def plain(rate):
    r = rate.unsqueeze(-1)
    log_pmf = torch.xlogy(atoms[:-1], r) - r - torch.lgamma(atoms[:-1] + 1)
    tail = torch.log((1 - log_pmf.exp().sum(-1, keepdim=True)).clamp_min(1e-20))
    return F.gumbel_softmax(torch.cat([log_pmf, tail], -1), tau=0.5) @ atoms


def relaxit(rate):
    values = torch.arange(101.0).expand(*rate.shape, -1)
    law = torch.distributions.Poisson(rate.unsqueeze(-1).expand_as(values))
    return GeneralizedGumbelSoftmaxNP(law, values, tau=torch.tensor(0.5), eta=0.999).rsample_value()


if what == "relaxit":
    from relaxit.distributions import GeneralizedGumbelSoftmaxNP
sampler = {"plain": plain, "compiled": torch.compile(plain), "relaxit": relaxit}[what]


def run():
    torch.autograd.grad(sampler(rate).sum(), rate)


run()
run()
best = float("inf")
for _ in range(7):
    start = time.perf_counter()
    run()
    best = min(best, time.perf_counter() - start)
print(rate.numel() / best / 1e6)
