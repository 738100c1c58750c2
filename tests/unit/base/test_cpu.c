/* SPDX-License-Identifier: Apache-2.0 */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/cpu.h"
#include "base/file.h"
#include "base/log.h"

#if defined(__aarch64__)
#define MASK_NAMES "neon, native"
#elif defined(__x86_64__)
#define MASK_NAMES "sse, avx2, avx512, avx512_vnni, amx, native"
#else
#define MASK_NAMES "native"
#endif

/* What a process sees that starts with VULTUS_CPU=mask; detection happens once per process. */
struct seen {
    unsigned features;
    char arch[16];
    bool warned, refused;
};

static void note_warning(enum vt_log_level level, const char *text, void *context) {
    (void)text;
    if (level == VT_LOG_WARN) *(bool *)context = true;
}

static struct seen detect_under(const char *mask) {
    struct seen seen = {0};
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        if (mask)
            setenv("VULTUS_CPU", mask, 1);
        else
            unsetenv("VULTUS_CPU");
        vt_log_set_sink(note_warning, &seen.warned);
        seen.features = vt_cpu_features();
        struct vultus_error error;
        seen.refused = vt_cpu_check_mask(&error) == VULTUS_ERROR_INVALID && strstr(error.text, MASK_NAMES);
        snprintf(seen.arch, sizeof seen.arch, "%s", vt_cpu_arch_name());
        _exit(write(ends[1], &seen, sizeof seen) == sizeof seen ? 0 : 1);
    }
    assert_int_equal(read(ends[0], &seen, sizeof seen), sizeof seen);
    close(ends[0]);
    close(ends[1]);
    waitpid(child, NULL, 0);
    return seen;
}

#if defined(__x86_64__)
/* Whether /proc/cpuinfo lists the flag, by another route than cpuid. */
static bool kernel_lists(const char *flag) {
    char line[8192], padded[32];
    bool found = false;
    FILE *stream = fopen("/proc/cpuinfo", "r");
    snprintf(padded, sizeof padded, " %s ", flag);
    while (stream && !found && fgets(line, sizeof line, stream)) {
        line[strcspn(line, "\n")] = ' ';
        found = strncmp(line, "flags", 5) == 0 && strstr(line, padded);
    }
    if (stream) fclose(stream);
    return found;
}
#endif

static void test_features_are_those_of_the_kernel(void **state) {
    (void)state;
    unsigned features = detect_under(NULL).features;
#if defined(__x86_64__)
    bool avx2 = kernel_lists("avx2") && kernel_lists("fma") && kernel_lists("f16c");
    bool avx512 = avx2 && kernel_lists("avx512f") && kernel_lists("avx512bw") && kernel_lists("avx512dq") &&
                  kernel_lists("avx512vl") && kernel_lists("avx512cd");
    assert_true(features & VT_CPU_SSE2);
    assert_int_equal((features & VT_CPU_AVX2) != 0, avx2);
    assert_int_equal((features & VT_CPU_AVX512) != 0, avx512);
    assert_int_equal((features & VT_CPU_AVX512_VNNI) != 0, avx512 && kernel_lists("avx512_vnni"));
    assert_int_equal((features & VT_CPU_AVX512_BF16) != 0, avx512 && kernel_lists("avx512_bf16"));
    if (features & VT_CPU_AMX) assert_true(kernel_lists("amx_tile"));
    assert_false(features & VT_CPU_NEON);
#elif defined(__aarch64__)
    assert_int_equal(features, VT_CPU_NEON);
#else
    assert_int_equal(features, 0);
#endif
}

static void test_masks(void **state) {
    (void)state;
    unsigned native = detect_under(NULL).features;
    static const struct {
        const char *name;
        unsigned hidden;
    } masks[] = {
        {"native", 0},
        {"", 0},
#if defined(__aarch64__)
        {"neon", 0},
#elif defined(__x86_64__)
        {"amx", 0},
        {"avx512_vnni", VT_CPU_AMX | VT_CPU_AVX512_BF16},
        {"avx512", VT_CPU_AMX | VT_CPU_AVX512_BF16 | VT_CPU_AVX512_VNNI},
        {"avx2", VT_CPU_AMX | VT_CPU_AVX512_BF16 | VT_CPU_AVX512_VNNI | VT_CPU_AVX512},
        {"sse", VT_CPU_AMX | VT_CPU_AVX512_BF16 | VT_CPU_AVX512_VNNI | VT_CPU_AVX512 | VT_CPU_AVX2},
#endif
    };
    for (size_t i = 0; i < sizeof masks / sizeof *masks; i++) {
        struct seen seen = detect_under(masks[i].name);
        assert_int_equal(seen.features, native & ~masks[i].hidden);
        assert_false(seen.warned || seen.refused);
    }
    struct seen seen = detect_under("avx1024");
    assert_int_equal(seen.features, native);
    assert_true(seen.warned && seen.refused);
}

static void test_arch_names(void **state) {
    (void)state;
#if defined(__x86_64__)
    unsigned native = detect_under(NULL).features;
    assert_string_equal(detect_under("sse").arch, "sse");
    if (native & VT_CPU_AVX2) assert_string_equal(detect_under("avx2").arch, "avx2");
    if (native & VT_CPU_AVX512) assert_string_equal(detect_under("avx512").arch, "avx512");
    if (native & VT_CPU_AMX) assert_string_equal(detect_under("native").arch, "amx");
#elif defined(__aarch64__)
    assert_string_equal(detect_under(NULL).arch, "neon");
#endif
}

static void test_features_of_arch_names(void **state) {
    (void)state;
    assert_int_equal(vt_cpu_arch_feature("avx512"), VT_CPU_AVX512);
    assert_int_equal(vt_cpu_arch_feature("sse"), VT_CPU_SSE2);
    assert_int_equal(vt_cpu_arch_feature("generic"), 0);
    assert_int_equal(vt_cpu_arch_feature(""), 0);
    assert_true(vt_cpu_has(vt_cpu_arch_feature(vt_cpu_arch_name())));
    char text[64];
    vt_cpu_describe_features(VT_CPU_AVX512_VNNI | VT_CPU_AVX2, text, sizeof text);
    assert_string_equal(text, "avx2 avx512_vnni");
}

static void test_texts_fit(void **state) {
    (void)state;
    char text[300], small[9];
    vt_cpu_describe(text, sizeof text);
#if defined(__x86_64__)
    assert_true(strncmp(text, "sse2", 4) == 0);
#endif
    memset(small, '#', sizeof small);
    vt_cpu_describe(small, 8);
    assert_true(strlen(small) <= 7 && small[8] == '#');
    vt_cpu_describe(small, 0);
    vt_cpu_model_name(text, sizeof text);
    assert_true(*text && *text != ' ' && text[strlen(text) - 1] != ' ' && !strstr(text, "  "));
    memset(small, '#', sizeof small);
    vt_cpu_model_name(small, 4);
    assert_true(strlen(small) <= 3 && small[4] == '#');
}

static void test_count(void **state) {
    (void)state;
    cpu_set_t before, one;
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    int count = vt_cpu_count();
    assert_in_range(count, 1, CPU_COUNT(&before));
    CPU_ZERO(&one);
    for (int i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; i++)
        if (CPU_ISSET(i, &before)) CPU_SET(i, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    assert_int_equal(vt_cpu_count(), 1);
    assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
}

/* A cgroup's directory with these files; NULL leaves one out. */
static int quota_of(const char *max, const char *quota, const char *period) {
    const char *const files[][2] = {{"cpu.max", max}, {"cpu.cfs_quota_us", quota}, {"cpu.cfs_period_us", period}};
    char directory[] = "/tmp/vultus-cgroup-XXXXXX", path[64];
    assert_non_null(mkdtemp(directory));
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", directory, files[i][0]);
        if (files[i][1]) assert_int_equal(vt_write_file_atomically(path, files[i][1], strlen(files[i][1]), NULL), 0);
    }
    int processors = vt_cpu_quota(directory);
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", directory, files[i][0]);
        unlink(path);
    }
    rmdir(directory);
    return processors;
}

static void test_quota(void **state) {
    (void)state;
    assert_int_equal(quota_of("max 100000\n", NULL, NULL), 0);
    assert_int_equal(quota_of("200000 100000\n", NULL, NULL), 2);
    assert_int_equal(quota_of("250000 100000\n", NULL, NULL), 3);
    assert_int_equal(quota_of("1000 100000\n", NULL, NULL), 1);
    assert_int_equal(quota_of("100000 0\n", NULL, NULL), 0);
    assert_int_equal(quota_of("", NULL, NULL), 0);
    assert_int_equal(quota_of(NULL, NULL, NULL), 0);
    assert_int_equal(quota_of(NULL, "-1\n", "100000\n"), 0);
    assert_int_equal(quota_of(NULL, "400000\n", "100000\n"), 4);
    assert_int_equal(quota_of(NULL, "400000\n", NULL), 0);
}

static void test_denormals(void **state) {
    (void)state;
#if defined(__x86_64__) || defined(__aarch64__)
    volatile float tiny = 0x1p-126f, half = 0.5f;
    assert_true(tiny * half > 0);
    unsigned before = vt_cpu_flush_denormals();
    volatile float product = tiny * half; /* volatile: between the two calls */
    vt_cpu_restore_denormals(before);
    assert_true(product == 0);
    assert_true(tiny * half > 0);
#endif
}

static void test_clock_goes_on(void **state) {
    (void)state;
    uint64_t start = vt_now_ns(), last = start;
    for (int i = 0; i < 1000; i++) {
        uint64_t now = vt_now_ns();
        assert_true(now >= last);
        last = now;
    }
    usleep(1000);
    assert_true(vt_ms_since(start) >= 1);
}

static void expect_arm(const char *midr, const char *cpuinfo, const char *wanted) {
    char text[64] = "";
    assert_int_equal(vt_cpu_arm_model(midr, cpuinfo, text, sizeof text), wanted != NULL);
    assert_string_equal(text, wanted ? wanted : "");
}

/* Texts as Linux gives them. */
static void test_arm_models(void **state) {
    (void)state;
    static const char orin[] = "processor\t: 0\nmodel name\t: ARMv8 Processor rev 1 (v8l)\nBogoMIPS\t: 62.50\n"
                               "Features\t: fp asimd\nCPU implementer\t: 0x41\nCPU architecture: 8\n"
                               "CPU variant\t: 0x0\nCPU part\t: 0xd42\nCPU revision\t: 1\n\nprocessor\t: 1\n"
                               "CPU implementer\t: 0x41\nCPU variant\t: 0x1\nCPU part\t: 0xd0b\nCPU revision\t: 0\n";
    expect_arm("0x00000000410fd421\n", NULL, "Cortex-A78AE r0p1");
    expect_arm("0x00000000413fd0c1\n", orin, "Neoverse-N1 r3p1");
    expect_arm(NULL, orin, "Cortex-A78AE r0p1");
    expect_arm("", orin, "Cortex-A78AE r0p1");
    expect_arm("0x410fd421 and more", orin, "Cortex-A78AE r0p1");
    expect_arm("0x00000000611f0220\n", NULL, "Arm implementer 0x61 part 0x022 r1p0");
    expect_arm("0x4e0f0040", "", "Carmel r0p0");
    expect_arm(NULL, NULL, NULL);
    expect_arm("0x0", "", NULL);
    expect_arm("none", "processor\t: 0\nvendor_id\t: GenuineIntel\n", NULL);
    expect_arm(NULL, "CPU implementer\t: 0x41\nCPU variant\t: 0x0\nCPU part\t:\nCPU revision\t: 1\n", NULL);
    expect_arm(NULL, "CPU implementer\t: 0x41\nCPU variant\t: 0x0\nCPU part\t: 0xd42\n", NULL);
    expect_arm(NULL, "CPU implementer\t: 0xfffffffffffffffff\n", NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_features_are_those_of_the_kernel),
        cmocka_unit_test(test_masks),
        cmocka_unit_test(test_arch_names),
        cmocka_unit_test(test_features_of_arch_names),
        cmocka_unit_test(test_texts_fit),
        cmocka_unit_test(test_count),
        cmocka_unit_test(test_quota),
        cmocka_unit_test(test_denormals),
        cmocka_unit_test(test_clock_goes_on),
        cmocka_unit_test(test_arm_models),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
