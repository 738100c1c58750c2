/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/memory.h"
#include "image/kernels.h"

enum { ROWS_PER_UNIT = 16 };

int vt_margin_pixels(int size, double margin) { return (int)(size * margin); }

enum vultus_status vt_letterbox_plan(int picture_width, int picture_height, double margin, int canvas_width,
    int canvas_height, struct vt_letterbox *out, struct vultus_error *error) {
    int width = picture_width + 2 * vt_margin_pixels(picture_width, margin);
    int height = picture_height + 2 * vt_margin_pixels(picture_height, margin);
    double scale = fmin((double)canvas_width / width, (double)canvas_height / height);
    if (scale > 2) scale *= 0.7;
    double scaled_width = rint(width * scale), scaled_height = rint(height * scale);
    if (scaled_width < 1 || scaled_height < 1)
        return vt_fail(error, VULTUS_ERROR_INVALID,
            "a picture of %d x %d pixels is too narrow: scaled into %d x %d, a side would have no pixel", picture_width,
            picture_height, canvas_width, canvas_height);
    *out = (struct vt_letterbox){.scale = scale,
        .width = (int)fmin(scaled_width, canvas_width),
        .height = (int)fmin(scaled_height, canvas_height)};
    return VULTUS_OK;
}

/* Rows of the canvas in units of ROWS_PER_UNIT, written to planes or to a picture. */
struct job {
    struct vt_resampler resampler;
    uint8_t *scratch;
    size_t scratch_bytes; /* of each thread */
    int canvas_width, canvas_height;
    const struct vt_normalisation *normalisation;
    float *planes;
    struct vt_image *image;
};

static void fill_black(const struct job *job, int y, int x) {
    const struct vt_normalisation *n = job->normalisation;
    for (int k = 0; k < 3; k++) {
        float black = (0 - n->mean[k]) * n->inverse_std[k];
        float *row = job->planes + ((size_t)k * (size_t)job->canvas_height + (size_t)y) * (size_t)job->canvas_width;
        for (int i = x; i < job->canvas_width; i++) row[i] = black;
    }
}

static void write_planes(void *context, size_t unit, int thread) {
    const struct job *job = context;
    struct vt_resample_scratch scratch;
    vt_resample_scratch_init(&job->resampler, job->scratch + (size_t)thread * job->scratch_bytes, &scratch);
    size_t plane_stride = (size_t)job->canvas_width * (size_t)job->canvas_height;
    int first = (int)unit * ROWS_PER_UNIT;
    for (int y = first; y < first + ROWS_PER_UNIT && y < job->canvas_height; y++) {
        int filled = 0;
        if (y < job->resampler.height) {
            vt_resample_row(&job->resampler, &scratch, y);
            filled = job->resampler.width;
            job->resampler.kernels->row_to_planes(scratch.pixels, filled, job->normalisation,
                job->planes + (size_t)y * (size_t)job->canvas_width, plane_stride);
        }
        fill_black(job, y, filled);
    }
}

static void write_image(void *context, size_t unit, int thread) {
    const struct job *job = context;
    struct vt_resample_scratch scratch;
    vt_resample_scratch_init(&job->resampler, job->scratch + (size_t)thread * job->scratch_bytes, &scratch);
    int first = (int)unit * ROWS_PER_UNIT;
    for (int y = first; y < first + ROWS_PER_UNIT && y < job->resampler.height; y++) {
        vt_resample_row(&job->resampler, &scratch, y);
        uint8_t *row = job->image->pixels + (size_t)y * job->image->stride;
        for (int x = 0; x < job->resampler.width; x++) memcpy(row + 3 * (size_t)x, scratch.pixels + 4 * (size_t)x, 3);
    }
}

static enum vultus_status run_job(struct job *job, const struct vt_image *picture, double margin, struct vt_pool *pool,
    vt_pool_task *task, struct vt_letterbox *letterbox, struct vultus_error *error) {
    struct vt_letterbox plan;
    enum vultus_status status =
        vt_letterbox_plan(picture->width, picture->height, margin, job->canvas_width, job->canvas_height, &plan, error);
    if (!status) status = vt_resampler_init(&job->resampler, picture, margin, &plan, error);
    if (status) return status;
    job->scratch_bytes = vt_resample_scratch_bytes(&job->resampler);
    size_t bytes = job->scratch_bytes * (size_t)vt_pool_threads(pool);
    job->scratch = vt_alloc_aligned(bytes);
    if (job->scratch) {
        vt_pool_run(pool, (size_t)vt_div_up(job->canvas_height, ROWS_PER_UNIT), task, job);
        if (letterbox) *letterbox = plan;
    } else {
        status = vt_fail_memory(error, "resampling rows", bytes);
    }
    vt_free_aligned(job->scratch);
    vt_resampler_fini(&job->resampler);
    return status;
}

enum vultus_status vt_letterbox_to_planes(const struct vt_image *picture, double margin, int canvas_width,
    int canvas_height, const struct vt_normalisation *normalisation, struct vt_pool *pool, float *planes,
    struct vt_letterbox *letterbox, struct vultus_error *error) {
    struct job job = {
        .canvas_width = canvas_width, .canvas_height = canvas_height, .normalisation = normalisation, .planes = planes};
    return run_job(&job, picture, margin, pool, write_planes, letterbox, error);
}

enum vultus_status vt_letterbox_image(const struct vt_image *picture, double margin, int canvas_width,
    int canvas_height, struct vt_image *out, struct vt_letterbox *letterbox, struct vultus_error *error) {
    struct vt_image image;
    enum vultus_status status = vt_image_create(canvas_width, canvas_height, &image, error);
    if (status) return status;
    struct job job = {.canvas_width = canvas_width, .canvas_height = canvas_height, .image = &image};
    status = run_job(&job, picture, margin, NULL, write_image, letterbox, error);
    if (status)
        vt_image_release(&image);
    else
        *out = image;
    return status;
}

void vt_image_to_planes(const struct vt_image *crop, const struct vt_normalisation *normalisation, float *planes) {
    enum { CHUNK = 256 };
    uint8_t pixels[4 * CHUNK];
    const struct vt_image_kernels *kernels = vt_image_kernels();
    size_t plane_stride = (size_t)crop->width * (size_t)crop->height;
    for (int y = 0; y < crop->height; y++)
        for (int x = 0; x < crop->width; x += CHUNK) {
            int count = crop->width - x < CHUNK ? crop->width - x : CHUNK;
            kernels->expand_row(crop->pixels + (size_t)y * crop->stride + 3 * (size_t)x, pixels, count);
            kernels->row_to_planes(
                pixels, count, normalisation, planes + (size_t)y * (size_t)crop->width + (size_t)x, plane_stride);
        }
}
