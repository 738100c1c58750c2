/* SPDX-License-Identifier: Apache-2.0
 *
 * What a GPU could do at its highest clock. Rates are those of NVIDIA's architecture white papers and of the table of
 * arithmetic throughput in the CUDA C++ Programming Guide, for dense tensor core products with float32 sums.
 */
#include <string.h>

#include "backend/cuda/module/devices.h"

/* Multiplications with addition that a multiprocessor makes in a cycle. */
static const struct {
    int capability; /* from this one on, 75 for 7.5 */
    int fp32, tensor16, tensor_tf32;
} rates[] = {
    {75, 64, 512, 0},
    {80, 64, 1024, 512},
    {86, 128, 512, 256},
    {87, 128, 1024, 512},
    {89, 128, 512, 256},
    {90, 128, 2048, 1024},
    {100, 128, 4096, 2048},
    {120, 128, 512, 256},
};

double vt_cuda_peak_of(const struct vt_cuda_device_info *info, const char *precision) {
    int capability = info->major * 10 + info->minor, rate = 0;
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        if (rates[i].capability > capability) break;
        bool sixteen = strcmp(precision, "fp16") == 0 || (strcmp(precision, "bf16") == 0 && capability >= 80);
        int tensor = sixteen ? rates[i].tensor16 : strcmp(precision, "tf32") == 0 ? rates[i].tensor_tf32 : 0;
        rate = tensor ? tensor : rates[i].fp32;
    }
    return 2.0 * rate * info->processors * info->clock * 1e3;
}

double vt_cuda_peak_flops(struct vt_pool *pool, const char *precision) {
    const struct vt_cuda_device_info *info;
    (void)pool;
    return vt_cuda_device_facts(0, &info, NULL) ? 0 : vt_cuda_peak_of(info, precision);
}
