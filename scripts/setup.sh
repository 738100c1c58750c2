#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Installs what is missing on Debian 12: setup.sh [build] [tools] [tests] [cuda] [aarch64]
#   build    compiler, meson, and the libraries that vultus and its unit tests link
#   tools    ccache, clang, clang-format and what else of Debian's packages tests use
#   tests    those, a Python environment in .venv (unless $PYTHON names one), and ONNX's node tests
#   cuda     nvcc, the CUDA runtime and nvJPEG, from PyPI, in build/cuda-toolkit, for the module of CUDA kernels
#   aarch64  cross compiler, emulator, and the libraries for aarch64 in build-aarch64-sysroot, which no other build sees
set -euo pipefail
cd "$(dirname "$0")/.."

libraries=(libssl-dev libxxhash-dev libjansson-dev libyaml-dev libjpeg62-turbo-dev libspng-dev libwebp-dev
    libgif-dev libtiff-dev libheif-dev libarchive-dev libmsgpack-dev libmicrohttpd-dev libcurl4-openssl-dev libminizip-dev libcmocka-dev)
build_packages=(build-essential pkg-config meson ninja-build git libdnnl-dev "${libraries[@]}")
cross_packages=(pkg-config meson ninja-build gcc-aarch64-linux-gnu qemu-user)
test_packages=(ccache clang clang-format libclang-rt-dev llvm python3 python3-venv chromium-headless-shell curl)
# Versions the expected results were made with; only tests use them.
python_packages=('numpy>=1.26' 'onnx>=1.16' 'onnxruntime>=1.18' 'opencv-python-headless>=4.9' 'pytest>=8' 'pytest-xdist>=3.5'
    'pillow>=11.3' 'pillow-heif>=1.1' 'msgpack>=1' 'cffi>=1.16'
    'setuptools>=68' 'wheel>=0.40' 'websocket-client>=1.6' 'schemathesis>=4')

# What nvcc is made of, its headers and the static runtime come with the first two; the third is loaded at run time.
cuda_packages=('nvidia-cuda-nvcc>=13.0,<14' 'nvidia-cuda-runtime>=13.0,<14' 'nvidia-nvjpeg>=13.0,<14')

# The last package that ships ONNX's node tests; only its files are used, it is not installed.
node_tests_version=1.17.0

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        echo "setup: packages are missing ($*); run this as root or install sudo" >&2
        exit 1
    fi
}

# Names of those packages that dpkg does not know as installed.
missing() {
    local package
    for package in "$@"; do
        dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || echo "$package"
    done
}

install_packages() {
    command -v dpkg-query >/dev/null || {
        echo "setup: this is not Debian; install by hand what is missing of: $*" >&2
        return 0
    }
    local wanted
    mapfile -t wanted < <(missing "$@")
    [ ${#wanted[@]} -gt 0 ] || return 0
    echo "setup: installing ${wanted[*]}"
    as_root apt-get update -q
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${wanted[@]}"
}

python_environment() {
    [ -z "${PYTHON:-}" ] || return 0
    local stamp=.venv/installed
    [ "$(cat "$stamp" 2>/dev/null)" = "${python_packages[*]}" ] && return 0
    echo "setup: making the Python environment .venv for tests"
    python3 -m venv .venv
    .venv/bin/pip install -q --disable-pip-version-check "${python_packages[@]}"
    echo "${python_packages[*]}" >"$stamp"
}

node_tests() {
    local target=build/onnx-node-tests/$node_tests_version
    [ ! -d "$target" ] || return 0
    echo "setup: fetching the node tests of onnx $node_tests_version"
    local scratch
    scratch=$(mktemp -d)
    if ! "${PYTHON:-.venv/bin/python}" -m pip download -q --disable-pip-version-check --no-deps --only-binary :all: \
        --python-version 3.11 --platform manylinux2014_x86_64 -d "$scratch" "onnx==$node_tests_version"; then
        echo "setup: they could not be fetched; the conformance tests will be skipped" >&2
        return 0
    fi
    "${PYTHON:-.venv/bin/python}" -m zipfile -e "$scratch"/onnx-*.whl "$scratch/unpacked"
    mkdir -p "$(dirname "$target")"
    mv "$scratch/unpacked/onnx/backend/test/data/node" "$target"
    rm -rf "$scratch"
}

cuda_toolkit() {
    local folder=build/cuda-toolkit
    [ "$(cat "$folder/installed" 2>/dev/null)" = "${cuda_packages[*]}" ] && return 0
    echo "setup: installing ${cuda_packages[*]} into $folder"
    "${PYTHON:-python3}" -m venv "$folder"
    "$folder/bin/pip" install -q --disable-pip-version-check "${cuda_packages[@]}"
    ln -sfn "$("$folder/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/nvidia/cu13" "$folder/current"
    echo "${cuda_packages[*]}" >"$folder/installed"
}

# apt for a Debian of arm64 that has nothing installed: the lists and packages of this machine stay as they are.
sysroot_apt() {
    local state=$PWD/$sysroot/var/apt
    apt-get -q -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o Dir::State="$state" \
        -o Dir::State::status="$state/status" -o Dir::Cache="$state" "$@"
}

sysroot=build-aarch64-sysroot
aarch64_sysroot() {
    local stamp=$sysroot/installed package link
    [ "$(cat "$stamp" 2>/dev/null)" = "${libraries[*]}" ] && return 0
    echo "setup: unpacking libraries for aarch64 into $sysroot"
    rm -rf "$sysroot"
    mkdir -p "$sysroot"/var/apt/{lists,archives}/partial "$sysroot"/usr/lib
    ln -s usr/lib "$sysroot/lib"
    touch "$sysroot/var/apt/status"
    sysroot_apt update
    sysroot_apt install -y --no-install-recommends --download-only libc6-dev "${libraries[@]}"
    for package in "$sysroot"/var/apt/archives/*.deb; do
        dpkg-deb --fsys-tarfile "$package" | tar -x --keep-directory-symlink -C "$sysroot"
    done
    # Links to absolute paths would lead out of the folder.
    while IFS= read -r link; do
        ln -sfnr "$sysroot$(readlink "$link")" "$link"
    done < <(find "$sysroot" -lname '/*')
    printf "[constants]\nsysroot = '%s'\n" "$PWD/$sysroot" >"$sysroot/sysroot.ini"
    rm -rf "$sysroot/var/apt"
    echo "${libraries[*]}" >"$stamp"
}

for part in "$@"; do
    case $part in
    build) install_packages "${build_packages[@]}" ;;
    tools) install_packages "${build_packages[@]}" "${test_packages[@]}" ;;
    tests)
        install_packages "${build_packages[@]}" "${test_packages[@]}"
        python_environment
        node_tests
        ;;
    cuda)
        install_packages "${build_packages[@]}" python3 python3-venv
        cuda_toolkit
        ;;
    aarch64)
        install_packages "${cross_packages[@]}"
        aarch64_sysroot
        ;;
    *)
        echo "usage: setup.sh [build] [tools] [tests] [cuda] [aarch64]" >&2
        exit 2
        ;;
    esac
done
