# SPDX-License-Identifier: Apache-2.0
"""Detectors of every family with seeded weights, and what numpy makes of their outputs: letterbox by OpenCV, decoding
from the methods' papers and the InsightFace-REST behaviour, suppression with the +1 pixel convention."""
import cv2
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Maker:
    """A convolutional trunk with maps at strides 2 to 128, and heads on them; of pictures in numbers up to `range_`."""

    def __init__(self, seed, width, height, range_=1):
        self.random, self.nodes, self.weights, self.outputs = np.random.default_rng(seed), [], [], []
        self.width, self.height, self.maps = width, height, {}
        x, channels = 'picture', 3
        for level in range(7):
            x = self.conv(x, channels, 8, 2, 1.2 / (1 if level else range_))
            self.nodes.append(helper.make_node('Relu', [x], [f'map{level}']))
            x, channels = f'map{level}', 8
            self.maps[2 << level] = x

    def constant(self, array):
        name = f'w{len(self.weights)}'
        self.weights.append(numpy_helper.from_array(array, name))
        return name

    def node(self, op, inputs, **attributes):
        name = f'{op.lower()}{len(self.nodes)}'
        self.nodes.append(helper.make_node(op, inputs, [name], **attributes))
        return name

    def conv(self, x, channels, maps, stride, gain, bias=0.0):
        weight = self.random.normal(0, gain / np.sqrt(9 * channels), (maps, channels, 3, 3)).astype(np.float32)
        offsets = np.full(maps, bias, np.float32)
        return self.node('Conv', [x, self.constant(weight), self.constant(offsets)], kernel_shape=[3, 3], pads=[1] * 4, strides=[stride] * 2)

    def head(self, stride, maps, gain, bias=0.0):
        """[1, maps, height / stride, width / stride]"""
        return self.conv(self.maps[stride], 8, maps, 1, gain, bias)

    def rows(self, x, columns, batch_axis):
        """Maps as rows: cell by cell, what belongs to one anchor together."""
        turned = self.node('Transpose', [x], perm=[0, 2, 3, 1])
        shape = [1, -1, columns] if batch_axis else [-1, columns]
        return self.node('Reshape', [turned, self.constant(np.array(shape, np.int64))])

    def emit(self, x, name, shape):
        self.nodes.append(helper.make_node('Identity', [x], [name]))
        self.outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))

    def save(self, path):
        picture = helper.make_tensor_value_info('picture', TensorProto.FLOAT, [1, 3, self.height, self.width])
        graph = helper.make_graph(self.nodes, 'seeded', [picture], self.outputs, self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13)], ir_version=7)
        onnx.checker.check_model(model)
        onnx.save(model, path)


def scrfd(path, width, height, strides=(8, 16, 32), anchors=2, landmarks=True, batch_axis=True, order=None, seed=4):
    m, heads = Maker(seed, width, height), []
    kinds = [('score', 1), ('bbox', 4), ('kps', 10)][:3 if landmarks else 2]
    for kind, columns in kinds:
        for stride in strides:
            x = m.head(stride, anchors * columns, {1: 0.4, 4: 0.5, 10: 1.0}[columns])
            x = m.node({1: 'Sigmoid', 4: 'Softplus', 10: 'Identity'}[columns], [x])
            rows = anchors * (height // stride) * (width // stride)
            heads.append((m.rows(x, columns, batch_axis), f'{kind}_{stride}', [1, rows, columns] if batch_axis else [rows, columns]))
    for i in order or range(len(heads)):
        m.emit(*heads[i])
    m.save(path)


def retinaface(path, width, height, masks=False, seed=5):
    m, anchors = Maker(seed, width, height, 255), 2
    for stride in (32, 16, 8):
        h, w = height // stride, width // stride
        logits = m.node('Reshape', [m.head(stride, 2 * anchors, 0.8), m.constant(np.array([1, 2, anchors * h, w], np.int64))])
        classes = m.node('Reshape', [m.node('Softmax', [logits], axis=1), m.constant(np.array([1, 2 * anchors, h, w], np.int64))])
        m.emit(classes, f'class_{stride}', [1, 2 * anchors, h, w])
        m.emit(m.head(stride, 4 * anchors, 0.5), f'box_{stride}', [1, 4 * anchors, h, w])
        m.emit(m.head(stride, 10 * anchors, 0.5), f'points_{stride}', [1, 10 * anchors, h, w])
        if masks:
            m.emit(m.head(stride, 3 * anchors, 0.5), f'mask_{stride}', [1, 3 * anchors, h, w])
    m.save(path)


def retinaface_torch(path, width, height, seed=8):
    m, parts = Maker(seed, width, height, 64), {4: [], 2: [], 10: []}
    for stride in (8, 16, 32):
        for columns, gain in ((4, 1.5), (2, 0.25), (10, 3.0)):
            parts[columns].append(m.rows(m.head(stride, 2 * columns, gain), columns, True))
    count = sum(2 * (height // s) * (width // s) for s in (8, 16, 32))
    for columns, rows in parts.items():
        joined = m.node('Concat', rows, axis=1)
        m.emit(m.node('Softmax', [joined], axis=2) if columns == 2 else joined, f'rows_{columns}', [1, count, columns])
    m.save(path)


def centerface(path, width, height, seed=7):
    m, h, w = Maker(seed, width, height, 255), height // 4, width // 4
    m.emit(m.node('Sigmoid', [m.head(4, 1, 0.8, -2)]), 'heat', [1, 1, h, w])
    m.emit(m.head(4, 2, 0.5, 2), 'scale', [1, 2, h, w])
    m.emit(m.head(4, 2, 0.5), 'offset', [1, 2, h, w])
    m.emit(m.head(4, 10, 0.5, 0.5), 'points', [1, 10, h, w])
    m.save(path)


def yolov5face(path, width, height, seed=9):
    """Rows are decoded inside, as exporters do: here simply a positive number of pixels."""
    m, parts, count = Maker(seed, width, height), [], 0
    for stride in (8, 16, 32):
        parts.append(m.rows(m.node('Sigmoid', [m.head(stride, 48, 1.0)]), 16, True))
        count += 3 * (height // stride) * (width // stride)
    scale = np.array([width, height, width / 4, height / 4, 1, *[width, height] * 5, 1], np.float32)
    m.emit(m.node('Mul', [m.node('Concat', parts, axis=1), m.constant(scale)]), 'rows', [1, count, 16])
    m.save(path)


# ---------------------------------------------------------------- what numpy makes of them

def letterbox(bgr, width, height):
    h, w = bgr.shape[:2]
    s = min(width / w, height / h)
    s *= 0.7 if s > 2 else 1
    if s != 1:
        bgr = cv2.resize(bgr, None, fx=s, fy=s, interpolation=cv2.INTER_AREA if s < 1 else cv2.INTER_LINEAR)
    out = np.zeros((height, width, 3), np.uint8)
    out[:bgr.shape[0], :bgr.shape[1]] = bgr[:height, :width]
    return out, s


def cells(width, height, stride):
    y, x = np.mgrid[:height // stride, :width // stride]
    return np.stack([x, y], -1).reshape(-1, 2).astype(np.float64)


def decode_scrfd(outputs, width, height):
    """Heads are told apart by what they are called in the networks made here, or by their shapes."""
    boxes, scores, points = [], [], []
    flat = [o.reshape(-1, o.shape[-1]) for o in outputs]
    by_shape = {(len(o), o.shape[1]): o for o in flat}
    strides, anchors = ((8, 16, 32, 64, 128), 1) if len(flat) in (10, 15) else ((8, 16, 32), 2)
    for stride in strides:
        centre = np.repeat(cells(width, height, stride), anchors, 0) * stride
        n = len(centre)
        box, where = by_shape[n, 4] * stride, by_shape.get((n, 10))
        scores.append(by_shape[n, 1][:, 0])
        boxes.append(np.concatenate([centre - box[:, :2], centre + box[:, 2:]], 1))
        points.append(where.reshape(-1, 5, 2) * stride + centre[:, None] if where is not None else np.zeros((n, 5, 2)))
    return np.concatenate(boxes), np.concatenate(scores), np.concatenate(points)


def decode_retinaface(outputs, width, height, landmark_std):
    boxes, scores, points = [], [], []
    each = len(outputs) // 3
    for level, (stride, scales) in enumerate([(32, (32, 16)), (16, (8, 4)), (8, (2, 1))]):
        classes, deltas, where = (o[0].transpose(1, 2, 0) for o in outputs[each * level:each * level + 3])
        side = 16.0 * np.array(scales)
        size = np.tile(side, len(cells(width, height, stride)))[:, None]
        middle = np.repeat(cells(width, height, stride) * stride, 2, 0) + 7.5
        deltas = deltas.reshape(-1, 4)
        centre, extent = deltas[:, :2] * size + middle, np.exp(deltas[:, 2:]) * size - 1
        scores.append(classes[..., 2:].reshape(-1))
        boxes.append(np.concatenate([centre - extent / 2, centre + extent / 2], 1))
        points.append(where.reshape(-1, 5, 2) * landmark_std * size[:, None] + middle[:, None])
    return np.concatenate(boxes), np.concatenate(scores), np.concatenate(points)


def decode_retinaface_torch(outputs, width, height):
    """Priors in parts of the picture's sides, and variances, as the method's published PyTorch code has them."""
    deltas, classes, where = (o[0].astype(np.float64) for o in outputs)
    priors = []
    for stride, sides in ((8, (16, 32)), (16, (64, 128)), (32, (256, 512))):
        for q, r in cells(width, height, stride):
            priors += [((q + 0.5) * stride / width, (r + 0.5) * stride / height, side / width, side / height) for side in sides]
    priors = np.array(priors)
    centre, size = priors[:, :2] + deltas[:, :2] * 0.1 * priors[:, 2:], priors[:, 2:] * np.exp(deltas[:, 2:] * 0.2)
    whole = np.array([width, height])
    boxes = np.concatenate([centre - size / 2, centre + size / 2], 1) * np.tile(whole, 2)
    points = priors[:, None, :2] + where.reshape(-1, 5, 2) * 0.1 * priors[:, None, 2:]
    return boxes, classes[:, 1], points * whole


def decode_centerface(outputs, width, height):
    heat, scale, offset, points = (o[0].reshape(o.shape[1], -1) for o in outputs)
    q, r = cells(width, height, 4).T
    h, w = 4 * np.exp(scale)
    x = np.clip((q + offset[1] + 0.5) * 4 - w / 2, 0, width)
    y = np.clip((r + offset[0] + 0.5) * 4 - h / 2, 0, height)
    box = np.stack([x, y, np.minimum(x + w, width), np.minimum(y + h, height)], 1)
    where = np.stack([points[1::2] * w + x, points[::2] * h + y], -1).transpose(1, 0, 2)
    return box, heat[0], where


def decode_yolov5face(outputs, width, height):
    rows = outputs[0].reshape(-1, 16)
    half = rows[:, 2:4] / 2
    return np.concatenate([rows[:, :2] - half, rows[:, :2] + half], 1), rows[:, 4], rows[:, 5:15].reshape(-1, 5, 2)


def overlaps(box, others):
    """IoU with the +1 pixel convention."""
    area = lambda b: (b[..., 2] - b[..., 0] + 1) * (b[..., 3] - b[..., 1] + 1)
    w = np.maximum(0, np.minimum(box[2], others[:, 2]) - np.maximum(box[0], others[:, 0]) + 1)
    h = np.maximum(0, np.minimum(box[3], others[:, 3]) - np.maximum(box[1], others[:, 1]) + 1)
    return w * h / (area(box) + area(others) - w * h)


def suppress(boxes, scores, threshold):
    """Indices that stay, and how near any decision was to going the other way."""
    order, keep, slack = np.argsort(-scores, kind='stable'), [], 1.0
    while len(order):
        first, order = order[0], order[1:]
        keep.append(first)
        iou = overlaps(boxes[first], boxes[order])
        slack = min([slack, *np.abs(iou - threshold)])
        order = order[iou <= threshold]
    return np.array(keep, int), slack
