/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <msgpack.h>

#include "server/value.h"

static struct vt_arena arena;

static enum vultus_status from_json(const char *text, struct vt_value *value) {
    struct vt_json_problem problem;
    struct vultus_error error;
    return vt_value_from_json(&arena, text, strlen(text), value, &problem, &error);
}

static void json(void **state) {
    (void)state;
    struct vt_value value;
    assert_int_equal(from_json("{\"a\":[1,2.5,true,null,\"\\u0041\\u0000b\"],\"a b\":{\"c\":-7}}", &value), VULTUS_OK);
    const struct vt_value *list = vt_value_get(&value, "a");
    assert_int_equal(list->kind, VT_VALUE_LIST);
    assert_int_equal(list->list.count, 5);
    assert_int_equal(list->list.items[0].integer, 1);
    assert_true(list->list.items[1].number == 2.5);
    assert_true(list->list.items[2].truth);
    assert_int_equal(list->list.items[3].kind, VT_VALUE_NULL);
    assert_int_equal(list->list.items[4].text.length, 3);
    assert_memory_equal(list->list.items[4].text.bytes, "A\0b", 3);
    assert_int_equal(vt_value_get(vt_value_get(&value, "a b"), "c")->integer, -7);
    assert_null(vt_value_get(&value, "b"));
    assert_null(vt_value_get(list, "a"));
}

static void broken_json(void **state) {
    (void)state;
    static const char *const texts[] = {
        "", "{", "[1,]", "\"a", "\"a\\", "{\"a\" 1}", "nul", "1 2", "\"\xff\"", "[\"\\\"]"};
    struct vt_value value;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_int_equal(from_json(texts[i], &value), VULTUS_ERROR_FORMAT);
}

static char *repeated(const char *piece, size_t times, const char *end) {
    size_t length = strlen(piece);
    char *text = malloc(length * times + strlen(end) + 1);
    assert_non_null(text);
    for (size_t i = 0; i < times; i++) memcpy(text + i * length, piece, length);
    strcpy(text + length * times, end);
    return text;
}

/* Long strings take another way than short ones. */
static void long_strings(void **state) {
    (void)state;
    struct vt_value value;
    char *plain = repeated("abc/", 1000, ""), *escaped = repeated("ab\\u0041\\\"", 1000, "");
    char *text = malloc(40000);
    assert_non_null(text);
    snprintf(text, 40000, "[\"%s\",\"\\u00001\",\"%s\",\"%s\",\"\\u00017\",{\"%s\":1}]", plain, escaped, plain, plain);
    assert_int_equal(from_json(text, &value), VULTUS_OK);
    const struct vt_value *items = value.list.items;
    assert_int_equal(value.list.count, 6);
    for (int i = 0; i < 4; i += 3) {
        assert_int_equal(items[i].text.length, 4000);
        assert_memory_equal(items[i].text.bytes, plain, 4000);
    }
    assert_int_equal(items[2].text.length, 4000);
    assert_memory_equal(items[2].text.bytes, "abA\"abA\"", 8);
    assert_int_equal(items[4].text.length, 2); /* a mark of nothing that was cut out */
    assert_int_equal(vt_value_get(&items[5], plain)->integer, 1);
    text[strlen(text) - 1] = '\0';
    struct vt_json_problem problem;
    assert_int_equal(vt_value_from_json(&arena, text, strlen(text), &value, &problem, NULL), VULTUS_ERROR_FORMAT);
    assert_int_equal(problem.position, strlen(text)); /* of the body as it was sent */
    free(plain);
    free(escaped);
    free(text);
}

static void limits_of_json(void **state) {
    (void)state;
    struct vt_value value;
    char *deep = repeated("[", VT_VALUE_DEPTH + 1, ""), *wide = repeated("[],", VT_VALUE_ITEMS, "[]]");
    char *brackets = repeated("[[[[", 100, "\"]");
    assert_int_equal(from_json(deep, &value), VULTUS_ERROR_LIMIT);
    assert_int_equal(from_json(wide, &value), VULTUS_ERROR_LIMIT);
    assert_int_equal(from_json(brackets, &value), VULTUS_ERROR_LIMIT);
    brackets[0] = '"'; /* within a string they are letters */
    brackets[strlen(brackets) - 1] = '\0';
    assert_int_equal(from_json(brackets, &value), VULTUS_OK);
    free(deep);
    free(wide);
    free(brackets);
}

static void msgpack_values(void **state) {
    (void)state;
    msgpack_sbuffer buffer;
    msgpack_packer packer;
    msgpack_sbuffer_init(&buffer);
    msgpack_packer_init(&packer, &buffer, msgpack_sbuffer_write);
    msgpack_pack_map(&packer, 3);
    msgpack_pack_str_with_body(&packer, "n", 1);
    msgpack_pack_int64(&packer, -5000000000);
    msgpack_pack_str_with_body(&packer, "b", 1);
    msgpack_pack_bin_with_body(&packer, "\xff\x00", 2);
    msgpack_pack_str_with_body(&packer, "l", 1);
    msgpack_pack_array(&packer, 4);
    msgpack_pack_float(&packer, 0.5f);
    msgpack_pack_double(&packer, 0.1);
    msgpack_pack_uint64(&packer, UINT64_MAX);
    msgpack_pack_nil(&packer);
    struct vt_value value;
    assert_int_equal(vt_value_from_msgpack(&arena, buffer.data, buffer.size, &value, NULL), VULTUS_OK);
    assert_int_equal(vt_value_get(&value, "n")->integer, -5000000000);
    assert_int_equal(vt_value_get(&value, "b")->kind, VT_VALUE_BYTES);
    assert_int_equal(vt_value_get(&value, "b")->text.length, 2);
    const struct vt_value *items = vt_value_get(&value, "l")->list.items;
    assert_true(items[0].number == 0.5 && items[1].number == 0.1 && items[2].number > 1.8e19);
    assert_int_equal(items[3].kind, VT_VALUE_NULL);
    for (size_t cut = 0; cut < buffer.size; cut++) {
        char *part = malloc(cut + 1);
        assert_non_null(part);
        memcpy(part, buffer.data, cut);
        assert_int_equal(vt_value_from_msgpack(&arena, part, cut, &value, NULL), VULTUS_ERROR_FORMAT);
        free(part);
    }
    msgpack_sbuffer_destroy(&buffer);
}

/* Headers that promise more than the body can hold. */
static void claims_of_msgpack(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
    } bodies[] = {{"\xdd\xff\xff\xff\xff", 5}, {"\xdf\x7f\xff\xff\xff", 5}, {"\xdb\xff\xff\xff\xff", 5},
        {"\xc6\xff\xff\xff\xff", 5}, {"\xc9\xff\xff\xff\xff", 5}, {"\xc1", 1}, {"\x90\x90", 2}, {"\xd8", 1}};
    struct vt_value value;
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
        assert_int_equal(
            vt_value_from_msgpack(&arena, bodies[i].bytes, bodies[i].size, &value, NULL), VULTUS_ERROR_FORMAT);
    char deep[64];
    memset(deep, 0x91, sizeof deep);
    deep[sizeof deep - 1] = 1;
    assert_int_equal(vt_value_from_msgpack(&arena, deep, sizeof deep, &value, NULL), VULTUS_ERROR_FORMAT);
}

static void texts_become_json(void **state) {
    (void)state;
    static const struct {
        const char *text, *wanted;
    } cases[] = {{"a/b", "\"a/b\""}, {"\"\\\n\x01", "\"\\\"\\\\\\n\\u0001\""},
        {"\xc3\xa9\xf0\x9f\x98\x80", "\"\xc3\xa9\xf0\x9f\x98\x80\""}, {"\xff", "\"\xef\xbf\xbd\""},
        {"\xc0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\""}, {"\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
        {"\xc3", "\"\xef\xbf\xbd\""}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct vt_strbuf out = {0};
        vt_write_json_text(&out, cases[i].text, strlen(cases[i].text));
        assert_string_equal(out.text, cases[i].wanted);
        vt_strbuf_fini(&out);
    }
}

static int setup(void **state) {
    (void)state;
    vt_arena_init(&arena, 0);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    vt_arena_fini(&arena);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(json), cmocka_unit_test(broken_json),
        cmocka_unit_test(limits_of_json), cmocka_unit_test(long_strings), cmocka_unit_test(msgpack_values),
        cmocka_unit_test(claims_of_msgpack), cmocka_unit_test(texts_become_json)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
