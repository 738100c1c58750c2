/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_SERVER_EXTRACT_H
#define VT_SERVER_EXTRACT_H

#include "pictures.h"

/* Has the pictures worked on, and the request answered as /extract does. False: the answer, a failure, is set. */
bool vt_extract_start(struct vt_request *request, struct vt_wanted *wanted);

/* Embeds the job's picture, a crop of the recogniser's size, by itself; for `each`. The picture is released. */
void vt_crop_embed(struct vt_picture_job *job);

#endif
