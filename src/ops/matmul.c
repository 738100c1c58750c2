/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "ops/run.h"

/* A product of two matrices given by strides, which also express transposition. */
struct product {
    int64_t m, n, k;
    const float *a, *b;
    int64_t a_row, a_column, b_row, b_column;
};

/* Row `row` of the product. */
static void multiply_row(const struct product *p, int64_t row, double *sums) {
    memset(sums, 0, (size_t)p->n * sizeof *sums);
    if (p->k == 0) return;
    const float *a = p->a + row * p->a_row;
    if (p->b_column == 1) {
        for (int64_t k = 0; k < p->k; k++) {
            double factor = a[k * p->a_column];
            const float *b = p->b + k * p->b_row;
            for (int64_t n = 0; n < p->n; n++) sums[n] += factor * b[n];
        }
        return;
    }
    for (int64_t n = 0; n < p->n; n++) {
        const float *b = p->b + n * p->b_column;
        for (int64_t k = 0; k < p->k; k++) sums[n] += (double)a[k * p->a_column] * b[k * p->b_row];
    }
}

static enum vultus_status mismatch(const struct vt_op_call *call, struct vultus_error *error) {
    char a[128], b[128];
    return vt_op_fail(call, error, VULTUS_ERROR_INVALID, "the inner dimensions of %s and %s differ",
        vt_tensor_describe(vt_op_input(call, 0), a, sizeof a), vt_tensor_describe(vt_op_input(call, 1), b, sizeof b));
}

enum vultus_status vt_run_gemm(const struct vt_op_call *call, struct vultus_error *error) {
    const struct vt_tensor *a = vt_op_input(call, 0), *b = vt_op_input(call, 1), *c = vt_op_input(call, 2);
    enum vultus_status status = vt_op_expect_f32(call, 0, 2, 2, error);
    if (!status) status = vt_op_expect_f32(call, 1, 2, 2, error);
    if (!status) status = vt_op_expect_f32(call, 2, 0, 2, error);
    if (status) return status;
    bool flip_a = vt_attr_int(&call->attrs, "transA", 0), flip_b = vt_attr_int(&call->attrs, "transB", 0);
    double alpha = vt_attr_float(&call->attrs, "alpha", 1), beta = vt_attr_float(&call->attrs, "beta", 1);
    if (a->dims[!flip_a] != b->dims[flip_b]) return mismatch(call, error);
    struct product p = {.m = a->dims[flip_a], .n = b->dims[!flip_b], .k = b->dims[flip_b], .a = a->data, .b = b->data};
    p.a_row = flip_a ? 1 : p.k;
    p.a_column = flip_a ? p.m : 1;
    p.b_row = flip_b ? 1 : p.n;
    p.b_column = flip_b ? p.k : 1;

    struct vt_tensor *out;
    void *sums = NULL;
    struct vt_broadcast shape = {0};
    status = vt_op_alloc(call, VT_DTYPE_F32, 2, (const int64_t[]){p.m, p.n}, &out, error);
    if (!status) status = vt_op_scratch(call, p.n, sizeof(double), &sums, error);
    if (!status && c) status = vt_op_broadcast(call, out, c, &shape, error);
    if (status) return status;
    if (c && !(shape.dims[0] == p.m && shape.dims[1] == p.n))
        return vt_op_fail(call, error, VULTUS_ERROR_INVALID, "input 2 does not broadcast to the product's %lldx%lld",
            (long long)p.m, (long long)p.n);
    if (vt_tensor_count(out) == 0) return VULTUS_OK;
    float *y = out->data;
    for (int64_t row = 0; row < p.m; row++) {
        multiply_row(&p, row, sums);
        const float *addend = c ? (const float *)c->data + row * shape.b_strides[0] : NULL;
        for (int64_t n = 0; n < p.n; n++) {
            double added = addend ? beta * addend[n * shape.b_strides[1]] : 0;
            *y++ = (float)(alpha * ((const double *)sums)[n] + added);
        }
    }
    return VULTUS_OK;
}

enum vultus_status vt_run_fused_gemm(const struct vt_op_call *call, struct vultus_error *error) {
    const struct vt_tensor *x = vt_op_input(call, 0), *weight = vt_op_input(call, 1), *bias = vt_op_input(call, 2);
    const struct vt_tensor *slope = vt_op_input(call, 3), *residual = vt_op_input(call, 4);
    struct vt_tail tail;
    enum vultus_status status = vt_op_expect_f32(call, 0, 2, 2, error);
    if (!status) status = vt_op_expect_f32(call, 1, 2, 2, error);
    if (!status && x->dims[1] != weight->dims[0]) status = mismatch(call, error);
    if (!status) status = vt_op_expect_channels(call, 2, "the bias", weight->dims[1], error);
    if (!status) status = vt_op_expect_channels(call, 3, "the slope", weight->dims[1], error);
    if (!status) status = vt_op_expect_f32(call, 4, 2, 2, error);
    if (!status) status = vt_op_tail(call, slope, &tail, error);
    if (status) return status;
    struct product p = {.m = x->dims[0], .n = weight->dims[1], .k = x->dims[1], .a = x->data, .b = weight->data};
    p.a_row = p.k;
    p.b_row = p.n;
    p.a_column = p.b_column = 1;

    struct vt_tensor *out;
    void *sums = NULL;
    status = vt_op_alloc(call, VT_DTYPE_F32, 2, (const int64_t[]){p.m, p.n}, &out, error);
    if (!status) status = vt_op_scratch(call, p.n, sizeof(double), &sums, error);
    if (status) return status;
    if (residual && !vt_tensor_same_shape(residual, out))
        return vt_op_fail(call, error, VULTUS_ERROR_INVALID, "the residual is %lldx%lld, the result %lldx%lld",
            (long long)residual->dims[0], (long long)residual->dims[1], (long long)p.m, (long long)p.n);
    const float *biases = bias ? bias->data : NULL, *slopes = slope ? slope->data : NULL;
    const float *residuals = residual ? residual->data : NULL;
    float *y = out->data;
    for (int64_t row = 0; row < p.m; row++) {
        multiply_row(&p, row, sums);
        for (int64_t n = 0; n < p.n; n++) {
            double sum = ((const double *)sums)[n] + (biases ? biases[n] : 0);
            int64_t at = row * p.n + n;
            y[at] = vt_tail_apply(&tail, sum, slopes ? slopes[n] : 0, residuals ? residuals[at] : 0);
        }
    }
    return VULTUS_OK;
}

/* A vector operand as a matrix: a row on the left, a column on the right. */
static struct vt_tensor as_matrix(const struct vt_tensor *operand, bool left) {
    struct vt_tensor matrix = *operand;
    if (operand->rank == 1) {
        matrix.rank = 2;
        matrix.dims[0] = left ? 1 : operand->dims[0];
        matrix.dims[1] = left ? operand->dims[0] : 1;
    }
    return matrix;
}

enum vultus_status vt_run_matmul(const struct vt_op_call *call, struct vultus_error *error) {
    enum vultus_status status = vt_op_expect_f32(call, 0, 1, VT_MAX_RANK, error);
    if (!status) status = vt_op_expect_f32(call, 1, 1, VT_MAX_RANK, error);
    if (status) return status;
    bool a_vector = vt_op_input(call, 0)->rank == 1, b_vector = vt_op_input(call, 1)->rank == 1;
    struct vt_tensor a = as_matrix(vt_op_input(call, 0), true), b = as_matrix(vt_op_input(call, 1), false);
    struct product p = {.m = a.dims[a.rank - 2], .n = b.dims[b.rank - 1], .k = a.dims[a.rank - 1]};
    if (b.dims[b.rank - 2] != p.k) return mismatch(call, error);
    p.a_row = p.k;
    p.b_row = p.n;
    p.a_column = p.b_column = 1;

    struct vt_tensor a_batch = a, b_batch = b;
    a_batch.rank -= 2;
    b_batch.rank -= 2;
    struct vt_broadcast batch = {0};
    status = vt_op_broadcast(call, &a_batch, &b_batch, &batch, error);
    if (status) return status;
    int64_t dims[VT_MAX_RANK];
    int rank = batch.rank;
    memcpy(dims, batch.dims, sizeof dims);
    if (!a_vector) dims[rank++] = p.m;
    if (!b_vector) dims[rank++] = p.n;
    struct vt_tensor *out;
    void *sums = NULL;
    status = vt_op_alloc(call, VT_DTYPE_F32, rank, dims, &out, error);
    if (!status) status = vt_op_scratch(call, p.n, sizeof(double), &sums, error);
    if (status || vt_tensor_count(out) == 0) return status;

    int64_t index[VT_MAX_RANK] = {0};
    float *y = out->data;
    do {
        p.a = (const float *)a.data + vt_index_offset(batch.rank, index, batch.a_strides) * p.m * p.k;
        p.b = (const float *)b.data + vt_index_offset(batch.rank, index, batch.b_strides) * p.k * p.n;
        for (int64_t row = 0; row < p.m; row++) {
            multiply_row(&p, row, sums);
            for (int64_t n = 0; n < p.n; n++) *y++ = (float)((const double *)sums)[n];
        }
    } while (vt_index_next(batch.rank, batch.dims, index));
    return VULTUS_OK;
}
