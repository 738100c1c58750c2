/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "onnx/reader.h"

enum value_info_field { VALUE_NAME = 1, VALUE_TYPE = 2 };
enum type_field { TYPE_TENSOR = 1 };
enum tensor_type_field { TENSOR_ELEM_TYPE = 1, TENSOR_SHAPE = 2 };
enum shape_field { SHAPE_DIM = 1 };
enum dimension_field { DIMENSION_VALUE = 1, DIMENSION_PARAM = 2 };

/* The last field `number` of a message whose payload is a message; *found tells whether there is one. */
static enum vultus_status find_message(struct vt_pb message, uint32_t number, struct vt_pb *out, bool *found) {
    struct vt_pb_field field;
    enum vultus_status status;
    *found = false;
    while (!(status = vt_pb_next(&message, &field)) && field.number) {
        if (field.number != number) continue;
        *found = true;
        status = vt_pb_message(&field, out);
        if (status) break;
    }
    return status;
}

/* A size that exporters leave open is written in many ways; each such dim gets a symbol of its own. */
static bool is_open(const char *param, int64_t number) {
    static const char *const spellings[] = {"", "?", "0", "-1", "None"};
    for (size_t i = 0; i < sizeof spellings / sizeof *spellings; ++i)
        if (strcmp(param, spellings[i]) == 0) return number <= 0;
    return false;
}

static enum vultus_status read_dim(
    const struct vt_onnx_reader *reader, struct vt_pb message, int axis, struct vt_value *value) {
    struct vt_pb_field field;
    enum vultus_status status;
    const char *param = "";
    int64_t number = 0;
    while (!(status = vt_pb_next(&message, &field)) && field.number) {
        if (field.number == DIMENSION_VALUE) status = vt_pb_int(&field, &number);
        if (field.number == DIMENSION_PARAM) status = vt_pb_text(&field, reader->arena, &param);
        if (status) break;
    }
    if (status) return status;
    if (number < -1)
        return vt_onnx_fail(reader, VULTUS_ERROR_FORMAT, "dimension %d of input '%.100s' is %lld", axis, value->name,
            (long long)number);
    if (is_open(param, number)) {
        param = vt_arena_printf(reader->arena, "%s[%d]", value->name, axis);
        if (!param) return vt_onnx_memory_fail(reader);
    }
    value->dims[axis] = number > 0 ? vt_dim_constant(reader->arena, number) : vt_dim_symbol(reader->arena, param);
    return value->dims[axis] ? VULTUS_OK : vt_onnx_memory_fail(reader);
}

static enum vultus_status read_shape(
    const struct vt_onnx_reader *reader, struct vt_pb message, struct vt_value *value) {
    struct vt_pb_field field;
    enum vultus_status status;
    int rank = 0;
    while (!(status = vt_pb_next(&message, &field)) && field.number) {
        struct vt_pb dim;
        if (field.number != SHAPE_DIM) continue;
        if (rank == VT_MAX_RANK)
            return vt_onnx_fail(reader, VULTUS_ERROR_UNSUPPORTED,
                "input '%.100s' has more than %d dimensions, which is not supported", value->name, VT_MAX_RANK);
        status = vt_pb_message(&field, &dim);
        if (!status) status = read_dim(reader, dim, rank++, value);
        if (status) break;
    }
    value->rank = rank;
    return status;
}

static enum vultus_status read_tensor_type(
    const struct vt_onnx_reader *reader, struct vt_pb message, struct vt_value *value) {
    struct vt_pb_field field;
    struct vt_pb copy = message, shape;
    int64_t elem_type = 0;
    bool has_shape;
    enum vultus_status status;
    while (!(status = vt_pb_next(&copy, &field)) && field.number) {
        if (field.number == TENSOR_ELEM_TYPE) status = vt_pb_int(&field, &elem_type);
        if (status) break;
    }
    if (!status) status = find_message(message, TENSOR_SHAPE, &shape, &has_shape);
    if (status) return status;
    value->dtype = vt_dtype_from_onnx(elem_type);
    if (value->dtype == VT_DTYPE_NONE)
        return vt_onnx_fail(reader, VULTUS_ERROR_UNSUPPORTED,
            "input '%.100s' has element type %lld, which is not supported", value->name, (long long)elem_type);
    return has_shape ? read_shape(reader, shape, value) : VULTUS_OK;
}

enum vultus_status vt_onnx_value_name(const struct vt_onnx_reader *reader, struct vt_pb message, const char **name) {
    struct vt_pb_field field;
    enum vultus_status status;
    *name = "";
    while (!(status = vt_pb_next(&message, &field)) && field.number) {
        if (field.number == VALUE_NAME) status = vt_pb_text(&field, reader->arena, name);
        if (status) break;
    }
    return status;
}

enum vultus_status vt_onnx_read_value_type(
    const struct vt_onnx_reader *reader, struct vt_pb message, struct vt_value *value) {
    struct vt_pb type, tensor_type;
    bool has_type = false, has_tensor_type = false;
    enum vultus_status status = find_message(message, VALUE_TYPE, &type, &has_type);
    if (!status && has_type) status = find_message(type, TYPE_TENSOR, &tensor_type, &has_tensor_type);
    if (status) return status;
    if (!has_tensor_type)
        return vt_onnx_fail(reader, VULTUS_ERROR_UNSUPPORTED,
            "input '%.100s' is not declared as a tensor, the only type supported", value->name);
    return read_tensor_type(reader, tensor_type, value);
}
