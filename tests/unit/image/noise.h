/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_TESTS_NOISE_H
#define VT_TESTS_NOISE_H

#include "image/image.h"

/* A picture of noise, the same as that of expected_opencv.py. Fails the test when out of memory. */
struct vt_image noise_picture(int width, int height);

/* Numbers for tests, the same in every run. */
uint32_t next_random(uint32_t *state);

/* FNV-1a of the pixels. */
uint64_t picture_checksum(const struct vt_image *picture);

/* Fails the test unless both pictures are the same. */
void assert_same_picture(const struct vt_image *a, const struct vt_image *b);

#endif
