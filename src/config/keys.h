/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_CONFIG_KEYS_H
#define VT_CONFIG_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"
#include "base/strbuf.h"

/*
 * Every key of the server: its name in vultus.yaml; the flag is --name with dashes, the environment variable VULTUS_
 * and the name in capitals, unless the table says otherwise. Other names are those of InsightFace-REST and of older
 * files.
 */
enum vt_key {
    VT_KEY_HOST,
    VT_KEY_PORT,
    VT_KEY_DETECTOR,
    VT_KEY_RECOGNISER,
    VT_KEY_GENDERAGE,
    VT_KEY_MASK_DETECTOR,
    VT_KEY_LIVENESS,
    VT_KEY_PLANS,
    VT_KEY_MODELS,
    VT_KEY_INPUT_SIZE,
    VT_KEY_PRECISION,
    VT_KEY_BACKENDS,
    VT_KEY_STRICT,
    VT_KEY_DEVICES,
    VT_KEY_USE_NVJPEG,
    VT_KEY_THREADS,
    VT_KEY_WORKERS,
    VT_KEY_MAX_BATCH,
    VT_KEY_MAX_BATCH_DELAY_US,
    VT_KEY_IMAGES_ROOT,
    VT_KEY_QUEUE_LENGTH,
    VT_KEY_MAX_CONNECTIONS,
    VT_KEY_MAX_BODY_BYTES,
    VT_KEY_MAX_BUFFERED_BYTES,
    VT_KEY_MAX_PICTURES,
    VT_KEY_MAX_PICTURE_BYTES,
    VT_KEY_MAX_PICTURE_PIXELS,
    VT_KEY_MAX_FACES,
    VT_KEY_IDLE_TIMEOUT,
    VT_KEY_BODY_TIMEOUT,
    VT_KEY_REQUEST_TIMEOUT,
    VT_KEY_DRAIN_TIMEOUT,
    VT_KEY_FETCH_PRIVATE,
    VT_KEY_FETCH_TIMEOUT,
    VT_KEY_FETCH_CONNECTIONS,
    VT_KEY_FETCH_TRIES,
    VT_KEY_FETCH_HEADERS,
    VT_KEY_CORS_ORIGIN,
    VT_KEY_API_KEYS,
    VT_KEY_ADMIN_KEY,
    VT_KEY_TLS_CERTIFICATE,
    VT_KEY_TLS_KEY,
    VT_KEY_ACCESS_LOG,
    VT_KEY_LOG_LEVEL,
    VT_KEY_SHOWN_VERSION,
    VT_KEY_DEFAULT_THRESHOLD,
    VT_KEY_DEFAULT_FACE_DATA,
    VT_KEY_DEFAULT_LANDMARKS,
    VT_KEY_DEFAULT_EMBEDDING,
    VT_KEY_DEFAULT_GENDERAGE,
    VT_KEY_DEFAULT_MASKS,
    VT_KEY_COUNT
};

enum vt_key_kind {
    VT_KIND_TEXT,
    VT_KIND_INTEGER,
    VT_KIND_NUMBER,
    VT_KIND_SWITCH,
    VT_KIND_SIZE,
    VT_KIND_CHOICE,
    VT_KIND_CHOICES /* several, separated by commas */
};

struct vt_key_info {
    const char *name;
    enum vt_key_kind kind;
    const char *fallback;    /* as text; "" for an empty one */
    const char *argument;    /* for --help; of a CHOICE and of CHOICES the words, separated by '|' */
    double least, most;      /* INTEGER, NUMBER, sides of a SIZE */
    const char *other_names; /* of the environment and of files, separated by blanks; in files also lower case */
    const char *meaning;
};
const struct vt_key_info *vt_key_info(enum vt_key key);

enum vt_source { VT_FROM_DEFAULT, VT_FROM_FILE, VT_FROM_ENVIRONMENT, VT_FROM_FLAG };

struct vt_key_value {
    const char *text; /* as it was written; belongs to the configuration */
    int64_t integer;  /* INTEGER; SWITCH: 0 or 1 */
    double number;    /* NUMBER */
    int width, height;
    enum vt_source source;
    char origin[48]; /* "default", "VULTUS_PORT", "--port", "vultus.yaml:12" */
};

/* Effective values. Zero it, then call vt_configuration_init. */
struct vt_configuration {
    struct vt_arena arena;
    struct vt_key_value values[VT_KEY_COUNT];
};

/* Defaults. */
enum vultus_status vt_configuration_init(struct vt_configuration *configuration, struct vultus_error *error);
void vt_configuration_fini(struct vt_configuration *configuration);

/*
 * Sources may be read in any order: a value of a stronger source (flag > environment > file > default) is not replaced
 * by a weaker one's. Errors name the key, the place and, for an unknown key, the nearest known one.
 */
enum vultus_status vt_configuration_read_file(
    struct vt_configuration *configuration, const char *path, struct vultus_error *error);
/* `text` of `size` bytes as if it were the file `path`. */
enum vultus_status vt_configuration_read_text(struct vt_configuration *configuration, const char *text, size_t size,
    const char *path, struct vultus_error *error);
enum vultus_status vt_configuration_read_environment(
    struct vt_configuration *configuration, struct vultus_error *error);
/* Sets one value, checked; for flags. */
enum vultus_status vt_configuration_set(struct vt_configuration *configuration, enum vt_key key, const char *text,
    enum vt_source source, const char *origin, struct vultus_error *error);

/* The key of a flag's name without dashes in front ("max-body-bytes"), or of a name in a file; VT_KEY_COUNT: unknown.
 */
enum vt_key vt_key_of_flag(const char *flag);
enum vt_key vt_key_of_name(const char *name);
/* The known name nearest to a mistyped one, or NULL. */
const char *vt_key_suggest(const char *name);
/* Whether a name of InsightFace-REST's or of older files means nothing here, so that it is passed over. */
bool vt_key_is_ignored(const char *name);
/* "VULTUS_MAX_BODY_BYTES" and "--max-body-bytes". */
void vt_key_environment_name(enum vt_key key, char *text, size_t size);
void vt_key_flag_name(enum vt_key key, char *text, size_t size);

/* Whether `text` is one or more of `choices` ("a|b|c"), separated by commas; blanks may stand beside these. */
bool vt_are_choices(const char *choices, const char *text);
/* "on", "yes", "true", "1" and the like: *out 1; "off" and so on: 0. False: it is neither. */
bool vt_key_read_switch(const char *text, int64_t *out);

/* One line a key, "name: value  # source", as YAML that reads back; secrets are not shown. */
void vt_configuration_print(const struct vt_configuration *configuration, struct vt_strbuf *out);

#endif
