# SPDX-License-Identifier: Apache-2.0
"""What Python calls of vultus/vultus.h. The compiler fills in what "..." leaves out, so that structs may have more fields."""
import shlex
import subprocess

import cffi


def flags(*options):
    return shlex.split(subprocess.run(['pkg-config', *options, 'vultus'], check=True, capture_output=True, text=True).stdout)


builder = cffi.FFI()
builder.set_source('vultus._binding', '#include <vultus/vultus.h>', extra_compile_args=flags('--cflags'),
                   extra_link_args=flags('--libs'))
builder.cdef('''
enum vultus_pass { VULTUS_PASS_PLAIN, VULTUS_PASS_MARGIN, VULTUS_PASS_TILE, ... };
enum vultus_attribute {
    VULTUS_ATTRIBUTE_MASK, VULTUS_ATTRIBUTE_LIVENESS, VULTUS_ATTRIBUTE_GENDER_AGE, VULTUS_ATTRIBUTE_QUALITY, ...
};
enum vultus_robust { VULTUS_ROBUST_AUTO, VULTUS_ROBUST_OFF, VULTUS_ROBUST_FULL, ... };
struct vultus_error { char text[...]; ...; };
struct vultus_runtime;
struct vultus_embedder;
struct vultus_pipeline;
struct vultus_picture { uint8_t *pixels; int width, height; size_t stride; };
struct vultus_runtime_options {
    int threads;
    const char *plan_directory;
    size_t max_picture_bytes;
    int64_t max_picture_pixels;
    int max_picture_dimension;
    ...;
};
struct vultus_build_options { int width, height, max_batch; ...; };
struct vultus_pipeline_options {
    const char *detector, *recogniser;
    struct vultus_build_options detector_build, recogniser_build;
    const char *const *attribute_models;
    size_t n_attribute_models;
    ...;
};
struct vultus_analyze_options {
    float threshold;
    enum vultus_robust robust;
    bool tile;
    int limit_faces, min_face_size;
    bool without_embeddings, with_crops;
    unsigned attributes;
    ...;
};
struct vultus_quality {
    float overall, norm, sharpness, size, yaw, pitch, roll, norm_part, sharpness_part, size_part, pose_part;
    ...;
};
struct vultus_attributes {
    unsigned present;
    float mask_probability, no_mask_probability;
    bool mask;
    float liveness;
    bool live;
    int gender, age;
    struct vultus_quality quality;
    ...;
};
struct vultus_face {
    float box[4], score, landmarks[5][2];
    enum vultus_pass pass;
    int turn;
    struct vultus_picture crop;
    const float *embedding;
    float norm;
    const char *failure;
    struct vultus_attributes attributes;
    ...;
};
struct vultus_faces { struct vultus_face *faces; size_t count; int dimension, width, height; ...; };

const char *vultus_version(void);
const char *vultus_status_name(int status);
void vultus_free(void *memory);
int vultus_starter_model(const char *name, char **path, struct vultus_error *error);

int vultus_runtime_create(
    const struct vultus_runtime_options *options, struct vultus_runtime **out, struct vultus_error *error);
void vultus_runtime_destroy(struct vultus_runtime *runtime);

int vultus_picture_decode(struct vultus_runtime *runtime, const void *bytes, size_t size, const char *name,
    struct vultus_picture *out, struct vultus_error *error);
void vultus_picture_release(struct vultus_picture *picture);

int vultus_pipeline_open(struct vultus_runtime *runtime, const struct vultus_pipeline_options *options,
    struct vultus_pipeline **out, struct vultus_error *error);
void vultus_pipeline_close(struct vultus_pipeline *pipeline);
int vultus_analyze(struct vultus_pipeline *pipeline, const struct vultus_picture *picture,
    const struct vultus_analyze_options *options, struct vultus_faces **out, struct vultus_error *error);
int vultus_analyze_encoded(struct vultus_pipeline *pipeline, const void *bytes, size_t size, const char *name,
    const struct vultus_analyze_options *options, struct vultus_faces **out, struct vultus_error *error);
void vultus_faces_free(struct vultus_faces *faces);

int vultus_embedder_open(struct vultus_runtime *runtime, const char *path, const struct vultus_build_options *options,
    struct vultus_embedder **out, struct vultus_error *error);
void vultus_embedder_close(struct vultus_embedder *embedder);
int vultus_embedder_dimension(const struct vultus_embedder *embedder);
void vultus_embedder_input_size(const struct vultus_embedder *embedder, int *width, int *height);
int vultus_embed(struct vultus_embedder *embedder, const uint8_t *crops, size_t count, float *embeddings, float *norms,
    struct vultus_error *error);
''')
