"""Log weights of truncated distributions and their derivatives in each parameter, at 50 digits.

usage: python3 log_weights.py > ../fixtures/log_weights.json        (needs mpmath 1.3)

Parameters are numbers that float32 holds exactly, so that the same law is meant in float32 and float64. Atoms are spread over
the window with the ends always among them; the last atom holds the merged tail.
"""
import json

import mpmath as mp

mp.mp.dps = 50


def log_pmf(family, k, p):
    if family == "poisson":
        return k * mp.log(p[0]) - p[0] - mp.loggamma(k + 1)
    if family == "geometric":
        return mp.log(p[0]) + k * mp.log1p(-p[0])
    if family == "negative-binomial":
        r, q = p
        return mp.loggamma(k + r) - mp.loggamma(r) - mp.loggamma(k + 1) + r * mp.log1p(-q) + k * mp.log(q)
    n, q = p
    return mp.loggamma(n + 1) - mp.loggamma(k + 1) - mp.loggamma(n - k + 1) + k * mp.log(q) + (n - k) * mp.log1p(-q)


def log_sum(family, k, p, step, end):
    """log of the pmf summed from k in one direction, term by term, until nothing is added."""
    total, first = mp.mpf(1), log_pmf(family, k, p)
    while k != end:
        k += step
        term = mp.exp(log_pmf(family, k, p) - first)
        total += term
        if term < total * mp.mpf(10) ** -45:
            break
    return first + mp.log(total)


def log_upper_tail(family, k, p):
    """log P(X >= k): a sum, which has nothing to do with continued fractions."""
    return log_sum(family, k, p, 1, int(p[0]) if family == "binomial" else None)


def log_lower_tail(family, k, p):
    """log P(X <= k)."""
    return log_sum(family, k, p, -1, 0)


def case(family, parameters, lo, hi):
    ends = family == "binomial" and hi == parameters[0]
    atoms = sorted({lo + round((hi - lo) * i / 8) for i in range(9)})

    def weight(k, *p):
        if k == hi and not ends:
            return log_upper_tail(family, k, p)
        if k == lo and lo > 0:
            return log_lower_tail(family, k, p)
        return log_pmf(family, k, p)

    exact = [mp.mpf(x) for x in parameters]
    free = [1] if family == "binomial" else range(len(exact))
    rows = []
    for k in atoms:
        derivatives = []
        for i in free:
            at = lambda x: weight(k, *[x if j == i else e for j, e in enumerate(exact)])
            derivatives.append(float(mp.diff(at, exact[i], h=exact[i] * mp.mpf(10) ** -18)))
        rows.append({"atom": k, "log_weight": float(weight(k, *exact)), "derivatives": derivatives})
    return {"family": family, "parameters": parameters, "lo": lo, "hi": hi, "rows": rows}


cases = [
    case("poisson", [0.0078125], 0, 11), case("poisson", [0.5], 0, 11), case("poisson", [2.0], 0, 11),
    case("poisson", [12.0], 0, 11), case("poisson", [18.0], 0, 19), case("poisson", [20.0], 0, 59),
    case("poisson", [1000.0], 0, 1300), case("poisson", [1000.0], 900, 1400),
    case("poisson", [10000.0], 9000, 11200), case("poisson", [10000.0], 0, 11000),
    case("geometric", [0.25], 0, 11), case("geometric", [0.5], 0, 14), case("geometric", [0.99609375], 0, 11),
    case("geometric", [0.0001220703125], 0, 90000), case("geometric", [0.0009765625], 200, 20000),
    case("negative-binomial", [3.0, 0.5], 0, 14), case("negative-binomial", [3.0, 0.625], 0, 29),
    case("negative-binomial", [0.125, 0.75], 0, 30), case("negative-binomial", [0.5, 0.0009765625], 0, 9),
    case("negative-binomial", [40.0, 0.9609375], 300, 2000), case("negative-binomial", [20000.0, 0.25], 0, 7500),
    case("negative-binomial", [1250.0, 0.875], 7000, 11000),
    case("binomial", [20, 0.296875], 0, 20), case("binomial", [11, 0.0009765625], 0, 11),
    case("binomial", [50, 0.9375], 20, 49), case("binomial", [20000, 0.5], 9400, 10700),
    case("binomial", [100000, 0.0625], 5500, 7000),
]
print(json.dumps(cases, indent=1))
