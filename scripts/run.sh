#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# First steps: compiles plans of a detector and a recogniser and prints the faces of a photo.
# usage: run.sh [PHOTO...]     models: VULTUS_DET and VULTUS_REC, else those of VULTUS_TEST_DATA (default ../shared)
set -euo pipefail
cd "$(dirname "$0")/.."
export VULTUS_TEST_DATA=${VULTUS_TEST_DATA:-$PWD/../shared}
export VULTUS_DET=${VULTUS_DET:-$VULTUS_TEST_DATA/models/scrfd_2.5g_bnkps.onnx}
export VULTUS_REC=${VULTUS_REC:-$VULTUS_TEST_DATA/models/mobilefacenet.onnx}
for model in "$VULTUS_DET" "$VULTUS_REC"; do
    [ -f "$model" ] || {
        echo "run: there is no model $model; set VULTUS_DET and VULTUS_REC to a face detector and a recogniser" >&2
        exit 1
    }
    echo "+ build/vultus build $model"
    build/vultus build "$model"
done
[ $# -gt 0 ] || set -- "$VULTUS_TEST_DATA/images/Stallone.jpg"
echo "+ build/vultus extract --landmarks $*"
build/vultus extract --landmarks "$@"
