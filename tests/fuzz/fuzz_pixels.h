/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_TESTS_FUZZ_PIXELS_H
#define VT_TESTS_FUZZ_PIXELS_H

#include "image/image.h"

/* Does with a decoded picture what detection does; aborts where a number of the result was not written. */
void vt_fuzz_use_pixels(const struct vt_image *picture);

#endif
