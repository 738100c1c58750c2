/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_TESTS_ONNX_ENCODER_H
#define VT_TESTS_ONNX_ENCODER_H

#include <stddef.h>
#include <stdint.h>

/*
 * Writes protobuf, and ONNX models by hand. Out of memory aborts: this is for tests. A zeroed struct is an empty
 * message; encoder_fini releases it.
 */
struct encoder {
    uint8_t *bytes;
    size_t size, capacity;
};

void encoder_fini(struct encoder *encoder);
void put_bytes(struct encoder *encoder, const void *bytes, size_t size); /* as they are */
void put_varint(struct encoder *encoder, uint64_t value);
void put_tag(struct encoder *encoder, uint32_t number, unsigned wire);

void put_int(struct encoder *encoder, uint32_t number, int64_t value);
void put_float(struct encoder *encoder, uint32_t number, float value);
void put_block(struct encoder *encoder, uint32_t number, const void *bytes, size_t size);
void put_text(struct encoder *encoder, uint32_t number, const char *text);
void put_packed(struct encoder *encoder, uint32_t number, size_t count, const int64_t *values);
/* Writes `part` as a field of `encoder` and releases it. */
void put_message(struct encoder *encoder, uint32_t number, struct encoder *part);

/* ONNX's numbers of element types. */
enum {
    ONNX_F32 = 1,
    ONNX_U8 = 2,
    ONNX_I8 = 3,
    ONNX_I32 = 6,
    ONNX_I64 = 7,
    ONNX_TEXT = 8,
    ONNX_BOOL = 9,
    ONNX_F16 = 10,
    ONNX_F64 = 11
};

/* A graph under construction, field by field; model_of wraps it. */

/* A dim of 0 is left without value; negative ones are written as they are. rank < 0: no shape at all. */
void put_input(struct encoder *graph, const char *name, int64_t type, int rank, const int64_t *dims);
void put_output(struct encoder *graph, const char *name);
void put_initializer(
    struct encoder *graph, const char *name, int64_t type, int rank, const int64_t *dims, const void *raw, size_t size);
void put_f32(struct encoder *graph, const char *name, int64_t count, const float *values);
void put_i64(struct encoder *graph, const char *name, int64_t count, const int64_t *values);

/* A NodeProto; inputs and outputs are names separated by spaces, "-" for a missing one. Attributes follow, then
 * put_node. */
struct encoder node_of(const char *operator_name, const char *inputs, const char *outputs);
void attribute_int(struct encoder *node, const char *name, int64_t value);
void attribute_float(struct encoder *node, const char *name, float value);
void attribute_text(struct encoder *node, const char *name, const char *text);
void attribute_ints(struct encoder *node, const char *name, size_t count, const int64_t *values);
void attribute_floats(struct encoder *node, const char *name, size_t count, const float *values);
/* A TensorProto of float32 (raw data), released. */
struct encoder tensor_of(const char *name, int64_t type, int rank, const int64_t *dims, const void *raw, size_t size);
void attribute_tensor(struct encoder *node, const char *name, struct encoder *tensor);
void put_node(struct encoder *graph, struct encoder *node);
/* node_of and put_node in one. */
void put_plain_node(struct encoder *graph, const char *operator_name, const char *inputs, const char *outputs);

/* The whole file: IR version 8, the opset, the graph (released). */
struct encoder model_of(struct encoder *graph, int64_t opset);

#endif
