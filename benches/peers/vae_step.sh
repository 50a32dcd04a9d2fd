#!/usr/bin/env bash
# A training step of the VAE, gengs against the same model in eager PyTorch, in alternation: ratios, so that a noisy machine does no harm.
# usage: benches/peers/vae_step.sh PYTHON [ROUNDS]        (PYTHON: one that can import torch 2.11)
set -euo pipefail
cd "$(dirname "$0")/../.."
python=$1
rounds=${2:-5}
cargo build --quiet --release --bench vae_step
for inference in implicit explicit; do
    for threads in 1 2; do
        for _ in $(seq "$rounds"); do
            echo "$(cargo bench --quiet --bench vae_step -- $inference $threads 100) $("$python" benches/peers/vae_step.py $inference $threads 100)"
        done | awk -v what="$inference, $threads threads" '
            { ours[NR] = $1; peer[NR] = $2; ratio[NR] = $1 / $2 }
            function median(a, n, i, j, t) {
                for (i = 1; i <= n; i++) for (j = i + 1; j <= n; j++) if (a[j] < a[i]) { t = a[i]; a[i] = a[j]; a[j] = t }
                return a[int((n + 1) / 2)]
            }
            END { printf "%s: gengs %.1f ms, PyTorch %.1f ms, ratio %.2f (medians of %d)\n", what, median(ours, NR), median(peer, NR), median(ratio, NR), NR }'
    done
done
