#!/usr/bin/env bash
# Compiles the C passes for platforms that are not at hand. Needs a Python with the package "ziglang".
set -euo pipefail
cd "$(dirname "$0")/../sk_adaptive/kernel/passes"
object=$(mktemp)
trap 'rm -f "$object"' EXIT
for target in {x86_64,aarch64}-{windows-gnu,macos,linux-musl}; do
    for source in loss_loops.c passes.c "-DSKA_SINGLE passes.c"; do
        python -m ziglang cc -target $target -O1 -std=c11 -Wall -Wextra -Werror -Wno-unused-function \
            -Wno-unused-parameter -DSKA_SET=baseline -I.. -c $source -o "$object"
    done
    echo "$target"
done
