#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Trains starter_det: detector.py PICTURES.npz TEACHERS_FOLDER OUT_FOLDER MODEL.onnx [--seed N] [--steps N] [--minutes M]

The student (random weights) learns the dense maps of scrfd_2.5g_bnkps over scenes that are composed on the device:
mosaics of 1 to 30 pictures a side, more faces laid over them, textures, black borders, blur, grey, JPEG artefacts.
"""
import argparse
import math

import torch
import torch.nn.functional as F
from torch import nn

from common import (ConvBN, Pictures, Run, Teacher, Writer, add_options, chance, fast_format, grey, jpeg_like, relight, similarity,
                    slope_light, soften, uniform)

STRIDES = (8, 16, 32)
SCENE = 512
GROUP = 8             # scenes of one grid size
TEACHER_MAPS = ('439', '441', '442', '459', '461', '462', '479', '481', '482')    # class, box, landmark maps per stride
SURE = 0.3            # where the teacher's score exceeds this, its box and landmarks are learned too


# ---- the network ----

class Separable(nn.Module):
    def __init__(self, ci, co, stride=1):
        super().__init__()
        self.depth = ConvBN(ci, ci, 3, stride, groups=ci)
        self.point = ConvBN(ci, co)

    def forward(self, x):
        return self.point(self.depth(x))


class Residual(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.depth = ConvBN(width, width, 3, groups=width)
        self.point = ConvBN(width, width, act=None)
        self.act = nn.ReLU()
        nn.init.zeros_(self.point.bn.weight)    # begins as the identity, so that a trained network can be deepened

    def forward(self, x):
        return self.act(self.point(self.depth(x)) + x)


class Head(nn.Module):
    def __init__(self, width, deeper):
        super().__init__()
        self.tower = Separable(width, width)
        self.deeper = deeper
        if deeper:
            self.more = Residual(width)
        self.score, self.box, self.points = nn.Conv2d(width, 2, 1), nn.Conv2d(width, 8, 1), nn.Conv2d(width, 20, 1)
        nn.init.normal_(self.score.weight, 0, 0.01)
        nn.init.constant_(self.score.bias, -4.5)
        nn.init.normal_(self.box.weight, 0, 0.01)
        nn.init.constant_(self.box.bias, 2.0)
        nn.init.normal_(self.points.weight, 0, 0.01)
        nn.init.zeros_(self.points.bias)

    def forward(self, x):
        x = self.tower(x)
        if self.deeper:
            x = self.more(x)
        return self.score(x), self.box(x), self.points(x)


class Detector(nn.Module):
    """[b,3,h,w] -> class logits [b,2,..], boxes [b,8,..], landmarks [b,20,..] for strides 8, 16, 32 (in strides, from cell corners)."""

    def __init__(self, neck=64):
        super().__init__()
        self.stem = nn.Sequential(ConvBN(3, 16, 3, 2), Separable(16, 32, 2))
        self.to8 = nn.Sequential(Separable(32, 64, 2), Residual(64), Residual(64))
        self.to16 = nn.Sequential(Separable(64, 96, 2), Residual(96), Residual(96), Residual(96))
        self.to32 = nn.Sequential(Separable(96, 128, 2), Residual(128), Residual(128))
        self.lateral16, self.lateral32 = ConvBN(96, neck, act=None), ConvBN(128, neck, act=None)
        self.up16, self.up8 = nn.Upsample(scale_factor=2), nn.Upsample(scale_factor=2)
        self.down16, self.down32 = Separable(neck, neck, 2), Separable(neck, neck, 2)
        self.head8, self.head16, self.head32 = Head(neck, False), Head(neck, True), Head(neck, True)

    def forward(self, x):
        c8 = self.to8(self.stem(x))
        c16 = self.to16(c8)
        p32 = self.lateral32(self.to32(c16))
        p16 = self.lateral16(c16) + self.up16(p32)
        p8 = c8 + self.up8(p16)
        p16 = p16 + self.down16(p8)
        p32 = p32 + self.down32(p16)
        a, b, c = self.head8(p8), self.head16(p16), self.head32(p32)
        return [a[0], b[0], c[0], a[1], b[1], c[1], a[2], b[2], c[2]]


# ---- scenes ----

def mosaic(pictures, scenes, grid, single_faces, zoom, shift=None):
    """[scenes,3,SCENE,SCENE] of grid x grid random views, and where in its tile every pixel lies ([-1,1], x and y)."""
    d, n, size = pictures.device, scenes * grid * grid, math.ceil(SCENE / grid)
    index = torch.randint(0, pictures.faces_first if single_faces else pictures.count, (n,), device=d)
    z = zoom * torch.exp(uniform(-0.35, 0.45, n, device=d))
    shift = shift or (0.35 if grid > 1 else 0.6)
    theta = similarity(z, uniform(-0.35, 0.35, n, device=d), uniform(-shift, shift, n, device=d), uniform(-shift, shift, n, device=d),
                       torch.randint(0, 2, (n,), device=d) * 2.0 - 1)
    tiles = relight(pictures.view(index, theta, size, zoom, 'border' if torch.rand(()) < 0.7 else 'zeros'), 0.5)
    full = tiles.reshape(scenes, grid, grid, 3, size, size).permute(0, 3, 1, 4, 2, 5).reshape(scenes, 3, grid * size, grid * size)
    line = torch.linspace(-1, 1, size, device=d).repeat(grid)[:SCENE]
    return full[:, :, :SCENE, :SCENE], line


def lay_over(pictures, scene, grid, keep):
    """Lays ovals and rectangles of faces over a scene, at a random offset of the grid."""
    scenes, d = len(scene), scene.device
    oval = torch.rand(()) < 0.75
    over, line = mosaic(pictures, scenes, grid, bool(oval), 1.0)
    size = math.ceil(SCENE / grid)
    kept = (torch.rand(scenes, 1, grid, grid, device=d) < keep).float()
    kept = kept.repeat_interleave(size, 2).repeat_interleave(size, 3)[:, :, :SCENE, :SCENE]
    if oval:
        wide, high = float(uniform(0.6, 0.85, (), device='cpu')), float(uniform(0.75, 0.98, (), device='cpu'))
        radius = (line[None] / wide) ** 2 + (line[:, None] / high) ** 2
        edge = float(uniform(2, 14, (), device='cpu'))
        alpha = torch.sigmoid((1 - radius) * edge)
    else:
        inside = (line.abs() < float(uniform(0.6, 1.01, (), device='cpu'))).float()
        alpha = inside[None] * inside[:, None]
    alpha = alpha[None, None] * kept
    dx, dy = (int(v) for v in torch.randint(0, SCENE, (2,)))
    over, alpha = over.roll((dy, dx), (2, 3)), alpha.roll((dy, dx), (2, 3))
    return scene * (1 - alpha) + over * alpha


def figures(pictures, scene, grid, keep):
    """Lays heads with hair over painted shoulders, row by row, as in a crowd."""
    scenes, d, size = len(scene), scene.device, math.ceil(SCENE / grid)
    zoom = float(uniform(1.3, 1.9, (), device='cpu'))
    over, line = mosaic(pictures, scenes, grid, True, zoom, shift=0.1)
    spread = lambda cells: cells.repeat_interleave(size, 2).repeat_interleave(size, 3)[:, :, :SCENE, :SCENE]
    kept = spread((torch.rand(scenes, 1, grid, grid, device=d) < keep).float())
    cloth = spread(torch.rand(scenes, 3, grid, grid, device=d)) * (0.7 + 0.3 * texture(scenes, d))
    x, y = line[None], line[:, None]
    edge = float(uniform(3, 20, (), device='cpu'))
    wide, high = float(uniform(0.75, 0.95, (), device='cpu')) / zoom, float(uniform(0.9, 1.05, (), device='cpu')) / zoom
    head = torch.sigmoid((1 - (x / wide) ** 2 - (y / high) ** 2) * edge)[None, None] * kept
    body = torch.sigmoid((1 - (x / 0.9) ** 2 - ((y - 1.15) / 0.6) ** 2) * edge)[None, None] * kept
    for layer, alpha in ((cloth, body), (over, head)):
        scene = scene * (1 - alpha) + layer * alpha
    return scene


def texture(scenes, device):
    """Noise of several scales, edges sharpened now and then: what has no face."""
    out = torch.zeros(scenes, 3, SCENE, SCENE, device=device)
    for cells in (2, 5, 12, 30, 80, 200):
        weight = uniform(0, 1, scenes, 1, 1, 1, device=device) ** 3
        mode = 'nearest' if torch.rand(()) < 0.3 else 'bilinear'
        noise = torch.rand(scenes, 3, cells, cells, device=device) - 0.5
        out = out + weight * F.interpolate(noise, size=(SCENE, SCENE), mode=mode)
    return (out + uniform(0.1, 0.9, scenes, 3, 1, 1, device=device)).clamp(0, 1)


def random_grid(low=1.0, high=30.0):
    """Log-uniform: as many scenes with one face as with hundreds."""
    return max(1, int(math.exp(float(uniform(math.log(low), math.log(high), (), device='cpu')))))


def backdrop(pictures, scenes):
    pick = float(torch.rand(()))
    if pick < 0.5:
        return mosaic(pictures, scenes, random_grid(), torch.rand(()) < 0.3, 1.0)[0]
    if pick < 0.7:
        return mosaic(pictures, scenes, random_grid(1, 4), False, 0.22)[0]    # skin, cloth and hair from close by
    if pick < 0.9:
        return texture(scenes, pictures.device)
    return uniform(0, 1, scenes, 3, 1, 1, device=pictures.device).expand(scenes, 3, SCENE, SCENE) * float(torch.rand(()) < 0.5)


def warp(scene):
    """Turns, stretches and shrinks a scene; what lies outside is black, like a letterbox."""
    n, d = len(scene), scene.device
    angle = uniform(-0.3, 0.3, n, device=d) * (torch.rand(n, device=d) < 0.5)
    zoom = torch.exp(uniform(-0.5, 0.3, n, device=d))
    theta = similarity(zoom, angle, uniform(-0.3, 0.3, n, device=d), uniform(-0.3, 0.3, n, device=d), torch.ones(n, device=d))
    theta[:, 0] *= torch.exp(uniform(-0.2, 0.2, n, 1, device=d))
    padding = 'zeros' if torch.rand(()) < 0.5 else 'reflection'
    return F.grid_sample(scene, F.affine_grid(theta, scene.shape, align_corners=False), padding_mode=padding, align_corners=False)


def blank(scene):
    """A rectangle of a scene stays, the rest turns black, as around a small picture."""
    n, d = len(scene), scene.device
    line = torch.linspace(0, 1, SCENE, device=d)
    low, high = uniform(0, 0.4, n, 2, 1, device=d), uniform(0.6, 1.0, n, 2, 1, device=d)
    inside = ((line > low) & (line < high)).float()
    mask = inside[:, 0, None, None, :] * inside[:, 1, None, :, None]
    pick = chance(0.15, n, d)
    return scene * (1 - pick) + scene * mask * pick


def compose(pictures, scenes):
    scene = backdrop(pictures, scenes)
    for probability in (0.75, 0.45):
        if torch.rand(()) < probability:
            lay = figures if torch.rand(()) < 0.5 else lay_over
            scene = lay(pictures, scene, random_grid(), float(uniform(0.2, 1.0, (), device='cpu')))
    if torch.rand(()) < 0.7:
        scene = warp(scene)
    scene = blank(slope_light(relight(scene, 0.7), 0.2))
    if torch.rand(()) < 0.25:
        scene = soften(scene, math.exp(float(uniform(0.1, 1.1, (), device='cpu'))))
    scene = grey(scene, 0.25)
    scene = scene + torch.randn_like(scene) * uniform(0, 1, len(scene), 1, 1, 1, device=scene.device) ** 3 * 0.06
    if torch.rand(()) < 0.6:
        scene = jpeg_like(scene.clamp(0, 1), uniform(0.02, 0.22, len(scene), device=scene.device))
    return (scene.clamp(0, 1) * 255).round()


# ---- losses ----

def boxes_of(distances):
    """Corners in strides relative to the cell from [n,4] distances."""
    return torch.stack([-distances[:, 0], -distances[:, 1], distances[:, 2], distances[:, 3]], 1)


def giou(a, b):
    low, high = torch.maximum(a[:, :2], b[:, :2]), torch.minimum(a[:, 2:], b[:, 2:])
    inner = (high - low).clamp(min=0).prod(1)
    area_a, area_b = (a[:, 2:] - a[:, :2]).clamp(min=0).prod(1), (b[:, 2:] - b[:, :2]).clamp(min=0).prod(1)
    union = area_a + area_b - inner + 1e-6
    hull = (torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])).clamp(min=0).prod(1) + 1e-6
    return inner / union - (hull - union) / hull


def losses_of(student, teacher):
    score_loss = box_loss = point_loss = mass = weight_sum = 0
    for level in range(len(STRIDES)):
        logits, target = student[level].float(), torch.sigmoid(teacher[3 * level].float())
        found = torch.sigmoid(logits)
        missed = ((target > SURE) & (found < target)).float()
        gap = (found - target).abs() ** 2 * (1 + missed)
        score_loss = score_loss + (gap * F.binary_cross_entropy_with_logits(logits, target, reduction='none')).sum()
        mass = mass + target.sum()

        b, _, h, w = logits.shape
        flat = lambda maps, k: maps.float().reshape(b, 2, k, h, w).permute(0, 1, 3, 4, 2).reshape(-1, k)
        at = (target.reshape(-1) > SURE).nonzero()[:, 0]
        weight = target.reshape(-1)[at]
        true_box, box = boxes_of(flat(teacher[3 * level + 1], 4)[at]), boxes_of(flat(student[3 + level], 4)[at])
        side = ((true_box[:, 2:] - true_box[:, :2]).mean(1, keepdim=True)).clamp(min=0.5)
        box_loss = box_loss + (weight * (1 - giou(box, true_box) + 2 * F.smooth_l1_loss(box / side, true_box / side, reduction='none',
                                                                                       beta=0.05).mean(1))).sum()
        gap = (flat(student[6 + level], 10)[at] - flat(teacher[3 * level + 2], 10)[at]) / side
        point_loss = point_loss + (weight * F.smooth_l1_loss(gap, torch.zeros_like(gap), reduction='none', beta=0.02).mean(1)).sum()
        weight_sum = weight_sum + weight.sum()
    return dict(score=4 * score_loss / mass.clamp(min=1), box=box_loss / weight_sum.clamp(min=1), points=12 * point_loss / weight_sum.clamp(min=1))


def export(network, path):
    writer = Writer()
    maps = writer.network(network.eval())
    outputs = []
    for kind, name, width in ((0, 'score', 1), (1, 'bbox', 4), (2, 'kps', 10)):
        shape = writer.weight(f'{name}_shape', torch.tensor([0, -1, width]).numpy())
        for level, stride in enumerate(STRIDES):
            output = f'{name}_{stride}'
            rows = writer.node('Transpose', [maps[3 * kind + level]], f'{output}_hwc', perm=[0, 2, 3, 1])
            if kind == 0:
                writer.node('Sigmoid', [writer.node('Reshape', [rows, shape], f'{output}_logit')], output)
            else:
                writer.node('Reshape', [rows, shape], output)
            outputs.append((output, ['batch', f'anchors_{stride}', width]))
    writer.save(path, 'starter_det', [('input', ['batch', 3, 'height', 'width'])], outputs)


def main():
    parser = add_options(argparse.ArgumentParser(description=__doc__))
    parser.add_argument('--start', help='checkpoint of an earlier stage whose weights to begin with')
    options = parser.parse_args()
    groups = max(1, (options.batch or 48) // GROUP)
    device = options.device
    torch.manual_seed(options.seed)
    torch.backends.cudnn.benchmark = True
    pictures = Pictures(options.pictures, device)
    teacher = Teacher(f'{options.teachers}/scrfd_2.5g_bnkps.onnx', TEACHER_MAPS).to(device).half().to(memory_format=torch.channels_last)
    if device == 'cpu':
        teacher = teacher.float()
    precision = torch.float16 if device != 'cpu' else torch.float32
    network = Detector().to(device)
    if options.start:
        odd = network.load_state_dict(torch.load(options.start, map_location=device)['average'], strict=False)
        print(f'{len(odd.missing_keys)} tensors begin anew', flush=True)
    layout = torch.contiguous_format

    def try_layout(layout):
        with torch.autocast(device, torch.bfloat16):
            trial = network.to(memory_format=layout)(torch.rand(GROUP * groups, 3, SCENE, SCENE, device=device).to(memory_format=layout))
        sum(t.float().mean() for t in trial).backward()

    if device != 'cpu':
        state = {k: v.clone() for k, v in network.state_dict().items()}
        layout = fast_format(try_layout)
        network.load_state_dict(state)
        network = network.to(memory_format=layout)
    run = Run(options, network, rate=4e-3)

    def step(_):
        with torch.no_grad():
            scene = torch.cat([compose(pictures, GROUP) for _ in range(groups)])
            scene = (scene - 127.5) / 128
            wanted = teacher(scene.to(precision).to(memory_format=torch.channels_last))
        with torch.autocast(device, torch.bfloat16, enabled=device != 'cpu'):
            found = network(scene.to(memory_format=layout))
        return losses_of(found, wanted)

    done = run.loop(step)
    export(run.average.network, options.model)
    print('done' if done else f'stopped at step {run.step} of {run.steps}; run again to continue')


if __name__ == '__main__':
    main()
