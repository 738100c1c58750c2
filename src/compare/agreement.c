/* SPDX-License-Identifier: Apache-2.0 */
#include "compare/agreement.h"

#include <math.h>
#include <string.h>

/*
 * Rounding errors of fp32 stay far below all of these; bf16 keeps 8 bits, an error of up to 0.4% whenever a plane is
 * stored. A small score is nearly the exponential of its network's sum, so its relative error is that sum's absolute
 * one: 6% in det_500m, whose largest scores differ by less than 1%.
 */
static const struct {
    const char *name;
    bool more_is_better;
    struct vt_threshold fp32, two_bytes;
} metrics[VT_METRIC_COUNT] = {
    [VT_METRIC_COSINE_MEAN] = {"cosine-mean", true, {0.995, 0.990}, {0.995, 0.990}},
    [VT_METRIC_COSINE_MIN] = {"cosine-min", true, {0.990, 0.980}, {0.990, 0.980}},
    [VT_METRIC_L2_MEAN] = {"l2-mean", false, {0.05, 0.10}, {0.05, 0.10}},
    [VT_METRIC_RELATIVE_L2] = {"relative-l2", false, {0.001, 0.01}, {0.02, 0.10}},
    [VT_METRIC_MAX_ABS] = {"max-abs", false, {0.001, 0.01}, {0.05, 0.10}},
};

const char *vt_metric_name(enum vt_metric metric) { return metrics[metric].name; }

enum vt_metric vt_metric_from_name(const char *name) {
    int metric = 0;
    while (metric < VT_METRIC_COUNT && strcmp(metrics[metric].name, name) != 0) metric++;
    return (enum vt_metric)metric;
}

bool vt_metric_more_is_better(enum vt_metric metric) { return metrics[metric].more_is_better; }

struct vt_threshold vt_metric_threshold(enum vt_metric metric, const char *precision) {
    /* TF32 keeps as many bits of a number as half precision. */
    bool short_numbers =
        strcmp(precision, "bf16") == 0 || strcmp(precision, "fp16") == 0 || strcmp(precision, "tf32") == 0;
    return short_numbers ? metrics[metric].two_bytes : metrics[metric].fp32;
}

const char *vt_threshold_rule_broken(enum vt_metric metric, struct vt_threshold t) {
    if (!isfinite(t.pass) || !isfinite(t.fail)) return "both numbers must be finite";
    if (metrics[metric].more_is_better && t.pass < t.fail) return "what passes must be at least what fails";
    if (!metrics[metric].more_is_better && t.pass > t.fail) return "what passes must be at most what fails";
    return NULL;
}

enum vt_verdict vt_metric_judge(enum vt_metric metric, double value, struct vt_threshold t) {
    if (isnan(value)) return VT_VERDICT_FAIL;
    if (metrics[metric].more_is_better)
        return value >= t.pass ? VT_VERDICT_PASS : value < t.fail ? VT_VERDICT_FAIL : VT_VERDICT_WARN;
    return value < t.pass ? VT_VERDICT_PASS : value > t.fail ? VT_VERDICT_FAIL : VT_VERDICT_WARN;
}

/* Squares and products of one item. */
struct item {
    double aa, bb, ab, difference; /* sums of a*a, b*b, a*b and (a-b)^2 */
    double distance;               /* of the vectors scaled to unit length */
    double cosine;
};

/* (a/|a| - b/|b|)^2 is summed as it stands: from the cosine, 2 - 2 cos, small distances would be rounding errors. */
static void measure_vectors(struct item *item, const struct vt_tensor *a, const struct vt_tensor *b, int64_t count) {
    double la = sqrt(item->aa), lb = sqrt(item->bb), sum = 0;
    if (!(la > 0) || !(lb > 0)) {
        bool both = !(la > 0) && !(lb > 0);
        item->cosine = both ? 1 : 0;
        item->distance = both ? 0 : 1;
        return;
    }
    for (int64_t i = 0; i < count; i++) {
        double d = vt_tensor_get(a, i) / la - vt_tensor_get(b, i) / lb;
        sum += d * d;
    }
    item->distance = sqrt(sum);
    item->cosine = fmin(1, fmax(-1, item->ab / (la * lb)));
}

void vt_agreement_add(struct vt_agreement *agreement, const struct vt_tensor *ours, const struct vt_tensor *reference) {
    struct item item = {0};
    int64_t count = vt_tensor_count(ours);
    for (int64_t i = 0; i < count; i++) {
        double a = vt_tensor_get(ours, i), b = vt_tensor_get(reference, i), d = a - b;
        if (!isfinite(a) || !isfinite(b)) agreement->broken = true;
        item.aa += a * a;
        item.bb += b * b;
        item.ab += a * b;
        item.difference += d * d;
        agreement->difference_most = fmax(agreement->difference_most, fabs(d));
        agreement->element_most = fmax(agreement->element_most, fabs(b));
    }
    measure_vectors(&item, ours, reference, count);
    double relative = item.difference > 0 ? sqrt(item.difference / item.bb) : 0;
    agreement->cosine_least = agreement->items ? fmin(agreement->cosine_least, item.cosine) : item.cosine;
    agreement->relative_most = fmax(agreement->relative_most, relative);
    agreement->cosine_sum += item.cosine;
    agreement->l2_sum += item.distance;
    agreement->items++;
}

double vt_agreement_value(const struct vt_agreement *a, enum vt_metric metric) {
    if (a->broken || a->items == 0) return NAN;
    switch (metric) {
    case VT_METRIC_COSINE_MEAN: return a->cosine_sum / (double)a->items;
    case VT_METRIC_COSINE_MIN: return a->cosine_least;
    case VT_METRIC_L2_MEAN: return a->l2_sum / (double)a->items;
    case VT_METRIC_RELATIVE_L2: return a->relative_most;
    case VT_METRIC_MAX_ABS: return a->difference_most > 0 ? a->difference_most / a->element_most : 0;
    case VT_METRIC_COUNT: break;
    }
    return NAN;
}
