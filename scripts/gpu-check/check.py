"""Runs what `scripts/gpu-check.sh --bundle` collected, on a GPU where there is one, and writes results.json and results.md.

usage: python3 check.py [--out DIR] [--device cuda|cpu]
"""
import argparse
import collections
import importlib.util
import json
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
BUNDLE = HERE.parent
BEGAN = time.monotonic()
# Of nine minutes; what is not begun by then is left out, and said to be.
SECONDS = 520


def torch_library():
    """The folder of libtorch: of the PyTorch that this Python has, or the one that LIBTORCH names."""
    found = importlib.util.find_spec("torch")
    folders = [os.environ.get("LIBTORCH"), found and pathlib.Path(found.origin).parent, ".libtorch"]
    for folder in folders:
        if folder and (pathlib.Path(folder) / "lib" / "libtorch_cpu.so").exists():
            return (pathlib.Path(folder) / "lib").resolve()
    sys.exit("no libtorch: run this with a python3 that has PyTorch 2.11, or set LIBTORCH")


def has_gpu():
    return pathlib.Path("/dev/nvidiactl").exists()


class Check:
    def __init__(self, device, out):
        self.device, self.out = device, out
        self.on_gpu = device != "cpu"
        self.results = {"device": device, "gpu": self.gpu(), "cpu": cpu(), "left_out": [], "failed": []}
        self.environment = {**os.environ, "LD_LIBRARY_PATH": f"{torch_library()}:{os.environ.get('LD_LIBRARY_PATH', '')}"}

    def gpu(self):
        if not self.on_gpu:
            return None
        query = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
        return subprocess.run(query, capture_output=True, text=True).stdout.strip() or "unknown"

    def run(self, what, command, more={}, least=60):
        """A command's standard output, or None where it fails, or where less than so many seconds are left."""
        left = SECONDS - (time.monotonic() - BEGAN)
        if left < least:
            self.results["left_out"].append(f"{what}: no time left")
            return None
        print(f"{what} ...", file=sys.stderr, flush=True)
        start = time.monotonic()
        try:
            done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=left,
                                  env={**self.environment, **more})
        except subprocess.TimeoutExpired:
            self.results["failed"].append({"what": what, "said": "not done in time"})
            return None
        self.results.setdefault("seconds", {})[what] = round(time.monotonic() - start, 1)
        if done.returncode != 0:
            self.results["failed"].append({"what": what, "said": (done.stdout + done.stderr)[-2000:]})
            return None
        return done.stdout

    def leave_out(self, what):
        self.results["left_out"].append(f"{what}: needs a GPU")

    def equality(self):
        """Draws, gradients, KL, trainings: those of the host. In units of the last place, and relatively."""
        report = self.out / "differences.jsonl"
        report.unlink(missing_ok=True)
        more = {"GENGS_TEST_PROGRAMS": str(BUNDLE), "GENGS_TEST_REPORT": str(report)}
        tests = []
        if self.on_gpu:
            more["GENGS_TEST_DEVICE"] = self.device
        else:
            # `cargo test` has them all.
            tests = ["samples", "logits", "half", "a_vae"]
        self.run("equality", [BUNDLE / "device-test", "--test-threads", "1", *tests], more)
        ulps, apart = collections.defaultdict(float), {}
        for line in report.read_text().splitlines() if report.exists() else []:
            entry = json.loads(line)
            if "ulps" in entry:
                name = f"{entry['quantity']}, {entry['kind']}, {entry['forward']}"
                ulps[name] = max(ulps[name], entry["ulps"])
            else:
                apart[f"{entry['training']}: {entry['quantity']}"] = [entry["device"], entry["host"]]
        self.results["ulps"], self.results["trainings"] = dict(ulps), apart

    def likelihoods(self):
        """Both programs at their defaults, on the device and on the host."""
        found = {}
        for program, field in [("gengs-vae", "neg_elbo"), ("gengs-topics", "completion_perplexity")]:
            for device in [self.device, "cpu"]:
                run = self.out / f"{program}-{device}"
                shutil.rmtree(run, ignore_errors=True)
                train = [BUNDLE / program, "train", "--quiet", "--device", device, "--seed", "0", "--out", run]
                if self.run(f"{program} train, {device}", train, least=120) is None:
                    continue
                text = self.run(f"{program} eval, {device}", [BUNDLE / program, "eval", "--run", run, "--device", device, "--json"])
                lines = (run / "metrics.jsonl").read_text().splitlines()
                value = json.loads(text)[field] if text else None
                seconds = json.loads(lines[-1])["seconds"]
                found[f"{program}, {device}"] = {field: value, "seconds": seconds, "epochs": len(lines)}
                if (run / "reading.json").exists():
                    read = json.loads((run / "reading.json").read_text())
                    # Documents for testing are taken to be as long as the others.
                    trained = read["words"] * (1 - read["held_out"] / read["documents"])
                    found[f"{program}, {device}"]["tokens_a_second"] = trained * len(lines) / seconds
        self.results["defaults"] = found

    def launches(self):
        """What a step asks of the CUDA runtime: the difference of two trainings by their steps."""
        for program, steps in [("gengs-vae", 40), ("gengs-topics", 2)]:
            counts = []
            for epochs in [2, 6]:
                path = self.out / f"count-{program}-{epochs}.json"
                with tempfile.TemporaryDirectory() as folder:
                    command = [BUNDLE / program, "train", "--quiet", "--device", self.device, "--epochs", epochs,
                               "--checkpoint-every", "1000000s", "--out", pathlib.Path(folder) / "run"]
                    more = {"LD_PRELOAD": str(HERE / "count.so"), "GENGS_COUNT": str(path)}
                    if self.run(f"{program}, counted, {epochs} epochs", command, more) is not None and path.exists():
                        counts.append(json.loads(path.read_text()))
            if len(counts) == 2:
                few, many = counts
                per = {name: (many[name] - few[name]) / (4 * steps) for name in few}
                self.results.setdefault("a_step", {})[program] = per

    def speed(self):
        small = [] if self.on_gpu else ["small"]
        lines = self.run("speed of gengs", [BUNDLE / "device-bench", self.device, *small]) or ""
        self.results["speed"] = [json.loads(line) for line in lines.splitlines()]
        if importlib.util.find_spec("torch") is None or subprocess.run([sys.executable, "-c", "import torch"], capture_output=True).returncode:
            self.results["left_out"].append("speed of PyTorch: this python3 cannot import torch")
            return
        lines = self.run("speed of PyTorch", [sys.executable, HERE / "peers.py", self.device, *small]) or ""
        self.results["speed"] += [json.loads(line) for line in lines.splitlines()]


def cpu():
    names = [line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores"


def table(heads, rows):
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in row) + " |" for row in lines) + "\n"


def number(value):
    return "-" if value is None else f"{value:.4g}"


def markdown(results):
    parts = [f"GPU: {results['gpu'] or 'none'}; CPU: {results['cpu']}; `scripts/gpu-check.sh`.\n"]
    if results.get("ulps"):
        rows = [[name, number(value)] for name, value in sorted(results["ulps"].items())]
        parts.append(table(["largest difference from the host", "units in the last place"], rows))
    if results.get("trainings"):
        rows = [[name, number(device), number(host)] for name, (device, host) in results["trainings"].items()]
        parts.append(table(["training", "device", "host"], rows))
    if results.get("defaults"):
        rows = [[name, *(number(entry.get(field)) for field in ["neg_elbo", "completion_perplexity", "seconds", "tokens_a_second"])]
                for name, entry in results["defaults"].items()]
        parts.append(table(["at the defaults", "hard test -ELBO", "completion perplexity", "seconds of training", "tokens a second"], rows))
    if results.get("speed"):
        rows = [[entry["what"], entry.get("by", "gengs"), entry.get("batch") or entry.get("rows"),
                 number(entry.get("millions_a_second")), number(entry.get("milliseconds")), number(entry.get("bytes_kept_a_latent"))]
                for entry in results["speed"]]
        parts.append(table(["what", "by", "batch", "million latents a second", "ms a step", "bytes kept a latent"], rows))
    if results.get("a_step"):
        rows = [[program, *(number(entry[name]) for name in ["launches", "copies_to_host", "copies_to_device", "waits"])]
                for program, entry in results["a_step"].items()]
        parts.append(table(["a step of", "launches", "copies to the host", "copies to the device", "waits"], rows))
    parts += [f"Left out: {what}.\n" for what in results["left_out"]]
    parts += [f"FAILED: {failure['what']}.\n" for failure in results["failed"]]
    return "\n".join(parts)


def main():
    parser = argparse.ArgumentParser(description="Checks gengs on a GPU.")
    parser.add_argument("--out", default="gpu-check-results", help="folder for results [default: %(default)s]")
    parser.add_argument("--device", help="cuda where there is a GPU, else cpu")
    arguments = parser.parse_args()
    out = pathlib.Path(arguments.out).resolve()
    out.mkdir(parents=True, exist_ok=True)
    check = Check(arguments.device or ("cuda" if has_gpu() else "cpu"), out)
    check.equality()
    check.speed()
    if check.on_gpu:
        check.launches()
        check.likelihoods()
    else:
        for what in ["launches and copies of a step", "both programs at their defaults", "too little memory"]:
            check.leave_out(what)
    (out / "results.json").write_text(json.dumps(check.results, indent=1) + "\n")
    (out / "results.md").write_text(markdown(check.results))
    print(markdown(check.results))
    for failure in check.results["failed"]:
        print(f"failed: {failure['what']}\n{failure['said']}", file=sys.stderr)
    sys.exit(bool(check.results["failed"]))


if __name__ == "__main__":
    main()
