"""Log weights of truncated distributions and their derivatives in each parameter, at 50 digits.

usage: python3 log_weights.py > ../fixtures/log_weights.json        (needs mpmath 1.3)

Parameters are numbers that float32 holds exactly, so that the same law is meant in float32 and float64. Atoms are spread over
the window with the ends always among them; the last atom holds the merged tail.
"""
import json

import mpmath as mp

mp.mp.dps = 50


def choose(n, k):
    """log of the binomial coefficient."""
    return mp.loggamma(n + 1) - mp.loggamma(k + 1) - mp.loggamma(n - k + 1)


def log_beta(a, b):
    return mp.loggamma(a) + mp.loggamma(b) - mp.loggamma(a + b)


def log_total(log_term, k):
    """log of the sum of exp(log_term) over k, k + 1, ..., for terms that rise and then fall."""
    total, top = mp.mpf(0), None
    while True:
        term = log_term(k)
        top = term if top is None else max(top, term)
        total += mp.exp(term)
        if term < top - 110:
            return mp.log(total)
        k += 1


def log_pmf(family, k, p):
    if family == "poisson":
        return k * mp.log(p[0]) - p[0] - mp.loggamma(k + 1)
    if family == "geometric":
        return mp.log(p[0]) + k * mp.log1p(-p[0])
    if family == "negative-binomial":
        r, q = p
        return mp.loggamma(k + r) - mp.loggamma(r) - mp.loggamma(k + 1) + r * mp.log1p(-q) + k * mp.log(q)
    if family == "binomial":
        n, q = p
        return choose(n, k) + k * mp.log(q) + (n - k) * mp.log1p(-q)
    if family == "beta-binomial":
        n, a, b = p
        return choose(n, k) + log_beta(k + a, n - k + b) - log_beta(a, b)
    if family == "hypergeometric":
        n, population, successes = p
        return choose(successes, k) + choose(population - successes, n - k) - choose(population, n)
    if family == "zero-inflated-poisson":
        counted = mp.log1p(-p[0]) + log_pmf("poisson", k, p[1:])
        return counted if k else mp.log(p[0] + mp.exp(counted))
    if family == "conway-maxwell-poisson":
        log_term = lambda j: j * mp.log(p[0]) - p[1] * mp.loggamma(j + 1)
        return log_term(k) - log_total(log_term, 0)
    if family == "skellam":
        bessel = mp.besseli(abs(k), 2 * mp.sqrt(p[0] * p[1]))
        return mp.mpf(k) / 2 * (mp.log(p[0]) - mp.log(p[1])) - p[0] - p[1] + mp.log(bessel)
    if family == "discretized-logistic":
        sigmoid = lambda x: 1 / (1 + mp.exp(-x))
        half = mp.mpf(1) / 2
        # The upper half by symmetry, where the difference of two numbers near one would cancel.
        low, high = (k - half - p[0]) / p[1], (k + half - p[0]) / p[1]
        return mp.log(sigmoid(high) - sigmoid(low) if high < 0 else sigmoid(-low) - sigmoid(-high))
    if family == "zipf":
        size, s = p
        return -s * mp.log(k) - mp.log(mp.fsum(mp.mpf(j) ** -s for j in range(1, int(size) + 1)))
    if family == "mixture":
        parts = log_pmf("poisson", k, p[2:3]), log_pmf("geometric", k, p[3:4])
        return mp.log(sum(mp.exp(w + x) for w, x in zip(p, parts))) - mp.log(mp.exp(p[0]) + mp.exp(p[1]))
    if family == "custom":
        return k * mp.log(p[0]) - mp.log(k) - mp.log(-mp.log1p(-p[0]))
    raise ValueError(family)


# Which parameters, counted from the front, are whole numbers without a derivative; where supports start and end.
WHOLE = {"binomial": 1, "beta-binomial": 1, "hypergeometric": 1, "zipf": 1}
LOWEST = {"skellam": None, "discretized-logistic": None, "zipf": 1, "custom": 1}


def ends(family, parameters):
    return LOWEST.get(family, 0), int(parameters[0]) if family in WHOLE else None


def log_sum(family, k, p, step, end):
    """log of the pmf summed from k in one direction, term by term, until nothing is added."""
    total, first = mp.mpf(1), log_pmf(family, k, p)
    while k != end:
        k += step
        term = mp.exp(log_pmf(family, k, p) - first)
        total += term
        # A finite side is summed to its end, where a zero-inflated law has another peak.
        if end is None and term < total * mp.mpf(10) ** -45:
            break
    return first + mp.log(total)


def case(family, parameters, lo, hi):
    lowest, highest = ends(family, parameters)
    atoms = sorted({lo + round((hi - lo) * i / 8) for i in range(9)})

    def weight(k, *p):
        if k == hi and hi != highest:
            return log_sum(family, k, p, 1, highest)
        if k == lo and lo != lowest:
            return log_sum(family, k, p, -1, lowest)
        return log_pmf(family, k, p)

    exact = [mp.mpf(x) for x in parameters]
    free = range(WHOLE.get(family, 0), len(exact))
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
    case("negative-binomial", [2.0**-30, 0.9375], 0, 40), case("negative-binomial", [2.0**-10, 0.9990234375], 0, 900),
    case("negative-binomial", [2.0**60, 2.0**-58], 0, 20),
    case("beta-binomial", [12, 2.0, 3.5], 0, 12), case("beta-binomial", [300, 0.25, 0.5], 20, 250),
    case("beta-binomial", [5000, 40.0, 120.0], 900, 1700), case("beta-binomial", [50, 2.0**40, 2.0**42], 2, 30),
    case("hypergeometric", [6, 20.0, 9.0], 0, 5), case("hypergeometric", [40, 1000.0, 300.5], 4, 25),
    case("hypergeometric", [900, 2.0**50, 2.0**49], 400, 520),
    case("zero-inflated-poisson", [0.25, 4.0], 0, 15), case("zero-inflated-poisson", [0.875, 300.0], 200, 400),
    case("conway-maxwell-poisson", [4.0, 1.5], 0, 12), case("conway-maxwell-poisson", [0.75, 0.125], 0, 20),
    case("conway-maxwell-poisson", [5000.0, 2.0], 30, 110),
    case("skellam", [3.0, 1.5], -8, 14), case("skellam", [0.0009765625, 40.0], -70, -5),
    case("skellam", [900.0, 2000.0], -1500, -700), case("skellam", [30.0, 20.0], -400, 400),
    case("discretized-logistic", [1.25, 0.75], -9, 12), case("discretized-logistic", [120.5, 30.0], 0, 255),
    case("discretized-logistic", [0.375, 0.03125], -4, 5),
    case("zipf", [12, 1.375], 1, 12), case("zipf", [900, 0.5], 5, 500), case("zipf", [500, 8.0], 1, 60),
    case("mixture", [0.25, -0.5, 1.5, 0.375], 0, 20), case("mixture", [2.0, 1.0, 200.0, 0.0625], 100, 260),
    case("custom", [0.625], 1, 20), case("custom", [0.984375], 5, 600),
]
print(json.dumps(cases, indent=1))
