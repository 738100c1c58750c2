/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "ops/run.h"

/* x seen as [images][channels][pixels]. */
struct planes {
    int64_t images, channels, pixels;
    const float *x;
    float *y;
};

/* Checks x and the per-channel inputs [1, last], and makes the output. */
static enum vultus_status prepare(
    const struct vt_op_call *call, size_t last, struct planes *planes, struct vultus_error *error) {
    static const char *const names[] = {"x", "input 1", "input 2", "input 3", "input 4"};
    const struct vt_tensor *x = vt_op_input(call, 0);
    enum vultus_status status = vt_op_expect_f32(call, 0, 2, VT_MAX_RANK, error);
    for (size_t i = 1; !status && i <= last; i++) status = vt_op_expect_channels(call, i, names[i], x->dims[1], error);
    struct vt_tensor *out;
    if (!status) status = vt_op_alloc(call, VT_DTYPE_F32, x->rank, x->dims, &out, error);
    if (status) return status;
    *planes = (struct planes){x->dims[0], x->dims[1], vt_dims_product(x->dims, 2, x->rank), x->data, out->data};
    if (vt_tensor_count(x) == 0) planes->images = 0;
    return VULTUS_OK;
}

static const float *channel_input(const struct vt_op_call *call, size_t index) {
    const struct vt_tensor *input = vt_op_input(call, index);
    return input ? input->data : NULL;
}

static void scale_plane(const float *x, float *y, int64_t pixels, double mean, double factor, double shift) {
    for (int64_t i = 0; i < pixels; i++) y[i] = (float)((x[i] - mean) * factor + shift);
}

struct moments {
    double mean, variance; /* of the whole population, not of a sample */
};

static struct moments measure(const float *x, int64_t count) {
    struct moments m = {0, 0};
    for (int64_t i = 0; i < count; i++) m.mean += x[i];
    m.mean /= (double)count;
    for (int64_t i = 0; i < count; i++) m.variance += (x[i] - m.mean) * (x[i] - m.mean);
    m.variance /= (double)count;
    return m;
}

enum vultus_status vt_run_batch_norm(const struct vt_op_call *call, struct vultus_error *error) {
    struct planes p;
    if (vt_attr_int(&call->attrs, "training_mode", 0) != 0)
        return vt_op_fail(call, error, VULTUS_ERROR_UNSUPPORTED, "training_mode is set, only inference is supported");
    enum vultus_status status = prepare(call, 4, &p, error);
    if (status) return status;
    const float *scale = channel_input(call, 1), *shift = channel_input(call, 2);
    const float *mean = channel_input(call, 3), *variance = channel_input(call, 4);
    double epsilon = vt_attr_float(&call->attrs, "epsilon", 1e-5f);
    for (int64_t i = 0; i < p.images; i++)
        for (int64_t c = 0; c < p.channels; c++) {
            int64_t at = (i * p.channels + c) * p.pixels;
            scale_plane(p.x + at, p.y + at, p.pixels, mean[c], scale[c] / sqrt(variance[c] + epsilon), shift[c]);
        }
    return VULTUS_OK;
}

enum vultus_status vt_run_instance_norm(const struct vt_op_call *call, struct vultus_error *error) {
    struct planes p;
    enum vultus_status status = vt_op_expect_f32(call, 0, 3, VT_MAX_RANK, error);
    if (!status) status = prepare(call, 2, &p, error);
    if (status) return status;
    const float *scale = channel_input(call, 1), *shift = channel_input(call, 2);
    double epsilon = vt_attr_float(&call->attrs, "epsilon", 1e-5f);
    for (int64_t i = 0; i < p.images; i++)
        for (int64_t c = 0; c < p.channels; c++) {
            int64_t at = (i * p.channels + c) * p.pixels;
            struct moments m = measure(p.x + at, p.pixels);
            scale_plane(p.x + at, p.y + at, p.pixels, m.mean, scale[c] / sqrt(m.variance + epsilon), shift[c]);
        }
    return VULTUS_OK;
}

static void activate_plane(const struct vt_tail *tail, float *y, int64_t pixels, float slope) {
    for (int64_t i = 0; i < pixels; i++) y[i] = vt_activate(tail->act1, y[i], tail->act1_alpha, tail->act1_beta, slope);
}

enum vultus_status vt_run_group_norm(const struct vt_op_call *call, struct vultus_error *error) {
    struct planes p;
    struct vt_tail tail;
    enum vultus_status status = vt_op_expect_f32(call, 0, 3, VT_MAX_RANK, error);
    if (!status) status = vt_op_tail(call, NULL, &tail, error);
    if (!status) status = prepare(call, 2, &p, error);
    if (status) return status;
    int64_t groups = vt_attr_int(&call->attrs, "num_groups", 0);
    if (groups < 1 || p.channels % groups != 0)
        return vt_op_fail(call, error, VULTUS_ERROR_INVALID, "%lld channels cannot form %lld groups",
            (long long)p.channels, (long long)groups);
    const float *scale = channel_input(call, 1), *shift = channel_input(call, 2);
    double epsilon = vt_attr_float(&call->attrs, "epsilon", 1e-5f);
    int64_t size = p.channels / groups;
    for (int64_t i = 0; i < p.images; i++)
        for (int64_t g = 0; g < groups; g++) {
            int64_t first = (i * p.channels + g * size) * p.pixels;
            struct moments m = measure(p.x + first, size * p.pixels);
            for (int64_t k = 0; k < size; k++) {
                int64_t c = g * size + k, at = first + k * p.pixels;
                double factor = scale[c] / sqrt(m.variance + epsilon);
                scale_plane(p.x + at, p.y + at, p.pixels, m.mean, factor, shift[c]);
                activate_plane(&tail, p.y + at, p.pixels, 0);
            }
        }
    return VULTUS_OK;
}

enum vultus_status vt_run_affine(const struct vt_op_call *call, struct vultus_error *error) {
    struct planes p;
    struct vt_tail tail;
    enum vultus_status status = vt_op_tail(call, vt_op_input(call, 3), &tail, error);
    if (!status) status = prepare(call, 3, &p, error);
    if (status) return status;
    const float *scale = channel_input(call, 1), *shift = channel_input(call, 2), *slope = channel_input(call, 3);
    for (int64_t i = 0; i < p.images; i++)
        for (int64_t c = 0; c < p.channels; c++) {
            int64_t at = (i * p.channels + c) * p.pixels;
            scale_plane(p.x + at, p.y + at, p.pixels, 0, scale[c], shift[c]);
            activate_plane(&tail, p.y + at, p.pixels, slope ? slope[c] : 0);
        }
    return VULTUS_OK;
}
