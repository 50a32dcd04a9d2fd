"""The same work in gengs, in plain PyTorch and with relaxit, in alternation: prints ratios and writes benches/RESULTS.md.

usage: PYTHON benches/peers/run.py [ROUNDS] [--images FOLDER] [PART ...]      (PYTHON: one with torch 2.11 and relaxit 1.2; ROUNDS defaults to 3)

Alternation, medians and ratios within a round, so that a noisy machine does little harm. All parts take some ten minutes; parts that are named are
measured anew, and the file is put together from them and from what target/peers holds of the others.
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
WORDS = sys.argv[1:]
ROUNDS = int(WORDS.pop(0)) if WORDS and WORDS[0].isdigit() else 3
# Where static MNIST lies, in whose place noise with as many pixels on serves.
IMAGES = []
if WORDS[:1] == ["--images"]:
    IMAGES = [str(pathlib.Path(WORDS[1]).resolve())]
    WORDS = WORDS[2:]
KEPT = ROOT / "target" / "peers"
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
    return [f"| {threads} | {name} | {show(name)} |" for name in runs]


def scaling():
    _, ratios = alternate({what: lambda what=what: number(ours("one_pass", what, "one-pass")) for what in ["2", "1"]})
    return ["", f"Two threads over one: {ratios['1']:.2f}."]


def steps(inference, peers, threads):
    runs = {"gengs": lambda: number(ours("vae_step", inference, threads, STEPS, "one-pass", *IMAGES))}
    for what in peers:
        runs[what] = lambda what=what: number(peer("vae_step", what, threads, STEPS, *IMAGES))
    values, ratios = alternate(runs)
    rows = []
    for what in peers:
        rows.append(
            f"| {inference} | {threads} | {values['gengs']:.1f} ms | {'relaxit' if what == 'relaxit' else 'plain PyTorch'} | "
            + ("does not run here | - |" if values[what] is None else f"{values[what]:.1f} ms | {1 / ratios[what]:.2f} |")
        )
    return rows


def profile():
    rows = ["", "Where gengs' step goes (`cargo bench --bench vae_step -- INFERENCE 1 STEPS profile`):", "", "```text"]
    for inference in ["implicit", "explicit"]:
        rows += ours("vae_step", inference, "1", STEPS, "profile", *IMAGES) or ["not measured"]
    return rows + ["```"]


def windows():
    return ["```text", *(ours("one_pass", "1", "mixed") or []), *(ours("one_pass", "memory") or []), "```"]


SAMPLERS = """
## Sample and backward

128 x 512 Poisson latents with rates in 0..2, soft, float32, 12 atoms (relaxit: its own VAE's 0..100 cut at 0.999); millions of latents a
second, and how many times as many gengs draws.

| threads | what | M/s | gengs over it |
|---|---|---|---|"""

STEP = """
## A training step of the VAE

784-500-500, 50 Poisson latents, batch 100, images as named at the end; the same network, in PyTorch with the sampler named. The last column
is how many times as long the peer takes.

| inference | threads | gengs | peer | its step | peer over gengs |
|---|---|---|---|---|---|"""

# Name, what stands above, and how it is measured.
PARTS = [
    ("samplers-1", SAMPLERS, lambda: samplers("1")),
    ("samplers-2", "", lambda: samplers("2")),
    ("threads", "", scaling),
    ("windows", "\n## Windows of each latent's own, memory\n", windows),
    ("steps-1", STEP, lambda: steps("implicit", ["implicit"], "1") + steps("explicit", ["explicit", "relaxit"], "1")),
    ("steps-2", "", lambda: steps("implicit", ["implicit"], "2") + steps("explicit", ["explicit", "relaxit"], "2")),
    ("profile", "", profile),
]


def main():
    names = [name for name, _, _ in PARTS]
    if unknown := [word for word in WORDS if word not in names]:
        sys.exit(f"no such part: {' '.join(unknown)}; there are {', '.join(names)}")
    subprocess.run(["cargo", "build", "--quiet", "--release", "--benches"], cwd=ROOT, check=True)
    KEPT.mkdir(parents=True, exist_ok=True)
    version = importlib.metadata.version
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    out = [
        "# Results",
        "",
        f"Written by `PYTHON benches/peers/run.py`: {cpu()}, {os.cpu_count()} cores, torch {version('torch')}, relaxit {version('relaxit')}.",
        "Medians of rounds in alternation; ratios are medians of the ratios within a round. How many rounds, at which commit and when: at the end.",
    ]
    notes = ["", "## Rounds", "", "| part | rounds | images of steps | commit | date |", "|---|---|---|---|---|"]
    for name, above, measure in PARTS:
        kept = KEPT / f"{name}.md"
        if name in WORDS or not WORDS:
            kept.write_text("\n".join(measure()))
            note = f"| {name} | {ROUNDS} | {'static MNIST' if IMAGES else 'noise'} | {commit} | {datetime.date.today()} |"
            kept.with_suffix(".note").write_text(note)
        if kept.with_suffix(".note").exists():
            notes.append(kept.with_suffix(".note").read_text())
        out += above.split("\n") if above else []
        out += kept.read_text().split("\n") if kept.exists() else ["", f"Not measured: {name}.", ""]
    text = "\n".join(out + notes) + "\n"
    print(text)
    (ROOT / "benches" / "RESULTS.md").write_text(text)


main()
