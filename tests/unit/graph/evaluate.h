/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_TESTS_GRAPH_EVALUATE_H
#define VT_TESTS_GRAPH_EVALUATE_H

#include "graph/dim.h"

/* The value of one symbol. */
struct binding {
    const char *name;
    int64_t value;
};

/*
 * The number that a dim stands for, worked out from its printed form alone: numbers, symbols, + - *, floor(a/b). A
 * symbol without binding, an unknown dim or text that cannot be parsed fails the test.
 */
int64_t evaluate_dim(const struct vt_dim *dim, const struct binding *bindings, size_t n_bindings);

#endif
