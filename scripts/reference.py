#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs a network in onnxruntime or PyTorch and writes what `vultus compare --reference` holds a plan against.

usage: reference.py MODEL.onnx|MODEL.pt OUT.npz [--inputs FACES.npy] [--n-samples 100] [--shape 3,112,112]
                    [--mean 127.5 --std 127.5 --channels rgb]

MODEL.onnx runs in onnxruntime, any other file as TorchScript (torch.jit.save) in PyTorch. FACES.npy holds items: float32
[N,3,H,W] as the network takes them, or crops uint8 [N,H,W,3] in BGR, normalised here as (pixel - mean) / std in the channel
order given; mean and std are one number or three in that order, as `vultus info` lists them for a plan. Without it, items are normal numbers from a fixed seed; --shape gives the item's shape where the model leaves
it free or is no ONNX file.

OUT.npz gets `inputs`, what the network took, and its outputs by number: `output_0`, `output_1`... (`embeddings` when there
is but one), with one row for each item. Items run one by one, so networks whose exporter lost the batch axis work too.
"""
import argparse
import pathlib
import sys

import numpy as np

SEED = 7


def numbers(text):
    return np.array([float(number) for number in text.split(',')], np.float32)


def onnx_network(path):
    """(function of one item [1,...] to a list of outputs, shape of an item with None where it is free)"""
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=['CPUExecutionProvider'])
    if len(session.get_inputs()) != 1:
        sys.exit(f'{path} has {len(session.get_inputs())} inputs; networks with one are compared')
    network_input = session.get_inputs()[0]
    shape = [size if isinstance(size, int) and size > 0 else None for size in network_input.shape[1:]]
    return lambda item: session.run(None, {network_input.name: item}), shape


def torch_network(path):
    import torch
    module = torch.jit.load(str(path), map_location='cpu').eval()

    def run(item):
        with torch.inference_mode():
            outputs = module(torch.from_numpy(item))
        return [o.numpy() for o in (outputs if isinstance(outputs, (tuple, list)) else [outputs])]
    return run, None


def make_items(options, shape):
    if options.inputs:
        items = np.load(options.inputs)
        return items[:options.n_samples] if options.n_samples else items
    shape = [int(size) for size in options.shape.split(',')] if options.shape else shape
    if not shape or None in shape:
        sys.exit(f'the shape of an item is {shape}; say what it shall be with --shape')
    return np.random.default_rng(SEED).standard_normal((options.n_samples or 100, *shape), np.float32)


def normalise(items, options):
    """uint8 [N,H,W,3] in BGR to float32 [N,3,H,W]; anything else stays."""
    if items.dtype != np.uint8:
        return items
    if items.ndim != 4 or items.shape[3] != 3:
        sys.exit(f'crops are uint8 [N,H,W,3]; {options.inputs} holds {list(items.shape)}')
    if options.channels == 'rgb':
        items = items[..., ::-1]
    scaled = (items.astype(np.float32) - options.mean) / options.std
    return np.ascontiguousarray(scaled.transpose(0, 3, 1, 2))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('model', type=pathlib.Path)
    parser.add_argument('output', type=pathlib.Path)
    parser.add_argument('--inputs')
    parser.add_argument('--n-samples', type=int)
    parser.add_argument('--shape')
    parser.add_argument('--mean', type=numbers, default=numbers('127.5'))
    parser.add_argument('--std', type=numbers, default=numbers('127.5'))
    parser.add_argument('--channels', choices=['rgb', 'bgr'], default='rgb')
    options = parser.parse_args()
    run, shape = (onnx_network if options.model.suffix == '.onnx' else torch_network)(options.model)
    items = normalise(make_items(options, shape), options)
    rows = [run(items[i:i + 1]) for i in range(len(items))]
    names = ['embeddings'] if len(rows[0]) == 1 else [f'output_{i}' for i in range(len(rows[0]))]
    # An output without the batch axis is a row as it is; one with it has a first axis of 1.
    arrays = {name: np.concatenate([o[i] if o[i].shape[:1] == (1,) else o[i][None] for o in rows]) for i, name in enumerate(names)}
    np.savez(options.output, inputs=items, **arrays)
    print(f'{options.output}: {len(items)} items, ' + ', '.join(f'{n} {list(a.shape)}' for n, a in arrays.items()))


if __name__ == '__main__':
    main()
