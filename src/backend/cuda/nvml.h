/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_BACKEND_CUDA_NVML_H
#define VT_BACKEND_CUDA_NVML_H

#include <stddef.h>
#include <stdint.h>

#include "backend/backend.h"

/*
 * NVIDIA's management library, loaded at run time, read and never told anything. It shows every GPU of the machine,
 * those that CUDA_VISIBLE_DEVICES hides too.
 */

enum { VT_NVML_MOST_GPUS = 64 };

/* What is not told, or cannot be true, is negative. */
struct vt_nvml_gpu {
    unsigned index;
    char name[96];
    int64_t memory_used, memory_total;   /* bytes */
    double temperature;                  /* degrees Celsius */
    double power;                        /* watts */
    double clock_graphics, clock_memory; /* MHz */
};

struct vt_nvml_state {
    char driver[64]; /* "550.54.15"; "" */
    size_t count;
    struct vt_nvml_gpu gpus[VT_NVML_MOST_GPUS];
    char reason[VT_BACKEND_REASON]; /* why nothing is known; "" */
};

/* The state now. The library is loaded by the first call and stays. Never fails. Thread-safe. */
void vt_nvml_read(struct vt_nvml_state *out);

#endif
