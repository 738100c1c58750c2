/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_BACKEND_BACKEND_H
#define VT_BACKEND_BACKEND_H

#include "backend/photo.h"
#include "base/pool.h"
#include "base/status.h"
#include "plan/plan.h"

#define VT_BACKEND_REASON 256

/* What a back end says of itself on this machine. */
struct vt_backend_report {
    bool usable;
    bool absent;                    /* not usable because what it needs was never installed here */
    char reason[VT_BACKEND_REASON]; /* why not, or a note */
    char arch[32];                  /* of plan names: "avx512" */
    char device[96];                /* "AMD EPYC ..." */
    char libraries[128];            /* "onednn 2.6.3" */
};

/* A plan made ready to run, with its own workspace. One thread at a time. */
struct vt_executable;

/* Time one step took in a profiled run. */
struct vt_step_profile {
    uint64_t nanoseconds;
};

/* What a tactic is. */
struct vt_tactic_info {
    const char *class;    /* tactics of one step and one class give equal bytes */
    const char *provider; /* whose code it is: "own", "oneDNN" or "reference" */
};

/* One tactic of one step, to be timed. */
struct vt_timing {
    const struct vt_plan *plan; /* of that step alone, whose operands are the plan's inputs and output */
    const void *const *inputs;  /* one item of each, which all items of a batch are to be; NULL for constants */
    const int64_t *batches;     /* ascending, at most VT_PLAN_MAX_CHOICES */
    const double *fastest;      /* nanoseconds for each of the batches that another tactic took; 0: not known */
    size_t n_batches;
    uint64_t network_weights; /* bytes of the whole network's: a step finds its own in no cache that is smaller */
};

/*
 * How back ends are timed whose work the host's clock shows badly. A stopwatch keeps what costs time to make, device
 * memory for instance, from one tactic to the next; one thread at a time.
 */
struct vt_stopwatch;
struct vt_backend_clock {
    enum vultus_status (*open)(struct vt_stopwatch **out, struct vultus_error *error);
    /* Nanoseconds that the step takes with each of the batches, to ns[]; roughly for a tactic far from the fastest. */
    enum vultus_status (*measure)(
        struct vt_stopwatch *stopwatch, const struct vt_timing *timing, double *ns, struct vultus_error *error);
    void (*close)(struct vt_stopwatch *stopwatch); /* NULL is fine */
};

/* How the compiler asks a back end to run a step. Present in builds with the compiler. */
struct vt_backend_builder {
    enum vt_layout planes; /* how its kernels want [1,C,H,W] values: BLOCKED or CHANNELS_LAST */
    /* Batches at which tactics are timed, ascending, 0 behind the last; those above a plan's largest become that one.
     */
    int64_t batches[VT_PLAN_MAX_CHOICES + 1];
    /* Whether a step may be of another class for another batch size: an item's bytes then depend on how many items
     * there are, though never on which, or on its place among them. */
    bool classes_may_mix;
    const struct vt_backend_clock *clock; /* NULL: the host's, around runs */
    /* Channels per block of planes of this element type; 0 when it has no kernels for them. */
    int (*block)(enum vt_dtype dtype);
    bool tf32; /* it takes plans of precision "tf32": float32 planes whose products may be rounded to TF32 */
    /*
     * Writes the names of tactics that can run `step` of `plan` (shapes, layouts and params set, choices empty), best
     * guess first; returns how many (at most `capacity`). Each tactic's numerical class goes to classes[]: tactics of
     * equal class give equal bytes.
     */
    size_t (*tactics)(const struct vt_plan *plan, const struct vt_plan_step *step, const char **names,
        const char **classes, size_t capacity);
    /* Bytes of the packed constant that `tactic` wants for the step's weights; 0: none. */
    size_t (*packed_bytes)(const struct vt_plan *plan, const struct vt_plan_step *step, const char *tactic);
    /* Packs float32 weights, CONV: [O, I/group, kh, kw], GEMM: [K, N], into `packed` (packed_bytes long, aligned,
     * zeroed). */
    enum vultus_status (*pack)(const struct vt_plan *plan, const struct vt_plan_step *step, const char *tactic,
        const float *weights, void *packed, struct vultus_error *error);
    /* vt_cpu_feature bits (or the back end's own) that the tactic needs at run time. */
    uint32_t (*required_features)(const char *tactic);
};

/* Where `probe` says that it is not usable, the other functions may be NULL. */
struct vt_backend {
    const char *name;
    void (*probe)(struct vt_backend_report *report); /* never fails */
    bool elsewhere;       /* runs are computed by a device: the thread that calls `run` only waits, mostly */
    int (*devices)(void); /* how many are in use, at least 1 (backend/devices.h); NULL: there is but one */
    /*
     * Prepares a plan (which must outlive the executable) for device `device` of those in use. Nothing is allocated for
     * batches yet: workspace grows when more items than before go through the network together, so steady batches run
     * without allocating.
     */
    enum vultus_status (*create)(const struct vt_plan *plan, struct vt_pool *pool, int device,
        struct vt_executable **out, struct vultus_error *error);
    /*
     * inputs[i] and outputs[i] are dense arrays of `batch` items in the plan's order. `profile` (NULL or n_steps
     * entries) gets each step's time; a profiled run takes the whole batch through one step after the other.
     */
    enum vultus_status (*run)(struct vt_executable *executable, const void *const *inputs, void *const *outputs,
        int64_t batch, struct vt_step_profile *profile, struct vultus_error *error);
    /* Makes room for batches of up to that size now, and whatever else a first run of each would make. NULL: runs alone
     * do. */
    enum vultus_status (*reserve)(struct vt_executable *executable, int64_t batch, struct vultus_error *error);
    size_t (*workspace_bytes)(const struct vt_executable *executable);
    bool (*describe_tactic)(const char *tactic, struct vt_tactic_info *info); /* false: none of that name here */
    /*
     * Operations a second, two for a multiplication with addition, that plans of the precision are measured against; 0:
     * not known. Of processors what the pool's threads reach with the widest float32 vectors in use, nothing but
     * registers involved, measured on first need (some 100 ms) and remembered; of a GPU what its units could do.
     */
    double (*peak_flops)(struct vt_pool *pool, const char *precision);
    void (*destroy)(struct vt_executable *executable); /* NULL is fine */
    const struct vt_photo_backend *photos;             /* NULL: pictures do not stay on its device */
    const struct vt_backend_builder *builder;          /* NULL without the compiler */
};

/* NULL when this build has none of that name. One that is a module is looked for and loaded by the first call
 * (registry.c is the one file that names back ends). Thread-safe. */
const struct vt_backend *vt_backend_find(const char *name);

/* "0.1.0-1a2b3c4d5e6f": the version and a digest of the code that packs and runs plans. Plans of another build are
 * refused. */
const char *vt_backend_build(void);

#endif
