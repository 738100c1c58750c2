/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "backend/order.h"
#include "backend/text.h"

static void reads(const char *text, const char *wanted) {
    struct vt_backend_order order;
    struct vultus_error error;
    char joined[64] = "";
    if (vt_backend_order_read(text, &order, &error)) fail_msg("\"%s\": %s", text, error.text);
    for (size_t i = 0; i < order.count; i++) {
        if (i) strcat(joined, " ");
        strcat(joined, order.names[i]);
    }
    assert_string_equal(joined, wanted);
}

static void orders(void **state) {
    (void)state;
    reads(VT_DEFAULT_ORDER, "tensorrt cuda cpu");
    reads("cpu", "cpu");
    reads("  cpu , cuda ", "cpu cuda");
    reads("cpu,cuda,cpu,tensorrt,cuda", "cpu cuda tensorrt");
    reads("trt", "tensorrt cuda cpu");
    reads("cpu, onnx", "cpu cuda");
    reads("onnx,trt", "cuda cpu tensorrt");
}

static void no_orders(void **state) {
    (void)state;
    static const char *const texts[] = {"", " ", ",", "cpu,", ",cpu", "cpu cuda", "CUDA", "cpuu", "cp", "cpu;cuda"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct vt_backend_order order = {.count = 77};
        struct vultus_error error;
        assert_int_equal(vt_backend_order_read(texts[i], &order, &error), VULTUS_ERROR_INVALID);
        assert_non_null(strstr(error.text, "it takes tensorrt, cuda and cpu"));
        assert_int_equal(order.count, 77);
    }
}

static void the_first_usable(void **state) {
    (void)state;
    struct vt_backend_order order;
    struct vt_backend_choice choice;
    char text[160];
    assert_int_equal(vt_backend_order_read("tensorrt,cpu,cuda", &order, NULL), VULTUS_OK);
    vt_backend_choose(&order, &choice);
    assert_ptr_equal(choice.backend, vt_backend_find("cpu"));
    assert_int_equal(choice.n_skipped, 1);
    assert_true(choice.skipped[0].absent);
    vt_backend_describe_skipped(&choice, text, sizeof text);
    assert_string_equal(text, "tensorrt (this build does not include it)");
    vt_backend_describe_skipped(&choice, text, 10);
    assert_string_equal(text, "tensorrt ");
    assert_int_equal(vt_backend_order_read("tensorrt", &order, NULL), VULTUS_OK);
    vt_backend_choose(&order, &choice);
    assert_null(choice.backend);
}

static void printable(void **state) {
    (void)state;
    char text[6];
    vt_copy_printable(text, sizeof text, "a\nb\xff~long");
    assert_string_equal(text, "a?b?~");
    vt_copy_printable(text, 1, "abc");
    assert_string_equal(text, "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(orders),
        cmocka_unit_test(no_orders),
        cmocka_unit_test(the_first_usable),
        cmocka_unit_test(printable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
