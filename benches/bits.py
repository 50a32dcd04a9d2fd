#!/usr/bin/env python3
"""Trains with the programs of two builds, and compares the weights bit for bit: of both programs, and of every estimator.

usage: bits.py FOLDER FOLDER [EPOCHS]      (folders that hold gengs-vae and gengs-topics)
"""

import hashlib
import json
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

ESTIMATORS = """gengs gengs-st gumbel-rao reinmax reinforce reinforce-ma reinforce-loo nvil nvil-baseline muprop vimco rebar relax
relax-dequantized eat-sigmoid eat-cubic go go-one go-dequantized go-dequantized-one""".split()


def runs(epochs):
    """Each program's arguments, by what is trained."""
    small = ["--latents", "8", "--hidden", "16", "--epochs", "1"]
    yield "gengs-vae, defaults", ["gengs-vae", "train", "--epochs", epochs]
    yield "gengs-vae, explicit", ["gengs-vae", "train", "--inference", "explicit", "--epochs", "1"]
    yield "gengs-topics, defaults", ["gengs-topics", "train", "--epochs", epochs]
    yield "gengs-topics, two layers", ["gengs-topics", "train", "--topics", "20,5", "--epochs", "2"]
    for likelihood in ["poisson", "multinomial"]:
        yield f"gengs-topics, {likelihood}", ["gengs-topics", "train", "--likelihood", likelihood, "--epochs", "2"]
    for estimator in ESTIMATORS:
        samples = ["--samples", "2"] if estimator in ("reinforce-loo", "vimco") else []
        poisson = ["--inference", "explicit"] if estimator.startswith("eat-") else []
        yield f"gengs-vae, {estimator}", ["gengs-vae", "train", *small, "--estimator", estimator, *samples, *poisson]


def tensors(file):
    """The tensors of a safetensors file by name, as hashes of kind, shape and bytes."""
    data = file.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    body = memoryview(data)[8 + length :]
    return {
        name: hashlib.sha256(repr((entry["dtype"], entry["shape"])).encode() + body[slice(*entry["data_offsets"])]).hexdigest()
        for name, entry in header.items()
    }


def trained(folder, arguments, out):
    command = [str(Path(folder) / arguments[0]), *arguments[1:], "--seed", "0", "--threads", "1", "--quiet", "--out", str(out)]
    result = subprocess.run(command, capture_output=True, text=True)
    return tensors(out / "last.safetensors") if result.returncode == 0 else result.stderr.strip()


def main():
    first, second, *epochs = sys.argv[1:]
    different = 0
    with tempfile.TemporaryDirectory() as place:
        for number, (name, arguments) in enumerate(runs(epochs[0] if epochs else "2")):
            found = [trained(folder, arguments, Path(place) / f"{number}-{i}") for i, folder in enumerate((first, second))]
            same = found[0] == found[1]
            different += not same
            what = f"{len(found[0])} tensors" if isinstance(found[0], dict) else found[0]
            print(f"{'same' if same else 'DIFFERENT':9}  {name}: {what}", flush=True)
    sys.exit(different > 0)


if __name__ == "__main__":
    main()
