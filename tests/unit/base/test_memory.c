/* SPDX-License-Identifier: Apache-2.0
 * Arena, aligned memory, text buffers, checked arithmetic, errors and the log.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/checked.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/status.h"
#include "base/strbuf.h"

/* ------------------------------------------------------------ arena */

static bool all_zero(const unsigned char *bytes, size_t size) {
    for (size_t i = 0; i < size; i++)
        if (bytes[i]) return false;
    return true;
}

/* Every allocation is zeroed, aligned and apart from all others: each is filled, and none changes afterwards. */
static void test_arena_allocations(void **state) {
    (void)state;
    enum { COUNT = 2000 };
    static unsigned char *memory[COUNT];
    static size_t sizes[COUNT];
    struct vt_arena arena;
    uint32_t seed = 7;
    vt_arena_init(&arena, 0);
    for (int i = 0; i < COUNT; i++) {
        seed = seed * 1664525u + 1013904223u;
        size_t alignment = (size_t)1 << (seed >> 20) % 13;
        sizes[i] = (seed >> 8) % (i % 100 == 0 ? 300000 : 600);
        memory[i] = vt_arena_alloc_aligned(&arena, sizes[i], alignment);
        assert_non_null(memory[i]);
        assert_int_equal((uintptr_t)memory[i] % alignment, 0);
        assert_int_equal((uintptr_t)memory[i] % 16, 0);
        assert_true(all_zero(memory[i], sizes[i]));
        memset(memory[i], i % 255 + 1, sizes[i]);
    }
    for (int i = 0; i < COUNT; i++)
        for (size_t b = 0; b < sizes[i]; b++) assert_int_equal(memory[i][b], i % 255 + 1);
    vt_arena_fini(&arena);
    assert_int_equal(arena.used, 0);
    assert_non_null(vt_arena_alloc(&arena, 1)); /* may be used again */
    vt_arena_fini(&arena);
}

static void test_arena_limit(void **state) {
    (void)state;
    struct vt_arena arena;
    size_t granted = 0;
    vt_arena_init(&arena, 100000);
    while (vt_arena_alloc(&arena, 100)) granted += 100;
    assert_in_range(granted, 50000, 100000);
    assert_in_range(arena.used, granted, 100000);
    vt_arena_fini(&arena);
    vt_arena_init(&arena, 100000);
    assert_null(vt_arena_alloc(&arena, 100001));
    assert_non_null(vt_arena_alloc(&arena, 90000)); /* a refusal costs nothing */
    vt_arena_fini(&arena);
}

static void test_arena_impossible_sizes(void **state) {
    (void)state;
    struct vt_arena arena;
    vt_arena_init(&arena, 0);
    for (int filled = 0; filled < 2; filled++) {
        assert_null(vt_arena_alloc(&arena, SIZE_MAX));
        assert_null(vt_arena_alloc(&arena, SIZE_MAX - 40));
        assert_null(vt_arena_alloc_array(&arena, SIZE_MAX / 4, 5));
        assert_null(vt_arena_alloc_array(&arena, (size_t)1 << 32, (size_t)1 << 32));
        assert_null(vt_arena_alloc_aligned(&arena, SIZE_MAX - 64, 4096));
        assert_null(vt_arena_strndup(&arena, "", SIZE_MAX));
        assert_non_null(vt_arena_alloc(&arena, 0));
    }
    assert_ptr_not_equal(vt_arena_alloc(&arena, 0), vt_arena_alloc(&arena, 0));
    vt_arena_fini(&arena);
}

static void test_arena_texts(void **state) {
    (void)state;
    struct vt_arena arena;
    vt_arena_init(&arena, 0);
    assert_string_equal(vt_arena_strdup(&arena, "text"), "text");
    assert_string_equal(vt_arena_strndup(&arena, "text", 2), "te");
    assert_string_equal(vt_arena_strndup(&arena, NULL, 0), "");
    assert_string_equal(vt_arena_printf(&arena, "%s %d", "a", 5), "a 5");
    assert_int_equal(strlen(vt_arena_printf(&arena, "%5000d", 1)), 5000);
    vt_arena_fini(&arena);
}

static void test_aligned_memory(void **state) {
    (void)state;
    static const size_t sizes[] = {0, 1, 63, 64, 65, 100000, (4u << 20) - 1, 4u << 20, (4u << 20) + 1};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char *memory = vt_alloc_aligned(sizes[i]);
        assert_non_null(memory);
        assert_int_equal((uintptr_t)memory % VT_CACHE_LINE, 0);
        memset(memory, 1, sizes[i]);
        vt_free_aligned(memory);
    }
    for (size_t less = 0; less < 100; less++) assert_null(vt_alloc_aligned(SIZE_MAX - less));
    vt_free_aligned(NULL);
}

/* Whether writing there ends a process. */
static bool faults(char *at) {
    pid_t child = fork();
    int status = 0;
    if (child == 0) {
        signal(SIGSEGV, SIG_DFL);
        *(volatile char *)at = 1;
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return status != 0;
}

static void test_pages(void **state) {
    (void)state;
    static const size_t sizes[] = {0, 1, 4096, 100000, (1u << 20) - 4096, 1u << 20, (2u << 20) - 1, 2u << 20,
        (3u << 20) - 4096, 3u << 20, (4u << 20) - 1, 4u << 20, (4u << 20) + 1, 9u << 20};
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char *memory = vt_alloc_pages(sizes[i]);
        assert_non_null(memory);
        assert_int_equal((uintptr_t)memory % page, 0);
        for (size_t at = 0; at < sizes[i]; at++) assert_int_equal(memory[at], 0);
        memset(memory, 1, sizes[i]);
        assert_false(faults(memory));
        assert_true(faults(memory + (sizes[i] == 0 ? page : (sizes[i] + page - 1) / page * page)));
        vt_free_pages(memory, sizes[i]);
    }
    for (size_t less = 0; less < 100; less++) assert_null(vt_alloc_pages(SIZE_MAX - less));
    assert_null(vt_alloc_pages((size_t)1 << 60));
    vt_free_pages(NULL, 0);
}

/* ------------------------------------------------------------ arithmetic */

static void test_checked_arithmetic(void **state) {
    (void)state;
    size_t size;
    int64_t wide;
    assert_true(vt_add_size(SIZE_MAX - 1, 1, &size) && size == SIZE_MAX);
    assert_false(vt_add_size(SIZE_MAX, 1, &size));
    assert_true(vt_mul_size(SIZE_MAX / 3, 3, &size) && size == SIZE_MAX);
    assert_false(vt_mul_size(SIZE_MAX / 3 + 1, 3, &size));
    assert_true(vt_add_i64(INT64_MAX, INT64_MIN, &wide) && wide == -1);
    assert_false(vt_add_i64(INT64_MIN, -1, &wide));
    assert_true(vt_mul_i64(INT64_MIN, 1, &wide) && wide == INT64_MIN);
    assert_false(vt_mul_i64(INT64_MIN, -1, &wide));
    assert_true(vt_range_inside(0, 0, 0));
    assert_true(vt_range_inside(10, 0, 10));
    assert_true(vt_range_inside(3, 7, 10));
    assert_false(vt_range_inside(3, 8, 10));
    assert_false(vt_range_inside(11, 0, 10));
    assert_false(vt_range_inside(UINT64_MAX, 2, 10));
    assert_false(vt_range_inside(2, UINT64_MAX, UINT64_MAX));
    assert_int_equal(vt_round_up(0, 64), 0);
    assert_int_equal(vt_round_up(1, 64), 64);
    assert_int_equal(vt_round_up(128, 64), 128);
    assert_int_equal(vt_div_up(7, 2), 4);
    assert_int_equal(vt_min_i64(-1, 1), -1);
    assert_int_equal(vt_max_i64(-1, 1), 1);
}

/* ------------------------------------------------------------ text buffers */

static void test_strbuf(void **state) {
    (void)state;
    struct vt_strbuf buffer = {0};
    for (int i = 0; i < 1000; i++) vt_strbuf_printf(&buffer, "%d,", i % 10);
    vt_strbuf_puts(&buffer, "end");
    vt_strbuf_append(&buffer, "\0x", 2);
    assert_int_equal(buffer.length, 2005);
    assert_memory_equal(buffer.text + 1996, "8,9,end\0x", 10);
    char *text = vt_strbuf_take(&buffer);
    assert_int_equal(strlen(text), 2003);
    assert_null(buffer.text);
    free(text);
    text = vt_strbuf_take(&buffer); /* of nothing: an empty text */
    assert_string_equal(text, "");
    free(text);
}

static void test_strbuf_failure(void **state) {
    (void)state;
    struct vt_strbuf buffer = {0};
    vt_strbuf_puts(&buffer, "before");
    vt_strbuf_append(&buffer, "", SIZE_MAX - 3);
    assert_true(buffer.failed);
    vt_strbuf_puts(&buffer, "after");
    assert_null(vt_strbuf_take(&buffer));
    assert_false(buffer.failed); /* empty again */
    vt_strbuf_puts(&buffer, "x");
    vt_strbuf_fini(&buffer);
    assert_null(buffer.text);
}

/* ------------------------------------------------------------ errors and the log */

static void test_fail(void **state) {
    (void)state;
    struct vultus_error error = {VULTUS_OK, ""};
    assert_int_equal(vt_fail(&error, VULTUS_ERROR_LIMIT, "%d is over %d", 5, 4), VULTUS_ERROR_LIMIT);
    assert_int_equal(error.status, VULTUS_ERROR_LIMIT);
    assert_string_equal(error.text, "5 is over 4");
    vt_fail(&error, VULTUS_ERROR_IO, "file: %s", error.text); /* arguments may be the old text */
    assert_string_equal(error.text, "file: 5 is over 4");
    vt_fail(&error, VULTUS_ERROR_IO, "%1000d", 1);
    assert_int_equal(strlen(error.text), VULTUS_ERROR_TEXT - 1);
    assert_int_equal(vt_fail(NULL, VULTUS_ERROR_IO, "unseen"), VULTUS_ERROR_IO);
    assert_int_equal(vt_fail_memory(&error, "a thing", 17), VULTUS_ERROR_MEMORY);
    assert_non_null(strstr(error.text, "17 bytes for a thing"));
}

static void test_status_names(void **state) {
    (void)state;
    assert_string_equal(vt_status_name(VULTUS_OK), "ok");
    assert_string_equal(vt_status_name(VULTUS_ERROR_NOT_FOUND), "not_found");
    assert_string_equal(vt_status_name((enum vultus_status) - 1000), "unknown");
    for (int a = VULTUS_ERROR_BACKEND; a <= 0; a++)
        for (int b = VULTUS_ERROR_BACKEND; b < a; b++)
            assert_string_not_equal(vt_status_name((enum vultus_status)a), vt_status_name((enum vultus_status)b));
}

struct logged {
    int lines;
    enum vt_log_level level;
    char text[2000];
};

static void keep(enum vt_log_level level, const char *text, void *context) {
    struct logged *logged = context;
    logged->lines++;
    logged->level = level;
    snprintf(logged->text, sizeof logged->text, "%s", text);
}

static void test_log(void **state) {
    (void)state;
    struct logged logged = {0};
    vt_log_set_sink(keep, &logged);
    vt_log(VT_LOG_INFO, "quiet by default");
    assert_int_equal(logged.lines, 0);
    vt_log(VT_LOG_WARN, "%s %d", "warned", 1);
    assert_int_equal(logged.lines, 1);
    assert_int_equal(logged.level, VT_LOG_WARN);
    assert_string_equal(logged.text, "warned 1");
    vt_log_set_level(VT_LOG_DEBUG);
    vt_log(VT_LOG_DEBUG, "%5000d", 1);
    assert_int_equal(logged.lines, 2);
    vt_log_set_level(VT_LOG_ERROR);
    vt_log(VT_LOG_WARN, "hidden");
    assert_int_equal(logged.lines, 2);
    vt_log_set_level(VT_LOG_WARN);
    vt_log_set_sink(NULL, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arena_allocations),
        cmocka_unit_test(test_arena_limit),
        cmocka_unit_test(test_arena_impossible_sizes),
        cmocka_unit_test(test_arena_texts),
        cmocka_unit_test(test_aligned_memory),
        cmocka_unit_test(test_pages),
        cmocka_unit_test(test_checked_arithmetic),
        cmocka_unit_test(test_strbuf),
        cmocka_unit_test(test_strbuf_failure),
        cmocka_unit_test(test_fail),
        cmocka_unit_test(test_status_names),
        cmocka_unit_test(test_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
