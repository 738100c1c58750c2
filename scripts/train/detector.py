#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Trains starter_det: detector.py PICTURES.npz TEACHERS_FOLDER OUT_FOLDER MODEL.onnx [--seed N] [--steps N] [--minutes M]

The student (random weights) learns the dense maps of scrfd_2.5g_bnkps over scenes that are composed on the device:
mosaics of 1 to 30 pictures a side, more faces laid over them, textures, black borders, blur, grey, JPEG artefacts.
"""
import argparse
import copy
import math

import torch
import torch.nn.functional as F
from torch import nn

from common import (ConvBN, Pictures, Run, Teacher, Writer, add_options, chance, grey, jpeg_like, relight, similarity, slope_light,
                    soften, uniform)

STRIDES = (8, 16, 32)
SCENE = 512
GROUP = 16            # scenes of one grid size
KEPT = 64             # groups that are shown a second time, changed
TEACHER_MAPS = ('439', '441', '442', '459', '461', '462', '479', '481', '482')    # class, box, landmark maps per stride
TEACHER_HINTS = ('424', '431', '432', '438', '458', '478')      # what its heads see, and what they make of it
HINT_WIDTHS = (24, 24, 24, 64, 64, 64)
NECK = (48, 48, 96)   # the student's widths there
SURE = 0.3            # where the teacher's score exceeds this, its box and landmarks are learned too
LEAST_MASS = 30       # a level with less teacher score than this in a batch counts for less


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
        nn.init.constant_(self.point.bn.weight, 0.3)    # begins near the identity

    def forward(self, x):
        return self.act(self.point(self.depth(x)) + x)


class Head(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.tower = nn.Sequential(Separable(width, width), Residual(width))
        self.score, self.box, self.points = nn.Conv2d(width, 2, 1), nn.Conv2d(width, 8, 1), nn.Conv2d(width, 20, 1)
        nn.init.normal_(self.score.weight, 0, 0.01)
        nn.init.constant_(self.score.bias, -4.5)
        nn.init.normal_(self.box.weight, 0, 0.01)
        nn.init.constant_(self.box.bias, 2.0)
        nn.init.normal_(self.points.weight, 0, 0.01)
        nn.init.zeros_(self.points.bias)

    def forward(self, x):
        x = self.tower(x)
        return self.score(x), self.box(x), self.points(x), x


class Detector(nn.Module):
    """[b,3,h,w] -> class logits [b,2,..], boxes [b,8,..], landmarks [b,20,..] for strides 8, 16, 32 (in strides, from cell
    corners), then what the heads saw and what they made of it, for the training alone."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(ConvBN(3, 16, 3, 2), Separable(16, 24, 2), Residual(24))
        self.to8 = nn.Sequential(Separable(24, 48, 2), Residual(48), Residual(48))
        self.to16 = nn.Sequential(Separable(48, 96, 2), Residual(96), Residual(96))
        self.to32 = nn.Sequential(Separable(96, 128, 2), Residual(128), Residual(128))
        self.lateral16, self.lateral32, self.top_down = (ConvBN(ci, co, act=None) for ci, co in ((96, 48), (128, 96), (128, 48)))
        self.up16, self.up8 = nn.Upsample(scale_factor=2), nn.Upsample(scale_factor=2)
        self.down16, self.down32 = Separable(48, 48, 2), Separable(48, 96, 2)
        self.head8, self.head16, self.head32 = (Head(width) for width in NECK)

    def forward(self, x):
        c8 = self.to8(self.stem(x))
        c16 = self.to16(c8)
        c32 = self.to32(c16)
        p16 = self.lateral16(c16) + self.up16(self.top_down(c32))
        p8 = c8 + self.up8(p16)
        p16 = p16 + self.down16(p8)
        p32 = self.lateral32(c32) + self.down32(p16)
        a, b, c = self.head8(p8), self.head16(p16), self.head32(p32)
        return [a[0], b[0], c[0], a[1], b[1], c[1], a[2], b[2], c[2], p8, p16, p32, a[3], b[3], c[3]]


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


class Scenes:
    """Half of every batch is new, half are earlier scenes seen again in other light, turned, mirrored and moved: composing
    costs more than learning."""

    def __init__(self, pictures):
        self.pictures, self.kept = pictures, []

    def new(self):
        scene = compose(self.pictures, GROUP)
        if len(self.kept) == KEPT:
            self.kept[int(torch.randint(0, KEPT, ()))] = scene.byte()
        else:
            self.kept.append(scene.byte())
        return scene

    def again(self):
        scene = self.kept[int(torch.randint(0, len(self.kept), ()))].float() / 255
        scene = relight(warp(scene if torch.rand(()) < 0.5 else scene.flip(3)), 0.5)
        scene = scene + torch.randn_like(scene) * uniform(0, 1, len(scene), 1, 1, 1, device=scene.device) ** 3 * 0.04
        return (scene.clamp(0, 1) * 255).round()

    def batch(self, groups):
        """[groups * GROUP,3,SCENE,SCENE], whole numbers 0..255, R G B."""
        fresh = [self.new() for _ in range(groups - groups // 2)]
        return torch.cat(fresh + [self.again() for _ in range(groups // 2)])


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


def level_losses(logits, boxes, points, teacher):
    """Score, box and landmark losses of one stride, each divided by what the teacher found there, so that the many small
    faces of a crowd do not outvote the few large ones."""
    target = torch.sigmoid(teacher[0].float())
    found = torch.sigmoid(logits)
    missed = ((target > SURE) & (found < target)).float()
    gap = (found - target).abs() ** 2 * (1 + 1.5 * missed)
    score = (gap * F.binary_cross_entropy_with_logits(logits, target, reduction='none')).sum() / target.sum().clamp(min=LEAST_MASS)

    b, _, h, w = logits.shape
    sure = (target.reshape(-1) > SURE).float()
    weight = target.reshape(-1) * sure
    flat = lambda maps, k: maps.float().reshape(b, 2, k, h, w).permute(0, 1, 3, 4, 2).reshape(-1, k)
    true_box, box = boxes_of(flat(teacher[1], 4)), boxes_of(flat(boxes, 4))
    side = ((true_box[:, 2:] - true_box[:, :2]).mean(1, keepdim=True)).clamp(min=0.5)
    off = 1 - giou(box, true_box) + 2 * F.smooth_l1_loss(box / side, true_box / side, reduction='none', beta=0.05).mean(1)
    gap = (flat(points, 10) - flat(teacher[2], 10)) / side
    away = F.smooth_l1_loss(gap, torch.zeros_like(gap), reduction='none', beta=0.01).mean(1)
    weights = weight.sum().clamp(min=LEAST_MASS)
    return score, (weight * off).sum() / weights, (weight * away).sum() / weights


def losses_of(student, teacher):
    levels = [level_losses(*(student[kind * 3 + level].float() for kind in range(3)), teacher[3 * level:3 * level + 3])
              for level in range(len(STRIDES))]
    score, box, points = (sum(parts) / len(STRIDES) for parts in zip(*levels))
    return dict(score=10 * score, box=box, points=20 * points)


class Hints(nn.Module):
    """Projects what the student's heads see and make to what the teacher's do, every channel at unit variance."""

    def __init__(self):
        super().__init__()
        self.projections = nn.ModuleList(nn.Conv2d(ci, co, 1) for ci, co in zip(NECK * 2, HINT_WIDTHS))
        self.scales = nn.ModuleList(nn.BatchNorm2d(co, affine=False) for co in HINT_WIDTHS)

    def forward(self, mine, theirs):
        return sum(F.mse_loss(p(m), s(t.float()).to(m.dtype)) for p, s, m, t in zip(self.projections, self.scales, mine, theirs)) / 6


@torch.no_grad()
def calibrate(network, look, batches):
    """Shifts the scores of each stride so that as many cells pass 0.5 as the teacher's: a student that is unsure says less
    than half where the teacher says more, and users compare with one threshold. Uses fresh scenes."""
    mine, theirs = [[] for _ in STRIDES], [0] * len(STRIDES)
    for _ in range(batches):
        scene, wanted = look()
        maps = network(scene)
        for level in range(len(STRIDES)):
            top = maps[level].float().flatten().topk(min(maps[level].numel(), 40000)).values
            mine[level].append(top)
            theirs[level] += int((wanted[3 * level] > 0).sum())
    for level, head in enumerate((network.head8, network.head16, network.head32)):
        values = torch.cat(mine[level]).sort(descending=True).values
        shift = -float(values[min(theirs[level], len(values) - 1)])
        head.score.bias += shift
        print(f'stride {STRIDES[level]}: scores shifted by {shift:.3f}', flush=True)


def export(network, path):
    writer = Writer()
    maps = writer.network(network.eval())[:9]
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
    options = add_options(argparse.ArgumentParser(description=__doc__)).parse_args()
    groups = max(1, (options.batch or 64) // GROUP)
    device, on_gpu = options.device, options.device != 'cpu'
    torch.manual_seed(options.seed)
    torch.backends.cudnn.benchmark = True
    pictures = Pictures(options.pictures, device)
    precision = torch.float16 if on_gpu else torch.float32
    teacher = Teacher(f'{options.teachers}/scrfd_2.5g_bnkps.onnx', TEACHER_MAPS + TEACHER_HINTS)
    teacher = teacher.to(device).to(precision).to(memory_format=torch.channels_last)
    network, hints = Detector().to(device).to(memory_format=torch.channels_last), Hints().to(device)
    run = Run(options, network, extra=[hints], rate=4e-3)
    scenes = Scenes(pictures)

    @torch.no_grad()
    def look():
        scene = ((scenes.batch(groups) - 127.5) / 128).contiguous(memory_format=torch.channels_last)
        return scene, teacher(scene.to(precision))

    def step(progress):
        scene, wanted = look()
        with torch.autocast(device, torch.bfloat16, enabled=on_gpu):
            found = network(scene)
            hint = hints(found[9:], wanted[9:])
        return dict(losses_of(found[:9], wanted[:9]), hints=0.5 * (1 - progress) * hint)

    done = run.loop(step)
    final = copy.deepcopy(run.average.network)
    calibrate(final, look, 40 if on_gpu else 1)
    export(final, options.model)
    print('done' if done else f'stopped at step {run.step} of {run.steps}; run again to continue')


if __name__ == '__main__':
    main()
