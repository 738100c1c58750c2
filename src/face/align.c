/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "face/face.h"
#include "image/ops.h"

/* ArcFace's five points in a crop of 112x112. */
static const double template_points[VT_LANDMARKS][2] = {
    {38.2946, 51.6963}, {73.5318, 51.5014}, {56.0252, 71.7366}, {41.5493, 92.3655}, {70.7299, 92.2041}};

/* Landmarks spread less than this (standard deviation, pixels) are one point. */
static const double least_spread = 0.01;

static void template_in(int width, int height, double points[VT_LANDMARKS][2], double mean[2]) {
    double scale = height / 112.0, shift = (width - 112 * scale) / 2;
    if (width == height && width % 128 == 0 && width % 112 != 0) {
        scale = width / 128.0;
        shift = 8 * scale;
    }
    mean[0] = mean[1] = 0;
    for (int i = 0; i < VT_LANDMARKS; i++) {
        points[i][0] = template_points[i][0] * scale + shift;
        points[i][1] = template_points[i][1] * scale;
        for (int k = 0; k < 2; k++) mean[k] += points[i][k] / VT_LANDMARKS;
    }
}

/*
 * In two dimensions Umeyama's singular value decomposition has a closed form. With A the covariance of target and
 * source, the best rotation turns by the angle of the vector (p, q) = (A00 + A11, A10 - A01), and trace(S diag(1, sign
 * det A)) is that vector's length; so scale times rotation is [p -q; q p] / variance of the source.
 */
enum vultus_status vt_align_matrix(
    const float landmarks[VT_LANDMARKS][2], int width, int height, double matrix[6], struct vultus_error *error) {
    double source_mean[2] = {0, 0}, target[VT_LANDMARKS][2], target_mean[2];
    template_in(width, height, target, target_mean);
    for (int i = 0; i < VT_LANDMARKS; i++)
        for (int k = 0; k < 2; k++) {
            if (!isfinite(landmarks[i][k]))
                return vt_fail(error, VULTUS_ERROR_INVALID, "landmark %d (%g, %g) is not finite", i, landmarks[i][0],
                    landmarks[i][1]);
            source_mean[k] += (double)landmarks[i][k] / VT_LANDMARKS;
        }
    double p = 0, q = 0, variance = 0;
    for (int i = 0; i < VT_LANDMARKS; i++) {
        double sx = landmarks[i][0] - source_mean[0], sy = landmarks[i][1] - source_mean[1];
        double tx = target[i][0] - target_mean[0], ty = target[i][1] - target_mean[1];
        p += (tx * sx + ty * sy) / VT_LANDMARKS;
        q += (ty * sx - tx * sy) / VT_LANDMARKS;
        variance += (sx * sx + sy * sy) / VT_LANDMARKS;
    }
    if (variance < least_spread * least_spread)
        return vt_fail(
            error, VULTUS_ERROR_INVALID, "the five landmarks coincide at (%g, %g)", source_mean[0], source_mean[1]);
    double a = p / variance, b = q / variance;
    if (hypot(a, b) * sqrt(variance) < least_spread)
        return vt_fail(error, VULTUS_ERROR_INVALID,
            "the five landmarks around (%g, %g) do not say how a face is turned", source_mean[0], source_mean[1]);
    matrix[0] = matrix[4] = a;
    matrix[1] = -b;
    matrix[3] = b;
    matrix[2] = target_mean[0] - a * source_mean[0] + b * source_mean[1];
    matrix[5] = target_mean[1] - b * source_mean[0] - a * source_mean[1];
    return VULTUS_OK;
}

enum vultus_status vt_align_into(const struct vt_image *picture, const float landmarks[VT_LANDMARKS][2],
    enum vt_warp_method method, struct vt_image *crop, struct vultus_error *error) {
    double matrix[6];
    enum vultus_status status = vt_align_matrix(landmarks, crop->width, crop->height, matrix, error);
    return status ? status : vt_warp_affine(picture, matrix, method, crop, error);
}

enum vultus_status vt_align_crop(const struct vt_image *picture, const float landmarks[VT_LANDMARKS][2],
    struct vt_image *crop, struct vultus_error *error) {
    struct vt_image made;
    enum vultus_status status = vt_image_create(VT_CROP_SIZE, VT_CROP_SIZE, &made, error);
    if (status) return status;
    status = vt_align_into(picture, landmarks, VT_WARP_EXACT, &made, error);
    if (status)
        vt_image_release(&made);
    else
        *crop = made;
    return status;
}
