# SPDX-License-Identifier: Apache-2.0
"""Small networks as exporters write face networks: the operators, forms and quirks, with made-up weights.

Each function of EXPORTS returns Export(model, inputs, reference): `reference` is the same network as onnxruntime accepts
it, where it refuses what the exporter wrote.
"""
import dataclasses

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


@dataclasses.dataclass
class Export:
    model: onnx.ModelProto
    inputs: dict
    reference: onnx.ModelProto = None
    tolerance: float = 1e-4  # of the largest value of an output


class Net:
    """A graph under construction; values are named as the exporter would."""

    def __init__(self, seed, style='{}'):
        self.random, self.style = np.random.default_rng(seed), style
        self.nodes, self.weights, self.outputs = [], [], []

    def name(self):
        return self.style.format(len(self.nodes))

    def __call__(self, op, *inputs, n=1, **attributes):
        names = [f'{self.name()}{"_" + str(i) if i else ""}' for i in range(n)]
        self.nodes.append(helper.make_node(op, list(inputs), names, name=f'{op}_{len(self.nodes)}', **attributes))
        return names[0] if n == 1 else names

    def weight(self, *shape, scale=0.4, shift=0.0, name=None):
        values = (self.random.normal(0, scale, shape) + shift).astype(np.float32)
        return self.constant(values, name)

    def constant(self, values, name=None):
        name = name or self.style.format(f'w{len(self.weights)}')
        self.weights.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def ints(self, *values):
        return self.constant(np.array(values, np.int64))

    def inline(self, values):
        """A Constant node, as older exporters write all their constants."""
        return self('Constant', value=numpy_helper.from_array(np.asarray(values)))

    def conv(self, x, inputs, outputs, kernel=3, stride=1, bias=True, group=1):
        weights = [self.weight(outputs, inputs // group, kernel, kernel)] + ([self.weight(outputs)] if bias else [])
        return self('Conv', x, *weights, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[kernel // 2] * 4,
                    dilations=[1, 1], group=group)

    def batch_norm(self, x, channels, **attributes):
        gamma = self.weight(channels, scale=0.1, shift=1)
        return self('BatchNormalization', x, gamma, self.weight(channels), self.weight(channels),
                    self.weight(channels, scale=0.05, shift=1), **attributes)

    def model(self, opset, inputs, outputs, ir=7, weights_are_inputs=False):
        declared = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()]
        if weights_are_inputs:
            declared += [helper.make_tensor_value_info(w.name, w.data_type, w.dims) for w in self.weights]
        results = [onnx.ValueInfoProto(name=name) for name in outputs]
        graph = helper.make_graph(self.nodes, 'net', declared, results, self.weights)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid('', opset)], ir_version=ir)


def picture(*shape, seed=7):
    return np.random.default_rng(seed).normal(0, 1, shape).astype(np.float32)


def group_norm_torch1(net, x, channels, groups):
    """How TorchScript writes GroupNorm before opset 21."""
    split = net('Reshape', x, net.inline(np.array([0, groups, -1], np.int64)))
    normal = net('InstanceNormalization', split, net.inline(np.ones(groups, np.float32)),
                 net.inline(np.zeros(groups, np.float32)), epsilon=1e-5)
    whole = net('Reshape', normal, net('Shape', x))
    scaled = net('Mul', whole, net.weight(channels, 1, 1, shift=1))
    return net('Add', scaled, net.weight(channels, 1, 1))


def resize_like_torch1(net, x, like):
    """F.interpolate(x, size=like.shape[2:]): sizes from Shape, Slice, Cast and Concat, with empty roi and scales."""
    target = net('Slice', net('Shape', like), net.ints(2), net.ints(4), net.ints(0))
    own = net('Slice', net('Shape', x), net.ints(0), net.ints(2), net.ints(0))
    sizes = net('Concat', own, net('Cast', target, to=TensorProto.INT64), axis=0)
    empty = net.constant(np.zeros(0, np.float32))
    return net('Resize', x, empty, empty, sizes, mode='nearest', coordinate_transformation_mode='asymmetric',
               nearest_mode='floor', cubic_coeff_a=-0.75)


def upsample_by_scale_torch1(net, x):
    """F.interpolate(x, scale_factor=2) in a traced model: Gather, Cast, Mul, Cast, Floor, Unsqueeze, Concat."""
    edges = []
    for axis in (2, 3):
        size = net('Gather', net('Shape', x), net.inline(np.array(axis)), axis=0)
        grown = net('Mul', net('Cast', size, to=TensorProto.FLOAT), net.inline(np.array(2, np.float32)))
        edges.append(net('Unsqueeze', net('Floor', net('Cast', grown, to=TensorProto.FLOAT)), axes=[0]))
    edges = net('Cast', net('Concat', *edges, axis=0), to=TensorProto.INT64)
    own = net('Slice', net('Shape', x), net.inline(np.array([0])), net.inline(np.array([2])), net.inline(np.array([0])))
    empty = net.inline(np.zeros(0, np.float32))
    return net('Resize', x, empty, empty, net('Concat', own, edges, axis=0), mode='nearest',
               coordinate_transformation_mode='asymmetric', nearest_mode='floor')


def scrfd_torch1():
    """SCRFD with GroupNorm, PyTorch 1.x, opset 11: pyramid, shared heads with learnt scales, rows without batch axis."""
    net = Net(1, '{}')
    c1 = net('Relu', group_norm_torch1(net, net.conv('input.1', 3, 16, stride=2, bias=False), 16, 4))
    c2 = net('Relu', group_norm_torch1(net, net.conv(c1, 16, 16, stride=2, bias=False), 16, 4))
    c3 = net('Relu', net.batch_norm(net.conv(c2, 16, 16, stride=2, bias=False), 16, epsilon=1e-5, momentum=0.9))
    p2 = net('Add', c2, resize_like_torch1(net, c3, c2))
    p1 = net('Add', c1, upsample_by_scale_torch1(net, p2))
    pooled = net('MaxPool', p1, kernel_shape=[2, 2], strides=[2, 2], pads=[0] * 4, ceil_mode=0)
    outputs = []
    for level in (net('Add', pooled, p2), c3):
        for size, sigmoid in ((2, True), (8, False), (20, False)):
            head = net.conv(level, 16, size)
            if size == 8:
                head = net('Mul', head, net.constant(np.array(1.3, np.float32)))
            rows = net('Reshape', net('Transpose', head, perm=[2, 3, 0, 1]), net.inline(np.array([-1, size // 2])))
            outputs.append(net('Sigmoid', rows) if sigmoid else rows)
    model = net.model(11, {'input.1': [1, 3, '?', '?']}, outputs, ir=6)
    return Export(model, {'input.1': picture(1, 3, 64, 64)})


def arcface_torch1():
    """iresnet with PReLU, PyTorch 1.x, opset 11 to 13: BatchNorm first, slopes [C,1,1], Flatten, Gemm, BatchNorm of [N,C]."""
    net = Net(2, 'onnx::{}')
    x = net('PRelu', net.batch_norm(net.conv('input', 3, 8, bias=False), 8), net.weight(8, 1, 1))
    y = net.batch_norm(x, 8)
    y = net('PRelu', net.batch_norm(net.conv(y, 8, 8, bias=False), 8), net.weight(8, 1, 1))
    y = net.batch_norm(net.conv(y, 8, 16, stride=2, bias=False), 16)
    x = net('Add', y, net.batch_norm(net.conv(x, 8, 16, kernel=1, stride=2, bias=False), 16))
    x = net('Flatten', net('Dropout', net.batch_norm(x, 16)), axis=1)
    x = net('Gemm', x, net.weight(12, 16 * 7 * 7), net.weight(12), alpha=1.0, beta=1.0, transB=1)
    x = net('BatchNormalization', x, net.constant(np.ones(12, np.float32)), net.weight(12), net.weight(12),
            net.weight(12, scale=0.1, shift=1))
    return Export(net.model(13, {'input': ['batch', 3, 14, 14]}, [x]), {'input': picture(1, 3, 14, 14)})


def arcface_dynamo():
    """PyTorch 2.x, dynamo exporter, opset 18: val_N names, allowzero, normalised embedding, hard-swish and SE blocks."""
    net = Net(3, 'val_{}')
    x = net.batch_norm(net.conv('x', 3, 16, bias=False), 16, epsilon=1e-5, momentum=0.9, training_mode=0)
    x = net('HardSwish', x)
    squeezed = net('ReduceMean', x, net.ints(-1, -2), noop_with_empty_axes=0, keepdims=1)
    squeezed = net('HardSigmoid', net.conv(net('Relu', net.conv(squeezed, 16, 4, kernel=1)), 4, 16, kernel=1),
                   alpha=1 / 6, beta=0.5)
    x = net('Mul', x, squeezed)
    left, right = net('Split', x, net.ints(8, 8), n=2, axis=1)
    split = net('Reshape', left, net.ints(0, 2, -1), allowzero=0)
    normal = net('InstanceNormalization', split, net.constant(np.ones(2, np.float32)),
                 net.constant(np.zeros(2, np.float32)), epsilon=1e-5)
    normal = net('Reshape', normal, net.ints(1, 8, 7, 7), allowzero=1)
    gates = net.ints(1, 2)
    normal = net('Add', net('Mul', normal, net('Unsqueeze', net.weight(8, shift=1), gates)),
                 net('Unsqueeze', net.weight(8), gates))
    clipped = net('Clip', right, net.constant(np.array(0, np.float32)), net.constant(np.array(6, np.float32)))
    x = net('Concat', net('LeakyRelu', normal), net('Clip', clipped, '', net.constant(np.array(3, np.float32))), axis=1)
    x = net('Reshape', net('GlobalAveragePool', x), net.ints(1, -1), allowzero=1)
    x = net('Gemm', x, net.weight(10, 16), net.weight(10), alpha=1.0, beta=1.0, transA=0, transB=1)
    norm = net('ReduceL2', x, net.ints(1), keepdims=1, noop_with_empty_axes=0)
    norm = net('Expand', net('Clip', norm, net.constant(np.array(1e-12, np.float32))), net('Shape', x, start=0))
    return Export(net.model(18, {'x': [1, 3, 7, 7]}, [net('Div', x, norm)], ir=10), {'x': picture(1, 3, 7, 7)})


def arcface_dynamo_functions():
    """PyTorch 2.0 to 2.4, dynamo exporter, opset 18: every module and many operators are functions of the model, nested,
    with attributes handed down and defaults."""
    domain, library = 'pkg.torch', 'pkg.onnxscript.torch_lib'
    imports = [helper.make_opsetid('', 18), helper.make_opsetid(domain, 1), helper.make_opsetid(library, 1)]

    def reference(kind, name, target):
        return onnx.AttributeProto(name=name, ref_attr_name=target, type=kind)

    leaky = helper.make_node('LeakyRelu', ['x'], ['y'])
    leaky.attribute.append(reference(onnx.AttributeProto.FLOAT, 'alpha', 'negative_slope'))
    activation = helper.make_function(library, 'aten_leaky_relu', ['x'], ['y'], [leaky], imports[:1],
                                      attribute_protos=[helper.make_attribute('negative_slope', 0.01)])
    convolution = helper.make_node('Conv', ['x', 'weight', 'bias'], ['y'], kernel_shape=[3, 3], pads=[1] * 4)
    convolution.attribute.append(reference(onnx.AttributeProto.INTS, 'strides', 'stride'))
    conv = helper.make_function(library, 'aten_conv2d', ['x', 'weight', 'bias'], ['y'], [convolution], imports[:1],
                                attributes=['stride'])
    norm = helper.make_function(library, 'aten_batch_norm', ['x', 'w', 'b', 'mean', 'variance'], ['y'], [
        helper.make_node('BatchNormalization', ['x', 'w', 'b', 'mean', 'variance'], ['y'], epsilon=1e-5)], imports[:1])
    block = helper.make_function(domain, 'Block', ['input', 'weight', 'bias', *'abcd', 'shortcut'], ['out', 'unused'], [
        helper.make_node('aten_conv2d', ['input', 'weight', 'bias'], ['inner'], stride=[2, 2], domain=library),
        helper.make_node('aten_batch_norm', ['inner', *'abcd'], ['normal'], domain=library),
        helper.make_node('aten_leaky_relu', ['normal'], ['active'], negative_slope=0.2, domain=library),
        helper.make_node('MaxPool', ['shortcut'], ['small'], kernel_shape=[1, 1], strides=[2, 2]),
        helper.make_node('Add', ['active', 'small'], ['sum']),
        helper.make_node('aten_leaky_relu', ['sum'], ['out'], domain=library),
        helper.make_node('Identity', ['sum'], ['unused'])], imports)
    net = Net(10, 'block_{}')
    x = 'input'
    for _ in range(2):
        parameters = [net.weight(3, 3, 3, 3), net.weight(3), net.weight(3, shift=1), net.weight(3), net.weight(3),
                      net.weight(3, scale=0.05, shift=1)]
        x, _ = net('Block', x, *parameters, x, n=2, domain=domain)
    x = net('Gemm', net('Flatten', x), net.weight(4, 12), transB=1)
    model = net.model(18, {'input': [1, 3, 8, 8]}, [x], ir=8)
    model.opset_import.extend(imports[1:])
    model.functions.extend([activation, conv, norm, block])
    return Export(model, {'input': picture(1, 3, 8, 8)})


def transformer_head_dynamo():
    """Opset 20: LayerNormalization, MatMul, Softmax along the last axis, Gelu, Where with an expanded mask, Erf."""
    net = Net(4, 'node_{}')
    x = net('Transpose', net('Reshape', net.conv('x', 3, 8, kernel=3, stride=2), net.ints(0, 8, -1)), perm=[0, 2, 1])
    normal = net('LayerNormalization', x, net.weight(8, shift=1), net.weight(8), axis=-1, epsilon=1e-6)
    q, k, v = net('Split', net('MatMul', normal, net.weight(8, 24)), n=3, axis=-1, num_outputs=3)
    scores = net('Div', net('MatMul', q, net('Transpose', k, perm=[0, 2, 1])), net.constant(np.array(8 ** 0.5, np.float32)))
    mask = net('Equal', net('Range', *(net.constant(np.array(n)) for n in (0, 16, 1))), net.ints(3))
    scores = net('Where', net('Expand', mask, net.ints(1, 1, 16)), net.constant(np.array(-1e9, np.float32)), scores)
    x = net('Add', x, net('MatMul', net('Softmax', scores, axis=-1), v))
    hidden = net('MatMul', x, net.weight(8, 16))
    erf = net('Erf', net('Div', hidden, net.constant(np.array(2 ** 0.5, np.float32))))
    old_gelu = net('Mul', net('Mul', hidden, net('Add', erf, net.constant(np.array(1, np.float32)))),
                   net.constant(np.array(0.5, np.float32)))
    x = net('MatMul', net('Add', old_gelu, net('Gelu', hidden)), net.weight(16, 6))
    return Export(net.model(20, {'x': ['batch', 3, 8, 8]}, [net('ReduceMean', x, net.ints(1), keepdims=0)], ir=9),
                  {'x': picture(1, 3, 8, 8)})


def arcface_mxnet(clean=False):
    """ArcFace of MXNet's exporter, opset 8, IR 3: weights among the inputs, BatchNormalization with spatial, slopes [C],
    the preprocessing inside, gammas of one (fix_gamma), residuals by elemwise_add."""
    net = Net(5, 'stage{}')
    more = {} if clean else {'spatial': 0}

    def norm(x, channels, fix_gamma=False):
        gamma = net.constant(np.ones(channels, np.float32)) if fix_gamma else net.weight(channels, scale=0.1, shift=1)
        return net('BatchNormalization', x, gamma, net.weight(channels), net.weight(channels),
                   net.weight(channels, scale=0.05, shift=1), epsilon=2e-5, momentum=0.9, **more)

    def prelu(x, channels):
        slope = net.weight(*((channels, 1, 1) if clean else (channels,)))
        return net('PRelu', x, slope)

    x = net('Sub', 'data', net.constant(np.array([127.5], np.float32), 'scalar_op1'))
    x = net('Mul', x, net.constant(np.array([0.0078125], np.float32), 'scalar_op2'))
    x = prelu(norm(net.conv(x, 3, 8, bias=False), 8), 8)
    y = norm(net.conv(norm(x, 8), 8, 8, bias=False), 8)
    y = norm(net.conv(prelu(y, 8), 8, 8, bias=False), 8)
    x = net('Add', y, x)
    x = net('Flatten', net('Dropout', norm(x, 8), ratio=0.4))
    x = net('Gemm', x, net.weight(9, 8 * 36), net.weight(9), alpha=1.0, beta=1.0, transA=0, transB=1)
    x = norm(x, 9, fix_gamma=True)
    model = net.model(9 if clean else 8, {'data': [1, 3, 6, 6]}, [x], ir=3, weights_are_inputs=True)
    pixels = {'data': (picture(1, 3, 6, 6) * 40 + 127).astype(np.float32)}
    return Export(model, pixels, None if clean else arcface_mxnet(clean=True).model)


def mobile_torch2_half():
    """Half precision inside, single outside (keep_io_types), with attention by a convolution over channels (ECA)."""
    net = Net(9, 'h{}')
    x = net('Cast', 'input', to=TensorProto.FLOAT16)
    x = net('Relu', net.batch_norm(net.conv(x, 3, 8, bias=False), 8))
    pooled = net('Squeeze', net('GlobalAveragePool', x), net.ints(2))
    across = net('Transpose', pooled, perm=[0, 2, 1])
    across = net('Conv', across, net.weight(1, 1, 3), kernel_shape=[3], pads=[1, 1])
    gate = net('Unsqueeze', net('Transpose', net('Sigmoid', across), perm=[0, 2, 1]), net.ints(-1))
    x = net('PRelu', net('Mul', x, gate), net.weight(8, 1, 1))
    x = net('MatMul', net('Flatten', net('AveragePool', x, kernel_shape=[2, 2], strides=[2, 2])), net.weight(8 * 16, 5))
    x = net('Cast', net('Clip', x, net.constant(np.array(-9, np.float32))), to=TensorProto.FLOAT)
    model = net.model(17, {'input': [1, 3, 8, 8]}, [x], ir=8)
    for weight in model.graph.initializer:
        if weight.data_type == TensorProto.FLOAT:
            half = numpy_helper.to_array(weight).astype(np.float16)
            weight.CopyFrom(numpy_helper.from_array(half, weight.name))
    return Export(model, {'input': picture(1, 3, 8, 8)}, tolerance=1e-2)


def retinaface_mxnet():
    """RetinaFace R50 converted from MXNet, opset 9: deconvolution as upsampling, a crop, Sum, the two-class softmax over
    reshaped scores, Upsample."""
    net = Net(6, 'rf_{}')
    c1 = net('Relu', net.batch_norm(net.conv('data', 3, 8, stride=2), 8, epsilon=2e-5))
    c2 = net('Relu', net.conv(c1, 8, 8, stride=2))
    c3 = net('Relu', net.conv(c2, 8, 8, stride=2))
    up = net('ConvTranspose', c3, net.weight(8, 1, 4, 4), kernel_shape=[4, 4], strides=[2, 2], pads=[1] * 4, group=8)
    up = net('Slice', up, starts=[0, 0], ends=[5, 5], axes=[2, 3])
    p2 = net('Sum', net('Slice', c2, starts=[0, 0], ends=[5, 5], axes=[2, 3]), up, net.weight(8, 1, 1))
    p1 = net('Upsample', p2, net.constant(np.array([1, 1, 2, 2], np.float32)), mode='nearest')
    p1 = net('Concat', p1, net('Slice', c1, starts=[0, 0], ends=[10, 10], axes=[2, 3]), axis=1)
    scores = net('Reshape', net.conv(p1, 16, 4, kernel=1), net.ints(1, 2, -1, 10))
    scores = net('Reshape', net('Softmax', net('Transpose', scores, perm=[0, 2, 3, 1]), axis=3), net.ints(1, -1, 2))
    boxes = net('Squeeze', net('Unsqueeze', net.conv(p1, 16, 8, kernel=1), axes=[0]), axes=[0])
    model = net.model(9, {'data': [1, 3, 24, 24]}, [scores, boxes], ir=4)
    return Export(model, {'data': picture(1, 3, 24, 24)})


def retinaface_paddle():
    """PaddlePaddle's exporter, opset 13: dotted names, constants as nodes, hard swish spelled out, Squeeze and Unsqueeze
    with inputs, sizes from Shape, pyramid by linear Resize, scores by Softmax, anchors by Tile."""
    net = Net(7, 'conv2d_{}.tmp_0')
    x = net.batch_norm(net.conv('image', 3, 8, stride=2, bias=False), 8, epsilon=1e-5, momentum=0.9)
    shifted = net('Clip', net('Add', x, net.inline(np.array(3, np.float32))), net.inline(np.array(0, np.float32)),
                  net.inline(np.array(6, np.float32)))
    x = net('Div', net('Mul', x, shifted), net.inline(np.array(6, np.float32)))
    pooled = net('HardSigmoid', net.conv(net('GlobalAveragePool', x), 8, 8, kernel=1), alpha=0.2, beta=0.5)
    x = net('Mul', x, pooled)
    small = net('AveragePool', x, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4, count_include_pad=0, ceil_mode=1)
    shape = net('Cast', net('Shape', x), to=TensorProto.INT32)
    parts = net('Split', net('Cast', shape, to=TensorProto.INT64), net.inline(np.array([2, 2])), n=2, axis=0)
    large = net('Resize', small, '', '', net('Concat', net.inline(np.array([1, 8])), parts[1], axis=0), mode='linear',
                coordinate_transformation_mode='half_pixel')
    x = net('Max', net('Min', x, large), net('Elu', large), net('Neg', net('Abs', x)))
    rows = net('Reshape', net('Transpose', net.conv(x, 8, 4), perm=[0, 2, 3, 1]), net.inline(np.array([0, -1, 2])))
    scores = net('Softmax', rows, axis=-1)
    best = net('Unsqueeze', net('ArgMax', scores, axis=2, keepdims=0), net.inline(np.array([2])))
    strides = net('Tile', net.inline(np.array([[[1.0, 8.0]]], np.float32)), net.inline(np.array([1, 128, 1])))
    boxes = net('Squeeze', net('Unsqueeze', net('Mul', rows, strides), net.inline(np.array([0]))), net.inline(np.array([0])))
    top, places = net('TopK', net('ReduceMax', scores, axes=[2], keepdims=0), net.inline(np.array([5])), n=2, axis=1)
    kept = net('Gather', net('Squeeze', boxes, net.inline(np.array([0]))), net('Squeeze', places, net.inline(np.array([0]))))
    outputs = [scores, net('Cast', best, to=TensorProto.FLOAT), boxes, top, kept]
    return Export(net.model(13, {'image': [1, 3, 16, 16]}, outputs), {'image': picture(1, 3, 16, 16)})


def quantised():
    """A network quantised after training (opset 13): weights int8 by channel, activations uint8, in QDQ form."""
    net = Net(8, 'q{}')

    def fake(x, scale, zero):
        pair = net.constant(np.array(scale, np.float32)), net.constant(np.array(zero, np.uint8))
        return net('DequantizeLinear', net('QuantizeLinear', x, *pair), *pair)

    def weight(*shape):
        values = net.random.integers(-127, 128, shape, dtype=np.int8)
        scales = net.constant(np.abs(net.random.normal(0.004, 0.001, shape[0])).astype(np.float32))
        return net('DequantizeLinear', net.constant(values), scales, net.constant(np.zeros(shape[0], np.int8)), axis=0)

    x = fake('x', 0.03, 128)
    x = net('Relu', net('Conv', x, weight(8, 3, 3, 3), net.weight(8), kernel_shape=[3, 3], pads=[1] * 4))
    x = fake(x, 0.02, 0)
    x = net('Flatten', net('GlobalMaxPool', net('Conv', x, weight(8, 8, 3, 3), kernel_shape=[3, 3])))
    x = net('LpNormalization', net('Gemm', x, weight(6, 8), transB=1), axis=1, p=2)
    return Export(net.model(13, {'x': ['batch', 3, 8, 8]}, [x]), {'x': picture(1, 3, 8, 8)})


def decoder_torch2():
    """An encoder and decoder, PyTorch 2.x, opset 17: mobile activations, channel shuffles, deconvolutions with norms."""
    net = Net(9, '/net/{}')
    x = net('HardSwish', net.conv('x', 3, 24, stride=2))
    left, right = net('Split', x, net.ints(9, 15), n=2, axis=1)
    right = net('Elu', net.conv(right, 15, 15, group=15), alpha=0.7)
    small = net('HardSwish', net.conv(net('Concat', right, left, right, axis=1), 39, 40, stride=2))
    up = net('ConvTranspose', small, net.weight(40, 24, 2, 2), net.weight(24), kernel_shape=[2, 2], strides=[2, 2])
    up = net('Elu', net.batch_norm(up, 24))
    up = net('HardSigmoid', net('Add', net.conv(up, 24, 24), x), alpha=1 / 6, beta=0.5)
    out = net('ConvTranspose', net('HardSwish', net('Concat', up, x, axis=-3)), net.weight(48, 6, 4, 4),
              kernel_shape=[4, 4], strides=[2, 2], pads=[1] * 4)
    out = net('LeakyRelu', net('Clip', out, net.constant(np.array(-2, np.float32)), net.constant(np.array(3, np.float32))))
    return Export(net.model(17, {'x': ['batch', 3, 20, 28]}, [out]), {'x': picture(1, 3, 20, 28)})


EXPORTS = [decoder_torch2, scrfd_torch1, arcface_torch1, mobile_torch2_half, arcface_dynamo, arcface_dynamo_functions,
           transformer_head_dynamo, arcface_mxnet, retinaface_mxnet, retinaface_paddle, quantised]
