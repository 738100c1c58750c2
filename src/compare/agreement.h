/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_COMPARE_AGREEMENT_H
#define VT_COMPARE_AGREEMENT_H

#include "tensor/tensor.h"

/* How far an output is from a reference's, in one number over all items. */
enum vt_metric {
    VT_METRIC_COSINE_MEAN, /* of embeddings */
    VT_METRIC_COSINE_MIN,
    VT_METRIC_L2_MEAN,     /* of embeddings scaled to unit length */
    VT_METRIC_RELATIVE_L2, /* of any output: largest over the items of |ours - reference| / |reference| */
    VT_METRIC_MAX_ABS,     /* of any output: largest difference of two elements, over the largest element */
    VT_METRIC_COUNT
};

/* "cosine-mean"; VT_METRIC_COUNT for a name of none. */
const char *vt_metric_name(enum vt_metric metric);
enum vt_metric vt_metric_from_name(const char *name);
/* Of cosines more is better, of the others less. */
bool vt_metric_more_is_better(enum vt_metric metric);

/* More is better: from `pass` on passes, below `fail` fails. Less is better: below `pass` passes, above `fail` fails.
 */
struct vt_threshold {
    double pass, fail;
};
/* What holds for plans of a precision, "fp32" where it is unknown. */
struct vt_threshold vt_metric_threshold(enum vt_metric metric, const char *precision);
/* The rule that a threshold breaks, or NULL: both numbers finite, `pass` not easier to reach than `fail`. */
const char *vt_threshold_rule_broken(enum vt_metric metric, struct vt_threshold threshold);

enum vt_verdict { VT_VERDICT_PASS, VT_VERDICT_WARN, VT_VERDICT_FAIL };
/* What is no number fails. */
enum vt_verdict vt_metric_judge(enum vt_metric metric, double value, struct vt_threshold threshold);

/* Sums over items. Zeroed before use. */
struct vt_agreement {
    int64_t items;
    double cosine_sum, cosine_least, l2_sum, relative_most, difference_most, element_most;
    bool broken; /* some element of either side was not finite: every value is NAN */
};

/* Adds one item: two tensors of the same element type and as many elements. */
void vt_agreement_add(struct vt_agreement *agreement, const struct vt_tensor *ours, const struct vt_tensor *reference);
/* NAN before any item was added. Two vectors without length agree, one of them alone has cosine 0 and distance 1. */
double vt_agreement_value(const struct vt_agreement *agreement, enum vt_metric metric);

#endif
