# SPDX-License-Identifier: Apache-2.0
"""Face detection and recognition: NumPy in, NumPy out, by the installed vultus library.

    embeddings = vultus.Embedder('arcface.onnx').embed(crops)   # uint8 [N,112,112,3] in BGR -> float32 [N,D]
    faces = vultus.Pipeline('scrfd.onnx', 'arcface.onnx').analyze(bgr)

Where no model is named, the starter pack's is taken. All calls let other Python threads run, and embedders and pipelines
may be used by many threads at once.
"""
import dataclasses
import os
import typing

import numpy

from ._binding import ffi, lib

__version__ = ffi.string(lib.vultus_version()).decode()
__all__ = ['Embedder', 'Face', 'Pipeline', 'VultusError', 'read_picture']


class VultusError(RuntimeError):
    """Says in one sentence what failed; `status` names the kind, such as "format" or "limit"."""

    def __init__(self, status, text):
        super().__init__(text)
        self.status = status


def _check(status, error):
    if status < 0:
        raise VultusError(ffi.string(lib.vultus_status_name(status)).decode(), ffi.string(error.text).decode(errors='replace'))


def _path(path):
    return ffi.new('char[]', os.fsencode(path))


def _starter(name):
    error, out = ffi.new('struct vultus_error *'), ffi.new('char **')
    _check(lib.vultus_starter_model(name, out, error), error)
    path = ffi.string(out[0])
    lib.vultus_free(out[0])
    return path


def _open_runtime(threads, plan_directory, max_bytes=0, max_pixels=0, max_side=0):
    """A runtime that is destroyed when nothing refers to it any more."""
    error, out = ffi.new('struct vultus_error *'), ffi.new('struct vultus_runtime **')
    directory = _path(plan_directory) if plan_directory else ffi.NULL
    options = ffi.new('struct vultus_runtime_options *', {
        'threads': threads, 'plan_directory': directory, 'max_picture_bytes': max_bytes, 'max_picture_pixels': max_pixels,
        'max_picture_dimension': max_side})
    _check(lib.vultus_runtime_create(options, out, error), error)
    return ffi.gc(out[0], lib.vultus_runtime_destroy)


def _owned(handle, close, runtime):
    """Closed when nothing refers to it; holds the runtime, which has to outlive it."""
    return ffi.gc(handle, lambda pointer, _runtime=runtime: close(pointer))


def _bytes_as_pointer(array, kind='uint8_t *'):
    return ffi.cast(kind, array.ctypes.data)


class Embedder:
    """A recogniser: aligned crops to embeddings.

    `model` is an ONNX file, which is compiled on first use, or a plan.
    """

    def __init__(self, model=None, *, threads=0, max_batch=0, plan_directory=None):
        runtime = _open_runtime(threads, plan_directory)
        error, out = ffi.new('struct vultus_error *'), ffi.new('struct vultus_embedder **')
        build = ffi.new('struct vultus_build_options *', {'max_batch': max_batch})
        path = _path(model if model is not None else _starter(b'starter_rec'))
        _check(lib.vultus_embedder_open(runtime, path, build, out, error), error)
        self._handle = _owned(out[0], lib.vultus_embedder_close, runtime)

    @property
    def dimension(self):
        return lib.vultus_embedder_dimension(self._handle)

    @property
    def input_size(self):
        """(width, height) of crops."""
        size = ffi.new('int[2]')
        lib.vultus_embedder_input_size(self._handle, size, size + 1)
        return size[0], size[1]

    def embed(self, crops, *, norms=False):
        """float32 [N,D], rows of length 1, of uint8 crops [N,H,W,3] in BGR; with `norms` also the raw lengths [N]."""
        width, height = self.input_size
        crops = numpy.asarray(crops)
        if crops.dtype != numpy.uint8 or crops.ndim != 4 or crops.shape[1:] != (height, width, 3):
            raise ValueError(f'crops are uint8 [N,{height},{width},3] in BGR, not {crops.dtype} {list(crops.shape)}')
        crops = numpy.ascontiguousarray(crops)
        embeddings = numpy.zeros((len(crops), self.dimension), numpy.float32)
        lengths = numpy.zeros(len(crops), numpy.float32)
        if len(crops):
            error = ffi.new('struct vultus_error *')
            _check(lib.vultus_embed(self._handle, _bytes_as_pointer(crops), len(crops), _bytes_as_pointer(embeddings, 'float *'),
                                    _bytes_as_pointer(lengths, 'float *'), error), error)
        return (embeddings, lengths) if norms else embeddings


@dataclasses.dataclass(eq=False)
class Face:
    """Coordinates are pixels of the picture, not clipped to it."""
    bbox: numpy.ndarray  # float32 [4]: x1, y1, x2, y2
    score: float
    landmarks: numpy.ndarray  # float32 [5,2]: left eye, right eye, nose, left and right mouth corner, as seen
    embedding: typing.Optional[numpy.ndarray]  # float32 [D] of length 1
    norm: float  # of the raw embedding; 0 without one
    crop: typing.Optional[numpy.ndarray]  # uint8 [112,112,3] in BGR, where crops were asked for
    failure: typing.Optional[str]  # why there is no embedding
    pass_: str  # the look at the picture that found it: plain, margin or tile
    turn: int  # degrees the picture was turned clockwise for that look: 0, 90, 180 or 270
    attributes: dict  # those asked for, as in records of `vultus extract`; NaN where those have null


_PASSES = {lib.VULTUS_PASS_PLAIN: 'plain', lib.VULTUS_PASS_MARGIN: 'margin', lib.VULTUS_PASS_TILE: 'tile'}
_ROBUST = {'auto': lib.VULTUS_ROBUST_AUTO, 'off': lib.VULTUS_ROBUST_OFF, 'full': lib.VULTUS_ROBUST_FULL}
_ATTRIBUTES = {'mask': lib.VULTUS_ATTRIBUTE_MASK, 'liveness': lib.VULTUS_ATTRIBUTE_LIVENESS,
               'gender-age': lib.VULTUS_ATTRIBUTE_GENDER_AGE, 'quality': lib.VULTUS_ATTRIBUTE_QUALITY}


def _choose(names, choices, what):
    for name in names:
        if name not in choices:
            raise ValueError(f'{what} {name!r} is none of {", ".join(choices)}')
    return [choices[name] for name in names]


def _copy_quality(q):
    return {'overall': q.overall, 'norm': q.norm if q.norm > 0 else float('nan'),
            **{name: getattr(q, name) for name in ('sharpness', 'size', 'yaw', 'pitch', 'roll')},
            'parts': {name: getattr(q, name + '_part') for name in ('norm', 'sharpness', 'size', 'pose')}}


def _copy_attributes(a):
    told = {
        'mask': (lib.VULTUS_ATTRIBUTE_MASK, lambda: {'mask': a.mask, 'probability': a.mask_probability,
                                                     'no_mask_probability': a.no_mask_probability}),
        'liveness': (lib.VULTUS_ATTRIBUTE_LIVENESS, lambda: {'live': a.live, 'probability': a.liveness}),
        'gender_age': (lib.VULTUS_ATTRIBUTE_GENDER_AGE, lambda: {'gender': 'male' if a.gender else 'female', 'age': a.age}),
        'quality': (lib.VULTUS_ATTRIBUTE_QUALITY, lambda: _copy_quality(a.quality))}
    return {name: copy() for name, (bit, copy) in told.items() if a.present & bit}


def _copy_picture(picture):
    rows = numpy.frombuffer(ffi.buffer(picture.pixels, picture.stride * picture.height), numpy.uint8)
    return rows.reshape(picture.height, picture.stride)[:, :3 * picture.width].reshape(picture.height, picture.width, 3).copy()


def _copy_floats(pointer, *shape):
    count = int(numpy.prod(shape))
    return numpy.frombuffer(ffi.buffer(pointer, 4 * count), numpy.float32).reshape(shape).copy()


def _copy_face(face, dimension):
    return Face(bbox=_copy_floats(face.box, 4), score=face.score, landmarks=_copy_floats(face.landmarks, 5, 2),
                embedding=_copy_floats(face.embedding, dimension) if face.embedding else None, norm=face.norm,
                crop=_copy_picture(face.crop) if face.crop.pixels else None,
                failure=ffi.string(face.failure).decode() if face.failure else None,
                pass_=_PASSES[getattr(face, 'pass')], turn=face.turn,
                attributes=_copy_attributes(face.attributes))


class Pipeline:
    """Pictures to faces: a detector and, unless `embeddings` is false, a recogniser; with models that tell attributes."""

    def __init__(self, detector=None, recogniser=None, *, embeddings=True, attribute_models=(), threads=0, input_size=(0, 0), plan_directory=None,
                 max_bytes=0, max_pixels=0, max_side=0):
        runtime = _open_runtime(threads, plan_directory, max_bytes, max_pixels, max_side)
        detector = _path(detector if detector is not None else _starter(b'starter_det'))
        if embeddings:
            recogniser = _path(recogniser if recogniser is not None else _starter(b'starter_rec'))
        models = [_path(model) for model in attribute_models]
        listed = ffi.new('const char *[]', models)
        options = ffi.new('struct vultus_pipeline_options *', {
            'attribute_models': listed, 'n_attribute_models': len(models), 'detector': detector, 'recogniser': recogniser if embeddings else ffi.NULL,
            'detector_build': {'width': input_size[0], 'height': input_size[1]}})
        error, out = ffi.new('struct vultus_error *'), ffi.new('struct vultus_pipeline **')
        _check(lib.vultus_pipeline_open(runtime, options, out, error), error)
        self._handle = _owned(out[0], lib.vultus_pipeline_close, runtime)

    def _analyze(self, call, threshold=0.6, limit_faces=0, min_face_size=0, crops=False, robust='auto', tile=False, attributes=()):
        wanted = ffi.new('struct vultus_analyze_options *', {
            'threshold': threshold, 'limit_faces': limit_faces, 'min_face_size': min_face_size, 'with_crops': crops, 'tile': tile,
            'robust': _choose([robust], _ROBUST, 'robust')[0], 'attributes': sum(set(_choose(attributes, _ATTRIBUTES, 'attribute')))})
        error, out = ffi.new('struct vultus_error *'), ffi.new('struct vultus_faces **')
        _check(call(wanted, out, error), error)
        faces = ffi.gc(out[0], lib.vultus_faces_free)
        return [_copy_face(faces.faces[i], faces.dimension) for i in range(faces.count)]

    def analyze(self, bgr, **options):
        """Faces of a uint8 picture [H,W,3] in BGR, by descending score.

        Options are those of the command `extract`: threshold=0.6, limit_faces=0, min_face_size=0, robust='auto', tile=False,
        attributes=() of mask, liveness, gender-age, quality; crops=True keeps the aligned faces.
        """
        bgr = numpy.asarray(bgr)
        if bgr.dtype != numpy.uint8 or bgr.ndim != 3 or bgr.shape[2] != 3 or 0 in bgr.shape:
            raise ValueError(f'a picture is uint8 [H,W,3] in BGR, not {bgr.dtype} {list(bgr.shape)}')
        if bgr.strides[1:] != (3, 1) or bgr.strides[0] < 3 * bgr.shape[1]:
            bgr = numpy.ascontiguousarray(bgr)
        picture = ffi.new('struct vultus_picture *', {
            'pixels': _bytes_as_pointer(bgr), 'width': bgr.shape[1], 'height': bgr.shape[0], 'stride': bgr.strides[0]})
        return self._analyze(lambda *rest: lib.vultus_analyze(self._handle, picture, *rest), **options)

    def analyze_encoded(self, data, *, name='the picture', **options):
        """The same of the bytes of a picture file."""
        data, label = ffi.from_buffer(data), _path(name)
        return self._analyze(lambda *rest: lib.vultus_analyze_encoded(self._handle, data, len(data), label, *rest), **options)


def read_picture(data, *, name='the picture', max_bytes=0, max_pixels=0, max_side=0):
    """The uint8 pixels [H,W,3] in BGR of the bytes of a picture file, upright."""
    runtime = _open_runtime(1, None, max_bytes, max_pixels, max_side)
    data = ffi.from_buffer(data)
    error, picture = ffi.new('struct vultus_error *'), ffi.new('struct vultus_picture *')
    _check(lib.vultus_picture_decode(runtime, data, len(data), _path(name), picture, error), error)
    try:
        return _copy_picture(picture)
    finally:
        lib.vultus_picture_release(picture)
