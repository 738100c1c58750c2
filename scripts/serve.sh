#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Starts the server, and says how to try it once it is up: a line for the shell and the page's address.
# usage: serve.sh [options of vultus serve]     program: that of $VULTUS_BUILD, else of build
set -euo pipefail
cd "$(dirname "$0")/.."

say_how() {
    local line address options=
    while IFS= read -r line; do
        case $line in
        'vultus: try '*) ;;
        *) echo "$line" ;;
        esac
        [[ $line =~ serving\ (https?://[^ ]+) ]] || continue
        address=${BASH_REMATCH[1]/0.0.0.0/127.0.0.1}
        # Nobody vouches for a certificate made for trying out.
        [[ $address == http:* ]] || options=' -k'
        echo
        echo "  curl -s$options -F file=@examples/group.jpg $address/multipart/draw_detections -o faces.jpg"
        echo "  or look at $address/ with a browser; ctrl-C ends the server"
        echo
    done
}

# The server takes the place of this script, so that signals reach it.
exec "${VULTUS_BUILD:-build}/tools/vultus" serve "$@" 2> >(say_how >&2)
