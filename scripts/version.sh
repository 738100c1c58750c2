#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Prints MAJOR.MINOR.PATCH from the public header, the one place that states it.
sed -n 's/^#define VULTUS_VERSION_[A-Z]* \([0-9]*\)$/\1/p' "$(dirname "$0")/../include/vultus/version.h" | paste -sd.
