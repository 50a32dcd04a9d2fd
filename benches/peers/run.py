"""The same work in gengs, in plain PyTorch and with relaxit, in alternation: prints ratios and writes benches/RESULTS.md.

usage: PYTHON benches/peers/run.py [ROUNDS]      (PYTHON: one with torch 2.11 and relaxit 1.2; ROUNDS defaults to 3)

Alternation, medians and ratios within a round, so that a noisy machine does little harm.
"""
import datetime
import importlib.metadata
import os
import pathlib
import platform
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 3
STEPS = "60"


def lines(*command):
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return result.stdout.split("\n")[:-1] if result.returncode == 0 else None


def ours(bench, *words):
    return lines("cargo", "bench", "--quiet", "--bench", bench, "--", *words)


def peer(script, *words):
    return lines(sys.executable, f"benches/peers/{script}.py", *words)


def number(output):
    return float(output[-1]) if output else None


def alternate(contestants):
    """Medians over the rounds, and medians of the first's ratio to each."""
    rounds = [[run() for run in contestants.values()] for _ in range(ROUNDS)]
    columns = list(zip(*rounds))
    values, ratios = {}, {}
    for name, column in zip(contestants, columns):
        if None in column:
            values[name] = ratios[name] = None
            continue
        values[name] = statistics.median(column)
        ratios[name] = statistics.median(first / other for first, other in zip(columns[0], column))
    return values, ratios


def cpu():
    for line in pathlib.Path("/proc/cpuinfo").read_text().split("\n"):
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return platform.processor()


def samplers(threads):
    runs = {"gengs": lambda: number(ours("one_pass", threads, "one-pass"))}
    for what in ["plain", "compiled", "relaxit"]:
        runs[what] = lambda what=what: number(peer("sampler", what, threads))
    values, ratios = alternate(runs)
    show = lambda name: "does not run here | -" if values[name] is None else f"{values[name]:.2f} | {ratios[name]:.1f}"
    return values["gengs"], [f"| {threads} | {name} | {show(name)} |" for name in runs]


def steps(inference, peers, threads):
    runs = {"gengs": lambda: number(ours("vae_step", inference, threads, STEPS))}
    for what in peers:
        runs[what] = lambda what=what: number(peer("vae_step", what, threads, STEPS))
    values, ratios = alternate(runs)
    rows = []
    for what in peers:
        rows.append(
            f"| {inference} | {threads} | {values['gengs']:.1f} ms | {'relaxit' if what == 'relaxit' else 'plain PyTorch'} | "
            + ("does not run here | - |" if values[what] is None else f"{values[what]:.1f} ms | {1 / ratios[what]:.2f} |")
        )
    return rows


def main():
    subprocess.run(["cargo", "build", "--quiet", "--release", "--benches"], cwd=ROOT, check=True)
    version = importlib.metadata.version
    out = [
        "# Results",
        "",
        f"Written by `PYTHON benches/peers/run.py {ROUNDS}` on {datetime.date.today()}: {cpu()}, {os.cpu_count()} cores, torch {version('torch')},",
        f"relaxit {version('relaxit')}. Medians of {ROUNDS} rounds in alternation; ratios are medians of the ratios within a round.",
        "",
        "## Sample and backward",
        "",
        "128 x 512 Poisson latents with rates in 0..2, soft, float32, 12 atoms (relaxit: its own VAE's 0..100 cut at 0.999); millions of latents a",
        "second, and how many times as many gengs draws.",
        "",
        "| threads | what | M/s | gengs over it |",
        "|---|---|---|---|",
    ]
    one, rows = samplers("1")
    two, more = samplers("2")
    out += rows + more + ["", f"Two threads over one: {two / one:.2f}.", ""]
    out += ["## Windows of each latent's own, memory", "", "```text"]
    out += ours("one_pass", "1", "mixed") + ours("one_pass", "memory") + ["```", ""]
    out += [
        "## A training step of the VAE",
        "",
        "784-500-500, 50 Poisson latents, batch 100; the same network, in PyTorch with the sampler named. The last column is how many times as long",
        "the peer takes.",
        "",
        "| inference | threads | gengs | peer | its step | peer over gengs |",
        "|---|---|---|---|---|---|",
    ]
    for threads in ["1", "2"]:
        out += steps("implicit", ["implicit"], threads) + steps("explicit", ["explicit", "relaxit"], threads)
    out += ["", "Where gengs' step goes (`cargo bench --bench vae_step -- INFERENCE 1 STEPS profile`):", "", "```text"]
    for inference in ["implicit", "explicit"]:
        out += ours("vae_step", inference, "1", STEPS, "profile") or ["not measured"]
    out += ["```"]
    text = "\n".join(out) + "\n"
    print(text)
    (ROOT / "benches" / "RESULTS.md").write_text(text)


main()
