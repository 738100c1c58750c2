/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_TESTS_FAKE_PHOTOS_H
#define VT_TESTS_FAKE_PHOTOS_H

#include "backend/backend.h"

/* The module's run. */
enum vultus_status fake_run(struct vt_executable *executable, const void *const *inputs, void *const *outputs,
    int64_t batch, struct vultus_error *error);

extern const struct vt_photo_backend fake_photos;

#endif
