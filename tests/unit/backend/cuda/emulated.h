/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_TESTS_CUDA_EMULATED
#define VT_TESTS_CUDA_EMULATED

#include <stddef.h>

/* What the emulated GPUs pretend; for tests, before the back end asks. -1: none of them. */
struct emulated_gpus {
    int count;
    int integrated;     /* its memory is the host's */
    int lost;           /* all work on it fails */
    size_t copied;      /* bytes from and to the host, so far */
    size_t allocations; /* of the devices' memory and of pinned memory, so far */
};
extern struct emulated_gpus emulated_gpus;

#endif
