#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes a file as a C array: embed.py INPUT OUTPUT.c NAME"""
import sys

source, target, name = sys.argv[1:]
with open(source, 'rb') as f:
    data = f.read()
with open(target, 'w') as f:
    f.write(f'#include <stddef.h>\n\nextern const unsigned char {name}[];\nextern const size_t {name}_size;\n\n')
    f.write(f'const size_t {name}_size = {len(data)};\nconst unsigned char {name}[] = {{\n')
    for i in range(0, len(data), 24):
        f.write('    ' + ','.join(str(b) for b in data[i:i + 24]) + ',\n')
    f.write('};\n')
