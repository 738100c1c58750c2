# SPDX-License-Identifier: Apache-2.0
"""The reference interpreter against onnxruntime: every operator with its attributes, then whole networks.

The interpreter is the oracle of the other tests, so it must be right by a measure of its own.
"""
import itertools
import re
import subprocess
import sys
import zlib

import pytest

np = pytest.importorskip('numpy')
onnx = pytest.importorskip('onnx')
ort = pytest.importorskip('onnxruntime')

TOLERANCE = 1e-5  # of the largest value of an output
HALF_TOLERANCE = 2e-3
NEWEST = 22
REAL = ['det_500m', 'scrfd_2.5g_bnkps', 'mobilefacenet', '2.7_80x80_MiniFASNetV2', '4_0_0_80x80_MiniFASNetV1SE']
MADE = {'iresnet18': (2, 3, 112, 112), 'scrfd_10g_gn': (2, 3, 160, 160)}


class Constant:
    """An input that the model holds as an initializer."""

    def __init__(self, *values, dtype=np.int64):
        self.value = values[0] if isinstance(values[0] if values else None, np.ndarray) else np.array(values, dtype)


class Case:
    def __init__(self, op, variant, inputs, opset=NEWEST, outputs=1, **attributes):
        self.op, self.inputs, self.opset, self.attributes = op, inputs, opset, attributes
        self.outputs = [f'y{i}' for i in range(outputs)]
        self.name = f'{op}-{variant}' if opset == NEWEST else f'{op}-{variant}-opset{opset}'

    def model(self):
        names, initializers, inputs = [], [], []
        for i, x in enumerate(self.inputs):
            names.append(f'x{i}' if x is not None else '')
            if isinstance(x, Constant):
                initializers.append(onnx.numpy_helper.from_array(x.value, f'x{i}'))
            elif x is not None:
                inputs.append(onnx.helper.make_tensor_value_info(f'x{i}', onnx.helper.np_dtype_to_tensor_dtype(x.dtype),
                                                                 x.shape))
        while names and not names[-1]:
            names.pop()
        node = onnx.helper.make_node(self.op, names, self.outputs, name='node', **self.attributes)
        outputs = [onnx.ValueInfoProto(name=name) for name in self.outputs]
        graph = onnx.helper.make_graph([node], self.name, inputs, outputs, initializers)
        return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid('', self.opset)],
                                      ir_version=4 if self.opset < 15 else 10)

    def feeds(self):
        return {f'x{i}': x for i, x in enumerate(self.inputs) if isinstance(x, np.ndarray)}


def f32(*shape, low=-2.0, high=2.0):
    """Values that differ from shape to shape, the same on every run."""
    random = np.random.default_rng(zlib.crc32(repr((shape, low, high)).encode()))
    return random.uniform(low, high, shape).astype(np.float32)


def i64(*shape, low=-9, high=9, dtype=np.int64):
    random = np.random.default_rng(zlib.crc32(repr((shape, low, high, 'i')).encode()))
    return random.integers(low, high, shape, endpoint=True).astype(dtype)


def convolutions():
    picture = f32(2, 6, 9, 11)
    for kernel, stride, pads, dilation, group in [
            ((3, 3), (1, 1), (1, 1, 1, 1), (1, 1), 1), ((3, 3), (2, 2), (1, 1, 1, 1), (1, 1), 1),
            ((1, 1), (1, 1), (0, 0, 0, 0), (1, 1), 1), ((1, 1), (2, 2), (0, 0, 0, 0), (1, 1), 2),
            ((3, 3), (1, 1), (1, 1, 1, 1), (1, 1), 6), ((2, 5), (3, 2), (0, 1, 2, 3), (1, 1), 1),
            ((3, 3), (1, 2), (2, 3, 2, 3), (2, 3), 3), ((9, 11), (1, 1), (0, 0, 0, 0), (1, 1), 6)]:
        weight = Constant(f32(12, 6 // group, *kernel))
        variant = f'{kernel}-s{stride}-p{pads}-d{dilation}-g{group}'.replace(' ', '')
        attributes = dict(kernel_shape=kernel, strides=stride, pads=pads, dilations=dilation, group=group)
        yield Case('Conv', variant, [picture, weight, Constant(f32(12))], **attributes)
        yield Case('Conv', f'{variant}-nobias', [picture, weight], opset=11, **attributes)
    for pad, stride in itertools.product(['VALID', 'SAME_UPPER', 'SAME_LOWER'], (1, 2, 3)):
        yield Case('Conv', f'{pad}-s{stride}', [picture, f32(4, 6, 4, 3)], auto_pad=pad, strides=[stride] * 2)
    yield Case('Conv', 'VALID-dilated', [picture, f32(4, 6, 4, 3)], auto_pad='VALID', dilations=[2, 2])


    sequence = f32(2, 4, 15)
    for kernel, stride, pads, dilation, group in [(3, 1, (1, 1), 1, 1), (5, 2, (0, 2), 2, 2), (1, 3, (0, 0), 1, 4)]:
        weight = Constant(f32(8, 4 // group, kernel))
        yield Case('Conv', f'sequence-{kernel}-s{stride}', [sequence, weight, Constant(f32(8))], kernel_shape=[kernel],
                   strides=[stride], pads=pads, dilations=[dilation], group=group)
    yield Case('Conv', 'sequence-SAME_UPPER', [sequence, f32(3, 4, 4)], auto_pad='SAME_UPPER')
    for op in ('MaxPool', 'AveragePool'):
        yield Case(op, 'sequence', [sequence], kernel_shape=[3], strides=[2], pads=[1, 1], ceil_mode=1)
    yield Case('MaxPool', 'sequence-places', [sequence], kernel_shape=[3], strides=[2], outputs=2)
    yield Case('ConvTranspose', 'sequence', [sequence, f32(4, 3, 3)], strides=[2], output_padding=[1])
    yield Case('ConvTranspose', 'sequence-shape', [sequence, f32(4, 3, 3)], strides=[2], output_shape=[30])


def transposed_convolutions():
    x = f32(2, 6, 5, 7)
    for kernel, stride, pads, dilation, group, more in [
            ((3, 3), (2, 2), (1, 1, 1, 1), (1, 1), 1, (1, 1)), ((2, 2), (2, 2), (0, 0, 0, 0), (1, 1), 1, (0, 0)),
            ((4, 3), (1, 3), (0, 1, 2, 0), (2, 1), 3, (0, 2)), ((3, 3), (1, 1), (1, 1, 1, 1), (1, 1), 6, (0, 0))]:
        variant = f'{kernel}-s{stride}-p{pads}-d{dilation}-g{group}'.replace(' ', '')
        yield Case('ConvTranspose', variant, [x, Constant(f32(6, 4, *kernel)), Constant(f32(4 * group))], kernel_shape=kernel,
                   strides=stride, pads=pads, dilations=dilation, group=group, output_padding=more)
    for pad, stride in itertools.product(('SAME_UPPER', 'SAME_LOWER', 'VALID'), (1, 2, 3)):
        yield Case('ConvTranspose', f'{pad}-s{stride}', [x, Constant(f32(6, 4, 4, 3))], strides=[stride] * 2, auto_pad=pad,
                   opset=11)
    yield Case('ConvTranspose', 'shape', [x, Constant(f32(6, 4, 3, 3))], strides=[2, 2], output_shape=[10, 14])


def poolings():
    for height, kernel, stride, pad, ceil in itertools.product((6, 7), (2, 3), (1, 2, 3), (0, 1), (0, 1)):
        x = f32(1, 3, height, 8)
        variant = f'{height}-k{kernel}-s{stride}-p{pad}-ceil{ceil}'
        attributes = dict(kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[pad, 0, pad, pad], ceil_mode=ceil)
        yield Case('MaxPool', variant, [x], **attributes)
        for include in (0, 1):
            yield Case('AveragePool', f'{variant}-pad{include}', [x], count_include_pad=include, **attributes)
    for pad, stride in itertools.product(['VALID', 'SAME_UPPER', 'SAME_LOWER'], (1, 2)):
        attributes = dict(kernel_shape=[3, 2], strides=[stride] * 2, auto_pad=pad)
        yield Case('MaxPool', f'{pad}-s{stride}', [f32(1, 2, 7, 8)], opset=12, **attributes)
        yield Case('AveragePool', f'{pad}-s{stride}', [f32(1, 2, 7, 8)], opset=11, **attributes)
    yield Case('MaxPool', 'negative', [f32(1, 2, 5, 5, low=-9, high=-8)], kernel_shape=[3, 3], pads=[1] * 4)
    yield Case('MaxPool', 'dilated', [f32(1, 2, 9, 9)], kernel_shape=[3, 2], dilations=[2, 3], pads=[1, 0, 1, 0])
    yield Case('AveragePool', 'dilated', [f32(1, 2, 9, 9)], kernel_shape=[3, 2], dilations=[2, 3])
    for shape in ((2, 3, 5, 7), (2, 3, 5), (1, 2, 3, 4, 5)):
        yield Case('GlobalAveragePool', len(shape), [f32(*shape)])
        yield Case('GlobalMaxPool', len(shape), [f32(*shape)])
    attributes = dict(kernel_shape=[3, 2], strides=[2, 1], pads=[1, 0, 1, 1], outputs=2)
    yield Case('MaxPool', 'places', [f32(2, 3, 7, 8)], **attributes)
    yield Case('MaxPool', 'places-by-column', [f32(2, 3, 7, 8)], storage_order=1, **attributes)
    yield Case('MaxPool', 'uint8', [i64(1, 2, 5, 5, low=0, high=200, dtype=np.uint8)], kernel_shape=[2, 2])


def products():
    for a, b in itertools.product((0, 1), (0, 1)):
        left, right = f32(*((7, 4) if a else (4, 7))), f32(*((5, 7) if b else (7, 5)))
        yield Case('Gemm', f'{a}{b}', [left, right], transA=a, transB=b)
        for c in ((5,), (1, 5), (4, 1), (4, 5), (1,), ()):
            yield Case('Gemm', f'{a}{b}-c{c}'.replace(' ', ''), [left, right, f32(*c)], transA=a, transB=b, alpha=0.5,
                       beta=1.5, opset=13)
    for a, b in [((3, 4), (4, 5)), ((2, 3, 4), (4, 5)), ((3, 4), (2, 4, 5)), ((2, 1, 3, 4), (6, 4, 5)), ((4,), (4, 5)),
                 ((2, 3, 4), (4,)), ((4,), (4,)), ((4,), (2, 4, 5))]:
        yield Case('MatMul', f'{a}{b}'.replace(' ', ''), [f32(*a), f32(*b)])


def normalisations():
    def channels(n, low=-2.0):
        return Constant(f32(n, low=low))

    for shape in ((2, 4, 5, 6), (2, 4, 7), (3, 4)):
        inputs = [f32(*shape), channels(4, -1.0), channels(4), channels(4, -1.5), channels(4, 0.5)]
        yield Case('BatchNormalization', len(shape), inputs)
        yield Case('BatchNormalization', f'{len(shape)}-epsilon', inputs, opset=9, epsilon=0.1)
    for shape in ((2, 4, 5, 6), (2, 4, 7), (1, 4, 3, 3, 3)):
        yield Case('InstanceNormalization', len(shape), [f32(*shape), channels(4), channels(4, -3.0)])
        yield Case('InstanceNormalization', f'{len(shape)}-epsilon', [f32(*shape), channels(4), channels(4, -3.0)],
                   epsilon=0.1)
    for groups in (1, 2, 3, 6):
        yield Case('GroupNormalization', groups, [f32(2, 6, 4, 5), channels(6), channels(6, -3.0)], num_groups=groups)
        yield Case('GroupNormalization', groups, [f32(2, 6, 4, 5), channels(groups), channels(groups, -3.0)], opset=18,
                   num_groups=groups)
    for axis in (-1, -2, 1, 0):
        shape = (2, 3, 4, 5)[axis:]
        yield Case('LayerNormalization', f'axis{axis}', [f32(2, 3, 4, 5), Constant(f32(*shape)), Constant(f32(*shape, low=-3.0))],
                   axis=axis, outputs=3, epsilon=0.01)
    yield Case('LayerNormalization', 'scale', [f32(2, 3, 4), channels(4)], opset=17)
    for p, axis in itertools.product((1, 2), (-1, 1)):
        yield Case('LpNormalization', f'p{p}-axis{axis}', [f32(2, 3, 4)], p=p, axis=axis)


def elementwise():
    for op in ('Relu', 'LeakyRelu', 'Sigmoid', 'Tanh', 'Exp'):
        yield Case(op, 'plain', [f32(2, 3, 4, 5, low=-6, high=6)])
    for op in ('Elu', 'HardSigmoid', 'HardSwish', 'Softplus', 'Erf', 'Gelu', 'Abs', 'Neg', 'Floor', 'Ceil', 'Reciprocal'):
        yield Case(op, 'plain', [f32(2, 3, 4, 5, low=-6, high=6)])
    yield Case('Elu', 'alpha', [f32(3, 4)], alpha=0.3)
    yield Case('HardSigmoid', 'parameters', [f32(3, 4)], alpha=0.3, beta=0.4)
    yield Case('Gelu', 'tanh', [f32(3, 4)], approximate='tanh')
    yield Case('Softplus', 'large', [f32(3, 4, low=-200, high=200)])
    yield Case('Log', 'plain', [f32(3, 4, low=0.01)])
    for op, dtype in itertools.product(('Abs', 'Neg'), (np.int64, np.int32, np.int8)):
        yield Case(op, dtype.__name__, [i64(3, 4, dtype=dtype)])
    yield Case('Not', 'plain', [i64(3, 4, low=0, high=1).astype(bool)])
    yield Case('Relu', 'int32', [i64(3, 4, dtype=np.int32)])
    for dtype in (np.int8, np.uint8, np.uint64):
        bounds = [Constant(np.array(n, dtype)) for n in (2, 7)]
        yield Case('Clip', dtype.__name__, [i64(3, 4, low=0, dtype=dtype), *bounds])
    yield Case('LeakyRelu', 'alpha', [f32(3, 4)], alpha=0.3)
    yield Case('Sqrt', 'plain', [f32(3, 4, low=0)])
    for op in ('Exp', 'Sqrt', 'Sigmoid', 'Tanh', 'Relu'):
        yield Case(op, 'float64', [f32(3, 4, low=0.1).astype(np.float64)])
    low, high = Constant(np.array(-0.5, np.float32)), Constant(np.array(0.75, np.float32))
    yield Case('Clip', 'both', [f32(3, 4), low, high])
    yield Case('Clip', 'low', [f32(3, 4), low])
    yield Case('Clip', 'high', [f32(3, 4), None, high])
    yield Case('Clip', 'none', [f32(3, 4)])
    yield Case('Clip', 'int64', [i64(3, 4), Constant(np.array(-3)), Constant(np.array(4))])
    yield Case('Clip', 'attributes', [f32(3, 4)], opset=10, min=-0.5, max=0.75)
    for axis in (-1, 0, 1, 2):
        yield Case('Softmax', f'axis{axis}', [f32(3, 4, 5, low=-9, high=9)], axis=axis)
        yield Case('Softmax', f'axis{axis}', [f32(3, 4, 5, low=-9, high=9)], axis=axis, opset=11)
    shapes = [((2, 3, 4), (2, 3, 4)), ((2, 3, 4), (4,)), ((3, 1), (2, 1, 4)), ((), (2, 3)), ((1, 3, 1, 1), (2, 3, 4, 5)),
              ((2, 3, 4, 5), (3, 1, 1)), ((0, 3), (1, 3))]
    for op, (a, b) in itertools.product(('Add', 'Sub', 'Mul', 'Div'), shapes):
        variant = f'{a}{b}'.replace(' ', '')
        yield Case(op, variant, [f32(*a), f32(*b, low=0.5)])
    for op, (a, b) in itertools.product(('Min', 'Max', 'Greater', 'Less', 'GreaterOrEqual', 'LessOrEqual'), shapes):
        yield Case(op, f'{a}{b}'.replace(' ', ''), [f32(*a), f32(*b)], opset=16)
    for op, dtype in itertools.product(('Equal', 'Greater', 'Less', 'GreaterOrEqual', 'LessOrEqual', 'Min', 'Max'),
                                       (np.int64, np.int32)):
        yield Case(op, dtype.__name__, [i64(9, dtype=dtype, low=0, high=3), i64(3, 9, dtype=dtype, low=0, high=3)])
    for op in ('And', 'Or', 'Equal'):
        yield Case(op, 'bool', [i64(3, 1, low=0, high=1).astype(bool), i64(1, 8, low=0, high=1).astype(bool)])
    for op, count in itertools.product(('Sum', 'Min', 'Max'), (1, 2, 3, 5)):
        yield Case(op, f'{count}-inputs', [f32(*((3, 4) if i % 2 else (2, 3, 4)), low=-2.0 - i) for i in range(count)])
    for shapes3 in (((3, 4), (3, 4), (3, 4)), ((2, 1, 1), (3, 1), (4,)), ((), (3, 4), (3, 1))):
        condition = i64(*shapes3[0], low=0, high=1).astype(bool)
        yield Case('Where', f'{shapes3}'.replace(' ', ''), [condition, f32(*shapes3[1]), f32(*shapes3[2], low=3, high=4)])
    yield Case('Where', 'int64', [i64(3, 4, low=0, high=1).astype(bool), i64(3, 4), i64(4, low=20, high=30)])
    for op, dtype in itertools.product(('Add', 'Sub', 'Mul', 'Div'), (np.int64, np.int32, np.float64)):
        yield Case(op, dtype.__name__, [i64(3, 4, dtype=dtype), i64(3, 4, low=1, dtype=dtype)])
    for base, exponent in itertools.product((np.float32, np.float64), (np.float32, np.int64, np.int32)):
        yield Case('Pow', f'{base.__name__}-{exponent.__name__}',
                   [f32(3, 4, low=0.5).astype(base), i64(4, low=-2, high=3, dtype=exponent)])
    yield Case('Pow', 'int64', [i64(3, 4), i64(3, 4, low=0, high=5)])
    for slope in ((3, 1, 1), (1, 3, 1, 1), (1,), (), (2, 3, 4, 5), (5,), (4, 5)):
        yield Case('PRelu', f'{slope}'.replace(' ', ''), [f32(2, 3, 4, 5), f32(*slope)], opset=16)


def reductions():
    for op in ('ReduceMean', 'ReduceSum', 'ReduceL2', 'ReduceMax', 'ReduceMin'):
        for keep, axes in itertools.product((0, 1), (None, (0,), (-1,), (1, 2), (3, 0), (0, 1, 2, 3))):
            variant = f'keep{keep}-{axes}'.replace(' ', '')
            yield Case(op, variant, [f32(2, 3, 4, 5)] + ([Constant(*axes)] if axes else []), keepdims=keep)
            old = {'axes': list(axes)} if axes else {}
            yield Case(op, variant, [f32(2, 3, 4, 5)], opset=11, keepdims=keep, **old)
        yield Case(op, 'noop', [f32(2, 3), Constant()], noop_with_empty_axes=1)
        yield Case(op, 'empty', [f32(2, 3), Constant()], noop_with_empty_axes=0)
    yield Case('ReduceSum', 'int64', [i64(3, 4), Constant(0)])
    for op, dtype in itertools.product(('ReduceMax', 'ReduceMin'), (np.int64, np.int32, np.int8, np.uint8)):
        yield Case(op, dtype.__name__, [i64(3, 4, low=0, dtype=dtype), Constant(0)])
    for axis, keep, last in itertools.product((0, 1, -1), (0, 1), (0, 1)):
        yield Case('ArgMax', f'{axis}-keep{keep}-last{last}', [i64(3, 4, 5, low=0, high=3).astype(np.float32)], axis=axis,
                   keepdims=keep, select_last_index=last)
    yield Case('ArgMax', 'int32', [i64(3, 9, dtype=np.int32)], opset=11)
    for axis, largest in itertools.product((0, 1, -1), (0, 1)):
        yield Case('TopK', f'{axis}-largest{largest}', [f32(3, 4, 5), Constant(3)], axis=axis, largest=largest, outputs=2)
    yield Case('TopK', 'ties', [i64(4, 9, low=0, high=3), Constant(5)], outputs=2)
    yield Case('TopK', 'attribute', [f32(3, 4)], opset=9, k=2, outputs=2)


def quantisations():
    x = f32(2, 3, 4, 5, low=-300, high=300)
    for dtype, zero in ((np.uint8, 128), (np.int8, -3), (np.uint16, 700), (np.int16, 5)):
        scale, zeros = Constant(np.array(2.5, np.float32)), Constant(np.array(zero, dtype))
        yield Case('QuantizeLinear', dtype.__name__, [x, scale, zeros])
        quantised = i64(2, 3, 4, 5, low=0, high=99).astype(dtype)
        yield Case('DequantizeLinear', dtype.__name__, [quantised, scale, zeros])
        for axis, size in ((1, 3), (-1, 5)):
            scales, zeros = Constant(f32(size, low=0.5)), Constant(np.arange(size).astype(dtype))
            yield Case('QuantizeLinear', f'{dtype.__name__}-axis{axis}', [x, scales, zeros], axis=axis)
            yield Case('DequantizeLinear', f'{dtype.__name__}-axis{axis}', [quantised, scales, zeros], axis=axis)
    yield Case('QuantizeLinear', 'ties', [np.arange(-9, 9, dtype=np.float32) / 2, Constant(np.array(1, np.float32))], opset=10)
    yield Case('DequantizeLinear', 'int32', [i64(4, dtype=np.int32), Constant(np.array(0.5, np.float32))])
    yield Case('DequantizeLinear', 'blocks', [i64(2, 6, low=0, high=9, dtype=np.uint8), Constant(f32(2, 3))], axis=1, block_size=2)
    yield Case('ReduceSum', 'float64', [f32(3, 4).astype(np.float64), Constant(0)])
    yield Case('ReduceSum', 'none', [f32(0, 4), Constant(0)])


def shapes():
    x = f32(2, 3, 4)
    for target in ((6, 4), (-1,), (0, -1), (2, 0, 2, -1), (4, 3, 2), (1, 24, 1)):
        yield Case('Reshape', f'{target}'.replace(' ', ''), [x, Constant(*target)])
    yield Case('Reshape', 'allowzero', [f32(0, 3), Constant(5, 0)], allowzero=1)
    yield Case('Reshape', 'int8', [i64(2, 3, dtype=np.int8), Constant(3, 2)])
    for axis in (-2, -1, 0, 1, 2, 3):
        yield Case('Flatten', axis, [x], axis=axis)
    for perm in itertools.permutations(range(3)):
        yield Case('Transpose', f'{perm}'.replace(' ', ''), [x], perm=perm)
    yield Case('Transpose', 'reversed', [f32(2, 3, 4, 5)])
    for dtype in (np.uint8, np.float16, np.float64, bool):
        yield Case('Transpose', dtype.__name__, [i64(2, 5, low=0, high=1).astype(dtype)])
    yield Case('Squeeze', 'all', [f32(1, 3, 1, 2)])
    yield Case('Squeeze', 'last', [f32(1, 3, 1), Constant(-1)])
    yield Case('Squeeze', 'two', [f32(1, 3, 1), Constant(2, 0)])
    yield Case('Squeeze', 'attribute', [f32(1, 3, 1)], opset=11, axes=[0])
    yield Case('Unsqueeze', 'ends', [x, Constant(0, -1)])
    yield Case('Unsqueeze', 'unordered', [x, Constant(3, 1)])
    yield Case('Unsqueeze', 'attribute', [x], opset=11, axes=[0, 2])
    yield Case('Shape', 'plain', [x], opset=13)
    yield Case('Shape', 'part', [x], start=-2, end=2)
    yield Case('Identity', 'plain', [x])
    yield Case('Dropout', 'plain', [x])
    yield Case('Dropout', 'ratio', [x, Constant(np.array(0.5, np.float32)), Constant(np.array(False))])
    yield Case('Dropout', 'attribute', [x], opset=11, ratio=0.5)
    for value in (np.array([1.5, 2], np.float32), np.array(7), np.array([[True, False]]), np.zeros((0,), np.int64)):
        tensor = onnx.numpy_helper.from_array(value)
        yield Case('Constant', f'{value.dtype}{value.shape}'.replace(' ', ''), [], value=tensor)
    yield Case('Constant', 'float', [], value_float=1.5)
    yield Case('Constant', 'ints', [], value_ints=[1, 2, 3])
    yield Case('ConstantOfShape', 'zeros', [Constant(2, 3)])
    yield Case('ConstantOfShape', 'sevens', [Constant(2, 3)], value=onnx.numpy_helper.from_array(np.array([7])))
    yield Case('ConstantOfShape', 'scalar', [Constant()])
    types = [np.float32, np.float64, np.float16, np.int64, np.int32, np.int16, np.int8, np.uint64, np.uint32, np.uint16,
             np.uint8, bool]
    for source, target in itertools.product(types, types):
        value = i64(3, 4, low=0, high=1) if source is bool else f32(3, 4, low=0, high=100)
        yield Case('Cast', f'{source.__name__}-{target.__name__}', [value.astype(source)],
                   to=onnx.helper.np_dtype_to_tensor_dtype(np.dtype(target)))
    yield Case('Cast', 'negative', [f32(3, 4, low=-100, high=0)], to=onnx.TensorProto.INT32)
    yield Case('Cast', 'wrapped', [i64(9, low=-70000, high=70000)], to=onnx.TensorProto.INT8)


def repetitions():
    for shape, target in (((3, 1), (2, 1, 6)), ((3, 1), (3, 4)), ((), (2, 3)), ((2, 3), (1, 1))):
        yield Case('Expand', f'{shape}{target}'.replace(' ', ''), [f32(*shape), Constant(*target)])
    yield Case('Tile', 'plain', [f32(2, 3), Constant(2, 3)])
    yield Case('Tile', 'int64', [i64(2, 1, 3), Constant(1, 4, 2)])
    for numbers in ((1, 8, 3), (8, 1, -2), (1, 1, 1), (3, 1, 1)):
        yield Case('Range', f'{numbers}'.replace(' ', ''), [Constant(np.array(n)) for n in numbers])
    yield Case('Range', 'float', [Constant(np.array(n, np.float32)) for n in (0.5, 3, 0.4)])
    yield Case('Size', 'plain', [f32(2, 3, 4)])
    yield Case('CastLike', 'int64', [f32(3, 4, low=-9, high=9), i64(1)], opset=15)


def splits():
    for axis, (parts, sizes) in itertools.product((0, -1), ((2, None), (3, (1, 2, 3)), (2, (0, 6)))):
        inputs = [f32(6, 2, 6)] + ([Constant(*sizes)] if sizes else [])
        variant = f'{axis}-{parts}-{sizes}'.replace(' ', '')
        yield Case('Split', variant, inputs, opset=13, axis=axis, outputs=parts)
    yield Case('Split', 'uneven', [f32(7, 2)], num_outputs=3, outputs=3)
    yield Case('Split', 'attribute', [f32(6, 2)], opset=9, split=[1, 5], outputs=2)


def moves():
    x = f32(4, 5, 6)
    for axis in (-3, -1, 0, 1, 2):
        parts = [f32(*[n + i if j == axis % 3 else n for j, n in enumerate((2, 3, 4))]) for i in range(3)]
        yield Case('Concat', axis, parts, axis=axis)
    yield Case('Concat', 'one', [x], axis=0)
    yield Case('Concat', 'int64', [i64(2), i64(3), i64(0)], axis=0)
    big = 2 ** 63 - 1
    for starts, ends, axes, steps in [
            ((1,), (3,), (0,), None), ((-2,), (big,), (1,), None), ((0, 1), (-1, 5), (2, 0), (2, 3)),
            ((big,), (-big,), (2,), (-1,)), ((4, -1), (1, -9), (1, -1), (-2, -3)), ((3,), (1,), (0,), (1,)),
            ((1, 1, 1), (2, 3, 4), None, None), ((1, 1), (3, 3), None, None), ((0,), (9,), (0,), (big,))]:
        inputs = [x, Constant(*starts), Constant(*ends), Constant(*axes) if axes else None,
                  Constant(*steps) if steps else None]
        yield Case('Slice', f'{starts}{ends}{axes}{steps}'.replace(' ', ''), inputs)
    yield Case('Slice', 'int32', [i64(6, dtype=np.uint8), Constant(1, dtype=np.int32), Constant(4, dtype=np.int32)])
    yield Case('Slice', 'attributes', [x], opset=9, starts=[1, 0], ends=[3, -1], axes=[1, 2])
    for axis, indices in itertools.product((0, 1, -1), (np.array(1), np.array([0, 3, -1]), np.array([[1, 2], [-4, 0]]))):
        yield Case('Gather', f'axis{axis}-{indices.tolist()}'.replace(' ', ''), [x, Constant(indices)], axis=axis)
    yield Case('Gather', 'int64', [i64(5), Constant(np.array([1, 1], np.int32))])
    pads = Constant(0, 1, 2, 3, 1, 0)
    yield Case('Pad', 'wrap', [f32(4, 5, 6), Constant(0, 6, 2, 3, 1, 0)], mode='wrap')
    for mode in ('constant', 'reflect', 'edge'):
        yield Case('Pad', mode, [x, pads], mode=mode)
        yield Case('Pad', f'{mode}-attributes', [x], opset=9, mode=mode, pads=[0, 1, 2, 3, 1, 0])
        yield Case('Pad', f'{mode}-axes', [x, Constant(2, 1, 1, 3), None, Constant(-1, 0)], mode=mode)
    yield Case('Pad', 'value', [x, pads, Constant(np.array(7, np.float32))])
    yield Case('Pad', 'value-attribute', [x], opset=9, pads=[0, 1, 2, 3, 1, 0], value=7.0)
    yield Case('Pad', 'removes', [x, Constant(-1, 2, -2, 1, -3, 0)])
    yield Case('Pad', 'removes-edge', [x, Constant(-1, 2, -2, 1, -3, 3)], mode='edge')
    yield Case('Pad', 'int64', [i64(3, 3), Constant(1, 1, 1, 1), Constant(np.array(5))])


def resizes():
    x = f32(2, 3, 5, 6)
    sizes, floats = Constant(2, 3, 8, 9), np.float32
    empty = Constant(dtype=floats)
    coordinates = ('asymmetric', 'half_pixel', 'align_corners', 'pytorch_half_pixel', 'half_pixel_symmetric')
    targets = [((5, 6), 'same'), ((10, 12), 'twice'), ((8, 9), 'more'), ((3, 4), 'less'), ((1, 1), 'one'), ((1, 17), 'mixed')]
    for mode, coordinate, (target, name) in itertools.product(('nearest', 'linear'), coordinates, targets):
        attributes = dict(mode=mode, coordinate_transformation_mode=coordinate)
        roundings = ('floor', 'ceil', 'round_prefer_floor', 'round_prefer_ceil') if mode == 'nearest' else (None,)
        for rounding in roundings:
            if rounding:
                attributes['nearest_mode'] = rounding
            if coordinate == 'half_pixel_symmetric' and rounding in ('floor', 'ceil'):
                continue  # a last bit of the position decides, which the formula leaves open
            yield Case('Resize', f'{mode}-{coordinate}-{rounding}-{name}', [x, None, None, Constant(2, 3, *target)], **attributes)
    for mode, coordinate, scale in itertools.product(('nearest', 'linear'), coordinates, ((2, 2), (1.5, 0.7), (0.4, 3.3))):
        yield Case('Resize', f'{mode}-{coordinate}-scale{scale}'.replace(' ', ''),
                   [x, None, Constant(1, 1, *scale, dtype=floats)], mode=mode, coordinate_transformation_mode=coordinate)
    for rounding, target in itertools.product(('floor', 'round_prefer_floor', 'ceil'), ((5, 6), (10, 12), (8, 9), (3, 4))):
        yield Case('Resize', f'tf_half_pixel_for_nn-{rounding}-{target}'.replace(' ', ''), [x, empty, empty, Constant(2, 3, *target)],
                   opset=11, nearest_mode=rounding, coordinate_transformation_mode='tf_half_pixel_for_nn')
    for mode, policy in itertools.product(('nearest', 'linear'), ('not_larger', 'not_smaller')):
        yield Case('Resize', f'{mode}-{policy}', [x, None, None, Constant(7, 9)], axes=[2, 3], mode=mode,
                   keep_aspect_ratio_policy=policy)
    roi = Constant(0, 0, 0.2, -0.1, 1, 1, 0.9, 1.2, dtype=floats)
    for mode in ('nearest', 'linear'):
        yield Case('Resize', f'{mode}-crop', [x, roi, None, sizes], mode=mode, extrapolation_value=-3.0,
                   coordinate_transformation_mode='tf_crop_and_resize')
    yield Case('Resize', 'empty', [x, empty, empty, sizes], opset=11, nearest_mode='floor',
               coordinate_transformation_mode='asymmetric')
    yield Case('Resize', 'axes', [x, None, Constant(2, 1.5, dtype=floats)], axes=[3, 2], mode='linear')
    yield Case('Resize', 'flat', [f32(4, 5), None, None, Constant(7, 3)], mode='linear')
    yield Case('Resize', 'volume', [f32(1, 2, 3, 4, 5), None, None, Constant(1, 2, 5, 3, 7)], mode='linear')
    yield Case('Resize', 'uint8', [i64(1, 1, 4, 4, low=0, dtype=np.uint8), None, None, Constant(1, 1, 7, 3)])
    yield Case('Resize', 'old', [x, Constant(1, 1, 2, 3, dtype=floats)], opset=10)
    yield Case('Resize', 'old-linear', [x, Constant(1, 1, 2, 1.5, dtype=floats)], opset=10, mode='linear')
    yield Case('Upsample', 'old', [x, Constant(1, 1, 2, 3, dtype=floats)], opset=9)


def halves():
    """Half precision: computed in single precision and rounded at the end, within a step of whatever is right."""
    x = f32(1, 4, 6, 6).astype(np.float16)
    yield Case('Conv', 'float16', [x, Constant(f32(3, 4, 3, 3).astype(np.float16))])
    yield Case('Gemm', 'float16', [f32(2, 3).astype(np.float16), f32(3, 4).astype(np.float16)])
    for op in ('Relu', 'Sigmoid', 'Exp', 'Abs', 'GlobalAveragePool', 'ReduceMean', 'Softmax'):
        yield Case(op, 'float16', [x])
    for op in ('Add', 'Mul', 'Max', 'Less'):
        yield Case(op, 'float16', [x, f32(6).astype(np.float16)])


CASES = [case for family in (convolutions, transposed_convolutions, poolings, products, normalisations, elementwise,
                             reductions, quantisations, shapes, repetitions, splits, moves, resizes, halves)
         for case in family()]


@pytest.fixture(scope='session')
def interpret(build, tmp_path_factory):
    """interpret(model, inputs) -> outputs"""
    program = build / 'tests/golden/interpret'
    if not program.exists():
        pytest.skip(f'{program} is not built (a build without the compiler)')

    def call(model, inputs):
        folder = tmp_path_factory.mktemp('interpret')
        paths = []
        for i, array in enumerate(inputs):
            paths.append(folder / f'in{i}.npy')
            np.save(paths[-1], array)
        done = subprocess.run([program, model, folder, *paths], capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr
        count = len([p for p in folder.iterdir() if re.fullmatch(r'\d+\.npy', p.name)])
        return [np.load(folder / f'{i}.npy') for i in range(count)]
    return call


def reference(model, feeds):
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return ort.InferenceSession(model, options, providers=['CPUExecutionProvider']).run(None, feeds)


def compare(outputs, wanted):
    assert len(outputs) == len(wanted)
    for got, want in zip(outputs, wanted):
        want = np.asarray(want)
        assert (got.dtype, got.shape) == (want.dtype, want.shape)
        if want.size == 0:
            continue
        difference = np.abs(got.astype(np.float64) - want.astype(np.float64)).max()
        tolerance = HALF_TOLERANCE if want.dtype == np.float16 else TOLERANCE
        assert difference <= tolerance * np.abs(want.astype(np.float64)).max(), f'{difference}\n{got}\n{want}'


@pytest.mark.parametrize('case', CASES, ids=lambda case: case.name)
def test_operator(interpret, tmp_path, case):
    model = case.model()
    onnx.save(model, tmp_path / 'model.onnx')
    feeds = case.feeds()
    compare(interpret(tmp_path / 'model.onnx', feeds.values()), reference(model.SerializeToString(), feeds))


def test_every_operator_has_a_case(root):
    names = set(re.findall(r'^VT_OP\(\w+, "(\w+)"', (root / 'src/ops/ops.inc').read_text(), re.MULTILINE))
    assert len(names) > 40
    assert names - {case.op for case in CASES} == set()
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize('name', REAL + list(MADE))
def test_network(interpret, data, tmp_path, name):
    path = data / f'models/{name}.onnx'
    if name in MADE:
        path = tmp_path / f'{name}.onnx'
        subprocess.run([sys.executable, data / 'tools/nets_synth.py', name, path], check=True, timeout=300)
    model = onnx.load(path)
    declared = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim]
    shape = MADE.get(name) or [size or 160 for size in declared]
    x = f32(*shape, low=0, high=255) if 'FASNet' in name else f32(*shape)
    compare(interpret(path, [x]), reference(str(path), {model.graph.input[0].name: x}))
