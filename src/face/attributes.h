/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_FACE_ATTRIBUTES_H
#define VT_FACE_ATTRIBUTES_H

#include "face/pipeline.h"
#include "face/view.h"

/* INVALID when the pipeline cannot tell all of the wanted attributes (bits of enum vt_attribute). */
enum vultus_status vt_check_attributes(const struct vt_pipeline *pipeline, unsigned wanted, struct vultus_error *error);

/*
 * Fills the attributes of an analysis's faces, at least one, whose crops are made from the view. A face that cannot be
 * cut out goes without, which is no failure.
 */
enum vultus_status vt_tell_attributes(const struct vt_pipeline *pipeline, const struct vt_view *view, unsigned wanted,
    struct vt_analysis *analysis, struct vultus_error *error);

/*
 * What is told of aligned 112x112 crops alone: masks, gender and age. `out` has an item for each.
 * INVALID as above, also for attributes that need the picture.
 */
enum vultus_status vt_tell_crops(const struct vt_pipeline *pipeline, const struct vt_image *crops, size_t count,
    unsigned wanted, struct vt_attributes *out, struct vultus_error *error);

#endif
