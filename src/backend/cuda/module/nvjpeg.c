/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/cuda/module/nvjpeg.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

/* Names, arguments and numbers are those of the nvJPEG documentation; no header of it is needed. */
enum { NVJPEG_SUCCESS = 0, NVJPEG_OUTPUT_BGRI = 6, NVJPEG_MAX_COMPONENT = 4 };
enum { NVJPEG_BACKEND_DEFAULT = 0, NVJPEG_BACKEND_GPU_HYBRID = 2, NVJPEG_BACKEND_HARDWARE = 3 };
/* Chroma is interpolated, as libjpeg does; libraries that do not know the flag refuse it. */
enum { NVJPEG_FLAGS_DEFAULT = 0, NVJPEG_FLAGS_UPSAMPLING_WITH_INTERPOLATION = 1 << 5 };

struct nvjpeg_image {
    unsigned char *channel[NVJPEG_MAX_COMPONENT];
    size_t pitch[NVJPEG_MAX_COMPONENT];
};

/* Field, symbol, arguments. All return a status, 0 for success. */
#define NVJPEG_FUNCTIONS(X)                                                                                            \
    X(create, "nvjpegCreateEx",                                                                                        \
        (int backend, void *device_allocator, void *pinned_allocator, unsigned flags, void **handle))                  \
    X(state_create, "nvjpegJpegStateCreate", (void *handle, void **state))                                             \
    X(state_destroy, "nvjpegJpegStateDestroy", (void *state))                                                          \
    X(image_info, "nvjpegGetImageInfo",                                                                                \
        (void *handle, const unsigned char *bytes, size_t size, int *components, int *subsampling, int *widths,        \
            int *heights))                                                                                             \
    X(decode, "nvjpegDecode",                                                                                          \
        (void *handle, void *state, const unsigned char *bytes, size_t size, int format, struct nvjpeg_image *image,   \
            void *stream))

/* The engine, then kernels. */
enum { MOST_DECODERS = 2 };

/* Written once, by `load`; handles live as long as the process. */
static struct {
#define FIELD(field, symbol, arguments) int(*field) arguments;
    NVJPEG_FUNCTIONS(FIELD)
#undef FIELD
    void *handles[MOST_DECODERS];
    size_t count;
    char reason[160];
} library;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static bool find_functions(void *file) {
#define FIND(field, symbol, arguments)                                                                                 \
    if (!(library.field = (int(*) arguments)dlsym(file, symbol))) {                                                    \
        snprintf(library.reason, sizeof library.reason, "nvJPEG has no function %s", symbol);                          \
        return false;                                                                                                  \
    }
    NVJPEG_FUNCTIONS(FIND)
#undef FIND
    return true;
}

/* Adds a decoder if there is one of that kind here; returns nvJPEG's status. */
static int add_decoder(int backend) {
    void *handle = NULL;
    int status = library.create(backend, NULL, NULL, NVJPEG_FLAGS_UPSAMPLING_WITH_INTERPOLATION, &handle);
    if (status) status = library.create(backend, NULL, NULL, NVJPEG_FLAGS_DEFAULT, &handle);
    if (!status) library.handles[library.count++] = handle;
    return status;
}

static void load(void) {
    static const char *const names[] = {"libnvjpeg.so.13", "libnvjpeg.so.12"};
    void *file = NULL;
    for (size_t i = 0; !file && i < sizeof names / sizeof *names; i++) file = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    if (!file) {
        snprintf(library.reason, sizeof library.reason, "there is no %s and no %s", names[0], names[1]);
        return;
    }
    if (!find_functions(file)) return;
    add_decoder(NVJPEG_BACKEND_HARDWARE);
    int status = add_decoder(NVJPEG_BACKEND_GPU_HYBRID);
    if (status) status = add_decoder(NVJPEG_BACKEND_DEFAULT);
    if (!library.count) snprintf(library.reason, sizeof library.reason, "nvJPEG fails with status %d", status);
}

bool vt_cuda_jpeg_usable(char *reason, size_t size) {
    pthread_once(&once, load);
    snprintf(reason, size, "%s", library.reason);
    return library.count > 0;
}

struct vt_cuda_jpeg {
    void *states[MOST_DECODERS];
};

enum vultus_status vt_cuda_jpeg_create(struct vt_cuda_jpeg **out, struct vultus_error *error) {
    char reason[160];
    if (!vt_cuda_jpeg_usable(reason, sizeof reason)) return vt_fail(error, VULTUS_ERROR_UNSUPPORTED, "%s", reason);
    struct vt_cuda_jpeg *jpeg = calloc(1, sizeof *jpeg);
    if (!jpeg) return vt_fail_memory(error, "a JPEG decoder", sizeof *jpeg);
    for (size_t i = 0; i < library.count; i++) {
        int status = library.state_create(library.handles[i], &jpeg->states[i]);
        if (!status) continue;
        vt_cuda_jpeg_destroy(jpeg);
        return vt_fail(error, VULTUS_ERROR_UNSUPPORTED, "nvJPEG has no room for a decoder: status %d", status);
    }
    *out = jpeg;
    return VULTUS_OK;
}

void vt_cuda_jpeg_destroy(struct vt_cuda_jpeg *jpeg) {
    for (size_t i = 0; jpeg && i < library.count; i++)
        if (jpeg->states[i]) library.state_destroy(jpeg->states[i]);
    free(jpeg);
}

enum vultus_status vt_cuda_jpeg_decode(struct vt_cuda_jpeg *jpeg, const uint8_t *bytes, size_t size, uint8_t *bgr,
    int width, int height, struct vt_cuda_stream *stream, struct vultus_error *error) {
    int components, subsampling, widths[NVJPEG_MAX_COMPONENT] = {0}, heights[NVJPEG_MAX_COMPONENT] = {0}, status = 0;
    struct nvjpeg_image image = {.channel = {bgr}, .pitch = {3 * (size_t)width}};
    for (size_t i = 0; i < library.count; i++) {
        status = library.image_info(library.handles[i], bytes, size, &components, &subsampling, widths, heights);
        if (!status && (widths[0] != width || heights[0] != height))
            return vt_fail(error, VULTUS_ERROR_UNSUPPORTED, "nvJPEG reads %d x %d pixels in a picture of %d x %d",
                widths[0], heights[0], width, height);
        if (!status)
            status = library.decode(library.handles[i], jpeg->states[i], bytes, size, NVJPEG_OUTPUT_BGRI, &image,
                vt_cuda_stream_native(stream));
        if (status) continue;
        vt_cuda_count_copy(size, VT_CUDA_TO_DEVICE);
        return VULTUS_OK;
    }
    return vt_fail(error, VULTUS_ERROR_UNSUPPORTED, "nvJPEG refuses the picture with status %d", status);
}
