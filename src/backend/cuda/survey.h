/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_BACKEND_CUDA_SURVEY_H
#define VT_BACKEND_CUDA_SURVEY_H

#include <stdbool.h>
#include <stdint.h>

#include "backend/backend.h"
#include "backend/devices.h"

/* One GPU as the driver shows it. */
struct vt_cuda_device {
    int ordinal;
    char name[96];
    int major, minor; /* compute capability; 0: the driver does not tell */
    char arch[16];    /* of plan names: "sm90" */
    uint64_t memory;  /* bytes; 0: the driver does not tell */
    uint64_t memory_free;
    bool memory_free_known;         /* only where a context was made: of those in use */
    char reason[VT_BACKEND_REASON]; /* why it cannot be used; "" */
};

struct vt_cuda_survey {
    bool driver_absent; /* there is no NVIDIA driver on this machine */
    int driver_version; /* 12040 for CUDA 12.4; 0: not known */
    int count;
    struct vt_cuda_device devices[VT_MOST_DEVICES];
    int used[VT_MOST_DEVICES]; /* indices of the devices in use, which have one architecture */
    int n_used;
    char reason[VT_BACKEND_REASON]; /* why there are none; "" */
};

/*
 * What GPUs are here and which are used: the devices that were named (backend/devices.h), all or none of them, else the
 * first that can be. Asked once in a process, which may take some 100 ms where there is a GPU; a context is made on
 * each device that is used, and released again. Thread-safe.
 */
const struct vt_cuda_survey *vt_cuda_survey(void);

#endif
