"""The topic model of gengs-topics beside a dense one in eager PyTorch (training) and tomotopy's LDA (inference), one thread each.

usage: PYTHON benches/peers/topics.py FILE.npz [ROUNDS]     in alternation; prints ratios and writes benches/TOPICS.md
       PYTHON benches/peers/topics.py train FILE.npz STEPS  tokens a second of the dense model
       PYTHON benches/peers/topics.py infer FILE.npz        documents a second of tomotopy, 100 iterations

PYTHON: one with torch 2.11 and tomotopy. FILE.npz: {train,test}_{ptr,words,counts} and vocab, as gengs-topics reads it.

The dense model is that of gengs-topics' default settings as one would write it: the same encoder on [B, V] matrices, 50 Poisson counts on 24 atoms with the
tail as log(1 - sum), gumbel_softmax, a softmax over the vocabulary, the overlap of topics, torch.optim.Adam.
"""
import datetime
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import time

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
K, N, HIDDEN, BATCH, STEPS = 50, 24, 256, 200, "60"
SHIFT = 1.8546  # softplus of it is 2, the mean of a count at the start


def documents(path, part):
    z = np.load(path)
    ptr, words, counts = (z[f"{part}_{name}"] for name in ["ptr", "words", "counts"])
    size = len(bytes(z["vocab"]).decode().split("\n"))
    return [(words[a:b].astype(int), counts[a:b].astype(int)) for a, b in zip(ptr, ptr[1:])], size


def train(path, steps):
    import torch
    import torch.nn.functional as F
    from torch import nn

    torch.set_num_threads(1)
    torch.manual_seed(0)
    corpus, words = documents(path, "train")
    x = torch.zeros(len(corpus), words)
    for row, (w, c) in zip(x, corpus):
        row[w] = torch.tensor(c, dtype=torch.float)
    idf = torch.log(len(corpus) / (x > 0).sum(0).clamp_min(1))
    first, hidden, output = nn.Linear(words, HIDDEN), nn.Linear(HIDDEN, HIDDEN), nn.Linear(HIDDEN, K)
    directions = nn.Linear(words, K, bias=False)
    norm, direction_norm = nn.BatchNorm1d(K), nn.BatchNorm1d(K)
    weight, bias = nn.Parameter(torch.randn(words, K) / 10), nn.Parameter(torch.log(x.sum(0) + 0.5) - torch.log(x.sum()))
    own, gate = nn.Parameter(torch.zeros(K)), nn.Parameter(torch.tensor(30.0).log())
    modules = [first, hidden, output, directions, norm, direction_norm]
    parameters = [p for module in modules for p in module.parameters()] + [weight, bias, own, gate]
    optimiser = torch.optim.Adam(parameters, lr=5e-3)
    atoms = torch.arange(float(N))

    def log_weights(rate):
        rate = rate.unsqueeze(-1)
        log_pmf = torch.xlogy(atoms[:-1], rate) - rate - torch.lgamma(atoms[:-1] + 1)
        tail = torch.log((1 - log_pmf.exp().sum(-1, keepdim=True)).clamp_min(1e-20))
        return torch.cat([log_pmf, tail], -1)

    order = torch.randperm(len(x))
    tokens = 0
    for step in range(steps + 10):
        if step == 10:
            start, tokens = time.perf_counter(), 0
        at = step * BATCH % (len(x) - BATCH)
        batch = x[order[at:at + BATCH]]
        tokens += int(batch.sum())
        seen = torch.rand_like(batch) >= torch.rand(len(batch), 1) * 0.6
        w, n = torch.log1p(batch) * seen, (batch * seen).sum(-1, keepdim=True)
        length = (w * idf).square().sum(-1, keepdim=True).clamp_min(1e-6).sqrt()
        h = F.dropout(F.relu(hidden(F.relu(first(w)))), 0.4)
        tilt = norm(output(h)) + direction_norm(directions(w) / length) * (n / (n + gate.exp()))
        rate = F.softplus(tilt + SHIFT) + 1e-6
        log_q, log_p = log_weights(rate), log_weights(F.softplus(own + SHIFT) + 1e-6)
        soft = F.gumbel_softmax(log_q, tau=0.5) @ atoms
        z = soft + (soft.round() - soft).detach()
        kl = (log_q.exp() * (log_q - log_p)).sum()
        log_words = F.log_softmax(z @ weight.T + bias, -1)
        positive = F.relu(weight)
        products = positive.T @ positive
        cosines = products.square() / torch.outer(products.diagonal(), products.diagonal()).clamp_min(1e-24)
        overlap = (cosines.sum() - cosines.trace()) / 2
        loss = (kl - (batch * log_words).sum()) / BATCH + 3 / len(x) * weight.square().sum() + 0.4 * overlap
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    print(tokens / (time.perf_counter() - start))


def infer(path):
    import tomotopy

    model = tomotopy.LDAModel(k=K, seed=0, min_cf=0, rm_top=0)
    for w, c in documents(path, "train")[0]:
        if len(w):
            model.add_doc([str(i) for i in np.repeat(w, c)])
    model.train(20, workers=1)
    known = set(model.used_vocabs)
    test = [[str(i) for i in np.repeat(w, c) if str(i) in known] or ["0"] for w, c in documents(path, "test")[0]]
    test = [model.make_doc(words) for words in test]
    start = time.perf_counter()
    model.infer(test, iterations=100, workers=1)
    print(len(test) / (time.perf_counter() - start))


def last(*command):
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    return float(result.stdout.split("\n")[-2])


def compare(path, rounds):
    path = os.path.abspath(path)
    subprocess.run(["cargo", "build", "--quiet", "--release", "--bench", "topics"], cwd=ROOT, check=True)
    rows = []
    for what, unit, peer, more in [
        ("train", "training tokens a second", "dense, eager PyTorch", [STEPS]),
        ("infer", "inferred documents a second", "tomotopy, 100 iterations", []),
    ]:
        pairs = [
            (
                last("cargo", "bench", "--quiet", "--bench", "topics", "--", what, path, *more),
                last(sys.executable, "benches/peers/topics.py", what, path, *more),
            )
            for _ in range(rounds)
        ]
        ours, theirs = (statistics.median(column) for column in zip(*pairs))
        ratio = statistics.median(a / b for a, b in pairs)
        rows.append(f"| {unit} | {ours:,.0f} | {peer} | {theirs:,.0f} | {ratio:.1f} |")
        print(rows[-1], flush=True)
    out = [
        "# The topic model beside others",
        "",
        f"Written by `PYTHON benches/peers/topics.py {os.path.basename(path)} {rounds}` on {datetime.date.today()}, {platform.machine()},",
        f"{os.cpu_count()} cores, one thread each, default settings. Medians of {rounds} rounds in alternation; ratios are medians of those within a round.",
        "",
        "| what | gengs-topics | peer | its speed | gengs over it |",
        "|---|---|---|---|---|",
        *rows,
    ]
    (ROOT / "benches/TOPICS.md").write_text("\n".join(out) + "\n")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["train", path, steps]:
            train(path, int(steps))
        case ["infer", path]:
            infer(path)
        case [path, *rounds]:
            compare(path, int(rounds[0]) if rounds else 3)
        case _:
            sys.exit(__doc__)
