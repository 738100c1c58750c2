/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "face/detector_internal.h"

/* ---------------------------------------------------------------- turning */

/*
 * The picture is letterboxed as it lies into a canvas, sides swapped for quarter turns, and the canvas is turned into
 * the network's input. In pixels, input (u, v) is canvas (v, h - 1 - u) for a turn of 90 degrees clockwise,
 * (w - 1 - u, h - 1 - v) for 180, (w - 1 - v, u) for 270; w and h are the canvas's.
 */
struct canvas {
    int width, height, turn;
};

static struct canvas canvas_of(const struct vt_network *network, int turn) {
    bool swapped = turn == 90 || turn == 270;
    return (struct canvas){
        swapped ? network->height : network->width, swapped ? network->width : network->height, turn};
}

static void turn_back(const struct canvas *canvas, float *x, float *y) {
    float u = *x, v = *y, right = (float)(canvas->width - 1), bottom = (float)(canvas->height - 1);
    switch (canvas->turn) {
    case 90: *x = v, *y = bottom - u; break;
    case 180: *x = right - u, *y = bottom - v; break;
    case 270: *x = right - v, *y = u; break;
    default: break;
    }
}

struct turn_job {
    const struct canvas *canvas;
    const float *from;
    float *to;
    int width, height; /* of the turned planes */
};

enum { ROWS_PER_UNIT = 32 };

/* Some rows of one turned plane. */
static void turn_rows(void *context, size_t unit, int thread) {
    (void)thread;
    const struct turn_job *job = context;
    size_t units = (size_t)((job->height + ROWS_PER_UNIT - 1) / ROWS_PER_UNIT);
    size_t plane = unit / units * (size_t)job->width * (size_t)job->height;
    int first = (int)(unit % units) * ROWS_PER_UNIT, end = first + ROWS_PER_UNIT;
    const float *from = job->from + plane;
    float *to = job->to + plane;
    ptrdiff_t w = job->canvas->width, h = job->canvas->height;
    for (ptrdiff_t v = first; v < end && v < job->height; v++) {
        ptrdiff_t start = job->canvas->turn == 90    ? (h - 1) * w + v
                          : job->canvas->turn == 180 ? (h - 1 - v) * w + w - 1
                                                     : w - 1 - v;
        ptrdiff_t step = job->canvas->turn == 90 ? -w : job->canvas->turn == 180 ? -1 : w;
        for (ptrdiff_t u = 0; u < job->width; u++) to[v * job->width + u] = from[start + u * step];
    }
}

static void turn_planes(const struct vt_search *search, const struct canvas *canvas) {
    const struct vt_network *network = &search->detector->network;
    struct turn_job job = {canvas, search->canvas, search->memory->input, network->width, network->height};
    size_t units = (size_t)((network->height + ROWS_PER_UNIT - 1) / ROWS_PER_UNIT);
    vt_pool_run(search->detector->pool, 3 * units, turn_rows, &job);
}

static enum vultus_status fill_input(
    struct vt_search *search, const struct vt_image *part, const struct vt_look *look, struct vultus_error *error) {
    const struct vt_network *network = &search->detector->network;
    struct canvas canvas = canvas_of(network, look->turn);
    if (look->turn && !search->canvas) {
        size_t bytes = 3 * (size_t)network->width * (size_t)network->height * sizeof *search->canvas;
        search->canvas = vt_alloc_aligned(bytes);
        if (!search->canvas) return vt_fail_memory(error, "a turned picture", bytes);
    }
    enum vultus_status status =
        vt_letterbox_to_planes(part, look->margin, canvas.width, canvas.height, &network->normalisation,
            search->detector->pool, look->turn ? search->canvas : search->memory->input, NULL, error);
    if (!status && look->turn) turn_planes(search, &canvas);
    return status;
}

/* ---------------------------------------------------------------- back to the picture */

static void sort_two(float *a, float *b) {
    float least = *a < *b ? *a : *b, most = *a < *b ? *b : *a;
    *a = least;
    *b = most;
}

/* Network pixels to pixels of the picture, without the margin and from the part's place. */
static void reproject(struct vt_face_box *face, const struct canvas *canvas, const struct vt_look *look, float scale) {
    float left = (float)vt_margin_pixels(look->width, look->margin) - (float)look->x;
    float top = (float)vt_margin_pixels(look->height, look->margin) - (float)look->y;
    turn_back(canvas, &face->box[0], &face->box[1]);
    turn_back(canvas, &face->box[2], &face->box[3]);
    if (look->turn) {
        sort_two(&face->box[0], &face->box[2]);
        sort_two(&face->box[1], &face->box[3]);
    }
    for (int i = 0; i < 4; i++) face->box[i] = face->box[i] / scale - (i % 2 ? top : left);
    for (int i = 0; i < VT_LANDMARKS; i++) {
        float *point = face->landmarks[i];
        turn_back(canvas, &point[0], &point[1]);
        point[0] = point[0] / scale - left;
        point[1] = point[1] / scale - top;
    }
    face->pass = look->pass;
    face->turn = look->turn;
}

/*
 * Whether a tile may have cut the face: its box reaches an edge that is not the picture's. Neighbours overlap, so one
 * of them, or the plain look, has it whole.
 */
static bool is_cut(const struct vt_face_box *face, const struct vt_look *tile, const struct vt_image *picture) {
    const float near = 2;
    return (tile->x > 0 && face->box[0] < (float)tile->x + near) ||
           (tile->y > 0 && face->box[1] < (float)tile->y + near) ||
           (tile->x + tile->width < picture->width && face->box[2] > (float)(tile->x + tile->width) - near) ||
           (tile->y + tile->height < picture->height && face->box[3] > (float)(tile->y + tile->height) - near);
}

static enum vultus_status take_candidates(
    struct vt_search *search, const struct vt_look *look, double scale, struct vultus_error *error) {
    struct canvas canvas = canvas_of(&search->detector->network, look->turn);
    size_t before = search->found.count;
    for (size_t i = 0; i < search->candidates.count; i++) {
        struct vt_face_box face = search->candidates.faces[i];
        reproject(&face, &canvas, look, (float)scale);
        if (look->pass == VT_PASS_TILE && is_cut(&face, look, search->picture)) continue;
        enum vultus_status status = vt_face_list_push(&search->found, &face, error);
        if (status) return status;
    }
    if (search->found.count > before && search->successes++ == 0) search->scale = scale;
    return VULTUS_OK;
}

/* ---------------------------------------------------------------- one look */

enum vultus_status vt_decode_candidates(struct vt_search *search, struct vultus_error *error) {
    const struct vt_detector *detector = search->detector;
    uint64_t start = vt_now_ns();
    search->candidates.count = 0;
    enum vultus_status status = detector->family->decode(
        &detector->layout, search->memory->outputs, search->options->threshold, &search->candidates, error);
    if (!status) status = vt_nms(&search->candidates, search->nms_threshold, error);
    search->times.decode_ms += vt_ms_since(start);
    return status;
}

static enum vultus_status find_candidates(struct vt_search *search, struct vultus_error *error) {
    uint64_t start = vt_now_ns();
    enum vultus_status status = vt_network_run(&search->detector->network, search->memory, 1, error);
    search->times.network_ms += vt_ms_since(start);
    return status ? status : vt_decode_candidates(search, error);
}

static enum vultus_status look_on_processors(
    struct vt_search *search, const struct vt_look *look, struct vultus_error *error) {
    const struct vt_image *picture = search->picture;
    const struct vt_image part = {picture->pixels + (size_t)look->y * picture->stride + 3 * (size_t)look->x,
        look->width, look->height, picture->stride};
    uint64_t start = vt_now_ns();
    enum vultus_status status = fill_input(search, &part, look, error);
    if (status) return status;
    search->times.letterbox_ms += vt_ms_since(start);
    return find_candidates(search, error);
}

enum vultus_status vt_look_once(struct vt_search *search, const struct vt_look *look, struct vultus_error *error) {
    struct canvas canvas = canvas_of(&search->detector->network, look->turn);
    bool plain = look->pass == VT_PASS_PLAIN && look->turn == 0;
    struct vt_letterbox letterbox;
    enum vultus_status status = vt_letterbox_plan(
        look->width, look->height, look->margin, canvas.width, canvas.height, &letterbox, plain ? error : NULL);
    if (status) return plain ? status : VULTUS_OK;
    if (plain) search->plain_scale = letterbox.scale;
    status =
        search->stay ? vt_look_on_device(search, look, &letterbox, error) : look_on_processors(search, look, error);
    return status ? status : take_candidates(search, look, letterbox.scale, error);
}

/* ---------------------------------------------------------------- tiles */

/* Neighbours share at least this part of a tile. */
static const double tile_overlap = 0.25;

/* How many tiles of `tile` pixels cover `size`. */
static int tiles_along(int size, int tile) {
    return size <= tile ? 1 : 1 + (int)ceil((size - tile) / (tile * (1 - tile_overlap)));
}

/* Where tile `i` of `count` begins: they are spread evenly. */
static int tile_start(int size, int tile, int i, int count) {
    return count < 2 ? 0 : (int)((int64_t)(size - tile) * i / (count - 1));
}

size_t vt_plan_tiles(
    int width, int height, int network_width, int network_height, struct vt_look tiles[VT_MOST_TILES]) {
    if (width <= network_width && height <= network_height) return 0;
    int tile_width = network_width, tile_height = network_height;
    /* Pictures for which tiles of the network's size would be too many get larger ones. */
    for (double factor = 1; (int64_t)tiles_along(width, tile_width) * tiles_along(height, tile_height) > VT_MOST_TILES;
         factor *= 1.1) {
        tile_width = (int)(network_width * factor);
        tile_height = (int)(network_height * factor);
    }
    int columns = tiles_along(width, tile_width), rows = tiles_along(height, tile_height);
    for (int i = 0; i < rows * columns; i++)
        tiles[i] = (struct vt_look){.pass = VT_PASS_TILE,
            .x = tile_start(width, tile_width, i % columns, columns),
            .y = tile_start(height, tile_height, i / columns, rows),
            .width = width < tile_width ? width : tile_width,
            .height = height < tile_height ? height : tile_height};
    return (size_t)(rows * columns);
}
