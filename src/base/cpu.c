/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cpu.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <xmmintrin.h>

/* Intel SDM volume 1, 13.3: state components that the operating system saves, as XCR0 shows them. */
#define XCR0_AVX 0x6u
#define XCR0_AVX512 0xe6u
#define XCR0_AMX 0x60000u
/* Linux, arch/x86/include/uapi/asm/prctl.h, and the number of the tile data component. */
#define ARCH_REQ_XCOMP_PERM 0x1023
#define XFEATURE_XTILEDATA 18

/* Intel SDM volume 2A, CPUID: leaf 1, leaf 7 subleaves 0 and 1. */
#define LEAF1_ECX_AVX_SET (1u << 12 | 1u << 28 | 1u << 29) /* FMA, AVX, F16C */
#define LEAF1_ECX_OSXSAVE (1u << 27)
#define LEAF7_EBX_AVX2 (1u << 5)
#define LEAF7_EBX_AVX512_SET (1u << 16 | 1u << 17 | 1u << 28 | 1u << 30 | 1u << 31) /* F, DQ, CD, BW, VL */
#define LEAF7_ECX_AVX512_VNNI (1u << 11)
#define LEAF7_EDX_AMX_SET (1u << 22 | 1u << 24 | 1u << 25) /* BF16, TILE, INT8 */
#define LEAF7_1_EAX_AVX512_BF16 (1u << 5)

static bool all_set(unsigned word, unsigned bits) { return (word & bits) == bits; }

static unsigned read_xcr0(void) {
    unsigned low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

static unsigned detect(void) {
    unsigned eax, ebx, ecx, edx, features = VT_CPU_SSE2;
    if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !all_set(ecx, LEAF1_ECX_OSXSAVE)) return features;
    unsigned xcr0 = read_xcr0();
    bool avx = all_set(ecx, LEAF1_ECX_AVX_SET) && all_set(xcr0, XCR0_AVX);
    if (!avx || !__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) || !all_set(ebx, LEAF7_EBX_AVX2)) return features;
    features |= VT_CPU_AVX2;
    if (!all_set(xcr0, XCR0_AVX512) || !all_set(ebx, LEAF7_EBX_AVX512_SET)) return features;
    features |= VT_CPU_AVX512;
    if (all_set(ecx, LEAF7_ECX_AVX512_VNNI)) features |= VT_CPU_AVX512_VNNI;
    if (all_set(xcr0, XCR0_AMX) && all_set(edx, LEAF7_EDX_AMX_SET) &&
        syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0)
        features |= VT_CPU_AMX;
    if (eax >= 1 && __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) && all_set(eax, LEAF7_1_EAX_AVX512_BF16))
        features |= VT_CPU_AVX512_BF16;
    return features;
}

static bool brand_string(char brand[49]) {
    unsigned words[12];
    for (unsigned i = 0; i < 3; i++)
        if (!__get_cpuid(0x80000002u + i, &words[4 * i], &words[4 * i + 1], &words[4 * i + 2], &words[4 * i + 3]))
            return false;
    memcpy(brand, words, sizeof words);
    brand[48] = '\0';
    return true;
}

/* MXCSR: flush to zero (bit 15) and denormals are zero (bit 6). */
#define MXCSR_FLUSH 0x8040u

unsigned vt_cpu_flush_denormals(void) {
    unsigned state = _mm_getcsr();
    _mm_setcsr(state | MXCSR_FLUSH);
    return state;
}

void vt_cpu_restore_denormals(unsigned state) { _mm_setcsr(state); }

#elif defined(__aarch64__)

/* FPCR: flush to zero (bit 24). */
#define FPCR_FLUSH (1u << 24)

static unsigned detect(void) { return VT_CPU_NEON; }

/* The beginning of a file, empty when there is none. */
static void read_start(const char *path, char *text, size_t size) {
    FILE *stream = fopen(path, "re");
    size_t got = stream ? fread(text, 1, size - 1, stream) : 0;
    text[got] = '\0';
    if (stream) fclose(stream);
}

static bool brand_string(char brand[49]) {
    char midr[32], cpuinfo[4096];
    read_start("/sys/devices/system/cpu/cpu0/regs/identification/midr_el1", midr, sizeof midr);
    read_start("/proc/cpuinfo", cpuinfo, sizeof cpuinfo);
    return vt_cpu_arm_model(midr, cpuinfo, brand, 49);
}

unsigned vt_cpu_flush_denormals(void) {
    unsigned long state;
    __asm__ volatile("mrs %0, fpcr" : "=r"(state));
    __asm__ volatile("msr fpcr, %0" : : "r"(state | FPCR_FLUSH));
    return (unsigned)state;
}

void vt_cpu_restore_denormals(unsigned state) { __asm__ volatile("msr fpcr, %0" : : "r"((unsigned long)state)); }

#else

static unsigned detect(void) { return 0; }

static bool brand_string(char brand[49]) {
    (void)brand;
    return false;
}

unsigned vt_cpu_flush_denormals(void) { return 0; }

void vt_cpu_restore_denormals(unsigned state) { (void)state; }

#endif

#if defined(__aarch64__)
#define MASK_NAMES "neon, native"
#define MASKS {"neon", VT_CPU_NEON},
#elif defined(__x86_64__)
#define UP_TO_AVX2 (VT_CPU_SSE2 | VT_CPU_AVX2)
#define UP_TO_AVX512 (UP_TO_AVX2 | VT_CPU_AVX512)
#define UP_TO_VNNI (UP_TO_AVX512 | VT_CPU_AVX512_VNNI)
#define MASK_NAMES "sse, avx2, avx512, avx512_vnni, amx, native"
#define MASKS                                                                                                          \
    {"sse", VT_CPU_SSE2}, {"avx2", UP_TO_AVX2}, {"avx512", UP_TO_AVX512}, {"avx512_vnni", UP_TO_VNNI}, {"amx", ~0u},
#else
#define MASK_NAMES "native"
#define MASKS
#endif

/* What VULTUS_CPU lets through. False when its value is no name of a mask. */
static bool mask_from_environment(unsigned *mask) {
    static const struct {
        const char *name;
        unsigned mask;
    } masks[] = {MASKS{"native", ~0u}};
    const char *wanted = getenv("VULTUS_CPU");
    *mask = ~0u;
    if (!wanted || !*wanted) return true;
    for (size_t i = 0; i < sizeof masks / sizeof *masks; i++)
        if (strcmp(wanted, masks[i].name) == 0) {
            *mask = masks[i].mask;
            return true;
        }
    return false;
}

enum vultus_status vt_cpu_check_mask(struct vultus_error *error) {
    unsigned mask;
    if (mask_from_environment(&mask)) return VULTUS_OK;
    return vt_fail(
        error, VULTUS_ERROR_INVALID, "VULTUS_CPU is \"%.64s\"; it must be one of " MASK_NAMES, getenv("VULTUS_CPU"));
}

static pthread_once_t detect_once = PTHREAD_ONCE_INIT;
static unsigned detected_features;

static void detect_features(void) {
    unsigned mask;
    if (!mask_from_environment(&mask))
        vt_log(VT_LOG_WARN, "VULTUS_CPU is \"%.64s\", which is none of " MASK_NAMES "; it is ignored",
            getenv("VULTUS_CPU"));
    detected_features = detect() & mask;
}

unsigned vt_cpu_features(void) {
    pthread_once(&detect_once, detect_features);
    return detected_features;
}

/* Best first. */
static const struct {
    const char *name;
    unsigned feature;
} arches[] = {
    {"amx", VT_CPU_AMX}, {"avx512", VT_CPU_AVX512}, {"avx2", VT_CPU_AVX2}, {"sse", VT_CPU_SSE2}, {"neon", VT_CPU_NEON}};
#define N_ARCHES (sizeof arches / sizeof *arches)

const char *vt_cpu_arch_name(void) {
    for (size_t i = 0; i < N_ARCHES; i++)
        if (vt_cpu_has(arches[i].feature)) return arches[i].name;
    return "generic";
}

unsigned vt_cpu_arch_feature(const char *arch) {
    for (size_t i = 0; i < N_ARCHES; i++)
        if (strcmp(arch, arches[i].name) == 0) return arches[i].feature;
    return 0;
}

void vt_cpu_describe_features(unsigned features, char *text, size_t size) {
    static const struct {
        unsigned feature;
        const char *name;
    } names[] = {{VT_CPU_SSE2, "sse2"}, {VT_CPU_AVX2, "avx2"}, {VT_CPU_AVX512, "avx512"},
        {VT_CPU_AVX512_VNNI, "avx512_vnni"}, {VT_CPU_AVX512_BF16, "avx512_bf16"}, {VT_CPU_AMX, "amx"},
        {VT_CPU_NEON, "neon"}};
    size_t used = 0;
    if (size) text[0] = '\0';
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (!(features & names[i].feature) || used >= size) continue;
        int written = snprintf(text + used, size - used, used ? " %s" : "%s", names[i].name);
        used += written > 0 ? (size_t)written : 0;
    }
}

void vt_cpu_describe(char *text, size_t size) { vt_cpu_describe_features(vt_cpu_features(), text, size); }

/* Without runs of blanks and blanks at either end, which brand strings are padded with. */
static void squeeze_blanks(char *text) {
    char *to = text;
    for (const char *from = text; *from; from++)
        if (*from != ' ' || (to > text && to[-1] != ' ')) *to++ = *from;
    if (to > text && to[-1] == ' ') to--;
    *to = '\0';
}

void vt_cpu_model_name(char *text, size_t size) {
    char brand[49];
    bool known = brand_string(brand);
    if (known) squeeze_blanks(brand);
    snprintf(text, size, "%s", known && *brand ? brand : "unknown");
}
