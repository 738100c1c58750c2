/* SPDX-License-Identifier: Apache-2.0 */
#include "encoder.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

void encoder_fini(struct encoder *encoder) {
    free(encoder->bytes);
    *encoder = (struct encoder){0};
}

void put_bytes(struct encoder *encoder, const void *bytes, size_t size) {
    if (encoder->capacity - encoder->size < size) {
        encoder->capacity = 2 * (encoder->capacity + size);
        encoder->bytes = realloc(encoder->bytes, encoder->capacity);
        if (!encoder->bytes) abort();
    }
    if (size) memcpy(encoder->bytes + encoder->size, bytes, size);
    encoder->size += size;
}

void put_varint(struct encoder *encoder, uint64_t value) {
    do {
        uint8_t byte = (uint8_t)((value & 0x7F) | (value > 0x7F ? 0x80 : 0));
        put_bytes(encoder, &byte, 1);
        value >>= 7;
    } while (value);
}

void put_tag(struct encoder *encoder, uint32_t number, unsigned wire) {
    put_varint(encoder, (uint64_t)number << 3 | wire);
}

void put_int(struct encoder *encoder, uint32_t number, int64_t value) {
    put_tag(encoder, number, 0);
    put_varint(encoder, (uint64_t)value);
}

void put_float(struct encoder *encoder, uint32_t number, float value) {
    put_tag(encoder, number, 5);
    put_bytes(encoder, &value, sizeof value);
}

void put_block(struct encoder *encoder, uint32_t number, const void *bytes, size_t size) {
    put_tag(encoder, number, 2);
    put_varint(encoder, size);
    put_bytes(encoder, bytes, size);
}

void put_text(struct encoder *encoder, uint32_t number, const char *text) {
    put_block(encoder, number, text, strlen(text));
}

void put_packed(struct encoder *encoder, uint32_t number, size_t count, const int64_t *values) {
    struct encoder packed = {0};
    for (size_t i = 0; i < count; ++i) put_varint(&packed, (uint64_t)values[i]);
    put_message(encoder, number, &packed);
}

void put_message(struct encoder *encoder, uint32_t number, struct encoder *part) {
    put_block(encoder, number, part->bytes, part->size);
    encoder_fini(part);
}

void put_input(struct encoder *graph, const char *name, int64_t type, int rank, const int64_t *dims) {
    struct encoder shape = {0}, tensor = {0}, wrapped = {0}, value = {0};
    for (int i = 0; i < rank; ++i) {
        struct encoder dim = {0};
        if (dims[i]) put_int(&dim, 1, dims[i]);
        put_message(&shape, 1, &dim);
    }
    put_int(&tensor, 1, type);
    if (rank >= 0)
        put_message(&tensor, 2, &shape);
    else
        encoder_fini(&shape);
    put_message(&wrapped, 1, &tensor);
    put_text(&value, 1, name);
    put_message(&value, 2, &wrapped);
    put_message(graph, 11, &value);
}

void put_output(struct encoder *graph, const char *name) {
    struct encoder value = {0};
    put_text(&value, 1, name);
    put_message(graph, 12, &value);
}

struct encoder tensor_of(const char *name, int64_t type, int rank, const int64_t *dims, const void *raw, size_t size) {
    struct encoder tensor = {0};
    put_packed(&tensor, 1, (size_t)rank, dims);
    put_int(&tensor, 2, type);
    put_text(&tensor, 8, name);
    put_block(&tensor, 9, raw, size);
    return tensor;
}

void put_initializer(struct encoder *graph, const char *name, int64_t type, int rank, const int64_t *dims,
    const void *raw, size_t size) {
    struct encoder tensor = tensor_of(name, type, rank, dims, raw, size);
    put_message(graph, 5, &tensor);
}

void put_f32(struct encoder *graph, const char *name, int64_t count, const float *values) {
    put_initializer(graph, name, ONNX_F32, 1, &count, values, (size_t)count * sizeof *values);
}

void put_i64(struct encoder *graph, const char *name, int64_t count, const int64_t *values) {
    put_initializer(graph, name, ONNX_I64, 1, &count, values, (size_t)count * sizeof *values);
}

static void put_names(struct encoder *node, uint32_t number, const char *names) {
    while (*names) {
        size_t length = strcspn(names, " ");
        bool missing = length == 1 && *names == '-';
        put_block(node, number, names, missing ? 0 : length);
        names += length;
        names += strspn(names, " ");
    }
}

struct encoder node_of(const char *operator_name, const char *inputs, const char *outputs) {
    struct encoder node = {0};
    put_names(&node, 1, inputs);
    put_names(&node, 2, outputs);
    put_text(&node, 3, "the-node");
    put_text(&node, 4, operator_name);
    return node;
}

static struct encoder attribute_of(const char *name, int64_t type) {
    struct encoder attribute = {0};
    put_text(&attribute, 1, name);
    put_int(&attribute, 20, type);
    return attribute;
}

void attribute_int(struct encoder *node, const char *name, int64_t value) {
    struct encoder attribute = attribute_of(name, 2);
    put_int(&attribute, 3, value);
    put_message(node, 5, &attribute);
}

void attribute_float(struct encoder *node, const char *name, float value) {
    struct encoder attribute = attribute_of(name, 1);
    put_float(&attribute, 2, value);
    put_message(node, 5, &attribute);
}

void attribute_text(struct encoder *node, const char *name, const char *text) {
    struct encoder attribute = attribute_of(name, 3);
    put_text(&attribute, 4, text);
    put_message(node, 5, &attribute);
}

/* Not packed, as ONNX's proto2 schema has it; the packed form is what tensors' dims use here. */
void attribute_ints(struct encoder *node, const char *name, size_t count, const int64_t *values) {
    struct encoder attribute = attribute_of(name, 7);
    for (size_t i = 0; i < count; ++i) put_int(&attribute, 8, values[i]);
    put_message(node, 5, &attribute);
}

void attribute_floats(struct encoder *node, const char *name, size_t count, const float *values) {
    struct encoder attribute = attribute_of(name, 6);
    for (size_t i = 0; i < count; ++i) put_float(&attribute, 7, values[i]);
    put_message(node, 5, &attribute);
}

void attribute_tensor(struct encoder *node, const char *name, struct encoder *tensor) {
    struct encoder attribute = attribute_of(name, 4);
    put_message(&attribute, 5, tensor);
    put_message(node, 5, &attribute);
}

void put_node(struct encoder *graph, struct encoder *node) { put_message(graph, 1, node); }

void put_plain_node(struct encoder *graph, const char *operator_name, const char *inputs, const char *outputs) {
    struct encoder node = node_of(operator_name, inputs, outputs);
    put_node(graph, &node);
}

struct encoder model_of(struct encoder *graph, int64_t opset) {
    struct encoder model = {0}, import = {0};
    put_int(&model, 1, 8);
    put_text(&model, 2, "encoder");
    put_message(&model, 7, graph);
    put_text(&import, 1, "");
    put_int(&import, 2, opset);
    put_message(&model, 8, &import);
    return model;
}
