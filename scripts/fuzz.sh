#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Fuzzes every target with libFuzzer under ASan and UBSan, starting from the corpus of the tests. usage: fuzz.sh [SECONDS_EACH]
# Findings are kept in build-fuzz/findings.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-60}
folder=build-fuzz
[ -f $folder/build.ninja ] ||
    CC=clang meson setup $folder -Dfuzzing_engine=libfuzzer -Db_sanitize=address,undefined -Db_lundef=false \
        -Dc_args=-fsanitize=fuzzer-no-link -Dtools=false -Dexamples=false
ninja -C $folder
export LSAN_OPTIONS=suppressions=$PWD/tests/leaks.txt
mkdir -p $folder/findings
for target in "$folder"/tests/fuzz/fuzz_*; do
    [ -x "$target" ] && [ -f "$target" ] || continue
    name=${target##*/fuzz_}
    mkdir -p "$folder/corpus/$name"
    echo "== $name"
    seeds=("$folder/corpus/$name")
    [ ! -d "tests/fuzz/corpus/$name" ] || seeds+=("tests/fuzz/corpus/$name")
    "$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -artifact_prefix="$folder/findings/$name-" "${seeds[@]}"
done
