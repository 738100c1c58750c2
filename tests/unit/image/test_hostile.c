/* SPDX-License-Identifier: Apache-2.0
 * Every picture of the fuzz targets' corpora, cut at many places and with bits flipped: decoding succeeds or says why.
 */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/log.h"
#include "image/image.h"
#include "noise.h"

enum { CUTS = 60, FLIPS = 150 };

static const char *corpora; /* the folder of all */

/* In an allocation of its own size, so that a sanitizer sees every read past its end. */
static void decode_copy(const uint8_t *data, size_t size) {
    static const struct vt_image_limits limits = {.pixels = 1 << 18};
    uint8_t *copy = malloc(size ? size : 1);
    assert_non_null(copy);
    memcpy(copy, data, size);
    struct vt_image picture;
    struct vultus_error error = {0};
    if (vt_image_decode(copy, size, "mangled", &limits, &picture, &error))
        assert_memory_equal(error.text, "mangled", 7);
    else
        vt_image_release(&picture);
    free(copy);
}

static void mangle(uint8_t *data, size_t size) {
    uint32_t random = 11;
    for (size_t cut = 0; cut < CUTS; cut++) decode_copy(data, size * cut / CUTS);
    for (int round = 0; round < FLIPS && size; round++) {
        size_t at = next_random(&random) % (round % 3 || size < 200 ? size : 200);
        uint8_t kept = data[at];
        data[at] ^= (uint8_t)(1 << next_random(&random) % 8);
        decode_copy(data, size);
        data[at] = kept;
    }
}

static int mangle_folder(const char *name) {
    struct vultus_error error;
    int files = 0;
    char *folder = vt_path_join(corpora, name);
    assert_non_null(folder);
    DIR *directory = opendir(folder);
    if (!directory) fail_msg("%s cannot be read", folder);
    for (struct dirent *entry; (entry = readdir(directory));) {
        if (entry->d_name[0] == '.') continue;
        char *path = vt_path_join(folder, entry->d_name);
        uint8_t *bytes;
        size_t size;
        assert_non_null(path);
        if (vt_read_file(path, SIZE_MAX, &bytes, &size, &error)) fail_msg("%s", error.text);
        mangle(bytes, size);
        free(bytes);
        free(path);
        files++;
    }
    closedir(directory);
    free(folder);
    return files;
}

static void test_corpora(void **state) {
    (void)state;
    static const char *const names[] = {"bmp", "gif", "heif", "jpeg", "picture", "png", "tiff", "webp"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) assert_true(mangle_folder(names[i]) > 5);
}

int main(int argc, char **argv) {
    if (argc != 2) return 2;
    corpora = argv[1];
    vt_log_set_level(VT_LOG_ERROR);
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_corpora)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
