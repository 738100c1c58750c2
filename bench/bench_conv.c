/* SPDX-License-Identifier: Apache-2.0
 *
 * Times every convolution tactic of this machine on a network's layer shapes:
 *     bench_conv [-b batch] [-t threads] [-k block] [-r rounds] [-o only] shapes.txt
 * Each line of the list: count channels height width outputs kernel stride pad group plain.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/clock.h"
#include "base/cpu.h"
#include "base/memory.h"
#include "kernel/conv_case.h"

struct options {
    int batch, threads, block, rounds;
    const char *only; /* tactics whose name contains it */
};

struct layer {
    int count, channels, height, width, outputs, kernel, stride, pad, group, plain;
};

static struct conv_spec spec_of(const struct layer *l, const struct options *options) {
    return (struct conv_spec){.channels = l->channels,
        .height = l->height,
        .width = l->width,
        .outputs = l->outputs,
        .kernel = {l->kernel, l->kernel},
        .stride = {l->stride, l->stride},
        .dilation = {1, 1},
        .pad = {l->pad, l->pad, l->pad, l->pad},
        .group = l->group,
        .block = options->block,
        .plain = l->plain != 0,
        .y_pad = 1,
        .bias = true,
        .tail = {.act1 = VT_ACT_RELU},
        .batch = options->batch,
        .seed = 1};
}

/* Layers with the same shape have weights of their own, so the weights are not in a cache when their turn comes. */
#define WEIGHT_SETS_BYTES (64 << 20)
#define MOST_WEIGHT_SETS 64

/* Shortest time of a run in milliseconds, or NAN when the tactic does not support the layer. */
static double time_tactic(const struct conv_case *c, const struct vt_cpu_tactic *tactic, int count,
    const struct options *options, struct vt_pool *pool) {
    void *packed = conv_case_pack(c, tactic);
    if (packed == NULL) return NAN;
    size_t bytes = vt_round_up(tactic->packed_bytes(&c->plan, &c->step), 64);
    size_t sets = count > 1 ? WEIGHT_SETS_BYTES / bytes + 1 : 1;
    if (sets > (size_t)count) sets = (size_t)count;
    if (sets > MOST_WEIGHT_SETS) sets = MOST_WEIGHT_SETS;
    uint8_t *copies = vt_alloc_aligned(sets * bytes);
    for (size_t i = 0; i < sets; i++) memcpy(copies + i * bytes, packed, bytes);
    double best[MOST_WEIGHT_SETS], spent = 0, sum = 0;
    for (int round = 0; round < options->rounds && spent < 500.0; round++) {
        for (size_t i = 0; i < sets; i++) {
            uint64_t start = vt_now_ns();
            conv_case_run(c, tactic, copies + i * bytes, pool, c->spec.batch, c->data[4]);
            double ms = vt_ms_since(start);
            spent += ms;
            best[i] = round == 0 ? ms : fmin(best[i], ms);
        }
    }
    for (size_t i = 0; i < sets; i++) sum += best[i];
    vt_free_aligned(copies);
    vt_free_aligned(packed);
    return sum / (double)sets;
}

/* Prints a line per tactic; returns the fastest time of one layer. */
static double time_layer(const struct layer *l, const struct options *options, struct vt_pool *pool) {
    struct conv_spec spec = spec_of(l, options);
    struct conv_case c;
    conv_case_open(&spec, &c);
    double flops = conv_case_flops(&spec) * options->batch, best = INFINITY;
    printf("%3d x %4d %4dx%-4d -> %4d  k%d s%d g%-4d %8.1f MFLOP ", l->count, l->channels, l->height, l->width,
        l->outputs, l->kernel, l->stride, l->group, flops * 1e-6);
    for (const struct vt_cpu_tactic *const *t = vt_cpu_conv_tactics; *t != NULL; t++) {
        if (!vt_cpu_has((*t)->features) || strstr((*t)->name, options->only) == NULL) continue;
        double ms = time_tactic(&c, *t, l->count, options, pool);
        if (isnan(ms)) continue;
        printf("  %s %.4f ms %.0f", (*t)->name + strlen("conv:"), ms, flops / ms * 1e-6);
        best = fmin(best, ms);
    }
    printf("\n");
    fflush(stdout);
    conv_case_close(&c);
    return best;
}

static int run_list(const char *path, const struct options *options, struct vt_pool *pool) {
    FILE *list = fopen(path, "r");
    if (list == NULL) {
        fprintf(stderr, "%s: cannot be opened\n", path);
        return 1;
    }
    char line[256];
    double total = 0;
    struct layer l;
    while (fgets(line, sizeof line, list) != NULL) {
        if (line[0] == '#' || line[0] == '\n') continue;
        if (sscanf(line, "%d %d %d %d %d %d %d %d %d %d", &l.count, &l.channels, &l.height, &l.width, &l.outputs,
                &l.kernel, &l.stride, &l.pad, &l.group, &l.plain) != 10) {
            fprintf(stderr, "%s: not a shape: %s", path, line);
            fclose(list);
            return 1;
        }
        total += l.count * time_layer(&l, options, pool);
    }
    fclose(list);
    printf("%s, batch %d, %d threads: %.3f ms in the fastest convolutions\n", path, options->batch, options->threads,
        total);
    return 0;
}

int main(int argc, char **argv) {
    struct options options = {
        .batch = 1, .threads = 2, .block = vt_cpu_has(VT_CPU_AVX512) ? 16 : 8, .rounds = 50, .only = ""};
    int option;
    while ((option = getopt(argc, argv, "b:t:k:r:o:")) != -1) {
        switch (option) {
        case 'b': options.batch = atoi(optarg); break;
        case 't': options.threads = atoi(optarg); break;
        case 'k': options.block = atoi(optarg); break;
        case 'r': options.rounds = atoi(optarg); break;
        case 'o': options.only = optarg; break;
        default: return 2;
        }
    }
    struct vt_pool *pool;
    struct vultus_error error;
    if (vt_pool_create(options.threads, &pool, &error) != VULTUS_OK) return 1;
    int status = 0;
    for (int i = optind; i < argc && status == 0; i++) status = run_list(argv[i], &options, pool);
    vt_pool_destroy(pool);
    return status;
}
