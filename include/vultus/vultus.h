/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VULTUS_VULTUS_H
#define VULTUS_VULTUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vultus/status.h"
#include "vultus/version.h"

#if defined(__GNUC__)
#define VULTUS_API __attribute__((visibility("default")))
#else
#define VULTUS_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/*
 * vultus compiles ONNX face models into plans tuned for this machine and runs
 *     picture -> faces -> aligned 112x112 crops -> embeddings.
 *
 * Rules that hold for every function:
 * - Failure is a negative status; `error` (may be NULL) then holds one sentence. Outputs are untouched on failure.
 * - Structs of options may be zeroed: 0 and NULL mean the default written beside the field. So may the whole struct
 *   be NULL.
 * - Handles may be used from many threads at once unless said otherwise, except for closing them.
 * - A handle must be closed before the runtime it was opened with.
 */

/* "0.1.0". */
VULTUS_API const char *vultus_version(void);

/* "format" for VULTUS_ERROR_FORMAT. Never NULL. */
VULTUS_API const char *vultus_status_name(enum vultus_status status);

/* ---------------------------------------------------------------- runtime */

/* Threads, directories and limits that everything opened with it shares. */
struct vultus_runtime;

enum vultus_log_level { VULTUS_LOG_ERROR, VULTUS_LOG_WARN, VULTUS_LOG_INFO, VULTUS_LOG_DEBUG };
/* Gets one line without newline; may be called from any thread. */
typedef void vultus_log_function(enum vultus_log_level level, const char *text, void *context);
/* Process-wide; call before other threads use the library. NULL restores the default (stderr, warnings and errors). */
VULTUS_API void vultus_set_log(vultus_log_function *function, void *context, enum vultus_log_level most_verbose);

struct vultus_runtime_options {
    int threads;                /* 0: $VULTUS_THREADS, else the processors this process may use */
    const char *plan_directory; /* NULL: $VULTUS_PLANS, else $XDG_CACHE_HOME/vultus/plans, else ~/.cache/vultus/plans */
    size_t max_picture_bytes;   /* 0: 64 MiB; of an encoded picture */
    int64_t max_picture_pixels; /* 0: 100 million */
    int max_picture_dimension;  /* 0: 32,768 pixels a side */
    /*
     * In which order back ends are tried, separated by commas; NULL: $VULTUS_BACKENDS, else "tensorrt,cuda,cpu", and
     * strict also where $VULTUS_STRICT is on.
     */
    const char *backends;
    bool strict; /* the first of them or none: nothing is built for another */
    /*
     * GPUs to use, "0,1" for instance, as the driver counts them, of one architecture: batches go to whichever is free.
     * "auto": the first that can be used. NULL: $VULTUS_DEVICES, else auto. A process uses one such list: INVALID once
     * it has looked for back ends with another.
     */
    const char *devices;
};

/* Reads the catalogue of models too: the built-in one, and the file that $VULTUS_CATALOGUE names (docs/models.md). */
VULTUS_API enum vultus_status vultus_runtime_create(
    const struct vultus_runtime_options *options, struct vultus_runtime **out, struct vultus_error *error);
VULTUS_API void vultus_runtime_destroy(struct vultus_runtime *runtime); /* NULL is fine */
VULTUS_API int vultus_runtime_threads(const struct vultus_runtime *runtime);

/*
 * What `vultus doctor` shows, as a JSON object (docs/cli.md lists the keys): back ends and why each is or is not
 * usable, CPU features, libraries, plan cache. The caller frees *json with vultus_free.
 */
VULTUS_API enum vultus_status vultus_doctor(struct vultus_runtime *runtime, char **json, struct vultus_error *error);

#define VULTUS_MOST_BACKENDS 3
/* Texts belong to the runtime. */
struct vultus_backends {
    const char *used;                        /* the first of the order that is usable */
    const char *order[VULTUS_MOST_BACKENDS]; /* as it is tried */
    size_t n_order;
    struct {
        const char *name, *reason; /* why it cannot be used, a sentence */
    } skipped[VULTUS_MOST_BACKENDS];
    size_t n_skipped;
};
/*
 * The back end for which ONNX models are built where the options of a build name none. The first call tries them and
 * tells the log what was skipped; what it found holds for as long as the runtime. UNSUPPORTED: none is usable, or the
 * first is not and the runtime is strict.
 */
VULTUS_API enum vultus_status vultus_choose_backend(
    struct vultus_runtime *runtime, struct vultus_backends *out, struct vultus_error *error);

/* A GPU of the machine as NVIDIA's management library reads it. What it does not tell is negative. */
struct vultus_gpu {
    int index;
    char name[96];
    int64_t memory_used, memory_total; /* bytes */
    double celsius, watts;
    double graphics_mhz, memory_mhz; /* clocks */
};
/*
 * Reads at most `most` GPUs now and returns how many. None where there is no such library or no module of CUDA kernels,
 * and where the runtime's order does not name cuda. The first call loads the library, which may take some 10 ms.
 */
VULTUS_API size_t vultus_gpus(const struct vultus_runtime *runtime, struct vultus_gpu *out, size_t most);

/* Releases memory that this library handed out. NULL is fine. */
VULTUS_API void vultus_free(void *memory);

/* ---------------------------------------------------------------- plans */

/* Told while a plan is built: `done` of `total` steps, and what is being done ("timing conv_12"). */
typedef void vultus_progress_function(void *context, uint32_t done, uint32_t total, const char *what);

struct vultus_build_options {
    const char *precision;        /* NULL: "fp32" */
    const char *backend;          /* NULL: that of vultus_choose_backend; one that is named must be usable */
    int width, height;            /* picture size for models that leave it free; 0: 640 */
    int max_batch;                /* 0: 32 */
    const char *output_directory; /* NULL: the runtime's plan directory */
    bool force;                   /* build even when a matching plan exists */
    /*
     * When opening: a plan of the same model for another back end, which takes over where the first fails while
     * running; NULL: the run fails.
     */
    const char *fallback_plan;
    vultus_progress_function *progress;
    void *progress_context;
};

struct vultus_build_result {
    char path[4096];    /* of the plan */
    uint64_t bytes;     /* of the plan file */
    double seconds;     /* this call took */
    bool cached;        /* true: a matching plan was there and nothing was built */
    char miss[512];     /* why the cache missed ("no plan yet", "max_batch differs: 8, wanted 32"); "" on a hit */
    uint32_t steps;     /* in the plan */
    char tactics[1024]; /* chosen tactics with counts, "conv:winograd4:avx512 x42, ..." */
};

/*
 * Compiles `model_path` (ONNX) into a plan, or finds the cached one. Processes that want the same plan build it once:
 * the others wait for a file lock. A plan file appears whole or not at all. Builds without the compiler fail with
 * UNSUPPORTED.
 */
VULTUS_API enum vultus_status vultus_build(struct vultus_runtime *runtime, const char *model_path,
    const struct vultus_build_options *options, struct vultus_build_result *result, struct vultus_error *error);

/*
 * Describes an ONNX model or a plan as a JSON object (docs/cli.md lists the keys). with_graph adds the network: "graph"
 * as read, and for ONNX also "optimised" after the passes. The caller frees *json with vultus_free.
 */
VULTUS_API enum vultus_status vultus_describe(
    struct vultus_runtime *runtime, const char *path, bool with_graph, char **json, struct vultus_error *error);

/*
 * Path of a model of the starter pack, small models that come with vultus for trying it out: "starter_det", a detector,
 * or "starter_rec", a recogniser. Nothing takes them unless asked: pass the path where a model is wanted. Looked for
 * beside the running program (../share/vultus/models/starter), then in the prefix that vultus was configured with, then
 * in its sources. The caller frees *path with vultus_free. NOT_FOUND names the folders, INVALID another name.
 */
VULTUS_API enum vultus_status vultus_starter_model(const char *name, char **path, struct vultus_error *error);

/* Whether the file begins as a plan does; false too where it cannot be read. */
VULTUS_API bool vultus_is_plan(const char *path);

/* ---------------------------------------------------------------- any network */

#define VULTUS_MAX_RANK 8

/* A dense row-major tensor; element types by NumPy's names. */
struct vultus_tensor_info {
    const char *name;  /* belongs to the session */
    const char *dtype; /* "float32", "int64", ... */
    int rank;
    int64_t dims[VULTUS_MAX_RANK];
    size_t bytes;
};

/* A plan, open and ready to run batches. */
struct vultus_session;

/*
 * Opens a plan file, or an ONNX file by way of its cached plan, which is built first where needed. `options` (may be
 * NULL) are those of the build; a ready plan ignores them, but for fallback_plan. A plan that does not fit this machine
 * is refused with MISMATCH.
 */
VULTUS_API enum vultus_status vultus_session_open(struct vultus_runtime *runtime, const char *path,
    const struct vultus_build_options *options, struct vultus_session **out, struct vultus_error *error);
VULTUS_API void vultus_session_close(struct vultus_session *session); /* NULL is fine; no run may be in progress */

VULTUS_API size_t vultus_session_inputs(const struct vultus_session *session);
VULTUS_API size_t vultus_session_outputs(const struct vultus_session *session);
VULTUS_API int64_t vultus_session_max_batch(const struct vultus_session *session);
/*
 * Shape of input or output `i` for a batch. A model whose exporter collapsed the batch axis (SCRFD heads of shape
 * [n,1]) gets a new first axis for the batch. INVALID when i or batch is out of range.
 */
VULTUS_API enum vultus_status vultus_session_input(const struct vultus_session *session, size_t i, int64_t batch,
    struct vultus_tensor_info *info, struct vultus_error *error);
VULTUS_API enum vultus_status vultus_session_output(const struct vultus_session *session, size_t i, int64_t batch,
    struct vultus_tensor_info *info, struct vultus_error *error);

/*
 * Runs a batch of 1 .. max_batch items. inputs[i] and outputs[i] have the sizes that vultus_session_input / _output
 * give. An item's result has the same bytes whatever its batch mates, the batch size and the number of threads.
 */
VULTUS_API enum vultus_status vultus_session_run(struct vultus_session *session, const void *const *inputs,
    void *const *outputs, int64_t batch, struct vultus_error *error);

/* One step of a session's plan. Texts belong to the session. */
struct vultus_step_info {
    const char *name;     /* of the node it comes from */
    const char *op;       /* "conv", "gemm", ..., or the ONNX operator that is run as it stands */
    const char *tactic;   /* that runs it at the batch size asked for */
    const char *provider; /* whose code that is: "own", "oneDNN" or "reference" */
    int rank;             /* of its output, of one item */
    int64_t dims[VULTUS_MAX_RANK];
    double flops; /* of one item, two for each product of the direct algorithm; 0: its work is not in products */
};

VULTUS_API size_t vultus_session_steps(const struct vultus_session *session);
/* INVALID when i or batch is out of range. */
VULTUS_API enum vultus_status vultus_session_step(const struct vultus_session *session, size_t i, int64_t batch,
    struct vultus_step_info *info, struct vultus_error *error);

/*
 * As vultus_session_run, with the whole batch going through one step after the other, which large batches otherwise do
 * not; nanoseconds[i] gets the time of step i.
 */
VULTUS_API enum vultus_status vultus_session_profile(struct vultus_session *session, const void *const *inputs,
    void *const *outputs, int64_t batch, uint64_t *nanoseconds, struct vultus_error *error);

/*
 * Operations a second, two for a fused multiply-add, that a session's speed is measured against. On processors what the
 * runtime's threads reach with the widest float32 vectors in use and all operands in registers, measured on the first
 * call for each number of threads, which takes some 100 ms. On a GPU what the units that its precision uses could do at
 * the highest clock; 0 where that is not known.
 */
VULTUS_API enum vultus_status vultus_session_peak_flops(
    struct vultus_session *session, double *flops, struct vultus_error *error);

/* ---------------------------------------------------------------- comparing */

/* How far an output is from a reference's, in one number over all items. Names: "cosine-mean" and so on. */
enum vultus_metric {
    VULTUS_METRIC_COSINE_MEAN, /* of embeddings */
    VULTUS_METRIC_COSINE_MIN,
    VULTUS_METRIC_L2_MEAN,     /* of embeddings scaled to unit length */
    VULTUS_METRIC_RELATIVE_L2, /* of other outputs: largest over the items of |ours - reference| / |reference| */
    VULTUS_METRIC_MAX_ABS      /* of other outputs: largest difference of two elements, over the largest element */
};
/* Never NULL. */
VULTUS_API const char *vultus_metric_name(enum vultus_metric metric);

enum vultus_verdict { VULTUS_VERDICT_PASS, VULTUS_VERDICT_WARN, VULTUS_VERDICT_FAIL };

/* Replaces the default thresholds of a metric, which docs/cli.md lists, for plans of a precision. */
struct vultus_threshold {
    const char *precision; /* NULL: any */
    enum vultus_metric metric;
    double pass, fail; /* cosines pass from `pass` on and fail below `fail`; others pass below, fail above */
};

struct vultus_compare_options {
    const char *model;     /* ONNX file to interpret; NULL: `path`, or {model}.onnx beside a plan */
    const char *inputs;    /* .npy file; NULL: those of `reference`, else random */
    const char *reference; /* .npz file with outputs; NULL: the interpreter, plain C on the ONNX file, gives them */
    int samples;           /* items; 0: all of a file, else 100 of a recogniser and 10 of other networks */
    struct vultus_build_options build;         /* of an ONNX file */
    const struct vultus_threshold *thresholds; /* later ones win */
    size_t n_thresholds;
    vultus_progress_function *progress; /* told of items done */
    void *progress_context;
};

struct vultus_measure {
    enum vultus_metric metric;
    double value; /* NAN when some element was not finite, which fails */
    double pass, fail;
    enum vultus_verdict verdict;
};

/* One output of the network. */
struct vultus_output_comparison {
    const char *name;
    bool embedding;
    struct vultus_measure measures[3];
    int n_measures;
    double largest_difference, largest_element; /* of two elements; of the reference */
};

/* Everything inside belongs to it. */
struct vultus_comparison {
    enum vultus_verdict verdict; /* the worst of all measures */
    const char *plan, *precision;
    const char *inputs;    /* the file, or "random" */
    const char *reference; /* the file, or the ONNX model that was interpreted */
    bool interpreted;
    int64_t samples;
    struct vultus_output_comparison *outputs;
    size_t n_outputs;
};

/*
 * Runs a plan, or an ONNX file by way of its plan, and a reference on the same items and says how far their outputs are
 * from each other. Files of inputs and references: docs/cli.md. A model that a plan was not built from is refused with
 * MISMATCH. On success, which a verdict of FAIL is too, the caller frees *out with vultus_comparison_free.
 */
VULTUS_API enum vultus_status vultus_compare(struct vultus_runtime *runtime, const char *path,
    const struct vultus_compare_options *options, struct vultus_comparison **out, struct vultus_error *error);
VULTUS_API void vultus_comparison_free(struct vultus_comparison *comparison); /* NULL is fine */

/* ---------------------------------------------------------------- pictures */

/* 8-bit BGR, rows top to bottom, `stride` bytes from row to row. */
struct vultus_picture {
    uint8_t *pixels;
    int width, height;
    size_t stride;
};

/*
 * Decodes JPEG, PNG, WebP, GIF, BMP, TIFF, HEIC or AVIF, as far as this build has the libraries, told apart by content,
 * and turns the picture upright. Of several frames the first; alpha is dropped, 16 bit become 8, colour profiles are
 * not applied. The runtime's limits are checked before memory is taken. On success the caller releases *out. `name` is
 * for error sentences and may be NULL.
 */
VULTUS_API enum vultus_status vultus_picture_decode(struct vultus_runtime *runtime, const void *bytes, size_t size,
    const char *name, struct vultus_picture *out, struct vultus_error *error);
/* The same from a file; "-" is standard input. */
VULTUS_API enum vultus_status vultus_picture_read(
    struct vultus_runtime *runtime, const char *path, struct vultus_picture *out, struct vultus_error *error);
/* A black picture of that size. */
VULTUS_API enum vultus_status vultus_picture_create(
    int width, int height, struct vultus_picture *out, struct vultus_error *error);
VULTUS_API void vultus_picture_release(struct vultus_picture *picture); /* a zeroed picture is fine */
/* Baseline 4:2:0 JPEG, quality 1-100, appearing whole or not at all. */
VULTUS_API enum vultus_status vultus_picture_write_jpeg(
    const struct vultus_picture *picture, int quality, const char *path, struct vultus_error *error);
/* The same into memory, which the caller frees with vultus_free. */
VULTUS_API enum vultus_status vultus_picture_encode_jpeg(
    const struct vultus_picture *picture, int quality, uint8_t **bytes, size_t *size, struct vultus_error *error);
/* Pastes `source` into `target` with its top left corner at (x, y), clipped. */
VULTUS_API void vultus_picture_paste(const struct vultus_picture *source, struct vultus_picture *target, int x, int y);

/* ---------------------------------------------------------------- faces */

#define VULTUS_LANDMARKS 5

/* The look at the picture that found a face. */
enum vultus_pass {
    VULTUS_PASS_PLAIN,  /* the picture as it is, or turned */
    VULTUS_PASS_MARGIN, /* with a black margin of half the picture's size around it */
    VULTUS_PASS_TILE    /* a part of it, of about the network's size */
};

/* What can be told of a face beyond its place and embedding; bits of a set. */
enum vultus_attribute {
    VULTUS_ATTRIBUTE_MASK = 1,
    VULTUS_ATTRIBUTE_LIVENESS = 2,
    VULTUS_ATTRIBUTE_GENDER_AGE = 4,
    VULTUS_ATTRIBUTE_QUALITY = 8 /* needs no model of its own */
};

/*
 * How good a picture of a face is. Parts run from 0, useless, to 1; docs/models.md says how they are made of what was
 * measured.
 */
struct vultus_quality {
    float overall;          /* geometric mean of the parts that are known */
    float norm;             /* of the raw embedding; 0: there is none */
    float sharpness;        /* variance of the aligned crop's Laplacian, grey levels squared */
    float size;             /* the box's shorter side, pixels of the picture */
    float yaw, pitch, roll; /* degrees, estimated from the landmarks; positive: the nose points right and down, the head
                               leans clockwise, as seen */
    float norm_part;        /* NAN where there is no embedding or the recogniser's norms were not measured */
    float sharpness_part, size_part, pose_part;
};

struct vultus_attributes {
    unsigned present;                            /* which of the following are set, bits of enum vultus_attribute */
    float mask_probability, no_mask_probability; /* as the model gives them */
    bool mask;                                   /* more probable than none, and at least 0.89 */
    float liveness;                              /* probability that a living face is there, mean over the models */
    bool live;                                   /* that outcome is the most probable one */
    int gender;                                  /* 0 female, 1 male */
    int age;                                     /* years, 0 to 100 */
    struct vultus_quality quality;
};

/* One face. Coordinates are pixels of the picture, not clipped to it. */
struct vultus_face {
    float box[4];                         /* x1, y1, x2, y2 */
    float score;                          /* 0..1 */
    float landmarks[VULTUS_LANDMARKS][2]; /* left eye, right eye, nose, left and right mouth corner, as seen */
    enum vultus_pass pass;
    int turn; /* degrees the picture was turned clockwise to find it: 0, 90, 180 or 270 */
    struct vultus_picture
        crop;               /* aligned, of the recogniser's size, 112x112 without one; pixels NULL unless asked for */
    const float *embedding; /* unit length; NULL without a recogniser or when alignment failed */
    float norm;             /* L2 norm of the raw embedding */
    const char *failure;    /* why this face has no embedding, or NULL */
    struct vultus_attributes attributes; /* those asked for; a face that cannot be cut out for a model goes without */
};

/* Milliseconds by stage. */
struct vultus_times {
    double read; /* decoding; 0 of a picture that came decoded */
    double letterbox, detect, decode, align, embed, total, attributes;
};

/* The faces of one picture; everything inside belongs to it. */
struct vultus_faces {
    struct vultus_face *faces; /* descending score; by area when limit_faces cut */
    size_t count;
    int dimension; /* of the embeddings; 0: none */
    double scale;  /* network pixels per picture pixel of the first look that found something, else of the plain one */
    int width, height; /* of the picture */
    int reduction;     /* how many times smaller it was decoded to make the crops: 1, 2, 4 or 8 */
    struct vultus_times times;
};

/* A detector and, optionally, a recogniser. */
struct vultus_pipeline;

/*
 * Whether calls that run at the same time, from several threads, put their networks' items into common batches: more
 * pictures and faces a second. A call that is alone never waits; one that knows of others on their way waits for them
 * at most the delay. Answers are the same either way, byte for byte.
 */
struct vultus_batching {
    bool shared;
    int max_batch;    /* 0: what the plans allow */
    int max_delay_us; /* 0: do not wait */
};

struct vultus_pipeline_options {
    const char *detector;   /* path of an ONNX model or a plan; required */
    const char *recogniser; /* NULL: detection only */
    struct vultus_build_options detector_build, recogniser_build;
    /*
     * Models that tell attributes, ONNX or plans, at most 8; what each tells is what the catalogue or its shapes say it
     * is (docs/models.md). Several for liveness are fused.
     */
    const char *const *attribute_models;
    size_t n_attribute_models;
    struct vultus_build_options attribute_build;
    const char *const *attribute_fallback_plans; /* NULL, or one for each of attribute_models */
    struct vultus_batching batching;
    /*
     * Where both networks run on a GPU a picture goes there once, and faces and embeddings come back; pictures whose
     * crops or attributes are wanted do not stay there. Both are also off where $VULTUS_RESIDENT, $VULTUS_USE_NVJPEG
     * are.
     */
    bool without_resident_pictures; /* processors prepare every network's input */
    bool without_nvjpeg;            /* processors decode JPEG, and pixels go to the GPU */
};

VULTUS_API enum vultus_status vultus_pipeline_open(struct vultus_runtime *runtime,
    const struct vultus_pipeline_options *options, struct vultus_pipeline **out, struct vultus_error *error);
VULTUS_API void vultus_pipeline_close(struct vultus_pipeline *pipeline); /* NULL is fine */
/* Least cosine of one person, as measured for the recogniser; 0 where nobody did, and without a recogniser. */
VULTUS_API float vultus_pipeline_match_threshold(const struct vultus_pipeline *pipeline);

/* Further looks, for faces that fill the frame and faces that are turned. What all looks find is suppressed together.
 */
enum vultus_robust {
    /* In three steps, each only while nothing was found: with a margin; turned by 90, 180, 270 degrees; both. */
    VULTUS_ROBUST_AUTO,
    VULTUS_ROBUST_OFF, /* the plain look alone */
    VULTUS_ROBUST_FULL /* all eight looks always */
};
/* What a pipeline is made of. Texts belong to it; those of a missing recogniser are NULL. */
struct vultus_pipeline_info {
    const char *detector, *recogniser; /* names of the models */
    const char *detector_precision, *recogniser_precision;
    const char *detector_backend, *recogniser_backend; /* that run now */
    const char *detector_failure,
        *recogniser_failure;             /* why the fallback plan's runs instead of the plan's own, or NULL */
    int detector_width, detector_height; /* of the network's picture */
    int crop_width, crop_height;         /* that the recogniser takes; 0 without one */
    int dimension;                       /* of embeddings; 0 without a recogniser */
    bool keeps_pictures;                 /* they stay on a GPU, where that is possible */
};
VULTUS_API void vultus_pipeline_describe(const struct vultus_pipeline *pipeline, struct vultus_pipeline_info *out);

#define VULTUS_BATCH_SIZES 64
/* How many batches of i + 1 items ran so far; the last counts larger ones too. All 0 unless batching is shared. */
struct vultus_pipeline_statistics {
    uint64_t detector_batches[VULTUS_BATCH_SIZES], recogniser_batches[VULTUS_BATCH_SIZES];
    uint64_t attribute_batches[VULTUS_BATCH_SIZES]; /* of all models that tell attributes together */
    uint64_t resident_pictures;                     /* that stayed on a GPU; they share no batches */
    /* Copied to and from GPUs by this process, for whatever it did there, since the pipeline was opened. Counted where
     * pictures can stay on one. */
    uint64_t bytes_to_device, bytes_from_device;
};
VULTUS_API void vultus_pipeline_measure(const struct vultus_pipeline *pipeline, struct vultus_pipeline_statistics *out);

struct vultus_analyze_options {
    float threshold; /* 0: 0.6; a face needs a score above, with RetinaFace and YOLOv5-face also one equal to it */
    enum vultus_robust robust;
    bool tile;         /* look also at overlapping tiles of pictures larger than the network's, for tiny faces */
    int limit_faces;   /* > 0: keep the largest */
    int min_face_size; /* > 0: drop faces whose box is narrower than this many pixels */
    bool without_embeddings;
    bool with_crops;
    unsigned attributes; /* to tell, bits of enum vultus_attribute; INVALID where the pipeline has no model for one */
    bool whole_picture;  /* vultus_analyze_encoded never decodes JPEG reduced */
};

/* On success the caller frees *out with vultus_faces_free; a picture without faces is a success with count 0. */
VULTUS_API enum vultus_status vultus_analyze(struct vultus_pipeline *pipeline, const struct vultus_picture *picture,
    const struct vultus_analyze_options *options, struct vultus_faces **out, struct vultus_error *error);
/*
 * The same of the bytes of a picture file, with the runtime's limits. JPEG that is far larger than what detection needs
 * is decoded reduced, unless a face's crop needs finer pixels; coordinates are of the whole picture all the same.
 * `name` is for error sentences and may be NULL.
 */
VULTUS_API enum vultus_status vultus_analyze_encoded(struct vultus_pipeline *pipeline, const void *bytes, size_t size,
    const char *name, const struct vultus_analyze_options *options, struct vultus_faces **out,
    struct vultus_error *error);
/* The pipeline's recogniser on aligned crops, as vultus_embed. INVALID without a recogniser. */
VULTUS_API enum vultus_status vultus_pipeline_embed(struct vultus_pipeline *pipeline, const uint8_t *crops,
    size_t count, float *embeddings, float *norms, struct vultus_error *error);
/*
 * What the pipeline's models tell of aligned crops of 112x112 pixels, laid out as for vultus_embed: masks, gender and
 * age, bits of enum vultus_attribute. `out` has an item for each crop. INVALID where there is no model for one of them.
 */
VULTUS_API enum vultus_status vultus_pipeline_classify(struct vultus_pipeline *pipeline, const uint8_t *crops,
    size_t count, unsigned attributes, struct vultus_attributes *out, struct vultus_error *error);
VULTUS_API void vultus_faces_free(struct vultus_faces *faces); /* NULL is fine */

struct vultus_draw_options {
    bool without_landmarks, without_scores, without_sizes;
    const char *footer; /* NULL: none; else text at the lower left */
};
/* Draws boxes, landmarks, scores and widths of `faces` into `picture`. Labels hide neither other faces nor each other;
 * one that finds no place is left out. */
VULTUS_API void vultus_draw(struct vultus_picture *picture, const struct vultus_face *faces, size_t count,
    const struct vultus_draw_options *options);

/*
 * All crops (of an analysis with_crops) on one picture, row by row, with number and score below each. On success the
 * caller releases *out.
 */
VULTUS_API enum vultus_status vultus_contact_sheet(
    const struct vultus_face *faces, size_t count, struct vultus_picture *out, struct vultus_error *error);

/* Cosine of two vectors of `dimension` floats, in [-1, 1]; 0 when either has no length. */
VULTUS_API float vultus_cosine(const float *a, const float *b, int dimension);

/* ---------------------------------------------------------------- crops */

/* A recogniser alone: aligned crops to embeddings. */
struct vultus_embedder;

VULTUS_API enum vultus_status vultus_embedder_open(struct vultus_runtime *runtime, const char *path,
    const struct vultus_build_options *options, struct vultus_embedder **out, struct vultus_error *error);
VULTUS_API void vultus_embedder_close(struct vultus_embedder *embedder); /* NULL is fine */
VULTUS_API int vultus_embedder_dimension(const struct vultus_embedder *embedder);
VULTUS_API void vultus_embedder_input_size(const struct vultus_embedder *embedder, int *width, int *height);

/*
 * crops: count x height x width x 3, 8-bit BGR, dense. embeddings: count x dimension floats, each of unit length (zeros
 * for a raw embedding of length 0). norms (may be NULL): the raw lengths.
 */
VULTUS_API enum vultus_status vultus_embed(struct vultus_embedder *embedder, const uint8_t *crops, size_t count,
    float *embeddings, float *norms, struct vultus_error *error);

#ifdef __cplusplus
}
#endif
#endif
