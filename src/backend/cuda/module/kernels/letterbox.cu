// SPDX-License-Identifier: Apache-2.0
//
// A part of a picture into a network's input: the arithmetic of src/image/letterbox.c and resample*.c, a thread for a
// pixel of the canvas. What the pixels of a column, and of a row, have in common is worked out once a block.
#include "backend/cuda/module/kernels/photo.cuh"

static const int tile_columns = 32, tile_rows = 8, weight_one = 2048;

// Which source pixels an output covers along one axis. AREA, BOX: `count` from `start` on, of weight `middle` but for
// those at lead_at and trail_at; whole: those of the margin included. LINEAR: two, by their index.
struct axis_cell {
    int start, count, whole, lead_at, trail_at;
    float lead, middle, trail;
    int index[2], weight[2];
};

struct axis {
    int source, margin, part; // pixels between margins, of a margin, and where they begin in the picture
    double step;
};

// Margin pixels are black: they are left out.
__device__ static inline void leave_out_margin(const axis &a, int first, axis_cell *cell) {
    const int begin = first > a.margin ? first : a.margin;
    const int last = first + cell->whole, limit = a.margin + a.source, end = last < limit ? last : limit;
    cell->start = begin - a.margin + a.part;
    cell->count = end > begin ? end - begin : 0;
    cell->lead_at -= begin - first;
    cell->trail_at -= begin - first;
}

__device__ static inline void cover_by_area(const axis &a, int i, axis_cell *cell) {
    const double least_overlap = 1e-3;
    const int n = a.source + 2 * a.margin;
    const double begin = i * a.step, end = begin + a.step, length = fmin(a.step, n - begin);
    int whole_begin = (int)ceil(begin), whole_end = (int)floor(end), count = 0;
    if (whole_end > n - 1) whole_end = n - 1;
    if (whole_begin > whole_end) whole_begin = whole_end;
    int first = whole_begin;
    cell->lead_at = cell->trail_at = -1 - n;
    cell->middle = (float)(1 / length);
    if (whole_begin - begin > least_overlap) {
        first = whole_begin - 1;
        cell->lead_at = count++;
        cell->lead = (float)((whole_begin - begin) / length);
    }
    count += whole_end - whole_begin;
    if (end - whole_end > least_overlap) {
        cell->trail_at = count++;
        cell->trail = (float)(fmin(fmin(end - whole_end, 1.0), length) / length);
    }
    cell->whole = count;
    leave_out_margin(a, first, cell);
}

__device__ static inline void cover_by_box(const axis &a, int i, axis_cell *cell) {
    const int n = a.source + 2 * a.margin, factor = (int)a.step, first = i * factor;
    cell->whole = n - first < factor ? n - first : factor;
    cell->lead_at = cell->trail_at = -1 - n;
    cell->middle = 1;
    leave_out_margin(a, first, cell);
}

__device__ static inline void place_taps(const axis &a, int i, bool clamp_weights, axis_cell *cell) {
    const int n = a.source + 2 * a.margin;
    const float position = (float)((i + 0.5) * a.step - 0.5);
    int first = (int)floorf(position);
    float fraction = position - (float)first;
    if (clamp_weights && first < 0) first = 0, fraction = 0;
    if (clamp_weights && first >= n - 1) first = n - 1, fraction = 0;
    for (int k = 0; k < 2; k++) {
        const int index = first + k < 0 ? 0 : first + k > n - 1 ? n - 1 : first + k;
        const bool inside = index >= a.margin && index < a.margin + a.source;
        cell->index[k] = a.part + (inside ? index - a.margin : 0);
        cell->weight[k] = inside ? (int)rintf((k ? fraction : 1 - fraction) * weight_one) : 0;
    }
}

__device__ static inline axis_cell cell_of(vt_photo_filter filter, const axis &a, int i, bool columns) {
    axis_cell cell = {};
    if (filter == VT_PHOTO_AREA)
        cover_by_area(a, i, &cell);
    else if (filter == VT_PHOTO_BOX)
        cover_by_box(a, i, &cell);
    else if (filter == VT_PHOTO_LINEAR)
        place_taps(a, i, columns, &cell);
    else
        cell.start = a.part + i - a.margin, cell.count = i >= a.margin && i < a.margin + a.source;
    return cell;
}

__device__ static inline float weight_at(const axis_cell &c, int i) {
    return i == c.lead_at ? c.lead : i == c.trail_at ? c.trail : c.middle;
}

// Sums of rows of sums, left to right: bytes depend on the order.
__device__ static inline pixel3 sum_area(const vt_cuda_picture &p, const axis_cell &column, const axis_cell &row) {
    pixel3 sum = {};
    for (int j = 0; j < row.count; j++) {
        const uint8_t *from = pixel_at(p, column.start, row.start + j);
        float line[3] = {0, 0, 0};
        for (int i = 0; i < column.count; i++) {
            const float weight = weight_at(column, i);
            for (int k = 0; k < 3; k++) line[k] += (float)*from++ * weight;
        }
        for (int k = 0; k < 3; k++) sum.bgr[k] += weight_at(row, j) * line[k];
    }
    return sum;
}

__device__ static inline float average(float sum, int factor, const axis_cell &column, const axis_cell &row) {
    if (column.whole < factor || row.whole < factor) return sum / (float)(column.whole * row.whole);
    return factor == 2 ? (float)(((int)sum + 2) >> 2) : sum * (1.0f / (float)(factor * factor));
}

__device__ static inline pixel3 blend(const vt_cuda_picture &p, const axis_cell &column, const axis_cell &row) {
    pixel3 value;
    for (int k = 0; k < 3; k++) {
        int lines[2];
        for (int j = 0; j < 2; j++)
            lines[j] = (column.weight[0] * pixel_at(p, column.index[0], row.index[j])[k] +
                           column.weight[1] * pixel_at(p, column.index[1], row.index[j])[k]) >>
                       4;
        const int upper = row.weight[0] * lines[0] >> 16, lower = row.weight[1] * lines[1] >> 16;
        value.bgr[k] = (float)(uint8_t)((upper + lower + 2) >> 2);
    }
    return value;
}

__device__ static inline pixel3 resample(const vt_cuda_letterbox &l, const axis_cell &column, const axis_cell &row) {
    const vt_photo_filter filter = l.look.filter;
    pixel3 value = {};
    if (filter == VT_PHOTO_LINEAR) return blend(l.picture, column, row);
    if (column.count == 0 || row.count == 0) return value;
    if (filter == VT_PHOTO_COPY) {
        const uint8_t *from = pixel_at(l.picture, column.start, row.start);
        for (int k = 0; k < 3; k++) value.bgr[k] = (float)from[k];
        return value;
    }
    value = sum_area(l.picture, column, row);
    for (int k = 0; k < 3; k++) {
        if (filter == VT_PHOTO_BOX) value.bgr[k] = average(value.bgr[k], (int)l.look.step, column, row);
        value.bgr[k] = to_byte(value.bgr[k]);
    }
    return value;
}

// The input's pixel where the canvas's (x, y) lies once it is turned.
__device__ static inline int64_t turned(const vt_photo_look &look, int width, int height, int x, int y) {
    const int64_t columns = look.network_width;
    switch (look.turn) {
    case 90: return x * columns + height - 1 - y;
    case 180: return (height - 1 - y) * columns + width - 1 - x;
    case 270: return (width - 1 - x) * columns + y;
    default: return y * columns + x;
    }
}

__global__ static void letterbox(const vt_cuda_letterbox l) {
    __shared__ axis_cell columns[tile_columns], rows[tile_rows];
    const vt_photo_look &look = l.look;
    const bool swapped = look.turn == 90 || look.turn == 270;
    const int width = swapped ? look.network_height : look.network_width;
    const int height = swapped ? look.network_width : look.network_height;
    const int i = threadIdx.x % tile_columns, j = threadIdx.x / tile_columns;
    const int x = blockIdx.x * tile_columns + i, y = blockIdx.y * tile_rows + j;
    if (j == 0) columns[i] = cell_of(look.filter, axis{look.width, look.margin_x, look.x, look.step}, x, true);
    if (i == 0) rows[j] = cell_of(look.filter, axis{look.height, look.margin_y, look.y, look.step}, y, false);
    __syncthreads();
    if (x >= width || y >= height) return;
    pixel3 value = {};
    if (x < look.scaled_width && y < look.scaled_height) value = resample(l, columns[i], rows[j]);
    write_normalised(look.normalisation, value, l.planes + turned(look, width, height, x, y),
        (int64_t)look.network_width * look.network_height);
}

int vt_cuda_launch_letterbox(const vt_cuda_letterbox *l, void *stream) {
    const bool swapped = l->look.turn == 90 || l->look.turn == 270;
    const unsigned width = swapped ? l->look.network_height : l->look.network_width;
    const unsigned height = swapped ? l->look.network_width : l->look.network_height;
    const dim3 grid((width + tile_columns - 1) / tile_columns, (height + tile_rows - 1) / tile_rows);
    return VT_LAUNCH(letterbox, grid, tile_columns * tile_rows, stream, *l);
}
