/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_TESTS_SPARSE_H
#define VT_TESTS_SPARSE_H

#include <stdbool.h>
#include <stdlib.h>

/* N where everything is slow and VULTUS_TEST_SPARSE=N asks for less, otherwise 0. */
static inline long sparse(void) {
    const char *n = getenv("VULTUS_TEST_SPARSE");
    return n ? strtol(n, NULL, 10) : 0;
}

/* Called for each of many cases: whether this one is left out. One in N is kept. */
static inline bool left_out(void) {
    static long cases;
    return sparse() > 1 && cases++ % sparse() != 0;
}

#endif
