# SPDX-License-Identifier: Apache-2.0
"""The job of /extract behind FastAPI and uvicorn: what one writes in Python with onnxruntime, OpenCV and orjson.

The networks, the letterbox, suppression and alignment are the classes of reference.py, which PEER_REFERENCE names. uvicorn
starts as many of these processes as it is told; each has its own sessions of PEER_THREADS threads. Handlers run in
threads, so that requests of one process overlap where Python lets them.
"""
import base64
import importlib.util
import os

import cv2
import numpy as np
import orjson
from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response

spec = importlib.util.spec_from_file_location('reference', os.environ['PEER_REFERENCE'])
reference = importlib.util.module_from_spec(spec)
spec.loader.exec_module(reference)

threads = int(os.environ['PEER_THREADS'])
cv2.setNumThreads(threads)
detector = reference.Detector(os.environ['PEER_DETECTOR'], threads)
recogniser = reference.Recogniser(os.environ['PEER_RECOGNISER'], threads)
app = FastAPI()


def described(embedding):
    norm = float(np.linalg.norm(embedding))
    return {'norm': norm, 'vec': embedding / norm, 'gender': None, 'age': None, 'mask': None, 'mask_probs': None}


def faces_of(picture, threshold):
    boxes, scores, landmarks, scale = detector(picture, threshold)
    embeddings = recogniser([reference.align(picture, points) for points in landmarks]) if len(boxes) else []
    return [{'bbox': box.astype(int), 'prob': float(score), 'num_det': number, 'scale': scale, **described(embedding), 'size': int(box[2] - box[0])}
            for number, (box, score, embedding) in enumerate(zip(boxes, scores, embeddings))]


def answer(text):
    wanted = orjson.loads(text)
    pictures = [cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR) for data in wanted['images']['data']]
    if wanted.get('embed_only'):
        data = [{'status': 'ok', 'took_ms': 0, 'faces': [described(embedding)]} for embedding in recogniser(pictures)]
    else:
        data = [{'status': 'ok', 'faces': faces_of(picture, wanted.get('threshold') or 0.6)} for picture in pictures]
    return orjson.dumps({'took': {}, 'data': data}, option=orjson.OPT_SERIALIZE_NUMPY)


@app.post('/extract')
async def extract(request: Request):
    return Response(await run_in_threadpool(answer, await request.body()), media_type='application/json')


@app.get('/v1/ready')
async def ready():
    return {'status': 'ready'}
