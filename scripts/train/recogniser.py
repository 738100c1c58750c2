#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Trains starter_rec: recogniser.py PICTURES.npz TEACHERS_FOLDER OUT_FOLDER MODEL.onnx [--seed N] [--steps N] [--minutes M]

The student (random weights) learns mobilefacenet's embedding and three of its maps. Faces are found with scrfd_2.5g_bnkps,
aligned to the usual 112x112 template, then disturbed, bent, relit, and mixed with one another, so that the student sees
many more faces than there are pictures. No identity is used.
"""
import argparse
import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from common import (ConvBN, Pictures, Run, Teacher, Writer, add_options, chance, fast_format, grey, jpeg_like, relight, slope_light,
                    soften, uniform)
from detector import STRIDES, TEACHER_MAPS

CROP = 112
TEMPLATE = np.array([[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]])
MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)      # the teacher's, R G B; the student's too
WIDTH = 128
EMBEDDING = 'output'
TEACHER_FEATURES = ('/features/features.4/Add_output_0', '/features/features.11/Add_output_0', '/features/features.14/Add_output_0')
FEATURE_WIDTHS = (64, 128, 128)
SURE = 0.45           # least teacher score of a face that is learned from


# ---- the network ----

class Bottleneck(nn.Module):
    def __init__(self, ci, wide, co, stride=1):
        super().__init__()
        self.expand, self.depth = ConvBN(ci, wide, act='prelu'), ConvBN(wide, wide, 3, stride, groups=wide, act='prelu')
        self.project = ConvBN(wide, co, act=None)
        self.residual = stride == 1 and ci == co

    def forward(self, x):
        y = self.project(self.depth(self.expand(x)))
        return x + y if self.residual else y


class Recogniser(nn.Module):
    """[b,3,112,112] -> embedding [b,128,1,1] and maps of 48x28x28, 96x14x14, 96x7x7."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(ConvBN(3, 32, 3, 2, act='prelu'), ConvBN(32, 32, 3, groups=32, act='prelu'))
        self.fine = nn.Sequential(Bottleneck(32, 64, 48, 2), *[Bottleneck(48, 96, 48) for _ in range(3)])
        self.middle = nn.Sequential(Bottleneck(48, 192, 96, 2), *[Bottleneck(96, 192, 96) for _ in range(6)])
        self.coarse = nn.Sequential(Bottleneck(96, 384, 96, 2), *[Bottleneck(96, 192, 96) for _ in range(2)])
        self.widen = ConvBN(96, 512, act='prelu')
        self.whole = ConvBN(512, 512, 7, groups=512, act=None, padding=0)
        self.embed = ConvBN(512, WIDTH, act=None)

    def forward(self, x):
        fine = self.fine(self.stem(x))
        middle = self.middle(fine)
        coarse = self.coarse(middle)
        return self.embed(self.whole(self.widen(coarse))), fine, middle, coarse


class Matching(nn.Module):
    """Projects the student's maps to the teacher's and compares them, every channel at unit variance."""

    def __init__(self, widths):
        super().__init__()
        self.projections = nn.ModuleList(nn.Conv2d(ci, co, 1) for ci, co in zip(widths, FEATURE_WIDTHS))
        self.scales = nn.ModuleList(nn.BatchNorm2d(co, affine=False) for co in FEATURE_WIDTHS)

    def forward(self, mine, theirs):
        return sum(F.mse_loss(p(m.float()).float(), s(t.float())) for p, s, m, t in zip(self.projections, self.scales, mine, theirs)) / 3


# ---- aligned faces ----

def to_template(landmarks):
    """The least-squares similarity [2,3] from template pixels to the coordinates of landmarks [5,2]."""
    source, target = TEMPLATE - TEMPLATE.mean(0), landmarks - landmarks.mean(0)
    u, d, vt = np.linalg.svd(target.T @ source / 5)
    sign = np.array([1, np.sign(np.linalg.det(u @ vt))])
    turn = u @ np.diag(sign) @ vt * (d * sign).sum() / (source ** 2).sum(1).mean()
    return np.concatenate([turn, (landmarks.mean(0) - turn @ TEMPLATE.mean(0))[:, None]], 1)


@torch.no_grad()
def find_faces(pictures, teacher, precision):
    """The best face of every picture: index [n] and theta [n,2,3] from crop coordinates in [-1,1] to the picture's."""
    size, batch, d = 448, 64, pictures.device
    best = torch.zeros(pictures.count, 11)
    for zoom in (1.7, 1.15, 2.6):
        for index in torch.arange(pictures.count, device=d).split(batch):
            theta = torch.tensor([[zoom, 0, 0], [0, zoom, 0]], device=d).repeat(len(index), 1, 1)
            x = ((pictures.view(index, theta, size, zoom, 'zeros') * 255).round() - 127.5) / 128
            maps = teacher(x.to(precision).to(memory_format=torch.channels_last))
            for level, stride in enumerate(STRIDES):
                score, points = torch.sigmoid(maps[3 * level].float()), maps[3 * level + 2].float()
                cells = score.shape[3]
                top, at = score.flatten(1).max(1)
                anchor, cell = at // cells ** 2, at % cells ** 2
                points = points.reshape(len(index), 2, 5, 2, -1)[torch.arange(len(index), device=d), anchor, :, :, cell]
                corner = torch.stack([cell % cells, cell // cells], 1).float()
                points = ((points + corner[:, None]) * stride + 0.5) / size * 2 - 1
                row = torch.cat([top[:, None], (points * zoom).flatten(1)], 1).cpu()
                better = row[:, 0] > best[index.cpu(), 0] + 0.02
                best[index.cpu()[better]] = row[better]
    keep = (best[:, 0] > SURE).nonzero()[:, 0]
    pixel = np.array([[CROP / 2, 0, CROP / 2 - 0.5], [0, CROP / 2, CROP / 2 - 0.5], [0, 0, 1]])    # [-1,1] to crop pixels
    thetas = np.stack([to_template(row[1:].reshape(5, 2)) @ pixel for row in best[keep].double().numpy()])
    print(f'{len(keep)} faces in {pictures.count} pictures', flush=True)
    return keep.to(d), torch.from_numpy(thetas).float().to(d)


def disturb(theta):
    """Alignment as a less exact detector would give it, and mirrored half of the time."""
    n, d = len(theta), theta.device
    angle, zoom = torch.randn(n, device=d) * 0.04, torch.exp(torch.randn(n, device=d) * 0.035)
    far = chance(0.15, n, d)[:, 0, 0, 0] * 2 + 1
    mirror = torch.randint(0, 2, (n,), device=d) * 2.0 - 1
    c, s = zoom * torch.cos(angle * far), zoom * torch.sin(angle * far)
    dx, dy = torch.randn(n, device=d) * 0.018 * far, torch.randn(n, device=d) * 0.018 * far
    zero, one = torch.zeros_like(c), torch.ones_like(c)
    change = torch.stack([torch.stack([c * mirror, -s, dx], 1), torch.stack([s * mirror, c, dy], 1), torch.stack([zero, zero, one], 1)], 1)
    return theta @ change


def bend(x, strength):
    """A smooth random displacement: another face shape."""
    n, d = len(x), x.device
    field = torch.randn(n, 2, 5, 5, device=d) * strength * torch.rand(n, 1, 1, 1, device=d)
    field = F.interpolate(field, size=x.shape[2:], mode='bicubic', align_corners=False).permute(0, 2, 3, 1)
    line = (torch.arange(CROP, device=d) * 2 + 1) / CROP - 1
    grid = torch.stack(torch.meshgrid(line, line, indexing='xy'), 2)[None] + field
    return F.grid_sample(x, grid, padding_mode='border', align_corners=False)


def mix(a, b):
    """Faces between a and b: blended as a whole, by a smooth patch, or kept as a."""
    n, d = len(a), a.device
    patch = F.interpolate(torch.randn(n, 1, 3, 3, device=d), size=(CROP, CROP), mode='bicubic', align_corners=False)
    patch = torch.sigmoid(patch * 6)
    even = uniform(0.15, 0.85, n, 1, 1, 1, device=d).expand(n, 1, CROP, CROP)
    share = torch.where(torch.rand(n, 1, 1, 1, device=d) < 0.5, patch, even) * chance(0.5, n, d)
    return a * (1 - share) + b * share


def occlude(x):
    n, d = len(x), x.device
    line = torch.linspace(0, 1, CROP, device=d)
    low = uniform(-0.2, 0.9, n, 2, 1, device=d)
    inside = ((line > low) & (line < low + uniform(0.1, 0.45, n, 2, 1, device=d))).float()
    mask = inside[:, 0, None, None, :] * inside[:, 1, None, :, None] * chance(0.12, n, d)
    return x * (1 - mask) + mask * torch.rand(n, 3, 1, 1, device=d)


def crops(pictures, faces, thetas, n):
    """[n,3,112,112], whole numbers 0..255, R G B."""
    pick = torch.randint(0, len(faces), (n,), device=pictures.device)
    padding = ('zeros', 'border', 'reflection')[int(torch.randint(0, 3, ()))]
    x = pictures.view(faces[pick], disturb(thetas[pick]), CROP, STORED_SHARE, padding)
    x = bend(x, 0.05)
    x = mix(x, x.roll(1, 0))
    x = slope_light(relight(x), 0.4)
    sharp = int(n * 0.7)
    order = torch.randperm(n, device=x.device)
    x = torch.cat([x[order[:sharp]], soften(x[order[sharp:]], math.exp(float(uniform(0.1, 1.3, (), device='cpu'))))])
    x = occlude(grey(x, 0.5))
    x = x + torch.randn_like(x) * uniform(0, 1, n, 1, 1, 1, device=x.device) ** 3 * 0.06
    if torch.rand(()) < 0.4:
        x = jpeg_like(x.clamp(0, 1), uniform(0.02, 0.15, n, device=x.device))
    return (x.clamp(0, 1) * 255).round()


STORED_SHARE = 0.62     # of a stored picture's height that a crop covers, roughly: picks the picture's size level


# ---- losses ----

def losses_of(mine, theirs, matching, progress):
    embedding, wanted = F.normalize(mine[0].float().flatten(1)), F.normalize(theirs[0].float())
    angle = 1 - (embedding * wanted).sum(1)
    kinship = F.mse_loss(embedding @ embedding.T, wanted @ wanted.T)
    return dict(angle=4 * angle.mean(), kinship=10 * kinship, maps=0.5 * (1 - progress) * matching(mine[1:], theirs[1:]))


def export(network, path):
    writer = Writer()
    embedding = writer.network(network.eval())[0]
    flat = writer.weight('flat_shape', np.array([0, WIDTH]))
    writer.node('Reshape', [embedding, flat], 'embedding')
    writer.save(path, 'starter_rec', [('input', ['batch', 3, CROP, CROP])], [('embedding', ['batch', WIDTH])])


def main():
    options = add_options(argparse.ArgumentParser(description=__doc__)).parse_args()
    options.batch = options.batch or 768
    device = options.device
    torch.manual_seed(options.seed)
    torch.backends.cudnn.benchmark = True
    pictures = Pictures(options.pictures, device)
    precision = torch.float16 if device != 'cpu' else torch.float32
    ready = lambda name, maps: Teacher(f'{options.teachers}/{name}.onnx', maps).to(device).to(precision).to(memory_format=torch.channels_last)
    faces, thetas = find_faces(pictures, ready('scrfd_2.5g_bnkps', TEACHER_MAPS), precision)
    teacher = ready('mobilefacenet', (EMBEDDING, *TEACHER_FEATURES))
    network, matching = Recogniser().to(device), Matching((48, 96, 96)).to(device)
    mean, std = (torch.tensor(v, device=device)[None, :, None, None] for v in (MEAN, STD))
    layouts = dict(student=torch.contiguous_format, teacher=torch.contiguous_format)
    if device != 'cpu':
        trial = torch.randn(options.batch, 3, CROP, CROP, device=device)

        def try_student(layout):
            with torch.autocast(device, torch.bfloat16):
                network.to(memory_format=layout)(trial.to(memory_format=layout))[0].float().mean().backward()

        def try_teacher(layout):
            with torch.no_grad():
                teacher.to(memory_format=layout)(trial.to(precision).to(memory_format=layout))

        state = {k: v.clone() for k, v in network.state_dict().items()}
        layouts = dict(student=fast_format(try_student), teacher=fast_format(try_teacher))
        network.load_state_dict(state)
    network, teacher = network.to(memory_format=layouts['student']), teacher.to(memory_format=layouts['teacher'])
    run = Run(options, network, extra=[matching], rate=3e-3)

    def step(progress):
        with torch.no_grad():
            x = (crops(pictures, faces, thetas, options.batch) - mean) / std
            wanted = teacher(x.to(precision).to(memory_format=layouts['teacher']))
        with torch.autocast(device, torch.bfloat16, enabled=device != 'cpu'):
            found = network(x.to(memory_format=layouts['student']))
        return losses_of(found, wanted, matching, progress)

    done = run.loop(step)
    export(run.average.network, options.model)
    print('done' if done else f'stopped at step {run.step} of {run.steps}; run again to continue')


if __name__ == '__main__':
    main()
