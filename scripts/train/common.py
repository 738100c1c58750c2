# SPDX-License-Identifier: Apache-2.0
"""What both trainings share: pictures on the device, teachers run from ONNX files, degradations, checkpoints, export."""
import copy
import math
import operator
import os
import pathlib
import time

import cv2
import numpy as np
import onnx
import torch
import torch.nn.functional as F
from onnx import helper, numpy_helper
from torch import fx, nn

STORED = 256        # every picture is kept as a square of this size, its aspect ratio beside it
MIP_LEVELS = 4
UNKNOWN = 10 ** 9               # steps of a schedule whose speed is not measured yet
SPEED_FROM, SPEED_TO = 60, 220  # steps between which it is measured


# ---- pictures ----

class Pictures:
    """The packed pictures as uint8 tensors, also at 1/2, 1/4 and 1/8 size so that small views do not alias."""

    def __init__(self, path, device):
        packed = np.load(path)
        squares, aspects = [], []
        for name in ('utk', 'masks'):
            data, end = packed[f'{name}_bytes'], np.cumsum(packed[f'{name}_sizes'])
            for start, stop in zip(np.concatenate([[0], end[:-1]]), end):
                picture = cv2.imdecode(data[start:stop], cv2.IMREAD_COLOR)
                aspects.append(picture.shape[1] / picture.shape[0])
                square = cv2.resize(picture, (STORED, STORED), interpolation=cv2.INTER_AREA if min(picture.shape[:2]) > STORED
                                    else cv2.INTER_LINEAR)
                squares.append(square[:, :, ::-1].transpose(2, 0, 1))
        self.faces_first = len(packed['utk_sizes'])    # the first ones are the roughly aligned single faces
        level = torch.from_numpy(np.ascontiguousarray(np.stack(squares)))
        self.levels = [level.to(device)]
        for _ in range(MIP_LEVELS - 1):
            self.levels.append(torch.cat([F.avg_pool2d(part.float(), 2).round().byte() for part in self.levels[-1].split(512)]))
        self.aspect = torch.tensor(aspects, device=device, dtype=torch.float32)
        self.count, self.device = len(squares), device

    def view(self, index, theta, size, zoom, padding='border'):
        """index [n]; theta [n,2,3] from output coordinates in [-1,1] to picture coordinates in half picture heights."""
        level = int(min(max(round(math.log2(max(STORED * zoom / size, 1e-3)) - 0.2), 0), MIP_LEVELS - 1))
        theta = theta.clone()
        theta[:, 0] /= self.aspect[index][:, None]
        grid = F.affine_grid(theta, (len(index), 3, size, size), align_corners=False)
        return F.grid_sample(self.levels[level][index].float() / 255, grid, padding_mode=padding, align_corners=False)


def uniform(low, high, *shape, device):
    return low + (high - low) * torch.rand(*shape, device=device)


def chance(probability, n, device):
    """[n,1,1,1] of 0 and 1."""
    return (torch.rand(n, 1, 1, 1, device=device) < probability).float()


def similarity(zoom, angle, dx, dy, mirror):
    """[n,2,3] rotation and zoom about the centre, then a shift; mirror is -1 or 1."""
    c, s = zoom * torch.cos(angle), zoom * torch.sin(angle)
    return torch.stack([torch.stack([c * mirror, -s, dx], 1), torch.stack([s * mirror, c, dy], 1)], 1)


# ---- degradations of [n,3,h,w] in 0..1 ----

def relight(x, strength=1.0):
    n, d = len(x), x.device
    gain = 1 + strength * uniform(-0.35, 0.35, n, 1, 1, 1, device=d) + strength * uniform(-0.12, 0.12, n, 3, 1, 1, device=d)
    bias = strength * uniform(-0.12, 0.12, n, 1, 1, 1, device=d)
    gamma = torch.exp(strength * uniform(-0.45, 0.45, n, 1, 1, 1, device=d))
    return (x.clamp(1e-4, 1) ** gamma * gain + bias).clamp(0, 1)


def slope_light(x, strength):
    """One side of the picture brighter than the other."""
    n, _, h, w = x.shape
    d = x.device
    a, b = uniform(-strength, strength, n, 1, 1, 1, device=d), uniform(-strength, strength, n, 1, 1, 1, device=d)
    ys, xs = torch.linspace(-1, 1, h, device=d)[:, None], torch.linspace(-1, 1, w, device=d)[None]
    return (x * (1 + a * xs + b * ys)).clamp(0, 1)


def grey(x, probability):
    luma = (x * torch.tensor([0.299, 0.587, 0.114], device=x.device)[None, :, None, None]).sum(1, keepdim=True)
    pick = chance(probability, len(x), x.device)
    return x * (1 - pick) + luma * pick


def soften(x, factor):
    """Loses detail: down by factor and up again."""
    h, w = x.shape[2:]
    small = F.interpolate(x, size=(max(4, int(h / factor)), max(4, int(w / factor))), mode='area')
    return F.interpolate(small, size=(h, w), mode='bilinear', align_corners=False)


def _cosines(device):
    k = torch.arange(8, device=device, dtype=torch.float32)
    basis = torch.cos((2 * k[None] + 1) * k[:, None] * math.pi / 16) / 2
    basis[0] /= math.sqrt(2)
    return basis


def jpeg_like(x, coarseness):
    """Quantises 8x8 cosine coefficients as JPEG does; coarseness [n], about 0.02 (fine) to 0.3 (poor); sides are multiples of 8."""
    n, c, h, w = x.shape
    basis = _cosines(x.device)
    blocks = x.reshape(n, c, h // 8, 8, w // 8, 8).permute(0, 1, 2, 4, 3, 5)
    k = torch.arange(8, device=x.device, dtype=torch.float32)
    step = coarseness.reshape(n, 1, 1, 1, 1, 1) * (1 + k[None] + k[:, None]) / 3 + 1e-3
    spectrum = torch.round(basis @ blocks @ basis.T / step) * step
    return (basis.T @ spectrum @ basis).permute(0, 1, 2, 4, 3, 5).reshape(n, c, h, w).clamp(0, 1)


# ---- teachers ----

class Teacher(nn.Module):
    """Runs the part of an ONNX graph that the wanted tensors need; knows only the operators these networks use."""

    def __init__(self, path, wanted):
        super().__init__()
        graph = onnx.load(path).graph
        made_by = {name: node for node in graph.node for name in node.output}
        constants = {i.name: numpy_helper.to_array(i) for i in graph.initializer}
        for node in graph.node:
            if node.op_type == 'Constant':
                constants[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
        self.source, self.wanted, order, seen = graph.input[0].name, wanted, [], set()

        def visit(name):
            node = made_by.get(name)
            if node is None or name in seen or name in constants:
                return
            seen.add(name)
            for source in node.input[:1] if node.op_type == 'Resize' else node.input:
                visit(source)
            order.append(node)

        for name in wanted:
            visit(name)
        self.steps = []
        for node in order:
            attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
            held = []
            for name in node.input[1:]:
                if name in constants and node.op_type in ('Conv', 'Mul'):
                    key = f'w{len(self.steps)}_{len(held)}'
                    self.register_buffer(key, torch.from_numpy(constants[name].copy()))
                    held.append(key)
            self.steps.append((node.op_type, list(node.input), node.output[0], attributes, held))

    def forward(self, x):
        values = {self.source: x}
        for kind, inputs, output, attributes, held in self.steps:
            a, held = values[inputs[0]], [getattr(self, key) for key in held]
            if kind == 'Conv':
                y = F.conv2d(a, *held, stride=attributes['strides'], padding=attributes['pads'][0], groups=attributes['group'])
            elif kind == 'Relu':
                y = F.relu(a)
            elif kind == 'Clip':
                y = a.clamp(0, 6)
            elif kind == 'Add':
                y = a + values[inputs[1]]
            elif kind == 'Mul':
                y = a * held[0]
            elif kind == 'MaxPool':
                y = F.max_pool2d(a, 2)
            elif kind == 'AveragePool':
                y = F.avg_pool2d(a, 2)
            elif kind == 'Resize':
                y = F.interpolate(a, scale_factor=2, mode='nearest')
            elif kind == 'Reshape':
                y = a.flatten(1)
            else:
                raise ValueError(f'the teacher has {kind}, which this runner does not know')
            values[output] = y
        return [values[name] for name in self.wanted]


# ---- students ----

class ConvBN(nn.Module):
    """Convolution, batch normalisation and an activation: None, 'relu' or 'prelu'."""

    def __init__(self, ci, co, kernel=1, stride=1, groups=1, act='relu', padding=None):
        super().__init__()
        self.conv = nn.Conv2d(ci, co, kernel, stride, kernel // 2 if padding is None else padding, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(co, momentum=0.02)
        self.act = {None: None, 'relu': nn.ReLU(inplace=True), 'prelu': nn.PReLU(co) if act == 'prelu' else None}[act]
        nn.init.kaiming_normal_(self.conv.weight, mode='fan_out', nonlinearity='relu')
        if groups > 1:
            nn.init.normal_(self.conv.weight, 0, 1 / kernel)

    def forward(self, x):
        x = self.bn(self.conv(x))
        return self.act(x) if self.act is not None else x


class Average:
    """Exponential moving average of a network: what is exported."""

    def __init__(self, network, decay):
        self.network, self.decay = copy.deepcopy(network).eval(), decay

    @torch.no_grad()
    def update(self, network, step):
        decay = min(self.decay, (1 + step) / (20 + step))
        pairs = [(mine, theirs) for mine, theirs in zip(self.network.state_dict().values(), network.state_dict().values())]
        smooth = [pair for pair in pairs if pair[0].is_floating_point()]
        torch._foreach_mul_([mine for mine, _ in smooth], decay)
        torch._foreach_add_([mine for mine, _ in smooth], [theirs for _, theirs in smooth], alpha=1 - decay)
        for mine, theirs in pairs:
            if not mine.is_floating_point():
                mine.copy_(theirs)


class Run:
    """One training: seeded by (seed, step), cosine rate, checkpoints that a later call continues from. What a script keeps
    beside its network (the detector's earlier scenes) starts anew after a restart."""

    def __init__(self, options, network, extra=(), rate=3e-3, decay=0.02, average=0.999):
        self.options, self.network, self.rate = options, network, rate
        self.modules = [network, *extra]
        parameters = [p for module in self.modules for p in module.parameters()]
        self.optimiser = torch.optim.AdamW([dict(params=[p for p in parameters if p.ndim > 1], weight_decay=decay),
                                            dict(params=[p for p in parameters if p.ndim <= 1], weight_decay=0)], lr=rate)
        self.average = Average(network, average)
        self.step, self.steps, self.began, self.told = 0, options.steps or UNKNOWN, time.time(), time.time()
        self.parameters = parameters
        self.checkpoint = pathlib.Path(options.out) / (pathlib.Path(options.model).stem + '.pt')
        if self.checkpoint.exists():
            state = torch.load(self.checkpoint, map_location=options.device)
            for module, saved in zip(self.modules, state['modules']):
                module.load_state_dict(saved)
            self.average.network.load_state_dict(state['average'])
            self.optimiser.load_state_dict(state['optimiser'])
            self.step, self.steps = state['step'], state['steps']
            print(f'continuing at step {self.step}', flush=True)

    def save(self):
        self.checkpoint.parent.mkdir(parents=True, exist_ok=True)
        part = self.checkpoint.with_suffix('.part')
        torch.save(dict(modules=[m.state_dict() for m in self.modules], average=self.average.network.state_dict(),
                        optimiser=self.optimiser.state_dict(), step=self.step, steps=self.steps), part)
        os.replace(part, self.checkpoint)

    def loop(self, losses_of_step):
        """Calls losses_of_step(progress) -> {name: loss}; True when all steps are done, False when the minutes ran out."""
        sums, last_saved, timed = {}, time.time(), time.time()
        while self.step < self.steps:
            torch.manual_seed(self.options.seed * 1_000_003 + self.step)
            progress = self.step / self.steps
            warm = min(1.0, (self.step + 1) / 200)
            for group in self.optimiser.param_groups:
                group['lr'] = self.rate * warm * (0.5 + 0.5 * math.cos(math.pi * progress) + 1e-3)
            losses = losses_of_step(progress)
            self.optimiser.zero_grad(set_to_none=True)
            sum(losses.values()).backward()
            nn.utils.clip_grad_norm_(self.parameters, 5.0)
            self.optimiser.step()
            self.average.update(self.network, self.step)
            self.step += 1
            for name, loss in losses.items():
                sums[name] = sums.get(name, 0) + loss.detach()
            if self.step == SPEED_FROM:
                float(sum(losses.values()).detach())
                timed = time.time()
            if self.step == SPEED_TO and self.steps == UNKNOWN:
                float(sum(losses.values()).detach())
                self.steps = self.step + int(self.options.fit * 60 * (SPEED_TO - SPEED_FROM) / (time.time() - timed))
                print(f'the schedule has {self.steps} steps', flush=True)
            if self.step % self.options.report == 0:
                now = time.time()
                print(f'step {self.step}/{self.steps} {(now - self.told) * 1e3 / self.options.report:.0f} ms',
                      ' '.join(f'{k} {float(v) / self.options.report:.4f}' for k, v in sums.items()), flush=True)
                self.told, sums = now, {}
                if now - last_saved > 60:
                    self.save()
                    last_saved = now
                if self.options.minutes and (now - self.began) / 60 > self.options.minutes:
                    break
        self.save()
        return self.step >= self.steps


def add_options(parser, with_teachers=True):
    parser.add_argument('pictures', help='what pack.py wrote')
    if with_teachers:
        parser.add_argument('teachers', help='folder of the teacher networks')
    parser.add_argument('out', help='folder of checkpoints')
    parser.add_argument('model', help='the file to write')
    parser.add_argument('--seed', type=int, default=20261121)
    parser.add_argument('--steps', type=int, default=None, help='of the whole schedule; the model card names those that were used')
    parser.add_argument('--fit', type=float, default=7.5, help='without --steps: as many as fit in so many minutes here')
    parser.add_argument('--minutes', type=float, default=0, help='stop (restartable) after so long; 0: when done')
    parser.add_argument('--batch', type=int, default=None)
    parser.add_argument('--report', type=int, default=100)
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    return parser


def fast_format(make_step):
    """The memory format in which a step is faster here: depthwise kernels differ a lot."""
    times = {}
    for layout in (torch.contiguous_format, torch.channels_last):
        for attempt in range(2):
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            began = time.time()
            for _ in range(1 if attempt == 0 else 3):
                make_step(layout)
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            times[layout] = time.time() - began
    best = min(times, key=times.get)
    print('layout', {str(k): round(v, 3) for k, v in times.items()}, flush=True)
    return best


# ---- export ----

class _Leaves(fx.Tracer):
    def is_leaf_module(self, module, name):
        return isinstance(module, ConvBN) or super().is_leaf_module(module, name)


class Writer:
    """Collects ONNX nodes; batch normalisation is folded into its convolution."""

    def __init__(self):
        self.nodes, self.weights = [], []

    def weight(self, name, array):
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def node(self, kind, inputs, output, **attributes):
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def conv(self, name, conv, source, output, scale=None, shift=None):
        weight = conv.weight.detach().double()
        bias = conv.bias.detach().double() if conv.bias is not None else torch.zeros(len(weight), dtype=torch.double, device=weight.device)
        if scale is not None:
            weight, bias = weight * scale[:, None, None, None], bias * scale + shift
        inputs = [source, self.weight(f'{name}.weight', weight.float().cpu().numpy()), self.weight(f'{name}.bias', bias.float().cpu().numpy())]
        return self.node('Conv', inputs, output, kernel_shape=list(conv.kernel_size), strides=list(conv.stride),
                         pads=list(conv.padding) * 2, group=conv.groups)

    def conv_bn(self, name, module, source, output):
        bn = module.bn
        scale = bn.weight.detach().double() / torch.sqrt(bn.running_var.double() + bn.eps)
        shift = bn.bias.detach().double() - bn.running_mean.double() * scale
        plain = f'{output}_linear' if module.act is not None else output
        self.conv(name, module.conv, source, plain, scale, shift)
        if isinstance(module.act, nn.PReLU):
            slope = self.weight(f'{name}.slope', module.act.weight.detach().float().cpu().numpy()[:, None, None])
            self.node('PRelu', [plain, slope], output)
        elif module.act is not None:
            self.node('Relu', [plain], output)
        return output

    def network(self, network):
        """Traces forward; returns the names of what it returns."""
        names, modules = {}, dict(network.named_modules())
        for node in _Leaves().trace(network).nodes:
            sources = [names[a] for a in node.args if isinstance(a, fx.Node)]
            if node.op == 'placeholder':
                names[node] = 'input'
            elif node.op == 'output':
                return [names[n] for n in node.args[0]] if isinstance(node.args[0], (list, tuple)) else [names[node.args[0]]]
            elif node.op == 'call_function' and node.target is operator.add:
                names[node] = self.node('Add', sources, node.name)
            elif node.op == 'call_module':
                module = modules[node.target]
                if isinstance(module, ConvBN):
                    names[node] = self.conv_bn(node.target, module, sources[0], node.name)
                elif isinstance(module, nn.Conv2d):
                    names[node] = self.conv(node.target, module, sources[0], node.name)
                elif isinstance(module, nn.ReLU):
                    names[node] = self.node('Relu', sources, node.name)
                elif isinstance(module, nn.Upsample):
                    scales = self.weight(f'{node.name}.scales', np.array([1, 1, 2, 2], np.float32))
                    names[node] = self.node('Resize', [sources[0], '', scales], node.name, mode='nearest',
                                            coordinate_transformation_mode='asymmetric', nearest_mode='floor')
                else:
                    raise ValueError(f'no export for {type(module).__name__}')
            else:
                raise ValueError(f'no export for {node.op} {node.target}')
        raise ValueError('the traced network returns nothing')

    def save(self, path, title, inputs, outputs):
        info = lambda name, shape: helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
        graph = helper.make_graph(self.nodes, title, [info(*i) for i in inputs], [info(*o) for o in outputs], self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13)], ir_version=7, producer_name='vultus scripts/train')
        onnx.checker.check_model(model)
        pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
        onnx.save(model, path)
        print(f'{path}: {os.path.getsize(path)} bytes', flush=True)
