#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Every test in every build. usage: test.sh [STAGE...]; stages: default style cli server golden conformance models python
# asan tsan clang nocompiler aarch64
# VULTUS_TEST_FULL=1 leaves nothing out: every shape of kernels in every build, every picture, two minutes of soak.
# Without the folder of VULTUS_TEST_DATA, tests that need real models and photos skip.
# Results are kept in build/test-results; the last line printed is "N passed, N failed".
set -uo pipefail
cd "$(dirname "$0")/.."
results=$PWD/build/test-results
export PYTHON=${PYTHON:-$PWD/.venv/bin/python}
VULTUS_TEST_DATA=$(realpath -m "${VULTUS_TEST_DATA:-../shared}")
export VULTUS_TEST_DATA
jobs=$(nproc)
# Builds of the same sources share objects through ccache, whatever their folder is called.
export CCACHE_NOHASHDIR=1
# What runs on several threads or serves several callers; the rest gains nothing from ThreadSanitizer. Single steps, minutes of them,
# add nothing to the networks that the others run.
threaded='pool|log|batcher|server_work|exec|session|engine|pipeline|detector|embedder|face_resident|api|thread|compile|backend_(channels|cpu|gemm)_(avx2|native)'
# Kernels are not instrumented, and their steps are what test_conv runs; networks on fibers take minutes.
unsanitized='backend_conv_tactics_(sse|avx2|native)|backend_(networks|resident)_cuda'
# Where the processor makes a difference: kernels, tensors, pictures, and the corpora of hostile inputs.
emulated='^(conv|cpu|pool|memory|tensor|npy|backend_(channels|conv_transpose|cpu|gemm|plane)_native|image_.*|face_(align|scrfd)|ops_(linear|elementwise)|replay_.*)$'

# Of convolutions' hundreds of shapes, which the stage `default` runs all, one in N; and fewer repetitions. The numbers differ,
# and with them the shapes.
sparse() { [ -n "${VULTUS_TEST_FULL:-}" ] || export VULTUS_TEST_SPARSE=$1; }

# A stage that does not even build is one failed test of its own.
broken() {
    echo "test: stage $1 failed: $2" >&2
    printf '<testsuite name="%s"><testcase name="%s"><failure/></testcase></testsuite>\n' "$1" "$2" >"$results/$1-broken.xml"
}

# configure FOLDER [meson options]
configure() {
    local folder=$1
    shift
    if [ -f "$folder/build.ninja" ]; then
        return 0
    fi
    meson setup "$folder" "$@"
}

# build STAGE FOLDER [meson options]; of the tests all, or those whose names match $only
build() {
    local stage=$1 targets=()
    shift
    configure "$@" >"$results/$stage-setup.log" 2>&1 || { tail -20 "$results/$stage-setup.log"; broken "$stage" "meson setup"; return 1; }
    if [ -n "${only:-}" ]; then # of what meson.build says now
        ninja -C "$1" build.ninja >"$results/$stage-setup.log" 2>&1
        mapfile -t targets < <("$PYTHON" scripts/test_targets.py "$1" "$only")
    fi
    ninja -C "$1" -j "$jobs" "${targets[@]}" >"$results/$stage-build.log" 2>&1 || { tail -40 "$results/$stage-build.log"; broken "$stage" "build"; return 1; }
}

tests_of() { meson test -C "$1" --list 2>/dev/null | sed 's/.* \/ //'; }

# Of what runs once for each set of instructions, the widest.
one_set() {
    local names
    names=$(cat)
    if grep -q '_native$' <<<"$names"; then grep -vE '_(sse|avx2)$' <<<"$names"; else grep -v '_sse$' <<<"$names"; fi
}

# unit STAGE FOLDER [meson test arguments]
unit() {
    local stage=$1 folder=$2
    shift 2
    rm -f "$folder/meson-logs/testlog.junit.xml"
    meson test -C "$folder" --no-rebuild --print-errorlogs "$@"
    local code=$?
    if [ -f "$folder/meson-logs/testlog.junit.xml" ]; then
        cp "$folder/meson-logs/testlog.junit.xml" "$results/$stage-unit.xml"
    elif [ $code != 0 ]; then
        broken "$stage" "meson test"
    fi
}

# black_box STAGE FOLDER PATH...: pytest against the program of that build
black_box() {
    local stage=$1 folder=$2
    shift 2
    VULTUS_BUILD=$PWD/$folder "$PYTHON" -m pytest -q -rfEs --tb=short -p no:cacheprovider -n "$jobs" --dist loadfile --no-loadscope-reorder --junitxml="$results/$stage-pytest.xml" "$@"
    [ -f "$results/$stage-pytest.xml" ] || broken "$stage" "pytest"
}

stage_default() { build default build && unit default build; }
stage_style() { build style build && black_box style build tests/style; }
stage_cli() { build cli build && black_box cli build tests/cli; }
stage_server() { build server build && black_box server build tests/server; }
stage_golden() { build golden build && black_box golden build tests/golden; }
stage_conformance() { build conformance build && black_box conformance build tests/conformance; }
stage_python() { build python build && black_box python build tests/python; }
stage_models() { build models build && black_box models build tests/models; }
stage_asan() {
    export ASAN_OPTIONS=allocator_may_return_null=1:detect_stack_use_after_return=1
    export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
    export LSAN_OPTIONS=suppressions=$PWD/tests/leaks.txt
    build asan build-asan -Db_sanitize=address,undefined -Doptimization=1 -Dnvcc=disabled || return
    sparse 5
    local names
    mapfile -t names < <(tests_of build-asan | grep -vE "^($unsanitized)$" | one_set)
    unit asan build-asan --timeout-multiplier 10 "${names[@]}"
    # Folders with helpers of their own go apart: Python knows one conftest at a time.
    black_box asan build-asan -m 'not heavy' tests/cli tests/conformance
    black_box asan-server build-asan -m 'not heavy' tests/server
}
stage_tsan() {
    export TSAN_OPTIONS=halt_on_error=1
    # libgomp, under oneDNN, synchronises in ways that ThreadSanitizer cannot see.
    only=$threaded build tsan build-tsan -Db_sanitize=thread -Doptimization=1 -Donednn=disabled -Dnvcc=disabled || return
    local names
    mapfile -t names < <(tests_of build-tsan | grep -E "$threaded" | one_set)
    [ ${#names[@]} = 0 ] || unit tsan build-tsan --timeout-multiplier 10 "${names[@]}"
    black_box tsan build-tsan tests/cli/test_examples.py
    black_box tsan-server build-tsan tests/server/test_http.py
}
# The other compiler, and at the same time the engine without oneDNN.
stage_clang() {
    CC=clang build clang build-clang -Dwerror=true -Donednn=disabled -Dnvcc=disabled || return
    sparse 3
    unit clang build-clang
}
stage_nocompiler() {
    build nocompiler build && build nocompiler build-nocompiler -Dcompiler=disabled -Ddownload=disabled -Dnvcc=disabled || return
    sparse 7
    unit nocompiler build-nocompiler
    black_box nocompiler build-nocompiler tests/nocompiler
}
# Cross-built and emulated. What would take minutes under the emulator is left out.
stage_aarch64() {
    if [ "$(uname -m)" = aarch64 ]; then
        echo "test: stage aarch64 is skipped: this machine is one, the other stages test it"
        return 0
    fi
    if ! scripts/setup.sh aarch64 >"$results/aarch64-packages.log" 2>&1; then
        echo "test: stage aarch64 is skipped: cross compiler, emulator or libraries cannot be installed:" \
            "$(tail -1 "$results/aarch64-packages.log")"
        return 0
    fi
    only=$emulated build aarch64 build-aarch64 --cross-file build-aarch64-sysroot/sysroot.ini --cross-file scripts/aarch64.ini \
        -Donednn=disabled -Dexamples=false -Dwerror=true || return
    local names
    mapfile -t names < <(tests_of build-aarch64 | grep -E "$emulated")
    sparse 5
    unit aarch64 build-aarch64 --timeout-multiplier 10 "${names[@]}"
    VULTUS_EXE_WRAPPER="qemu-aarch64 -L $PWD/build-aarch64-sysroot" black_box aarch64 build-aarch64 tests/aarch64
}

[ $# -gt 0 ] || set -- default style cli server golden conformance models python asan tsan clang nocompiler aarch64
mkdir -p "$results"
rm -f "$results"/*
[ -d "$VULTUS_TEST_DATA/models" ] ||
    echo "test: VULTUS_TEST_DATA is absent: tests that need the models and photos of $VULTUS_TEST_DATA are skipped"
for stage in "$@"; do
    if ! declare -F "stage_$stage" >/dev/null; then
        echo "test: there is no stage $stage" >&2
        exit 2
    fi
    echo "== $stage"
    TIMEFORMAT="== $stage took %0R s, and %0U + %0S s of the processors"
    time ("stage_$stage")
done
exec "$PYTHON" scripts/sum_tests.py "$results"
