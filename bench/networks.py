#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Times every network beside onnxruntime and OpenVINO in alternating rounds and prints a Markdown table.

usage: networks.py [--data ../shared] [--build build] [--threads 2] [--rounds 7] [--only NAME,...]

Uses the peer runner and the maker of full-size networks in the test data's tools/. Ratios above 1 are in our favour; the column
"needed" is the project's floor. Absolute times are those of this machine and minute.
"""
import argparse
import json
import os
import subprocess
import sys

ROWS = [  # network, batch, floor against the better peer
    ("iresnet100", 1, 1.0), ("iresnet100", 8, 1.0), ("scrfd_10g_gn", 1, 1.0), ("scrfd_2.5g_bnkps", 1, 1.0),
    ("det_500m", 1, 1.2), ("mobilefacenet", 1, 1.2), ("mobilefacenet", 32, 1.2),
]


def model_path(data, cache, name):
    real = os.path.join(data, "models", name + ".onnx")
    if os.path.exists(real):
        return real
    made = os.path.join(cache, name + ".onnx")
    if not os.path.exists(made):
        subprocess.run([sys.executable, os.path.join(data, "tools", "nets_synth.py"), name, made], check=True)
    return made


def time_row(options, name, batch):
    model = model_path(options.data, options.cache, name)
    vultus = os.path.join(options.build, "vultus")
    subprocess.run([vultus, "build", model, "--threads", str(options.threads)], check=True, stdout=subprocess.DEVNULL)
    ours = f"{vultus} bench {model} --batch {{batch}} --threads {{threads}} --quiet"
    command = [sys.executable, os.path.join(options.data, "tools", "peers.py"), model, "--batch", str(batch), "--json",
               "--threads", str(options.threads), "--rounds", str(options.rounds), "--cmd", f"vultus={ours}"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return {row["peer"]: row["ms"] for row in map(json.loads, filter(lambda l: l.startswith("{"), lines))}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("VULTUS_TEST_DATA", "../shared"))
    parser.add_argument("--build", default="build")
    parser.add_argument("--cache", default="build/networks")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    os.makedirs(options.cache, exist_ok=True)
    print("| network, batch | onnxruntime ms | OpenVINO ms | vultus ms | times the better peer | needed |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, batch, floor in ROWS:
        if options.only and name not in options.only.split(","):
            continue
        ms = time_row(options, name, batch)
        better = min(ms["ort"], ms["openvino"])
        print(f"| {name}, {batch} | {ms['ort']:.2f} | {ms['openvino']:.2f} | {ms['vultus']:.2f} | {better / ms['vultus']:.2f} | {floor} |", flush=True)


if __name__ == "__main__":
    main()
