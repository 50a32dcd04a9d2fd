"""Runs what `scripts/gpu-check.sh --bundle` collected, on a GPU where there is one, and writes results.json and results.md.

usage: python3 check.py [--out DIR] [--device cuda|cpu]
"""
import argparse
import collections
import datetime
import fcntl
import importlib.util
import json
import os
import pathlib
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
BUNDLE = HERE.parent
BEGAN = time.monotonic()
# Of nine minutes; what is not begun by then is left out, and said to be.
SECONDS = 520
# What a bundle holds, from its folder.
FILES = ["bundle.json", "device-bench", "device-test", "gengs-gradients", "gengs-topics", "gengs-vae", "gpu-check/count.so", "gpu-check/peers.py"]
# What a check leaves, and the next one begins without.
LEFT = ["results.json", "results.md", "differences.jsonl", "count-*.json"]
# The tests of equality that are quick enough without a GPU, where `cargo test` has them all.
QUICK = ["samples", "logits", "half", "a_vae"]


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


def libtorch_version(library):
    """Of the PyTorch around it, or of libtorch alone."""
    for path in [library.parent / "version.py", library.parent / "build-version"]:
        found = re.search(r"\d+\.\d+\.\d+\S*", path.read_text()) if path.exists() else None
        if found:
            return found.group().strip("'\"")
    return "unknown"


class Check:
    def __init__(self, device, out):
        self.device, self.out = device, out
        self.on_gpu = device != "cpu"
        library = torch_library()
        self.environment = {**os.environ, "LD_LIBRARY_PATH": f"{library}:{os.environ.get('LD_LIBRARY_PATH', '')}"}
        # Left by another check, it would decide which device is tested.
        self.environment.pop("GENGS_TEST_DEVICE", None)
        self.results = {
            "passed": None,
            "device": device,
            "gpu": self.gpu(),
            "cpu": cpu(),
            "bundle": json.loads((BUNDLE / "bundle.json").read_text()),
            "libtorch": f"{libtorch_version(library)} in {library}",
            "python": platform.python_version(),
            "system": platform.platform(),
            "began": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            "left_out": [],
            "failed": [],
        }

    def gpu(self):
        if not self.on_gpu:
            return None
        query = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
        try:
            done = subprocess.run(query, capture_output=True, text=True, timeout=30)
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"unknown ({error})"
        return done.stdout.strip() if done.returncode == 0 else f"unknown (nvidia-smi ended with {done.returncode})"

    def save(self):
        """After each step, so that what is done is kept whatever comes."""
        for name, content in [("results.json", json.dumps(self.results, indent=1) + "\n"), ("results.md", markdown(self.results))]:
            path = self.out / name
            path.with_suffix(".tmp").write_text(content)
            path.with_suffix(".tmp").replace(path)

    def device_works(self):
        """Whether a program finds the device: it looks for that before anything else."""
        done = subprocess.run([BUNDLE / "gengs-vae", "eval", "--run", self.out / "no-run", "--device", self.device],
                              capture_output=True, text=True, env=self.environment)
        if "holds no run" in done.stderr:
            return True
        self.results["failed"].append({"what": f"the device {self.device}", "said": done.stderr[-2000:]})
        return False

    def run(self, what, command, more={}, least=60):
        """A command's standard output, or None where it fails, or where less than so many seconds are left."""
        left = SECONDS - (time.monotonic() - BEGAN)
        if left < least:
            self.results["left_out"].append(f"{what}: no time left")
            return None
        print(f"{what} ...", file=sys.stderr, flush=True)
        start = time.monotonic()
        # A session of its own, so that what it starts ends with it, and with this.
        child = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                 env={**self.environment, **more}, start_new_session=True)
        try:
            said, complained = child.communicate(timeout=left)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            self.results["failed"].append({"what": what, "said": "not done in time"})
            return None
        except BaseException:
            os.killpg(child.pid, signal.SIGKILL)
            raise
        self.results.setdefault("seconds", {})[what] = round(time.monotonic() - start, 1)
        if child.returncode != 0:
            self.results["failed"].append({"what": what, "said": (said + complained)[-2000:]})
            return None
        return said

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
            tests = QUICK
        said = self.run("equality", [BUNDLE / "device-test", "--test-threads", "1", *tests], more) or ""
        self.results["tests"] = re.findall(r"^test (\S+) \.\.\. ok$", said, re.MULTILINE)
        listed = subprocess.run([BUNDLE / "device-test", "--list"], capture_output=True, text=True, env=self.environment).stdout
        for name in re.findall(r"^(\S+): test$", listed, re.MULTILINE):
            if tests and not any(quick in name for quick in tests):
                self.results["left_out"].append(f"{name}: `cargo test --test device` has it")
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
        for entry in map(json.loads, lines.splitlines()):
            if "error" in entry:
                self.results["left_out"].append(f"{entry['what']}, {entry['by']}: {entry['error']}")
            else:
                self.results["speed"].append(entry)


def cpu():
    names = [line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores"


def table(heads, rows):
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in row) + " |" for row in lines) + "\n"


def number(value):
    return "-" if value is None else f"{value:.4g}"


def markdown(results):
    bundle = results["bundle"]
    ended = {None: "not ended", True: "passed", False: "FAILED"}[results["passed"]]
    parts = [
        f"**{ended}**: gengs {bundle['version']}, commit {bundle['commit']}; libtorch {results['libtorch']}; Python {results['python']}; "
        f"{results['system']}; {results['began']}.\n",
        f"GPU: {results['gpu'] or 'none, so that the host stands for the device'}; CPU: {results['cpu']}; `scripts/gpu-check.sh`.\n",
        f"Tests of equality that passed: {', '.join(results.get('tests', [])) or 'none'}.\n",
    ]
    if results.get("ulps"):
        rows = [[name, number(value)] for name, value in sorted(results["ulps"].items())]
        parts.append(table(["largest difference from the host", "units in the last place"], rows))
    if results.get("trainings"):
        apart = lambda a, b: number(abs(a - b) / max(abs(b), 1e-300)) if a is not None and b is not None else "-"
        rows = [[name, number(device), number(other), apart(device, other)] for name, (device, other) in results["trainings"].items()]
        parts.append(table(["training", "device", "host; of a resumed run, the run that was not killed", "relative difference"], rows))
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


def begin(out):
    """The folder of results, without those of before, and locked: one check at a time writes there."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock = open(out / "lock", "w")
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for path in [path for pattern in LEFT for path in out.glob(pattern)]:
            path.unlink()
    except BlockingIOError:
        sys.exit(f"{out}: another check writes there; wait for it, or name another folder with --out")
    except OSError as error:
        sys.exit(f"{out} cannot be written ({error.strerror}); name another folder with --out")
    return out, lock


def main():
    parser = argparse.ArgumentParser(description="Checks gengs on a GPU.")
    parser.add_argument("--out", default="gpu-check-results", help="folder for results [default: %(default)s]")
    parser.add_argument("--device", help="cuda or cuda:N where there is a GPU, else cpu")
    arguments = parser.parse_args()
    device = arguments.device or ("cuda" if has_gpu() else "cpu")
    if not re.fullmatch(r"cpu|cuda(:\d+)?", device):
        parser.error(f"--device is {device}, but must be cpu, cuda or cuda:N")
    missing = [name for name in FILES if not os.access(BUNDLE / name, os.R_OK if "." in name else os.X_OK)]
    if missing:
        sys.exit(f"the bundle {BUNDLE} is not whole: {', '.join(missing)} cannot be read, or not be run")
    # An end from outside ends what was started, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    out, lock = begin(pathlib.Path(arguments.out).resolve())
    check = Check(device, out)
    steps = [check.equality, check.speed]
    if check.on_gpu:
        steps = [*steps, check.launches, check.likelihoods] if check.device_works() else []
    else:
        for what in ["launches and copies of a step", "both programs at their defaults"]:
            check.leave_out(what)
    for step in steps:
        step()
        check.save()
    check.results["passed"] = not check.results["failed"]
    check.save()
    lock.close()
    print(markdown(check.results))
    for failure in check.results["failed"]:
        print(f"failed: {failure['what']}\n{failure['said']}", file=sys.stderr)
    sys.exit(bool(check.results["failed"]))


if __name__ == "__main__":
    main()
