/* SPDX-License-Identifier: Apache-2.0
 *
 * Times every kernel for convolutions on tensor cores on a network's layer shapes, on the GPU at hand:
 *     bench_cuda_conv [-b batch,batch...] [-o only] shapes.txt
 * Each line of the list: count channels height width outputs kernel stride pad group plain. A graph of many launches
 * runs between two events, over as many copies of the weights as the layer has in the network, up to 64 MiB.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend/cuda/module/device.h"
#include "backend/cuda/module/kernels/kernels.h"
#include "base/checked.h"

enum { LAUNCHES = 40, ROUNDS = 9, MOST_BATCHES = 8 };
#define WEIGHT_SETS_BYTES (64 << 20)

struct layer {
    int count, channels, height, width, outputs, kernel, stride, pad, group, plain;
};

struct kernel {
    const char *name;
    struct vt_cuda_wgmma_shape shape; /* pixels 0: the kernel for older devices */
};

static const struct kernel kernels[] = {{"mma", {0}}, {"64x32/1", {64, 32, 1}}, {"64x64/1", {64, 64, 1}},
    {"128x32/1", {128, 32, 1}}, {"128x64/1", {128, 64, 1}}, {"128x128/1", {128, 128, 1}}, {"128x256/1", {128, 256, 1}},
    {"64x64/2", {64, 64, 2}}, {"128x64/2", {128, 64, 2}}, {"64x32/4", {64, 32, 4}}, {"64x64/4", {64, 64, 4}},
    {"128x64/4", {128, 64, 4}}, {"64x32/8", {64, 32, 8}}, {"64x64/8", {64, 64, 8}}};

static void must(enum vultus_status status, const struct vultus_error *error) {
    if (!status) return;
    fprintf(stderr, "bench_cuda_conv: %s\n", error->text);
    exit(1);
}

/* Device memory of small random halves: products of zeros are faster. */
static void *random_halves(size_t bytes, struct vt_cuda_stream *stream) {
    struct vultus_error error;
    void *device, *host;
    uint32_t state = 1;
    must(vt_cuda_allocate(bytes, &device, &error), &error);
    must(vt_cuda_allocate_host(bytes, &host, &error), &error);
    for (size_t i = 0; i < bytes / 2; i++) {
        state = state * 1664525u + 1013904223u;
        ((uint16_t *)host)[i] = (uint16_t)((state >> 16 & 0x83ff) | 0x2c00); /* 1/16 to 1/8, both signs */
    }
    must(vt_cuda_copy(stream, device, host, bytes, VT_CUDA_TO_DEVICE, &error), &error);
    must(vt_cuda_stream_wait(stream, &error), &error);
    vt_cuda_release_host(host);
    return device;
}

struct work {
    struct vt_cuda_conv conv;
    const uint8_t *weights;
    size_t weights_bytes, sets;
};

static struct vt_cuda_plane plane(int channels, int rows, int columns, int pad) {
    struct vt_cuda_plane p = {.rows = rows, .columns = columns, .channels = channels, .element = VT_CUDA_F16};
    p.lanes = (int32_t)vt_round_up((size_t)channels, VT_CUDA_BLOCK);
    for (int i = 0; i < 4; i++) p.pad[i] = pad;
    p.item = (int64_t)(rows + 2 * pad) * (columns + 2 * pad) * p.lanes;
    return p;
}

static void prepare(const struct layer *l, int batch, struct vt_cuda_stream *stream, struct work *w) {
    struct vt_cuda_plane x = plane(l->channels, l->height, l->width, l->pad);
    struct vt_cuda_plane y = plane(l->outputs, (l->height + 2 * l->pad - l->kernel) / l->stride + 1,
        (l->width + 2 * l->pad - l->kernel) / l->stride + 1, 1);
    w->weights_bytes =
        (size_t)l->kernel * (size_t)l->kernel * vt_round_up((size_t)l->channels, 64) * (size_t)y.lanes * 2;
    w->sets = (size_t)vt_min_i64(l->count, WEIGHT_SETS_BYTES / (int64_t)w->weights_bytes + 1);
    w->weights = random_halves(w->sets * w->weights_bytes, stream);
    x.data = random_halves((size_t)x.item * (size_t)batch * 2, stream);
    y.data = random_halves((size_t)y.item * (size_t)batch * 2, stream);
    w->conv = (struct vt_cuda_conv){.x = x,
        .y = y,
        .weights_element = VT_CUDA_F16,
        .window = {.kernel = {l->kernel, l->kernel},
            .stride = {l->stride, l->stride},
            .dilation = {1, 1},
            .pad = {l->pad, l->pad}},
        .tail = {.what = {.act1 = VT_ACT_RELU}},
        .batch = batch};
}

static int launch(struct work *w, const struct kernel *k, int number, struct vt_cuda_stream *stream) {
    struct vt_cuda_wgmma_shape shape = k->shape;
    w->conv.weights = w->weights + (size_t)number % w->sets * w->weights_bytes;
    if (shape.pixels == 0) return vt_cuda_launch_conv_mma(&w->conv, vt_cuda_stream_native(stream));
    return vt_cuda_launch_conv_wgmma(&w->conv, &shape, vt_cuda_stream_native(stream));
}

static int ascending(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Microseconds of one launch, the median; 0 when the kernel cannot run the layer. */
static double time_kernel(struct work *w, const struct kernel *k, struct vt_cuda_stream *stream) {
    struct vultus_error error;
    struct vt_cuda_graph *graph;
    struct vt_cuda_event *from, *to;
    uint64_t times[ROUNDS];
    int code = 0;
    must(vt_cuda_graph_begin(stream, &error), &error);
    for (int i = 0; !code && i < LAUNCHES; i++) code = launch(w, k, i, stream);
    must(vt_cuda_graph_end(stream, &graph, &error), &error);
    must(vt_cuda_event_create(&from, &error), &error);
    must(vt_cuda_event_create(&to, &error), &error);
    for (int round = 0; !code && round < ROUNDS; round++) {
        must(vt_cuda_event_record(from, stream, &error), &error);
        must(vt_cuda_graph_launch(graph, stream, &error), &error);
        must(vt_cuda_event_record(to, stream, &error), &error);
        must(vt_cuda_stream_wait(stream, &error), &error);
        must(vt_cuda_event_nanoseconds(from, to, &times[round], &error), &error);
    }
    vt_cuda_event_destroy(from);
    vt_cuda_event_destroy(to);
    vt_cuda_graph_destroy(graph);
    if (code) return 0;
    qsort(times, ROUNDS, sizeof *times, ascending);
    return (double)times[ROUNDS / 2] / LAUNCHES * 1e-3;
}

/* Prints every kernel's time; returns the shortest. */
static double time_layer(const struct layer *l, int batch, const char *only, struct vt_cuda_stream *stream) {
    struct work w;
    double best = 0;
    prepare(l, batch, stream, &w);
    double operations =
        2.0 * batch * w.conv.y.rows * w.conv.y.columns * l->outputs * l->channels * l->kernel * l->kernel;
    printf("%3d x %dx%dx%d -> %d, %dx%d/%d, batch %d:", l->count, l->channels, l->height, l->width, l->outputs,
        l->kernel, l->kernel, l->stride, batch);
    for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++) {
        if (only && !strstr(kernels[i].name, only)) continue;
        double us = time_kernel(&w, &kernels[i], stream);
        if (us > 0) printf("  %s %.1f", kernels[i].name, us);
        if (us > 0 && (best == 0 || us < best)) best = us;
    }
    printf("  best %.1f us, %.0f TFLOP/s\n", best, best > 0 ? operations / best * 1e-6 : 0);
    fflush(stdout);
    vt_cuda_release((void *)w.weights);
    vt_cuda_release(w.conv.x.data);
    vt_cuda_release(w.conv.y.data);
    return best;
}

static int time_list(const char *path, int batch, const char *only, struct vt_cuda_stream *stream) {
    FILE *file = fopen(path, "r");
    char line[256];
    double sum = 0;
    if (!file) {
        fprintf(stderr, "bench_cuda_conv: cannot open %s\n", path);
        return 1;
    }
    while (fgets(line, sizeof line, file)) {
        struct layer l;
        if (sscanf(line, "%d %d %d %d %d %d %d %d %d %d", &l.count, &l.channels, &l.height, &l.width, &l.outputs,
                &l.kernel, &l.stride, &l.pad, &l.group, &l.plain) == 10 &&
            !l.plain && l.group == 1)
            sum += l.count * time_layer(&l, batch, only, stream);
    }
    fclose(file);
    printf("all, batch %d: %.3f ms\n", batch, sum * 1e-3);
    return 0;
}

int main(int argc, char **argv) {
    struct vultus_error error;
    struct vt_cuda_stream *stream;
    const char *only = NULL;
    int batches[MOST_BATCHES] = {1}, n_batches = 1, option, code = 0;
    while ((option = getopt(argc, argv, "b:o:")) != -1) {
        if (option == 'o') only = optarg;
        if (option == 'b')
            for (n_batches = 0; n_batches < MOST_BATCHES && *optarg; n_batches++, optarg += *optarg == ',')
                batches[n_batches] = (int)strtol(optarg, &optarg, 10);
    }
    if (optind + 1 != argc) {
        fprintf(stderr, "usage: bench_cuda_conv [-b batch,batch...] [-o only] shapes.txt\n");
        return 2;
    }
    must(vt_cuda_stream_create(&stream, &error), &error);
    for (int i = 0; i < n_batches; i++) code |= time_list(argv[optind], batches[i], only, stream);
    vt_cuda_stream_destroy(stream);
    return code;
}
