/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/base64.h"

static void is_decoded(const char *text, const char *wanted) {
    uint8_t *bytes;
    size_t size;
    assert_int_equal(vt_base64_decode(text, strlen(text), &bytes, &size, NULL), VULTUS_OK);
    assert_int_equal(size, strlen(wanted));
    assert_memory_equal(bytes, wanted, size);
    free(bytes);
}

static void is_refused(const char *text) {
    uint8_t *bytes;
    size_t size;
    struct vultus_error error;
    assert_int_equal(vt_base64_decode(text, strlen(text), &bytes, &size, &error), VULTUS_ERROR_FORMAT);
}

/* The vectors of RFC 4648, section 10. */
static void vectors(void **state) {
    (void)state;
    static const char *const pairs[][2] = {{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        struct vt_strbuf out = {0};
        is_decoded(pairs[i][1], pairs[i][0]);
        vt_base64_encode((const uint8_t *)pairs[i][0], strlen(pairs[i][0]), &out);
        assert_string_equal(out.text ? out.text : "", pairs[i][1]);
        vt_strbuf_fini(&out);
    }
}

/* As Python's b64decode without validation reads them. */
static void lenient(void **state) {
    (void)state;
    is_decoded("data:image/png;base64,Zm9v", "foo");
    is_decoded("a,b,Zm9v", "foo");
    is_decoded("Zm\n9v YmFy\t", "foobar");
    is_decoded("Zm8=!", "fo");
    is_decoded("Zg==Zm9v", "f");
    is_decoded("Z-g=*=", "f");
    is_refused("Z");
    is_refused("Zg");
    is_refused("Zg=");
    is_refused("Zm9vY");
    is_refused("Zm9vYmE");
}

static void round_trip(void **state) {
    (void)state;
    uint8_t bytes[3000];
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)(i * i >> 3);
    for (size_t size = 0; size < sizeof bytes; size += 61) {
        struct vt_strbuf text = {0};
        uint8_t *back;
        size_t back_size;
        vt_base64_encode(bytes, size, &text);
        assert_int_equal(vt_base64_decode(text.text ? text.text : "", text.length, &back, &back_size, NULL), VULTUS_OK);
        assert_int_equal(back_size, size);
        assert_memory_equal(back, bytes, size);
        free(back);
        vt_strbuf_fini(&text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors), cmocka_unit_test(lenient), cmocka_unit_test(round_trip)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
