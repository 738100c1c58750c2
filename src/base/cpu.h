/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_BASE_CPU_H
#define VT_BASE_CPU_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

/* What kernels ask for. Each level of x86 includes those before it, AMX and BF16 aside. */
enum vt_cpu_feature {
    VT_CPU_SSE2 = 1 << 0,
    VT_CPU_AVX2 = 1 << 1,        /* AVX2 + FMA + F16C */
    VT_CPU_AVX512 = 1 << 2,      /* F + BW + DQ + VL + CD (Skylake-X) */
    VT_CPU_AVX512_VNNI = 1 << 3, /* int8 dot products */
    VT_CPU_AVX512_BF16 = 1 << 4,
    VT_CPU_AMX = 1 << 5, /* TILE + BF16 + INT8, granted by the kernel */
    VT_CPU_NEON = 1 << 6,
};

/*
 * Features of this machine, detected once, masked down by the environment variable VULTUS_CPU
 * (sse, avx2, avx512, avx512_vnni, amx, native; on aarch64 neon, native; an unknown name is logged and ignored).
 * Thread-safe.
 */
unsigned vt_cpu_features(void);
/* Whether VULTUS_CPU is empty, unset or one of those names; else INVALID, naming them. */
enum vultus_status vt_cpu_check_mask(struct vultus_error *error);

static inline bool vt_cpu_has(unsigned features) { return (vt_cpu_features() & features) == features; }

/* The name plans carry: "amx", "avx512", "avx2", "sse", "neon" or "generic". */
const char *vt_cpu_arch_name(void);
/* The feature that gives an arch its name; 0 for "generic" and names of no arch. */
unsigned vt_cpu_arch_feature(const char *arch);

/* "avx2 avx512 avx512_vnni ..." for people, of this machine or of any set; at most `size` bytes with the NUL. */
void vt_cpu_describe(char *text, size_t size);
void vt_cpu_describe_features(unsigned features, char *text, size_t size);
/* The processor's own name ("AMD EPYC ..."), or "unknown". */
void vt_cpu_model_name(char *text, size_t size);

/*
 * The Arm processor, core and revision, that Linux's texts tell of: midr_el1 of one core ("0x00000000410fd421"), or
 * else the first core of /proc/cpuinfo. Either may be NULL. False when neither names one; the text is left alone then.
 */
bool vt_cpu_arm_model(const char *midr, const char *cpuinfo, char *text, size_t size);

/* Processors that this process may keep busy: those of its affinity mask, or fewer by its cgroup's quota. */
int vt_cpu_count(void);
/*
 * Processors, rounded up, that the quota in a cgroup's directory grants (cpu.max, or cpu.cfs_quota_us and
 * cpu.cfs_period_us of version 1); 0 when it has none.
 */
int vt_cpu_quota(const char *cgroup_directory);

/* Flushes denormals, which cost up to 50x, to zero on this thread. Returns what vt_cpu_restore_denormals takes. */
unsigned vt_cpu_flush_denormals(void);
void vt_cpu_restore_denormals(unsigned state);

#endif
