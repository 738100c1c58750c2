#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Times the starter models beside det_500m and mobilefacenet, one picture and one face, and prints a Markdown table.

usage: starter.py [--data ../shared] [--build build] [--threads 2] [--rounds 7] [--seconds 1]

One command times each network in rounds that alternate between all four, so that a busy minute meets all; medians of the
rounds. The aim: the starter pair takes at most half the time of the others.
"""
import argparse
import os
import pathlib
import statistics
import subprocess

AIM = 0.5
STARTER = pathlib.Path(__file__).resolve().parent.parent / "models" / "starter"
PAIRS = [("detector, 640x640", "starter_det.onnx", "det_500m.onnx"), ("recogniser, one face", "starter_rec.onnx", "mobilefacenet.onnx")]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("VULTUS_TEST_DATA", "../shared"))
    parser.add_argument("--build", default="build")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=1)
    options = parser.parse_args()
    vultus = os.path.join(options.build, "vultus")
    if not os.path.exists(vultus):
        vultus = os.path.join(options.build, "tools", "vultus")
    threads = ["--threads", str(options.threads)]
    networks = [path for _, ours, theirs in PAIRS for path in (STARTER / ours, pathlib.Path(options.data) / "models" / theirs)]
    for network in networks:
        subprocess.run([vultus, "build", network, *threads], check=True, stdout=subprocess.DEVNULL)
    times = {network: [] for network in networks}
    for _ in range(options.rounds):
        for network in networks:
            done = subprocess.run([vultus, "bench", network, "--batch", "1", "--seconds", str(options.seconds), "--quiet", *threads],
                                  check=True, capture_output=True, text=True)
            times[network].append(float(done.stdout))
    ms = [statistics.median(times[network]) for network in networks]
    print("| what | starter ms | compared | ms | ratio |")
    print("| --- | --- | --- | --- | --- |")
    for (what, _, theirs), mine, other in zip(PAIRS, ms[::2], ms[1::2]):
        print(f"| {what} | {mine:.3f} | {theirs} | {other:.3f} | {mine / other:.3f} |")
    mine, other = sum(ms[::2]), sum(ms[1::2])
    print(f"| both | {mine:.3f} | both | {other:.3f} | {mine / other:.3f} (aim: at most {AIM}) |")


if __name__ == "__main__":
    main()
