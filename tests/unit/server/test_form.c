/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/form.h"

static const char type[] = "multipart/form-data; boundary=\"b d\"";
static struct vt_form_field fields[VT_FORM_FIELDS];
static size_t count;

static enum vultus_status read_form(const char *content_type, const char *body) {
    struct vultus_error error;
    /* A copy of its own size, so that reading beyond it is noticed. */
    size_t size = strlen(body);
    static char *copy;
    free(copy);
    copy = malloc(size + !size);
    assert_non_null(copy);
    memcpy(copy, body, size);
    return vt_form_read(content_type, copy, size, fields, &count, &error);
}

static void has(const char *name, const char *value) {
    const struct vt_form_field *field = vt_form_find(fields, count, name);
    assert_non_null(field);
    assert_int_equal(field->length, strlen(value));
    assert_memory_equal(field->value, value, field->length);
}

static void fields_and_files(void **state) {
    (void)state;
    assert_int_equal(
        read_form(type, "preamble\r\n--b d\r\nContent-Type: image/jpeg\r\nContent-Disposition: form-data; "
                        "filename=\"name=evil.jpg\"; name=\"file\"\r\n\r\n\r\n--b\r\nx\r\n--b d\r\n"
                        "content-disposition: form-data; name=threshold\r\n\r\n0.5\r\n--b d\r\n"
                        "Content-Disposition: form-data; name=\"empty\"\r\n\r\n\r\n--b d\r\n"
                        "Content-Disposition: form-data; name=\"threshold\"\r\n\r\n0.7\r\n--b d--\r\nepilogue"),
        VULTUS_OK);
    assert_int_equal(count, 4);
    has("file", "\r\n--b\r\nx");
    has("threshold", "0.7");
    has("empty", "");
    assert_null(vt_form_find(fields, count, "fil"));
    assert_int_equal(read_form("multipart/form-data; boundary=x", "--x--"), VULTUS_OK);
    assert_int_equal(count, 0);
}

static void broken_forms(void **state) {
    (void)state;
    static const char *const bodies[] = {"", "--b d", "--b d\r\n", "--b dx",
        "--b d\r\nContent-Disposition: form-data; name=\"a\"",
        "--b d\r\nContent-Disposition: form-data; name=\"a\r\n\r\nx\r\n--b d--", "--b d\r\nX: y\r\n\r\nx\r\n--b d--",
        "--b d\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nx",
        "--b d\r\nContent-Disposition: form-data; filename=\"a\"\r\n\r\nx\r\n--b d--",
        "--b d\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nx\r\n--b d-"};
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
        assert_int_equal(read_form(type, bodies[i]), VULTUS_ERROR_FORMAT);
    static const char *const types[] = {NULL, "", "text/plain; boundary=x", "multipart/form-data",
        "multipart/form-data; boundary=", "multipart/form-data; boundary=\"\"",
        "multipart/form-data; boundary=0123456789012345678901234567890123456789012345678901234567890123456789x"};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        assert_int_equal(read_form(types[i], "--x--"), VULTUS_ERROR_FORMAT);
}

static void too_many_fields(void **state) {
    (void)state;
    static const char part[] = "--x\r\nContent-Disposition: form-data; name=a\r\n\r\n\r\n";
    char body[sizeof part * (VT_FORM_FIELDS + 2) + 8] = "";
    for (int i = 0; i < VT_FORM_FIELDS; i++) strcat(body, part);
    strcat(body, "--x--");
    assert_int_equal(read_form("multipart/form-data; boundary=x", body), VULTUS_OK);
    assert_int_equal(count, VT_FORM_FIELDS);
    strcpy(strstr(body, "--x--"), part);
    strcat(body, "--x--");
    assert_int_equal(read_form("multipart/form-data; boundary=x", body), VULTUS_ERROR_LIMIT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_and_files), cmocka_unit_test(broken_forms), cmocka_unit_test(too_many_fields)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
