#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Invents faces of people who do not exist: faces.py PICTURES.npz OUT_FOLDER FACES.npz [--seed N] [--steps N] [--minutes M]

A diffusion network (preconditioning, noise and sampler of Karras et al. 2022, arXiv:2206.00364) learns the aligned adult
faces at 128x128, told age, gender and origin as the pictures' names state them; then it draws candidates.
scripts/train/scene.py picks among them and composes the sample picture. The network itself is not kept.
"""
import argparse
import math
import os
import pathlib

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from common import Run, add_options

SIZE = 128
SPREAD = 0.5                    # of the pixels, which lie in -1..1
LOG_NOISE = (-0.9, 1.2)         # mean and deviation of the logarithm of the training noise
LEAST, MOST, STEPS, BEND = 0.004, 80.0, 32, 7.0     # noise levels of sampling
GUIDANCE = 1.7
ORIGINS, GENDERS = 5, 2
UNTOLD = 0.15                   # share of pictures shown without what is known of them


def normed(x, scale, shift):
    """Every pixel's channels at unit mean square, modulated, then SiLU."""
    y = x.float()
    return F.silu(y * torch.rsqrt(y.square().mean(1, keepdim=True) + 1e-6) * (1 + scale) + shift).to(x.dtype)


class Block(nn.Module):
    normed = staticmethod(normed)       # replaced by a compiled one where that works

    def __init__(self, ci, co, told, attention=False):
        super().__init__()
        self.sizes = [ci, ci, co, co]
        self.told = nn.Linear(told, sum(self.sizes))
        self.conv1, self.conv2 = nn.Conv2d(ci, co, 3, padding=1), nn.Conv2d(co, co, 3, padding=1)
        self.skip = nn.Conv2d(ci, co, 1) if ci != co else nn.Identity()
        self.heads = co // 64 if attention else 0
        if attention:
            self.qkv, self.out = nn.Conv2d(co, 3 * co, 1), nn.Conv2d(co, co, 1)
            nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.conv2.weight)

    def forward(self, x, told):
        scale1, shift1, scale2, shift2 = self.told(told)[:, :, None, None].split(self.sizes, 1)
        y = self.conv1(Block.normed(x, scale1, shift1))
        y = self.conv2(Block.normed(y, scale2, shift2))
        x = (self.skip(x) + y) * math.sqrt(0.5)
        if self.heads:
            n, c, h, w = x.shape
            even = x * torch.rsqrt(x.float().square().mean(1, keepdim=True) + 1e-6).to(x.dtype)
            q, k, v = (t.transpose(2, 3) for t in self.qkv(even).reshape(n, 3, self.heads, c // self.heads, h * w).unbind(1))
            x = x + self.out(F.scaled_dot_product_attention(q, k, v).transpose(2, 3).reshape(n, c, h, w))
        return x


class Unet(nn.Module):
    """[n,3,128,128] noisy, noise level, what is told [n,8] -> [n,3,128,128]."""

    def __init__(self, widths=(96, 192, 256, 384), told=512, per_level=2):
        super().__init__()
        self.told = nn.Sequential(nn.Linear(64 + 1 + GENDERS + ORIGINS, told), nn.SiLU(), nn.Linear(told, told), nn.SiLU())
        self.first = nn.Conv2d(12, widths[0], 3, padding=1)
        self.down, self.up, kept, wide = nn.ModuleList(), nn.ModuleList(), [widths[0]], widths[0]
        for level, width in enumerate(widths):
            if level:
                self.down.append(nn.Conv2d(wide, wide, 3, 2, padding=1))
                kept.append(wide)
            for _ in range(per_level):
                self.down.append(Block(wide, width, told, level >= 2))
                wide = width
                kept.append(wide)
        self.middle = Block(wide, wide, told, True)
        for level, width in reversed(list(enumerate(widths))):
            for _ in range(per_level + 1):
                self.up.append(Block(wide + kept.pop(), width, told, level >= 2))
                wide = width
            if level:
                self.up.append(nn.Conv2d(wide, wide, 3, padding=1))
        self.last = nn.Conv2d(wide, 12, 3, padding=1)
        nn.init.zeros_(self.last.weight)

    def forward(self, x, noise, told):
        turns = noise[:, None] * torch.exp(torch.linspace(0, math.log(200), 32, device=x.device))[None]
        told = self.told(torch.cat([torch.sin(turns), torch.cos(turns), told], 1))
        x = self.first(F.pixel_unshuffle(x, 2))
        kept = [x]
        for module in self.down:
            x = module(x, told) if isinstance(module, Block) else module(x)
            kept.append(x)
        x = self.middle(x, told)
        for module in self.up:
            if isinstance(module, Block):
                x = module(torch.cat([x, kept.pop()], 1), told)
            else:
                x = module(F.interpolate(x, scale_factor=2.0, mode='nearest'))
        return F.pixel_shuffle(self.last(F.silu(x)), 2)


def denoised(network, x, noise, told):
    """Karras et al., equation 7."""
    n = noise[:, None, None, None]
    whole = n ** 2 + SPREAD ** 2
    made = network((x / whole.sqrt()).contiguous(memory_format=torch.channels_last), noise.log() / 4, told)
    return x * SPREAD ** 2 / whole + made.float() * n * SPREAD / whole.sqrt()


def tell(ages, genders, origins):
    """[n,8]: age in centuries, then gender and origin as one of each."""
    return torch.cat([ages[:, None].float() / 100, F.one_hot(genders, GENDERS).float(), F.one_hot(origins, ORIGINS).float()], 1)


def load(path, device):
    """The aligned faces as uint8 [n,3,128,128] and what their names tell."""
    packed = np.load(path)
    data, end = packed['utk_bytes'], np.cumsum(packed['utk_sizes'])
    faces = np.stack([cv2.resize(cv2.imdecode(data[a:b], cv2.IMREAD_COLOR), (SIZE, SIZE), interpolation=cv2.INTER_AREA)[:, :, ::-1]
                      for a, b in zip(np.concatenate([[0], end[:-1]]), end)]).transpose(0, 3, 1, 2)
    labels = torch.from_numpy(packed['utk_labels'].astype(np.int64)).to(device)
    keep = (labels[:, 0] >= 18).nonzero()[:, 0]
    return torch.from_numpy(np.ascontiguousarray(faces)).to(device)[keep], tell(labels[keep, 0], labels[keep, 1], labels[keep, 2])


def jitter(x):
    """Mirrored half of the time, moved and zoomed by a little."""
    n, d = len(x), x.device
    zoom = torch.exp(torch.randn(n, device=d) * 0.02)
    mirror = torch.randint(0, 2, (n,), device=d) * 2.0 - 1
    zero, move = torch.zeros(n, device=d), torch.randn(2, n, device=d) * 0.012
    theta = torch.stack([torch.stack([zoom * mirror, zero, move[0]], 1), torch.stack([zero, zoom, move[1]], 1)], 1)
    return F.grid_sample(x, F.affine_grid(theta, x.shape, align_corners=False), padding_mode='reflection', align_corners=False)


def compile_norm(device):
    """The one function whose separate kernels cost as much as the convolutions."""
    try:
        quick = torch.compile(normed, dynamic=True)
        x = torch.randn(8, 96, 16, 16, device=device, dtype=torch.bfloat16).to(memory_format=torch.channels_last).requires_grad_()
        m = torch.randn(8, 96, 1, 1, device=device, dtype=torch.bfloat16, requires_grad=True)
        quick(x, m, m).float().mean().backward()
        Block.normed = staticmethod(quick)
    except Exception as error:
        print(f'not compiled: {error}', flush=True)


@torch.no_grad()
def sample(network, told, device):
    """Heun's method over the noise levels of Karras et al., equation 5, with guidance by what is told."""
    ramp = torch.linspace(0, 1, STEPS, device=device)
    levels = (MOST ** (1 / BEND) + ramp * (LEAST ** (1 / BEND) - MOST ** (1 / BEND))) ** BEND
    levels = torch.cat([levels, torch.zeros(1, device=device)])
    n = len(told)
    both = torch.cat([told, torch.zeros_like(told)])

    def slope(x, level):
        with torch.autocast(device, torch.bfloat16, enabled=device != 'cpu'):
            with_it, without = denoised(network, torch.cat([x, x]), level.expand(2 * n), both).float().chunk(2)
        return (x - (without + GUIDANCE * (with_it - without))) / level

    x = torch.randn(n, 3, SIZE, SIZE, device=device) * MOST
    for now, then in zip(levels[:-1], levels[1:]):
        first = slope(x, now)
        ahead = x + (then - now) * first
        x = ahead if then == 0 else x + (then - now) * 0.5 * (first + slope(ahead, then))
    return ((x.clamp(-1, 1) + 1) * 127.5).round().byte()


def draw(network, count, path, device, seed):
    """Candidates of all ages and origins as WebP, with what was told."""
    torch.manual_seed(seed)
    ages = torch.randint(20, 86, (count,), device=device)
    genders, origins = (torch.arange(count, device=device) // k % m for k, m in ((1, GENDERS), (GENDERS, ORIGINS)))
    batch = 192
    faces = torch.cat([sample(network, tell(*part), device) for part in zip(ages.split(batch), genders.split(batch), origins.split(batch))])
    encoded = [cv2.imencode('.webp', np.ascontiguousarray(f.transpose(1, 2, 0)[:, :, ::-1]), [cv2.IMWRITE_WEBP_QUALITY, 93])[1]
               for f in faces.cpu().numpy()]
    part = f'{path}.part.npz'
    np.savez(part, bytes=np.concatenate(encoded), sizes=np.array([len(e) for e in encoded]),
             labels=torch.stack([ages, genders, origins], 1).cpu().numpy())
    os.replace(part, path)
    print(f'{path}: {count} faces', flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--count', type=int, default=1920, help='candidates to draw')
    options = add_options(parser, with_teachers=False).parse_args()
    options.batch = options.batch or 256
    device, on_gpu = options.device, options.device != 'cpu'
    torch.manual_seed(options.seed)
    torch.backends.cudnn.benchmark = True
    faces, told = load(options.pictures, device)
    print(f'{len(faces)} faces', flush=True)
    network = Unet().to(device).to(memory_format=torch.channels_last)
    run = Run(options, network, rate=4e-4, decay=0.0, average=0.9993)
    if on_gpu:
        compile_norm(device)

    def step(_):
        pick = torch.randint(0, len(faces), (options.batch,), device=device)
        x = jitter(faces[pick].float() / 127.5 - 1)
        known = told[pick] * (torch.rand(options.batch, 1, device=device) > UNTOLD)
        noise = torch.exp(torch.randn(options.batch, device=device) * LOG_NOISE[1] + LOG_NOISE[0])
        weight = (noise ** 2 + SPREAD ** 2) / (noise * SPREAD) ** 2
        with torch.autocast(device, torch.bfloat16, enabled=on_gpu):
            made = denoised(network, x + torch.randn_like(x) * noise[:, None, None, None], noise, known)
        return dict(gap=(weight[:, None, None, None] * (made - x) ** 2).mean())

    done = run.loop(step)
    pathlib.Path(options.model).parent.mkdir(parents=True, exist_ok=True)
    draw(run.average.network, options.count, options.model, device, options.seed)
    print('done' if done else f'stopped at step {run.step} of {run.steps}; run again to continue')


if __name__ == '__main__':
    main()
