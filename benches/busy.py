"""How long `gengs-vae train --epochs 4` takes alone, beside two busy loops, and beside a second training of its own.

    cargo build --release && python3 benches/busy.py [target/release/gengs-vae]

Each of the three is measured as the program is (it lets threads wait briefly) and with libgomp's own default, in five alternations. Medians are printed.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time

PROGRAM = sys.argv[1] if len(sys.argv) > 1 else "target/release/gengs-vae"
# A user's own setting keeps the program from starting itself again; 300000 is libgomp's default.
WAITING = {"brief": {}, "default": {"GOMP_SPINCOUNT": "300000"}}
BUSY = [sys.executable, "-c", "while True: pass"]


def train(folder, name, waiting):
    environment = {name: value for name, value in os.environ.items() if name not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    out = os.path.join(folder, f"{name}-{time.monotonic_ns()}")
    command = [PROGRAM, "train", "--quiet", "--device", "cpu", "--epochs", "4", "--out", out]
    return subprocess.Popen(command, env={**environment, **WAITING[waiting]})


def measure(folder, beside, waiting):
    others = [subprocess.Popen(BUSY) for _ in range(2)] if beside == "busy loops" else []
    try:
        start = time.monotonic()
        trainings = [train(folder, "first", waiting)]
        if beside == "a training":
            trainings.append(train(folder, "second", waiting))
        assert all(training.wait() == 0 for training in trainings)
        return time.monotonic() - start
    finally:
        for other in others:
            other.kill()
            other.wait()


with tempfile.TemporaryDirectory() as folder:
    for beside in ("nothing", "busy loops", "a training"):
        seconds = {waiting: [] for waiting in WAITING}
        for _ in range(5):
            for waiting in WAITING:
                seconds[waiting].append(measure(folder, beside, waiting))
        medians = ", ".join(f"{waiting} {statistics.median(times):.2f} s" for waiting, times in seconds.items())
        print(f"beside {beside}: {medians}", flush=True)
