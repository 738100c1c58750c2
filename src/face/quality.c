/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "face/attribute.h"

/*
 * Measures that need no model. Their scales are conventions: a part is 1/2 at SHARP_ENOUGH, and 1 from LARGE_ENOUGH on,
 * which is what the recogniser's crop has; the norm's part is 1 from the recogniser's typical norm on; the pose's is
 * the cosine between the line of sight and where the face looks, leaning aside, which alignment undoes.
 */
static const float sharp_enough = 100, large_enough = VT_CROP_SIZE;

/*
 * A rigid face, seen from afar, of the template's proportions: in units of the distance of the eyes, the mouth lies
 * MOUTH below them, the nose's tip NOSE of that way down and DEPTH before their plane.
 */
static const double depth = 0.4, nose = 0.495, mouth = 1.155;

static double degrees(double radians) { return radians * 57.29577951308232; }

/* Points in the face's own frame: eyes level, their middle the origin. */
static void estimate_pose(const float p[VT_LANDMARKS][2], struct vt_quality *q) {
    double ex = (double)p[1][0] - p[0][0], ey = (double)p[1][1] - p[0][1];
    double roll = atan2(ey, ex), c = cos(roll), s = sin(roll);
    double x0 = ((double)p[0][0] + p[1][0]) / 2, y0 = ((double)p[0][1] + p[1][1]) / 2;
    double mx = ((double)p[3][0] + p[4][0]) / 2 - x0, my = ((double)p[3][1] + p[4][1]) / 2 - y0;
    double nx = p[2][0] - x0, ny = p[2][1] - y0, eyes = hypot(ex, ey);
    double mouth_x = c * mx + s * my, mouth_y = c * my - s * mx, nose_x = c * nx + s * ny, nose_y = c * ny - s * nx;
    /* Turning aside shortens the eyes' distance by the cosine and moves the nose by the sine of its depth; so does
     * nodding with the way to the mouth. */
    double aside = eyes > 0 ? (nose_x - nose * mouth_x) / (depth * eyes) : 0;
    double down = mouth_y > 0 ? (nose_y / mouth_y - nose) * mouth / depth : 0;
    q->yaw = (float)degrees(atan(aside));
    q->pitch = (float)degrees(atan(down));
    q->roll = (float)degrees(roll);
    double cosine = cos(atan(aside)) * cos(atan(down));
    q->pose_part = mouth_y > 0 && eyes > 0 && isfinite(cosine) ? (float)cosine : 0;
}

/* Grey as in ITU-R BT.601, in thousandths. */
static int grey_at(const struct vt_image *image, int x, int y) {
    const uint8_t *p = image->pixels + (size_t)y * image->stride + 3 * (size_t)x;
    return 114 * p[0] + 587 * p[1] + 299 * p[2];
}

/* Variance of the four-neighbour Laplacian over the middle half of each side, which is the face and not what is around.
 */
static float measure_sharpness(const struct vt_image *image) {
    double sum = 0, squares = 0;
    int left = image->width / 4, right = image->width - left, top = image->height / 4, bottom = image->height - top;
    for (int y = top; y < bottom; y++)
        for (int x = left; x < right; x++) {
            int laplacian = grey_at(image, x - 1, y) + grey_at(image, x + 1, y) + grey_at(image, x, y - 1) +
                            grey_at(image, x, y + 1) - 4 * grey_at(image, x, y);
            double grey = laplacian * 1e-3;
            sum += grey;
            squares += grey * grey;
        }
    double count = (double)(right - left) * (bottom - top), mean = sum / count;
    return (float)(squares / count - mean * mean);
}

void vt_measure_quality(const struct vt_face_box *face, const struct vt_image *aligned, float norm, double typical_norm,
    struct vt_quality *out) {
    struct vt_quality q = {.norm = norm, .norm_part = NAN};
    q.size = fminf(face->box[2] - face->box[0], face->box[3] - face->box[1]);
    q.size_part = fminf(1, fmaxf(0, q.size / large_enough));
    q.sharpness = measure_sharpness(aligned);
    q.sharpness_part = q.sharpness / (q.sharpness + sharp_enough);
    estimate_pose(face->landmarks, &q);
    double product = (double)q.size_part * q.sharpness_part * q.pose_part;
    int parts = 3;
    if (norm > 0 && typical_norm > 0) {
        q.norm_part = (float)fmin(1, norm / typical_norm);
        product *= q.norm_part;
        parts = 4;
    }
    q.overall = (float)pow(product, 1.0 / parts);
    *out = q;
}
