/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_TESTS_ONNX_SAMPLES_H
#define VT_TESTS_ONNX_SAMPLES_H

#include "encoder.h"

/* Small valid models that together use every operator, attribute kind and tensor field: what hostile tests start from.
 */
struct sample {
    const char *name;
    struct encoder (*make)(void); /* the whole file; the caller releases it */
};

extern const struct sample samples[];
extern const size_t n_samples;

#endif
