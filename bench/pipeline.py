#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Times photo -> embeddings, and loading a model, beside the Python pipeline and onnxruntime; alternating rounds, medians.

usage: pipeline.py [--data ../shared] [--build build] [--threads 2] [--rounds 5] [--photos Stallone.jpg,lumia.jpg]
"""
import argparse
import json
import os
import statistics
import subprocess
import sys

STAGES = ("decode", "resize", "detect", "nms", "crop", "embed", "total")


def rows(command):
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return {row["picture"]: row for row in map(json.loads, filter(lambda l: l.startswith("{"), out.splitlines()))}


def photos_table(options, detector, recogniser):
    photos = [os.path.join(options.data, "images", p) for p in options.photos.split(",")]
    reference = [sys.executable, os.path.join(options.data, "tools", "reference.py"), "time", detector, recogniser, *photos,
                 "--threads", str(options.threads), "--repeat", "10"]
    ours = [os.path.join(options.build, "bench", "bench_pipeline"), detector, recogniser, *photos,
            "--threads", str(options.threads), "--repeat", "10"]
    rounds = [(rows(reference), rows(ours)) for _ in range(options.rounds)]
    print("| photo, who | faces | " + " | ".join(STAGES) + " | ratio |")
    print("| --- | --- | " + " | ".join("---" for _ in STAGES) + " | --- |")
    for photo in map(os.path.basename, photos):
        median = [{s: statistics.median(r[who][photo][s] for r in rounds) for s in STAGES} for who in (0, 1)]
        for who, label in enumerate(("Python", "vultus")):
            ratio = f"{median[0]['total'] / median[1]['total']:.2f}" if who else ""
            cells = " | ".join(f"{median[who][s]:.2f}" for s in STAGES)
            print(f"| {photo}, {label} | {rounds[0][who][photo]['faces']} | {cells} | {ratio} |")


ORT_LOAD = """
import sys, time, numpy as np, onnxruntime as ort
o = ort.SessionOptions(); o.intra_op_num_threads = int(sys.argv[2]); o.log_severity_level = 3
t = time.perf_counter(); s = ort.InferenceSession(sys.argv[1], o, providers=['CPUExecutionProvider']); created = time.perf_counter() - t
i = s.get_inputs()[0]; x = np.ones([d if isinstance(d, int) and d > 0 else 1 if k == 0 else 640 for k, d in enumerate(i.shape)], np.float32)
s.run(None, {i.name: x}); print(created * 1e3, (time.perf_counter() - t) * 1e3)
"""


def load_table(options, models):
    print("\n| model | onnxruntime session creation ms | ... plus first run | vultus open + first run ms | ratio to creation |")
    print("| --- | --- | --- | --- | --- |")
    for model in models:
        build = subprocess.run([os.path.join(options.build, "tools", "vultus"), "build", model, "--threads", str(options.threads), "--json"],
                               check=True, capture_output=True, text=True).stdout
        plan = json.loads(build)["path"]
        peer, ours = [], []
        for _ in range(options.rounds):
            out = subprocess.run([sys.executable, "-c", ORT_LOAD, model, str(options.threads)], check=True, capture_output=True, text=True)
            peer.append(tuple(map(float, out.stdout.split())))
            out = subprocess.run([os.path.join(options.build, "bench", "bench_load"), plan, str(options.threads)], check=True,
                                 capture_output=True, text=True)
            ours.append(float(out.stdout.split()[-1]))
        created, first, mine = statistics.median(p[0] for p in peer), statistics.median(p[1] for p in peer), statistics.median(ours)
        print(f"| {os.path.basename(model)} | {created:.1f} | {first:.1f} | {mine:.1f} | {mine / created:.2f} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("VULTUS_TEST_DATA", "../shared"))
    parser.add_argument("--build", default="build")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--photos", default="Stallone.jpg,lumia.jpg")
    parser.add_argument("--models", default="", help="more ONNX files for the table of load times, separated by commas")
    options = parser.parse_args()
    at = lambda name: os.path.join(options.data, "models", name)
    photos_table(options, at("scrfd_2.5g_bnkps.onnx"), at("mobilefacenet.onnx"))
    load_table(options, [at("mobilefacenet.onnx"), at("det_500m.onnx"), at("scrfd_2.5g_bnkps.onnx"), *filter(None, options.models.split(","))])


if __name__ == "__main__":
    main()
