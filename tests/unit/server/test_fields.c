/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/wanted.h"

static struct vt_arena arena;
static struct vt_problems problems;

static struct vt_wanted read_body(const char *text, enum vultus_status status) {
    struct vt_json_problem problem;
    struct vultus_error error;
    struct vt_value value;
    struct vt_wanted wanted = {.threshold = 0.6, .extract_embedding = true, .limit_faces = 5};
    vt_strbuf_fini(&problems.json);
    problems = (struct vt_problems){0};
    assert_int_equal(vt_value_from_json(&arena, text, strlen(text), &value, &problem, &error), VULTUS_OK);
    assert_int_equal(vt_wanted_read(&arena, &value, VT_BODY_JSON, 4, &wanted, &problems, &error), status);
    return wanted;
}

static void every_field(void **state) {
    (void)state;
    struct vt_wanted w = read_body(
        "{\"images\":{\"urls\":[\"a\",\"http://b\"],\"data\":[\"c\"]},\"threshold\":\" 0.25 \",\"embed_only\":\"TRUE\","
        "\"return_face_data\":1,\"limit_faces\":\"3.0\",\"min_face_size\":true,\"extract_embedding\":null,"
        "\"img_req_headers\":{\"A\":\"b\"}}",
        VULTUS_OK);
    assert_int_equal(problems.count, 0);
    assert_int_equal(w.count, 2);
    assert_true(w.pictures[0].is_url && !w.pictures[0].base64 && w.pictures[1].length == 8);
    assert_true(w.threshold == 0.25 && w.embed_only && w.return_face_data && !w.extract_embedding && !w.msgpack);
    assert_int_equal(w.limit_faces, 3);
    assert_int_equal(w.min_face_size, 1);
    assert_int_equal(w.n_headers, 1);
    assert_string_equal(w.headers[0].name, "A");
}

static void missing_and_null_keep_defaults(void **state) {
    (void)state;
    static const char *const bodies[] = {
        "{\"images\":{}}", "{\"images\":{\"urls\":null,\"data\":null},\"threshold\":null,\"limit_faces\":null}"};
    for (int i = 0; i < 2; i++) {
        struct vt_wanted w = read_body(bodies[i], VULTUS_OK);
        assert_int_equal(problems.count, 0);
        assert_true(w.count == 0 && w.threshold == 0.6 && w.limit_faces == 5 && w.extract_embedding && !w.headers);
    }
}

static void texts_that_are_no_numbers(void **state) {
    (void)state;
    static const char *const values[] = {
        "\"0x10\"", "\"\"", "\"1e\"", "\"nan\"", "\"1 2\"", "\"1\\u0000\"", "[]", "{}"};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        char body[96];
        snprintf(body, sizeof body, "{\"images\":{},\"threshold\":%s}", values[i]);
        assert_true(read_body(body, VULTUS_OK).threshold == 0.6);
        assert_int_equal(problems.count, 1);
        assert_non_null(strstr(problems.json.text, "\"loc\":[\"body\",\"threshold\"]"));
    }
}

static void too_many_pictures(void **state) {
    (void)state;
    read_body("{\"images\":{\"urls\":[\"\",\"\",\"\",\"\",\"\"]}}", VULTUS_ERROR_LIMIT);
}

static void headers_with_line_ends(void **state) {
    (void)state;
    read_body("{\"images\":{},\"img_req_headers\":{\"A\":\"b\\r\\nC: d\"}}", VULTUS_OK);
    assert_int_equal(problems.count, 1);
}

static int setup(void **state) {
    (void)state;
    vt_arena_init(&arena, 0);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    vt_arena_fini(&arena);
    vt_strbuf_fini(&problems.json);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_field), cmocka_unit_test(missing_and_null_keep_defaults),
        cmocka_unit_test(texts_that_are_no_numbers), cmocka_unit_test(too_many_pictures),
        cmocka_unit_test(headers_with_line_ends)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
