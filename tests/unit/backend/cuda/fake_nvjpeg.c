/* SPDX-License-Identifier: Apache-2.0
 *
 * A decoder library for an emulated GPU, whose memory is the host's: it decodes as processors do. It has an engine,
 * which refuses everything, and kernels. FAKE_NVJPEG in the environment: "refuse" makes these refuse, too, and "lie"
 * tells of another size.
 */
#include <stdlib.h>
#include <string.h>

#include "image/image.h"

enum { SUCCESS = 0, INVALID_PARAMETER = 2, BAD_JPEG = 3, NOT_SUPPORTED = 4, HARDWARE = 3, BGRI = 6 };

struct image {
    unsigned char *channel[4];
    size_t pitch[4];
};

static int engine, kernels;

#define SHOWN __attribute__((visibility("default")))
SHOWN int nvjpegCreateEx(int backend, void *device, void *pinned, unsigned flags, void **handle);
SHOWN int nvjpegJpegStateCreate(void *handle, void **state);
SHOWN int nvjpegJpegStateDestroy(void *state);
SHOWN int nvjpegGetImageInfo(void *handle, const unsigned char *bytes, size_t size, int *components, int *subsampling,
    int *widths, int *heights);
SHOWN int nvjpegDecode(
    void *handle, void *state, const unsigned char *bytes, size_t size, int format, struct image *image, void *stream);

static bool told(const char *what) {
    const char *text = getenv("FAKE_NVJPEG");
    return text && strcmp(text, what) == 0;
}

/* As libraries of before the flags were known. */
int nvjpegCreateEx(int backend, void *device, void *pinned, unsigned flags, void **handle) {
    if (flags || device || pinned) return INVALID_PARAMETER;
    *handle = backend == HARDWARE ? &engine : &kernels;
    return SUCCESS;
}

int nvjpegJpegStateCreate(void *handle, void **state) {
    (void)handle;
    *state = malloc(1);
    return *state ? SUCCESS : NOT_SUPPORTED;
}

int nvjpegJpegStateDestroy(void *state) {
    free(state);
    return SUCCESS;
}

int nvjpegGetImageInfo(void *handle, const unsigned char *bytes, size_t size, int *components, int *subsampling,
    int *widths, int *heights) {
    (void)handle;
    *components = 3;
    *subsampling = 0;
    if (!vt_image_is_simple_jpeg(bytes, size, NULL, widths, heights)) return BAD_JPEG;
    if (told("lie")) widths[0]++;
    return SUCCESS;
}

int nvjpegDecode(
    void *handle, void *state, const unsigned char *bytes, size_t size, int format, struct image *image, void *stream) {
    struct vt_image decoded;
    (void)state, (void)stream;
    if (handle == &engine || told("refuse")) return NOT_SUPPORTED;
    if (format != BGRI) return INVALID_PARAMETER;
    if (vt_image_decode(bytes, size, "fake", NULL, &decoded, NULL)) return BAD_JPEG;
    for (int y = 0; y < decoded.height; y++)
        memcpy(image->channel[0] + (size_t)y * image->pitch[0], decoded.pixels + (size_t)y * decoded.stride,
            3 * (size_t)decoded.width);
    vt_image_release(&decoded);
    return SUCCESS;
}
