#!/usr/bin/env bash
# Puts libtorch where the build looks for it, .libtorch. Does nothing, fast, when it is there. See libtorch-setup.md.
set -euo pipefail
cd "$(dirname "$0")"

version=2.11.0
cuda=no

usage() {
    cat <<EOF
usage: ./libtorch-setup.sh [--cuda]

Links .libtorch to libtorch $version. In this order: what LIBTORCH names; a .libtorch that is already whole; an installed
PyTorch $version; the PyTorch wheel from the Python package index, installed into .venv (1.3 GB for the CPU).

  --cuda   install PyTorch with all its CUDA libraries (4.7 GB), for GPUs and for using Python beside it
EOF
}

fail() {
    echo "libtorch-setup: $*" >&2
    exit 1
}

for argument in "$@"; do
    case $argument in
        --cuda) cuda=yes ;;
        -h | --help) usage; exit 0 ;;
        *) usage >&2; exit 2 ;;
    esac
done

# The version of the libtorch in a folder, or nothing.
version_in() {
    if [ -f "$1/build-version" ]; then
        cut -d+ -f1 "$1/build-version"
    elif [ -f "$1/version.py" ]; then
        sed -n "s/^__version__ = '\([0-9.]*\).*/\1/p" "$1/version.py"
    fi
}

# What is wrong with the libtorch in a folder, or nothing.
flaw() {
    local found
    found=$(version_in "$1")
    if [ -z "$found" ]; then
        echo "has neither version.py nor build-version"
    elif [ "$found" != "$version" ]; then
        echo "is version $found, not $version"
    elif [ ! -e "$1/lib/libtorch_cpu.so" ] && [ ! -e "$1/lib/libtorch_cpu.dylib" ]; then
        echo "has no lib/libtorch_cpu"
    elif [ ! -d "$1/include/torch" ]; then
        echo "has no headers in include/torch"
    fi
}

if [ -n "${LIBTORCH:-}" ]; then
    problem=$(flaw "$LIBTORCH")
    [ -z "$problem" ] || fail "LIBTORCH=$LIBTORCH $problem; point it at libtorch $version, or unset it and run this again"
    exit 0
fi

# CUDA is whole when its own libraries lie beside the wheel's, or in the zip's lib.
has_cuda() {
    [ -e "$1/lib/libtorch_cuda.so" ] || return 1
    compgen -G "$1/lib/libcudnn*.so*" >/dev/null || compgen -G "$1/../nvidia/cudnn/lib/libcudnn.so*" >/dev/null
}

whole() {
    [ -z "$(flaw "$1")" ] && { [ $cuda = no ] || has_cuda "$1/."; }
}

if [ -e .libtorch ]; then
    if whole "$(readlink -f .libtorch)"; then
        exit 0
    fi
    if [ ! -L .libtorch ]; then
        fail ".libtorch $(flaw .libtorch) and is a folder of yours; move it away and run this again"
    fi
fi

command -v python3 >/dev/null || fail "python3 is needed to fetch libtorch; install it, or unpack a libtorch $version and set LIBTORCH"

# Where a Python keeps torch, without importing it.
torch_of() {
    "$1" -c 'import importlib.util as u; s = u.find_spec("torch"); print((s.submodule_search_locations or [""])[0] if s else "")' 2>/dev/null
}

check() {
    "$1" - .libtorch/lib <<'EOF' || fail "libtorch was installed but cannot be loaded; remove .venv and .libtorch and run this again"
import ctypes, glob, sys
ctypes.CDLL(glob.glob(sys.argv[1] + "/libtorch_cpu.*")[0])
EOF
    for compiler in "${CXX:-c++}" g++ clang++; do
        command -v "$compiler" >/dev/null && return
    done
    echo "libtorch-setup: libtorch is there, but no C++ compiler was found; the build needs one (on Debian: apt-get install g++)" >&2
}

link() {
    ln -sfn "$1" .libtorch
    problem=$(flaw .libtorch)
    [ -z "$problem" ] || fail "the libtorch in $1 $problem; remove .venv and run this again"
}

found=$(torch_of python3 || true)
if [ -n "$found" ] && whole "$found"; then
    echo "libtorch-setup: using the installed PyTorch in $found" >&2
    link "$found"
    check python3
    exit 0
fi

# Wheels alone, none of which runs code when it is installed, and only those whose hashes are listed, whatever index they come from.
if [ $cuda = yes ]; then
    packages=(--only-binary=:all: --require-hashes -r libtorch/cuda.txt)
    echo "libtorch-setup: installing PyTorch $version with CUDA into .venv (4.7 GB) ..." >&2
else
    packages=(--only-binary=:all: --require-hashes --no-deps -r libtorch/cpu.txt)
    echo "libtorch-setup: installing libtorch $version for the CPU into .venv (1.3 GB) ..." >&2
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
quoted() { echo "$(grep -iE 'error|no space' "$log" | tail -n 1 | cut -c1-300)"; }
if [ -x .venv/bin/python ] || python3 -m venv .venv >"$log" 2>&1; then
    python=.venv/bin/python
    "$python" -m pip install --quiet --disable-pip-version-check "${packages[@]}" >"$log" 2>&1 ||
        fail "pip could not install ${packages[${#packages[@]} - 1]}: $(quoted)"
    link "$(torch_of "$python")"
elif python3 -m pip --version >/dev/null 2>&1; then
    rm -rf .venv
    python=python3
    python3 -m pip install --quiet --disable-pip-version-check --target .venv/packages "${packages[@]}" >"$log" 2>&1 ||
        fail "pip could not install ${packages[${#packages[@]} - 1]}: $(quoted)"
    link "$PWD/.venv/packages/torch"
else
    fail "python3 has neither venv nor pip; install one of them (on Debian: apt-get install python3-venv) and run this again"
fi
check "$python"
echo "libtorch-setup: done" >&2
