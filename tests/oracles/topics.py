"""Coherence, diversity and document completion of random topics on a small random corpus, and coherence between two layers.

usage: python3 topics.py > ../fixtures/topics.json        (needs numpy)
Coherence by the matrix of documents and words, as benchmarks of topic models have it: document co-occurrence, joint count 0 is -1, 1
where every document holds both.
"""
import itertools
import json
import math

import numpy as np

rng = np.random.default_rng(0)
V, K, U, N = 60, 5, 2, 80
topics = rng.dirichlet(np.full(V, 0.1), K)
upper = rng.dirichlet(np.full(V, 0.2), U)
weights = rng.gamma(0.5, 1.0, (U, K))


def document(topic):
    # Word 0 is in every document, word V - 1 in none.
    drawn = rng.choice(np.arange(1, V - 1), size=rng.integers(1, 30), p=topic[1:-1] / topic[1:-1].sum())
    return np.append(drawn, 0)


documents = [document(0.5 * topics[rng.integers(K)] + 0.5 * topics[rng.integers(K)]) for _ in range(N)]
documents[3] = np.array([], int)
# So that the two words are among the top ones of a topic.
for word, p in [(0, 0.3), (V - 1, 0.2), (1, 0.1)]:
    topics[0, word] = p
topics[0] /= topics[0].sum()
upper[1, [0, 1]] += 0.4
upper[1] /= upper[1].sum()

train = [d for d in documents if len(d)]
D = np.zeros((len(train), V), bool)
for i, d in enumerate(train):
    D[i, d] = True
df = D.sum(0)
n = len(train)


def npmi(a, b):
    j = (D[:, a] & D[:, b]).sum() / n
    return -1.0 if j == 0 else math.log(j / (df[a] / n * df[b] / n)) / -math.log(j) if j < 1 else 1.0


def coherence(words):
    return np.mean([npmi(a, b) for a, b in itertools.combinations(words, 2)])


def between(parent, child):
    return np.mean([npmi(a, b) for a in parent for b in child if a != b])


def top(matrix, count):
    return [t.argsort(kind="stable")[::-1][:count] for t in matrix]


def pairs(tokens):
    words, counts = np.unique(tokens, return_counts=True)
    return [[int(w), int(c)] for w, c in zip(words, counts)]


top25 = top(topics, 25)
tops, uppers = top(topics, 10), top(upper, 10)
linked = [between(u, t) for t in tops for u in uppers]

phi = 0.99 * topics + 0.01 / V
theta, halves, ll, tokens = rng.dirichlet(np.ones(K), n), [], 0.0, 0
completed = [(t, d) for t, d in zip(theta, train) if len(d) > 1]
for t, d in completed:
    q = rng.permutation(d)
    a, b = q[: len(q) // 2], q[len(q) // 2 :]
    halves.append({"theta": t.tolist(), "first": pairs(a), "second": pairs(b)})
    ll += np.log(t @ phi[:, b]).sum()
    tokens += len(b)

answer = {
    "documents": [pairs(d) for d in documents],
    "topics": topics.tolist(),
    "upper": upper.tolist(),
    "weights": weights.tolist(),
    "npmi": [coherence(t) for t in tops],
    "npmi_mean": np.mean([coherence(t) for t in tops]),
    "npmi_upper": [coherence(t) for t in uppers],
    "diversity": len(set(np.concatenate(top25))) / (25 * K),
    "links": linked,
    "parents": weights.argmax(0).tolist(),
    "shares": (weights.max(0) / weights.sum(0)).tolist(),
    "linked": np.mean([linked[U * k + p] for k, p in enumerate(weights.argmax(0))]),
    "random": np.mean(linked),
    "halves": halves,
    "tokens": tokens,
    "perplexity": math.exp(-ll / tokens),
}
print(json.dumps(answer))
