/* SPDX-License-Identifier: Apache-2.0
 * libjpeg-turbo alone: how long a JPEG takes from memory to BGR, with nothing around it.
 *
 * usage: bench_decode PHOTO [REPEATS]
 * Prints the median in milliseconds.
 */
#include <stdio.h>
#include <stdlib.h>

#include <jpeglib.h>

#include "common.h"

enum { MOST_REPEATS = 1000 };

/* Errors end the program: that is what libjpeg's own handler does. */
static double decode_ms(const unsigned char *bytes, size_t size) {
    double start = now_ms();
    struct jpeg_error_mgr errors;
    struct jpeg_decompress_struct codec = {.err = jpeg_std_error(&errors)};
    jpeg_create_decompress(&codec);
    jpeg_mem_src(&codec, bytes, size);
    jpeg_read_header(&codec, TRUE);
    codec.out_color_space = JCS_EXT_BGR;
    jpeg_start_decompress(&codec);
    size_t stride = 3 * (size_t)codec.output_width;
    unsigned char *pixels = malloc(stride * codec.output_height);
    while (pixels && codec.output_scanline < codec.output_height) {
        JSAMPROW row = pixels + codec.output_scanline * stride;
        jpeg_read_scanlines(&codec, &row, 1);
    }
    jpeg_finish_decompress(&codec);
    jpeg_destroy_decompress(&codec);
    free(pixels);
    return now_ms() - start;
}

int main(int argc, char **argv) {
    static double samples[MOST_REPEATS];
    int repeats = argc > 2 ? atoi(argv[2]) : 20;
    size_t size = 0;
    unsigned char *bytes = argc > 1 ? read_all(argv[1], &size) : NULL;
    if (!bytes || !size || repeats < 1 || repeats > MOST_REPEATS) {
        fprintf(stderr, "usage: bench_decode PHOTO [1..%d]\n", MOST_REPEATS);
        return 2;
    }
    for (int r = 0; r < repeats; r++) samples[r] = decode_ms(bytes, size);
    qsort(samples, (size_t)repeats, sizeof *samples, ascending);
    printf("%.3f\n", samples[repeats / 2]);
    free(bytes);
    return 0;
}
