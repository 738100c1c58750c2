/* SPDX-License-Identifier: Apache-2.0 */
#include "answer.h"

#include <limits.h>
#include <stddef.h>

#include "models.h"

/* Fields, their order and when they are present are InsightFace-REST's. */

static const char no_reason[] = "Can't decode file, possibly not an image";

static int truncated(float value) {
    return value >= (float)INT_MAX ? INT_MAX : value <= (float)INT_MIN ? INT_MIN : (int)value;
}

static void add_number(struct vt_emitter *out, const char *name, double value) {
    vt_emit_key(out, name);
    vt_emit_number(out, value);
}

static void add_text(struct vt_emitter *out, const char *name, const char *text) {
    vt_emit_key(out, name);
    vt_emit_text(out, text);
}

/* ---------------------------------------------------------------- a face */

enum { PROCESSED_FIELDS = 6 };

/* What was not asked for, or not told, is null. */
static void write_processed(struct vt_emitter *out, unsigned wanted, const struct vultus_attributes *told) {
    unsigned have = wanted & told->present;
    bool aged = have & VULTUS_ATTRIBUTE_GENDER_AGE, masked = have & VULTUS_ATTRIBUTE_MASK;
    const int numbers[] = {told->gender, told->age};
    static const char *const names[] = {"gender", "age"};
    for (int i = 0; i < 2; i++) {
        vt_emit_key(out, names[i]);
        if (aged)
            vt_emit_integer(out, numbers[i]);
        else
            vt_emit_null(out);
    }
    vt_emit_key(out, "mask");
    if (masked)
        vt_emit_bool(out, told->mask);
    else
        vt_emit_null(out);
    vt_emit_key(out, "mask_probs");
    if (!masked) {
        vt_emit_null(out);
        return;
    }
    vt_emit_map(out, 2);
    add_number(out, "mask", told->mask_probability);
    add_number(out, "no_mask", told->no_mask_probability);
    vt_emit_map_end(out);
}

static void write_embedding(struct vt_emitter *out, const float *embedding, float norm, int dimension) {
    vt_emit_key(out, "norm");
    if (embedding)
        vt_emit_number(out, norm);
    else
        vt_emit_null(out);
    vt_emit_key(out, "vec");
    if (embedding)
        vt_emit_floats(out, embedding, (uint32_t)dimension);
    else
        vt_emit_null(out);
}

static void write_box(struct vt_emitter *out, const float box[4]) {
    vt_emit_key(out, "bbox");
    vt_emit_list(out, 4);
    for (int i = 0; i < 4; i++) vt_emit_integer(out, truncated(box[i]));
    vt_emit_list_end(out);
}

static void write_landmarks(struct vt_emitter *out, const float landmarks[VULTUS_LANDMARKS][2]) {
    vt_emit_key(out, "landmarks");
    vt_emit_list(out, VULTUS_LANDMARKS);
    for (int i = 0; i < VULTUS_LANDMARKS; i++) {
        vt_emit_list(out, 2);
        vt_emit_integer(out, truncated(landmarks[i][0]));
        vt_emit_integer(out, truncated(landmarks[i][1]));
        vt_emit_list_end(out);
    }
    vt_emit_list_end(out);
}

static void write_face(struct vt_emitter *out, const struct vt_picture_job *job, size_t i) {
    const struct vt_wanted *wanted = job->set->wanted;
    const struct vultus_face *face = &job->faces->faces[i];
    bool processed = wanted->extract_embedding || wanted->extract_ga || wanted->detect_masks;
    uint32_t fields = 5 + (uint32_t)wanted->return_landmarks + (uint32_t)wanted->return_face_data +
                      (processed ? PROCESSED_FIELDS : 0) + (wanted->attributes != 0);
    vt_emit_map(out, fields);
    write_box(out, face->box);
    if (wanted->return_landmarks) write_landmarks(out, face->landmarks);
    add_number(out, "prob", face->score);
    vt_emit_key(out, "num_det");
    vt_emit_integer(out, (int64_t)i);
    add_number(out, "scale", job->faces->scale);
    if (wanted->return_face_data) {
        vt_emit_key(out, "facedata");
        vt_emit_base64(out, job->crops[i].bytes, job->crops[i].size);
    }
    if (processed) {
        write_embedding(out, face->embedding, face->norm, job->faces->dimension);
        write_processed(out, vt_wanted_attributes(wanted), &face->attributes);
    }
    if (wanted->attributes) vt_answer_attributes(out, wanted->attributes, &face->attributes);
    vt_emit_key(out, "size");
    vt_emit_integer(out, truncated(face->box[2] - face->box[0]));
    vt_emit_map_end(out);
}

/* ---------------------------------------------------------------- pictures */

static bool is_wide_enough(const struct vt_wanted *wanted, const struct vultus_face *face) {
    return wanted->min_face_size <= 0 || face->box[2] - face->box[0] >= (float)wanted->min_face_size;
}

static double picture_ms(const struct vt_picture_job *job) {
    double sum = 0;
    for (int s = VT_STAGE_DECODE; s <= VT_STAGE_ATTRIBUTES; s++) sum += job->stages[s];
    return sum;
}

static void write_picture(struct vt_emitter *out, const struct vt_picture_job *job, bool indexed) {
    size_t found = job->failed || !job->faces ? 0 : job->faces->count, shown = 0;
    for (size_t i = 0; i < found; i++) shown += is_wide_enough(job->set->wanted, &job->faces->faces[i]);
    vt_emit_map(out, 3 + (uint32_t)job->failed + (uint32_t)indexed);
    if (indexed) {
        vt_emit_key(out, "index");
        vt_emit_integer(out, job - job->set->jobs);
    }
    add_text(out, "status", job->failed ? "failed" : "ok");
    add_number(out, "took_ms", job->failed ? 0 : picture_ms(job));
    vt_emit_key(out, "faces");
    vt_emit_list(out, (uint32_t)shown);
    for (size_t i = 0; i < found; i++)
        if (is_wide_enough(job->set->wanted, &job->faces->faces[i])) write_face(out, job, i);
    vt_emit_list_end(out);
    if (job->failed) add_text(out, "traceback", job->failure ? job->failure : no_reason);
    vt_emit_map_end(out);
}

void vt_answer_faces(struct vt_emitter *out, const struct vt_picture_set *set, const struct vt_took *took) {
    bool verbose = set->wanted->verbose_timings;
    vt_emit_map(out, 2);
    vt_emit_key(out, "took");
    vt_emit_map(out, verbose ? 3 : 1);
    add_number(out, "total_ms", took->total);
    if (verbose) {
        add_number(out, "read_imgs_ms", took->read);
        add_number(out, "embed_all_ms", took->search);
    }
    vt_emit_map_end(out);
    vt_emit_key(out, "data");
    vt_emit_list(out, (uint32_t)set->count);
    for (size_t i = 0; i < set->count; i++) write_picture(out, &set->jobs[i], false);
    vt_emit_list_end(out);
    vt_emit_map_end(out);
}

/* ---------------------------------------------------------------- crops */

static void write_crop(struct vt_emitter *out, const struct vt_embedded *crop, int dimension) {
    if (!crop->embedding) {
        vt_emit_map(out, 2);
        add_text(out, "status", "failed");
        add_text(out, "traceback", crop->failure ? crop->failure : no_reason);
        vt_emit_map_end(out);
        return;
    }
    vt_emit_map(out, PROCESSED_FIELDS + 4);
    write_embedding(out, crop->embedding, crop->norm, dimension);
    write_processed(out, crop->attributes.present, &crop->attributes);
    write_box(out, (const float[4]){0, 0, 112, 112});
    vt_emit_key(out, "size");
    vt_emit_integer(out, 112);
    add_number(out, "prob", 1);
    add_text(out, "status", "ok");
    vt_emit_map_end(out);
}

void vt_answer_crops(struct vt_emitter *out, const struct vt_embedded *crops, size_t count, int dimension,
    double took_ms, const char *failure) {
    vt_emit_map(out, failure ? 4 : 3);
    add_number(out, "took_ms", took_ms);
    vt_emit_key(out, "data");
    vt_emit_list(out, (uint32_t)count);
    for (size_t i = 0; i < count; i++) {
        vt_emit_map(out, 3);
        add_text(out, "status", "ok");
        vt_emit_key(out, "took_ms");
        vt_emit_integer(out, 0);
        vt_emit_key(out, "faces");
        vt_emit_list(out, 1);
        write_crop(out, &crops[i], dimension);
        vt_emit_list_end(out);
        vt_emit_map_end(out);
    }
    vt_emit_list_end(out);
    add_text(out, "status", failure ? "failed" : "ok");
    if (failure) add_text(out, "traceback", failure);
    vt_emit_map_end(out);
}

/* Without index where that is negative. */
static void write_plain(struct vt_emitter *out, const struct vt_embedded *crop, int dimension, ptrdiff_t index) {
    vt_emit_map(out, (crop->embedding ? 3 : 2) + (index >= 0));
    if (index >= 0) {
        vt_emit_key(out, "index");
        vt_emit_integer(out, index);
    }
    add_text(out, "status", crop->embedding ? "ok" : "failed");
    if (crop->embedding)
        write_embedding(out, crop->embedding, crop->norm, dimension);
    else
        add_text(out, "failure", crop->failure ? crop->failure : no_reason);
    vt_emit_map_end(out);
}

void vt_answer_embeddings(
    struct vt_emitter *out, const struct vt_embedded *crops, size_t count, int dimension, double took_ms) {
    vt_emit_map(out, 3);
    add_number(out, "took_ms", took_ms);
    vt_emit_key(out, "dimension");
    vt_emit_integer(out, dimension);
    vt_emit_key(out, "data");
    vt_emit_list(out, (uint32_t)count);
    for (size_t i = 0; i < count; i++) write_plain(out, &crops[i], dimension, -1);
    vt_emit_list_end(out);
    vt_emit_map_end(out);
}

/* ---------------------------------------------------------------- lines */

void vt_answer_line(struct vt_emitter *out, const struct vt_picture_job *job) {
    const struct vt_picture_set *set = job->set;
    struct vt_embedded crop = {
        .embedding = job->failed ? NULL : job->embedding, .norm = job->norm, .failure = job->failure};
    if (set->wanted->plain_embeddings)
        write_plain(out, &crop, set->request->models->info.dimension, job - set->jobs);
    else
        write_picture(out, job, true);
}
