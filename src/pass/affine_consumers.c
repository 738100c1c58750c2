/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "pass/affine.h"

/*
 * A map y = s*x + t before a convolution W goes into it: the weights become W*s, the bias grows by the sum of W*t. That
 * sum counts every tap, also those over padding, where y is b (0 unless a border was there already) and not t. So
 * padding of x takes the value that the map sends to b: (b - t)/s per channel, the border.
 *
 * Nothing is sent to b when s is 0 and t is not. Where s is tiny the border is far outside the range of x: it stays
 * exact in float32 (its taps have the size of W*t like the bias they cancel), but spoils buffers of lower precision
 * that hold both. The bound fits half precision (65,504) with a bit to spare.
 */
#define LARGEST_BORDER 32768.0

/* More readers than any block of a network has. */
#define MOST_CONSUMERS 16

struct consumer {
    struct vt_node *first; /* reads y */
    struct vt_node *node;  /* the FusedConv, or the FusedGemm behind `first` and other reshapes */
};

struct consumers {
    struct consumer items[MOST_CONSUMERS];
    size_t count;
    double *borders[MOST_CONSUMERS]; /* per input channel, NULL: none */
};

/* ------------------------------------------------------------ finding and checking */

static bool reads(const struct vt_node *node, const struct vt_value *value) {
    for (size_t i = 0; i < node->n_inputs; i++)
        if (node->inputs[i] == value) return true;
    return false;
}

/*
 * Appends the readers of `value`, those behind reshapes with the given first node (NULL: themselves). False when one
 * has it elsewhere than as its data, or something else counts as a use: a second input of the same node, a graph
 * output.
 */
static bool collect(const struct vt_value *value, struct vt_node *first, struct consumers *found) {
    size_t readers = 0;
    for (struct vt_node *n = value->producer->next; n && readers < value->uses; n = n->next) {
        if (!reads(n, value)) continue;
        if (n->inputs[0] != value || found->count == MOST_CONSUMERS) return false;
        readers++;
        if (vt_rewrite_is_reshape(n->op)) {
            /* Two products behind one reshape will both set the reshape's input, to the same value. */
            if (!collect(n->outputs[0], first ? first : n, found)) return false;
        } else {
            found->items[found->count++] = (struct consumer){first ? first : n, n};
        }
    }
    return readers > 0 && readers == value->uses;
}

/* The border of a convolution over x, NULL when none is needed; false when there is no usable one. */
static bool find_border(struct vt_rewrite *rewrite, const struct vt_node *conv, const struct vt_channel_affine *affine,
    const struct vt_window *window, double **border) {
    const struct vt_tensor *old = vt_rewrite_f32(vt_rewrite_input(conv, 3));
    bool needed = false;
    *border = NULL;
    if ((window->pad[0] | window->pad[1] | window->pad[2] | window->pad[3]) == 0) return true;
    double *values = vt_arena_alloc_array(&rewrite->scratch, (size_t)affine->channels + 1, sizeof *values);
    for (int64_t c = 0; values && c < affine->channels; c++) {
        double difference = (old ? vt_tensor_get(old, c) : 0) - affine->shift[c];
        values[c] = difference == 0 ? 0 : difference / affine->scale[c];
        if (!(fabs(values[c]) <= LARGEST_BORDER)) return false;
        needed |= values[c] != 0;
    }
    if (needed) *border = values;
    return values != NULL;
}

static bool conv_takes(
    struct vt_rewrite *rewrite, const struct vt_node *conv, const struct vt_channel_affine *affine, double **border) {
    const struct vt_tensor *weights = vt_rewrite_f32(conv->inputs[1]);
    struct vt_window window;
    int64_t out[2];
    return weights && weights->rank == 4 && affine->x->rank == 4 && vt_affine_is_channels(conv, 2, weights->dims[0]) &&
           vt_affine_is_channels(conv, 3, affine->channels) &&
           !vt_window_resolve(&conv->attrs, weights->dims, affine->dims + 2, &window, out, NULL) &&
           weights->dims[1] * window.group == affine->channels && weights->dims[0] % window.group == 0 &&
           find_border(rewrite, conv, affine, &window, border);
}

/* Its rows are x's elements of one item, channel by channel: what [N,C,...] flattened to [N,K] gives. */
static bool product_takes(const struct vt_node *product, const struct vt_channel_affine *affine) {
    const struct vt_tensor *weights = vt_rewrite_f32(product->inputs[1]);
    int64_t features = 1;
    for (int axis = 1; axis < affine->x->rank; axis++)
        if (!vt_mul_i64(features, affine->dims[axis], &features)) return false;
    return weights && weights->rank == 2 && weights->dims[0] == features &&
           vt_affine_is_channels(product, 2, weights->dims[1]);
}

static enum vultus_status check(
    struct vt_rewrite *rewrite, struct consumers *found, const struct vt_channel_affine *affine, bool *all_take) {
    for (size_t i = 0; *all_take && i < found->count; i++) {
        struct consumer *consumer = &found->items[i];
        enum vultus_status status = vt_rewrite_canonicalise(rewrite, consumer->node);
        if (status) return status;
        if (consumer->node->op == VT_OP_FUSED_CONV)
            *all_take =
                consumer->first == consumer->node && conv_takes(rewrite, consumer->node, affine, &found->borders[i]);
        else
            *all_take = consumer->node->op == VT_OP_FUSED_GEMM && product_takes(consumer->node, affine);
    }
    return VULTUS_OK;
}

/* ------------------------------------------------------------ rewriting */

/* w[m][k][taps]: k counts the channels of the output's group. */
static void fold_conv(
    float *w, const struct vt_tensor *weights, int64_t group, const struct vt_channel_affine *affine, float *bias) {
    int64_t outputs = weights->dims[0], inputs = weights->dims[1], taps = weights->dims[2] * weights->dims[3];
    for (int64_t m = 0; m < outputs; m++) {
        double sum = bias[m];
        for (int64_t k = 0; k < inputs; k++) {
            int64_t channel = m / (outputs / group) * inputs + k;
            for (int64_t tap = 0; tap < taps; tap++, w++) {
                sum += *w * affine->shift[channel];
                *w = (float)(*w * affine->scale[channel]);
            }
        }
        bias[m] = (float)sum;
    }
}

static void fold_product(
    float *w, const struct vt_tensor *weights, const struct vt_channel_affine *affine, double *sums, float *bias) {
    int64_t rows = weights->dims[0], columns = weights->dims[1];
    for (int64_t n = 0; n < columns; n++) sums[n] = bias[n];
    for (int64_t k = 0; k < rows; k++) {
        int64_t channel = k / (rows / affine->channels);
        for (int64_t n = 0; n < columns; n++, w++) {
            sums[n] += *w * affine->shift[channel];
            *w = (float)(*w * affine->scale[channel]);
        }
    }
    for (int64_t n = 0; n < columns; n++) bias[n] = (float)sums[n];
}

/* One constant serves all convolutions that want the same border, so that they can read the same buffer. */
static struct vt_value *border_value(
    struct vt_rewrite *rewrite, const struct consumers *found, size_t index, const struct vt_channel_affine *affine) {
    size_t bytes = (size_t)affine->channels * sizeof(double);
    for (size_t i = 0; i < index; i++)
        if (found->borders[i] && memcmp(found->borders[i], found->borders[index], bytes) == 0)
            return found->items[i].node->inputs[3];
    return vt_rewrite_new_vector(rewrite, "border", found->borders[index], affine->channels);
}

static enum vultus_status fold_consumer(
    struct vt_rewrite *rewrite, struct consumers *found, size_t index, const struct vt_channel_affine *affine) {
    struct vt_node *node = found->items[index].node;
    bool conv = node->op == VT_OP_FUSED_CONV;
    const struct vt_tensor *weights = node->inputs[1]->constant;
    int64_t outputs = weights->dims[conv ? 0 : 1];
    float *w = vt_rewrite_writable(rewrite, node, 1), *bias = vt_affine_writable_bias(rewrite, node, outputs);
    double *sums = vt_arena_alloc_array(&rewrite->scratch, (size_t)outputs + 1, sizeof *sums);
    if (!w || !bias || !sums) return vt_rewrite_no_memory(rewrite);
    if (conv)
        fold_conv(w, weights, vt_attr_int(&node->attrs, "group", 1), affine, bias);
    else
        fold_product(w, weights, affine, sums, bias);
    if (vt_rewrite_input(node, 3) && conv) vt_graph_set_input(node, 3, NULL);
    if (found->borders[index]) {
        struct vt_value *border = border_value(rewrite, found, index, affine);
        if (!border || !vt_rewrite_set_input(rewrite, node, 3, border)) return vt_rewrite_no_memory(rewrite);
    }
    vt_graph_set_input(found->items[index].first, 0, affine->x);
    return VULTUS_OK;
}

enum vultus_status vt_affine_fold_into_consumers(
    struct vt_rewrite *rewrite, struct vt_node *node, const struct vt_channel_affine *affine, bool *folded) {
    struct consumers found = {.count = 0};
    *folded = collect(node->outputs[0], NULL, &found);
    enum vultus_status status = check(rewrite, &found, affine, folded);
    for (size_t i = 0; !status && *folded && i < found.count; i++) status = fold_consumer(rewrite, &found, i, affine);
    if (status || !*folded) return status;
    vt_graph_remove_node(rewrite->graph, node);
    rewrite->changed++;
    return VULTUS_OK;
}
