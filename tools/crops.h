/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_TOOLS_CROPS_H
#define VT_TOOLS_CROPS_H

#include "common.h"

/* Names of photos' crop files that are taken: "photo", and "photo-2" for another folder's photo of that name. */
struct vt_crop_names {
    struct vt_crop_name *slots; /* a hash table */
    size_t used, capacity;
};

/*
 * The name for the crops of `file` ("-": "stdin"), which is taken from then on; malloc'd, NULL when out of memory. The
 * same files in the same order get the same names.
 */
char *vt_crop_names_take(struct vt_crop_names *names, const char *file);
void vt_crop_names_fini(struct vt_crop_names *names);

/* Writes DIR/NAME_{i}.jpg, or .npy, of every face that has a crop. */
enum vultus_status vt_write_crops(
    const struct vt_options *options, const char *name, const struct vultus_faces *faces, struct vultus_error *error);

#endif
