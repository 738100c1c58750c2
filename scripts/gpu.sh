#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# On a machine with an NVIDIA GPU: builds the module of kernels, runs the tests of every kernel and of whole networks on the
# device, and prints what it found. usage: gpu.sh [MODEL.onnx...]   the models are also timed, GPU beside processors
# The same tests run on an emulated GPU everywhere, but for Hopper's own kernels; races, faults and speed only a device shows.
set -uo pipefail
cd "$(dirname "$0")/.."
folder=${VULTUS_GPU_BUILD:-build-gpu}
tests=(channels gemm plane conv_tactics conv_transpose channels_bf16 plane_bf16 conv_tactics_bf16 conv_transpose_bf16 networks photo resident)
# VULTUS_GPU_PHOTOS: photos to time, separated by blanks; VULTUS_DET and VULTUS_REC name models other than the starter pack's.
read -ra photos <<<"${VULTUS_GPU_PHOTOS:-examples/group.jpg}"
report=()
failed=0
plans=$(mktemp -d)
trap 'rm -rf "$plans"' EXIT

# note RESULT WHAT...
note() {
    report+=("$(printf '%-8s' "$1")${*:2}")
    [ "$1" = ok ] || [ "$1" = skipped ] || failed=$((failed + 1))
}

# run_test NAME [WRAPPER...]
run_test() {
    local name=$1 code
    shift
    "$@" "$folder/tests/unit/backend/cuda/gpu_$name"
    code=$?
    case $code in
    0) note ok "$name" "$@" ;;
    77) note skipped "$name: no usable GPU" ;;
    *) note "FAILED" "$name" "$@" "(exit code $code)" ;;
    esac
}

nvidia-smi --query-gpu=name,compute_cap,driver_version,memory.total --format=csv,noheader ||
    echo "gpu: nvidia-smi says nothing here; the tests will tell" >&2
if ! command -v nvcc >/dev/null && [ ! -x /usr/local/cuda/bin/nvcc ]; then scripts/setup.sh cuda || exit 1; fi
[ -f "$folder/build.ninja" ] || meson setup "$folder" -Dnvcc=enabled || exit 1
ninja -C "$folder" "${tests[@]/#/tests/unit/backend/cuda/gpu_}" bench/bench_cuda_conv bench/bench_cuda_network tools/vultus src/backend/cuda/module/libvultus_cuda.so || exit 1

for name in "${tests[@]}"; do run_test "$name"; done
if command -v compute-sanitizer >/dev/null; then
    # Of every kernel a few cases at least; the other tools are too slow for networks.
    for tool in memcheck racecheck initcheck; do
        run_test gemm compute-sanitizer --tool "$tool" --error-exitcode 9
        run_test channels compute-sanitizer --tool "$tool" --error-exitcode 9
        run_test photo compute-sanitizer --tool "$tool" --error-exitcode 9
    done
    run_test conv_tactics compute-sanitizer --tool memcheck --error-exitcode 9
    run_test networks compute-sanitizer --tool memcheck --error-exitcode 9
else
    note skipped "compute-sanitizer is not installed"
fi

# try WHAT... : a command of vultus that has to succeed
try() {
    if "$folder/tools/vultus" "$@"; then note ok "$@"; else note FAILED "$@"; fi
}

if "$folder/tools/vultus" doctor | grep -i cuda; then note ok doctor; else note FAILED "doctor does not name CUDA"; fi
two=$(nvidia-smi --query-gpu=index --format=csv,noheader 2>/dev/null | head -2 | paste -sd,)
for model in models/starter/starter_det.onnx models/starter/starter_rec.onnx "$@"; do
    # Each precision is built, which times its tactics, and held against the interpreter.
    for precision in fp32 tf32 fp16 bf16; do
        try build "$model" --backend cuda --precision "$precision"
        try compare "$model" --backend cuda --precision "$precision" --n-samples 4
        try bench "$model" --backend cuda --precision "$precision" --batch 1,8,32
    done
    try bench "$model" --compare-backends
    # Without copies from and to the host.
    "$folder/tools/vultus" build "$model" --backend cuda --precision fp16 --max-batch 128 --out "$plans" --force >/dev/null &&
        "$folder/bench/bench_cuda_network" -b 1,8,32,128 "$plans/$(basename "$model" .onnx)"-fp16-*.plan
    [[ $two == *,* ]] && try bench "$model" --backend cuda --precision fp16 --devices "$two"
done

# The whole path: on the device from bytes to embeddings, decoded by processors, and with processors between the networks.
for way in "VULTUS_USE_NVJPEG=on" "VULTUS_USE_NVJPEG=off" "VULTUS_RESIDENT=off"; do
    for precision in fp16 fp32; do
        echo "$way, $precision, ${photos[*]}:"
        if env "$way" "$folder/tools/vultus" bench "${photos[@]}" --backend cuda --precision "$precision" --verbose; then
            note ok "photos, $way, $precision"
        else
            note FAILED "photos, $way, $precision"
        fi
    done
done

printf '\n%s\n' "${report[@]}"
echo "$failed failed"
[ "$failed" = 0 ]
