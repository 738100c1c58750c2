/* SPDX-License-Identifier: Apache-2.0 */
#include "crops.h"

#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/file.h"
#include "tensor/npy.h"

#define JPEG_QUALITY 95
#define FIRST_CAPACITY 64

/* ---------------------------------------------------------------- names */

struct vt_crop_name {
    char *text;    /* NULL: a free slot */
    unsigned next; /* the number that another photo of this name tries first */
};

/* The slot of `text`, or the free one where it belongs. */
static struct vt_crop_name *find_slot(const struct vt_crop_names *names, const char *text) {
    size_t mask = names->capacity - 1, at = vt_checksum64(text, strlen(text)) & mask;
    while (names->slots[at].text && strcmp(names->slots[at].text, text) != 0) at = (at + 1) & mask;
    return &names->slots[at];
}

/* Keeps half of the slots free. */
static bool make_room(struct vt_crop_names *names) {
    if (2 * (names->used + 1) <= names->capacity) return true;
    struct vt_crop_names larger = {
        .used = names->used, .capacity = names->capacity ? 2 * names->capacity : FIRST_CAPACITY};
    larger.slots = calloc(larger.capacity, sizeof *larger.slots);
    if (!larger.slots) return false;
    for (size_t i = 0; i < names->capacity; i++)
        if (names->slots[i].text) *find_slot(&larger, names->slots[i].text) = names->slots[i];
    free(names->slots);
    *names = larger;
    return true;
}

/* Takes `name`, which is free. */
static char *take(struct vt_crop_names *names, struct vt_crop_name *slot, const char *name) {
    char *copy = strdup(name);
    slot->text = copy ? strdup(name) : NULL;
    if (!slot->text) {
        free(copy);
        return NULL;
    }
    slot->next = 2;
    names->used++;
    return copy;
}

char *vt_crop_names_take(struct vt_crop_names *names, const char *file) {
    char *stem = strcmp(file, "-") == 0 ? strdup("stdin") : vt_path_stem(file), *taken = NULL;
    if (!stem || !make_room(names)) {
        free(stem);
        return NULL;
    }
    struct vt_crop_name *first = find_slot(names, stem), *slot = first;
    char *numbered = NULL;
    while (slot->text) {
        free(numbered);
        if (asprintf(&numbered, "%s-%u", stem, first->next++) < 0) {
            free(stem);
            return NULL;
        }
        slot = find_slot(names, numbered);
    }
    taken = take(names, slot, numbered ? numbered : stem);
    free(numbered);
    free(stem);
    return taken;
}

void vt_crop_names_fini(struct vt_crop_names *names) {
    for (size_t i = 0; i < names->capacity; i++) free(names->slots[i].text);
    free(names->slots);
    *names = (struct vt_crop_names){0};
}

/* ---------------------------------------------------------------- files */

static enum vultus_status write_crop(
    const struct vultus_picture *crop, const char *path, bool lossless, struct vultus_error *error) {
    if (!lossless) return vultus_picture_write_jpeg(crop, JPEG_QUALITY, path, error);
    struct vt_arena arena;
    struct vt_tensor tensor;
    vt_arena_init(&arena, 0);
    enum vultus_status status =
        vt_tensor_alloc(&arena, VT_DTYPE_U8, 3, (int64_t[]){crop->height, crop->width, 3}, &tensor, error);
    if (status == VULTUS_OK) {
        size_t row = (size_t)crop->width * 3;
        for (int y = 0; y < crop->height; y++)
            memcpy((uint8_t *)tensor.data + (size_t)y * row, crop->pixels + (size_t)y * crop->stride, row);
        status = vt_npy_write(path, &tensor, error);
    }
    vt_arena_fini(&arena);
    return status;
}

enum vultus_status vt_write_crops(
    const struct vt_options *options, const char *name, const struct vultus_faces *faces, struct vultus_error *error) {
    bool lossless = options->crop_format && strcmp(options->crop_format, "npy") == 0;
    enum vultus_status status = VULTUS_OK;
    for (size_t i = 0; status == VULTUS_OK && i < faces->count; i++) {
        char *path;
        if (!faces->faces[i].crop.pixels) continue;
        if (asprintf(&path, "%s/%s_%zu.%s", options->crops, name, i, lossless ? "npy" : "jpg") < 0)
            return vt_fail_memory(error, "a crop's path", strlen(name));
        status = write_crop(&faces->faces[i].crop, path, lossless, error);
        free(path);
    }
    return status;
}
