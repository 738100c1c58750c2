# SPDX-License-Identifier: Apache-2.0
"""The version is that of the installed library, which the binding is compiled against."""
import subprocess

from setuptools import setup

setup(version=subprocess.run(['pkg-config', '--modversion', 'vultus'], check=True, capture_output=True, text=True).stdout.strip(),
      cffi_modules=['build_binding.py:builder'])
