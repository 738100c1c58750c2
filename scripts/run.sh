#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# First steps: compiles the plans of a detector and a recogniser, prints the faces of photos and draws the sample picture's.
# usage: run.sh [PHOTO...]     models: VULTUS_DET and VULTUS_REC, else the starter pack; photo: else examples/group.jpg
set -euo pipefail
cd "$(dirname "$0")/.."
drawn=build/group-faces.jpg

run() {
    echo "+ $*"
    "$@"
}

det=${VULTUS_DET:-starter_det}
run build/vultus build "$det"
run build/vultus build "${VULTUS_REC:-starter_rec}"
if [ $# -gt 0 ]; then
    run build/vultus extract --landmarks "$@"
else
    run build/vultus extract --landmarks examples/group.jpg
    run build/vultus draw --det "$det" examples/group.jpg -o "$drawn"
    echo "The faces are drawn in $PWD/$drawn"
fi
