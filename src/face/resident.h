/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_FACE_RESIDENT_H
#define VT_FACE_RESIDENT_H

#include "face/detector.h"
#include "face/embedder.h"

/*
 * Pictures of a pipeline whose networks run on a device that can keep them (backend/photo.h). Each is in one of a few
 * places there, which threads borrow; who finds none free waits. A device that failed once is not asked again.
 * Thread-safe.
 */
struct vt_resident;

/* Detector and embedder (NULL: none) must outlive it. *out is NULL where their back end cannot keep pictures. */
enum vultus_status vt_resident_create(const struct vt_detector *detector, const struct vt_embedder *embedder,
    bool decodes_jpeg, struct vt_resident **out, struct vultus_error *error);
void vt_resident_destroy(struct vt_resident *resident); /* NULL is fine; nobody may have a place */

/* A place, and executables of both networks; `recogniser` NULL without one. */
struct vt_stay {
    const struct vt_photo_backend *functions;
    struct vt_photo *photo;
    struct vt_executable *detector, *recogniser;
    bool decodes_jpeg; /* functions->load_jpeg is to be tried */
    struct vt_stay *next;
};

bool vt_resident_is_usable(const struct vt_resident *resident); /* false of NULL, and once the device was given up */
/* NULL: it is not usable. */
struct vt_stay *vt_resident_take(struct vt_resident *resident);
/*
 * failure->status says how it went there. BACKEND: no place is given from then on. MEMORY: this one is not given again,
 * which leaves room to the others; without others no place is.
 */
void vt_resident_give(struct vt_resident *resident, struct vt_stay *stay, const struct vultus_error *failure);

struct vt_resident_statistics {
    uint64_t pictures;               /* that were given back without a failure */
    uint64_t to_device, from_device; /* bytes copied since the pipeline was made, by whomever in this process */
};
void vt_resident_measure(const struct vt_resident *resident, struct vt_resident_statistics *out); /* NULL: zeros */

#endif
