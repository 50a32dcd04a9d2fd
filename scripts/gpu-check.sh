#!/usr/bin/env bash
# Whether gengs does on a GPU what it does on the host, and how fast.
#
#   scripts/gpu-check.sh --bundle DIR     collects programs and scripts in a folder (needs what a build needs; under 60 MB)
#   DIR/gpu-check.sh [--out DIR]          runs them there, within nine minutes (needs python3 with PyTorch 2.11, no Rust; a Linux of the same age
#                                         or newer). Leaves results.json and results.md. Without a GPU it runs what needs none, and says so.
set -euo pipefail
here=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)

if [ "${1:-}" != --bundle ]; then
    exec python3 "$here/gpu-check/check.py" "$@"
fi

if [ -z "${2:-}" ]; then
    echo "--bundle needs the folder to make, as in: scripts/gpu-check.sh --bundle gpu-check" >&2
    exit 2
fi
bundle=$2
[ -f "$here/../Cargo.toml" ] || { echo "a bundle is made in the project, with scripts/gpu-check.sh; this is one" >&2; exit 2; }
mkdir -p "$bundle"
bundle=$(cd "$bundle" && pwd)
cd "$here/.."
cargo build --release
# The executable of a test or a bench, built as cargo test builds them; the programs that it needs are built, and listed, too.
executable() {
    cargo build --message-format=json "--$1" "$2" | python3 -c 'import json, sys
kind, name = sys.argv[1:]
for line in sys.stdin:
    built = json.loads(line) if line.startswith("{") else {}
    target = built.get("target", {})
    if built.get("executable") and target["name"] == name and kind in target["kind"]:
        print(built["executable"])' "$1" "$2"
}
device_test=$(executable test device)
device_bench=$(executable bench device)
programs="${CARGO_TARGET_DIR:-target}/release"
cp "$programs/gengs-vae" "$programs/gengs-topics" "$programs/gengs-gradients" "$bundle/"
cp "$device_test" "$bundle/device-test"
cp "$device_bench" "$bundle/device-bench"
strip "$bundle"/gengs-* "$bundle"/device-*
cp scripts/gpu-check.sh "$bundle/"
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
commit=$(git rev-parse --short HEAD 2>/dev/null || echo unknown)
printf '{"version": "%s", "commit": "%s"}\n' "$version" "$commit" > "$bundle/bundle.json"
mkdir -p "$bundle/gpu-check"
cp scripts/gpu-check/check.py scripts/gpu-check/peers.py "$bundle/gpu-check/"
gcc -shared -fPIC -O1 -o "$bundle/gpu-check/count.so" scripts/gpu-check/count.c -ldl
du -sm "$bundle" | cut -f 1 | {
    read -r megabytes
    echo "$bundle: $megabytes MB"
    [ "$megabytes" -lt 60 ] || { echo "a bundle of 60 MB or more is hard to carry" >&2; exit 1; }
}
