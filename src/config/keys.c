/* SPDX-License-Identifier: Apache-2.0 */
#include "config/keys.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "config/nearest.h"

#define MIB (1024.0 * 1024)

static const struct vt_key_info table[VT_KEY_COUNT] = {
    [VT_KEY_HOST] = {"host", VT_KIND_TEXT, "127.0.0.1", "ADDRESS", 0, 0, "", "address to listen on; 0.0.0.0: all"},
    [VT_KEY_PORT] = {"port", VT_KIND_INTEGER, "18081", "N", 0, 65535, "PORT", "port to listen on; 0: any free one"},
    [VT_KEY_DETECTOR] = {"det", VT_KIND_TEXT, "", "MODEL", 0, 0, "DET_NAME DET_MODEL detector",
        "face detector, ONNX, plan or name; empty: the starter pack's"},
    [VT_KEY_RECOGNISER] = {"rec", VT_KIND_TEXT, "", "MODEL", 0, 0, "REC_NAME REC_MODEL recogniser tensorrt.model_name",
        "face recogniser, ONNX, plan or name; empty: the starter pack's"},
    [VT_KEY_GENDERAGE] = {"genderage", VT_KIND_TEXT, "", "MODEL", 0, 0, "GA_NAME GA_MODEL",
        "model of gender and age; empty or none: answers hold null"},
    [VT_KEY_MASK_DETECTOR] = {"mask_detector", VT_KIND_TEXT, "", "MODEL", 0, 0, "MASK_DETECTOR",
        "model of worn masks; empty or none: answers hold null"},
    [VT_KEY_LIVENESS] = {"liveness", VT_KIND_TEXT, "", "MODEL,MODEL...", 0, 0, "",
        "models of liveness, fused; empty or none: answers hold null"},
    [VT_KEY_PLANS] = {"plans", VT_KIND_TEXT, "", "DIR", 0, 0, "tensorrt.engine_local_dir",
        "folder of plans; empty: the cache folder"},
    [VT_KEY_MODELS] = {"models", VT_KIND_TEXT, "", "DIR", 0, 0, "MODELS_DIR",
        "folder of pulled models; empty: the data folder"},
    [VT_KEY_INPUT_SIZE] = {"input_size", VT_KIND_SIZE, "640x640", "WxH", 32, 32768, "MAX_SIZE",
        "picture size of a detector that leaves it free, in steps of 32"},
    [VT_KEY_PRECISION] = {"precision", VT_KIND_CHOICE, "fp32", "fp32|tf32|fp16|bf16", 0, 0, "tensorrt.precision",
        "arithmetic of plans"},
    [VT_KEY_BACKENDS] = {"backends", VT_KIND_CHOICES, "tensorrt,cuda,cpu", "tensorrt|cuda|cpu|trt|onnx", 0, 0,
        "INFERENCE_BACKEND", "back ends in the order in which they are tried, separated by commas"},
    [VT_KEY_STRICT] = {"strict", VT_KIND_SWITCH, "off", "on|off", 0, 0, "",
        "the first of the back ends or none, instead of falling back"},
    [VT_KEY_DEVICES] = {"devices", VT_KIND_TEXT, "auto", "N,N...", 0, 0, "",
        "GPUs to use, as the driver counts them; auto: the first that can be used"},
    [VT_KEY_USE_NVJPEG] = {"use_nvjpeg", VT_KIND_SWITCH, "on", "on|off", 0, 0, "USE_NVJPEG",
        "whether GPUs decode JPEG, where libnvjpeg is there"},
    [VT_KEY_THREADS] = {"threads", VT_KIND_INTEGER, "0", "N", 0, 1024, "",
        "threads of the networks; 0: as many as processors"},
    [VT_KEY_WORKERS] = {"workers", VT_KIND_INTEGER, "48", "N", 1, 1024, "",
        "pictures in work at the same time, mostly waiting for batches"},
    [VT_KEY_MAX_BATCH] = {"max_batch", VT_KIND_INTEGER, "32", "N", 1, 65536, "tensorrt.max_batch_size",
        "largest batch of a network"},
    [VT_KEY_MAX_BATCH_DELAY_US] = {"max_batch_delay_us", VT_KIND_INTEGER, "10000", "US", 0, 1e6, "",
        "longest wait for others that are on their way to the same batch"},
    [VT_KEY_IMAGES_ROOT] = {"images_root", VT_KIND_TEXT, "/images", "DIR", 0, 0, "ROOT_IMAGES_DIR",
        "folder of urls that are paths; nothing outside it is read"},
    [VT_KEY_QUEUE_LENGTH] = {"queue_length", VT_KIND_INTEGER, "256", "N", 1, 1e6, "",
        "requests in work or waiting; more are answered 503"},
    [VT_KEY_MAX_CONNECTIONS] = {"max_connections", VT_KIND_INTEGER, "1000", "N", 1, 1e6, "", "open connections"},
    [VT_KEY_MAX_BODY_BYTES] = {"max_body_bytes", VT_KIND_INTEGER, "134217728", "N", 1, 1024 * MIB, "",
        "of one request"},
    [VT_KEY_MAX_BUFFERED_BYTES] = {"max_buffered_bytes", VT_KIND_INTEGER, "1073741824", "N", 1, 1e12, "",
        "of all requests' bodies and fetched pictures together"},
    [VT_KEY_MAX_PICTURES] = {"max_pictures", VT_KIND_INTEGER, "1024", "N", 1, 1e6, "", "pictures of one request"},
    [VT_KEY_MAX_PICTURE_BYTES] = {"max_picture_bytes", VT_KIND_INTEGER, "67108864", "N", 1, 2147483647.0, "",
        "of an encoded picture"},
    [VT_KEY_MAX_PICTURE_PIXELS] = {"max_picture_pixels", VT_KIND_INTEGER, "50000000", "N", 1, 2147483647.0, "",
        "of a decoded picture"},
    [VT_KEY_MAX_FACES] = {"max_faces", VT_KIND_INTEGER, "1000", "N", 1, 10000, "",
        "of a picture; of more the largest are kept"},
    [VT_KEY_IDLE_TIMEOUT] = {"idle_timeout", VT_KIND_INTEGER, "60", "S", 1, 86400, "",
        "seconds without a byte before a connection is closed"},
    [VT_KEY_BODY_TIMEOUT] = {"body_timeout", VT_KIND_INTEGER, "60", "S", 1, 86400, "",
        "seconds a request's body may take to arrive"},
    [VT_KEY_REQUEST_TIMEOUT] = {"request_timeout", VT_KIND_INTEGER, "120", "S", 1, 86400, "",
        "seconds a request may take once it is whole"},
    [VT_KEY_DRAIN_TIMEOUT] = {"drain_timeout", VT_KIND_INTEGER, "30", "S", 0, 86400, "",
        "seconds that requests in work are given when the server stops"},
    [VT_KEY_FETCH_PRIVATE] = {"fetch_private", VT_KIND_SWITCH, "off", "on|off", 0, 0, "",
        "whether urls may lead to private, loopback and link-local addresses"},
    [VT_KEY_FETCH_TIMEOUT] = {"fetch_timeout", VT_KIND_INTEGER, "60", "S", 1, 3600, "", "seconds for one try of a url"},
    [VT_KEY_FETCH_CONNECTIONS] = {"fetch_connections", VT_KIND_INTEGER, "64", "N", 1, 10000, "",
        "urls fetched at the same time; a quarter of them from one host"},
    [VT_KEY_FETCH_TRIES] = {"fetch_tries", VT_KIND_INTEGER, "5", "N", 1, 10, "",
        "tries of a url that fails for now, 1, 2, 4 and 5 seconds apart"},
    [VT_KEY_FETCH_HEADERS] = {"fetch_headers", VT_KIND_TEXT,
        "{\"User-Agent\":\"Mozilla/5.0 (X11; Linux x86_64; rv:126.0) Gecko/20100101 Firefox/126.0\"}", "JSON", 0, 0,
        "DEF_IMG_REQ_HEADERS", "headers for fetching urls, a JSON object"},
    [VT_KEY_CORS_ORIGIN] = {"cors_origin", VT_KIND_TEXT, "*", "ORIGIN", 0, 0, "",
        "whose pages may read answers; empty: none, *: any"},
    [VT_KEY_API_KEYS] = {"api_keys", VT_KIND_TEXT, "", "SHA256,SHA256...", 0, 0, "",
        "SHA-256 of the keys that clients need, in hexadecimal; empty: none is needed"},
    [VT_KEY_ADMIN_KEY] = {"admin_key", VT_KIND_TEXT, "", "SHA256", 0, 0, "",
        "SHA-256 of the key for changing models; empty: requests cannot"},
    [VT_KEY_TLS_CERTIFICATE] = {"tls_certificate", VT_KIND_TEXT, "", "FILE", 0, 0, "",
        "PEM file of the certificate and those above it; with it, https alone is spoken"},
    [VT_KEY_TLS_KEY] = {"tls_key", VT_KIND_TEXT, "", "FILE", 0, 0, "", "PEM file of the certificate's private key"},
    [VT_KEY_ACCESS_LOG] = {"access_log", VT_KIND_SWITCH, "on", "on|off", 0, 0, "", "a line of JSON for each request"},
    [VT_KEY_LOG_LEVEL] = {"log_level", VT_KIND_TEXT, "INFO", "LEVEL", 0, 0, "LOG_LEVEL", "error, warn, info or debug"},
    [VT_KEY_SHOWN_VERSION] = {"shown_version", VT_KIND_TEXT, "0.9.5.0", "TEXT", 0, 0, "IFR_VERSION",
        "version that /info shows"},
    [VT_KEY_DEFAULT_THRESHOLD] = {"default_threshold", VT_KIND_NUMBER, "0.6", "S", 0, 1, "DEF_DET_THRESH",
        "detection score where a request names none"},
    [VT_KEY_DEFAULT_FACE_DATA] = {"default_face_data", VT_KIND_SWITCH, "off", "on|off", 0, 0, "DEF_RETURN_FACE_DATA",
        "return_face_data where a request does not say"},
    [VT_KEY_DEFAULT_LANDMARKS] = {"default_landmarks", VT_KIND_SWITCH, "off", "on|off", 0, 0, "DEF_RETURN_LANDMARKS",
        "return_landmarks where a request does not say"},
    [VT_KEY_DEFAULT_EMBEDDING] = {"default_embedding", VT_KIND_SWITCH, "on", "on|off", 0, 0, "DEF_EXTRACT_EMBEDDING",
        "extract_embedding where a request does not say"},
    [VT_KEY_DEFAULT_GENDERAGE] = {"default_genderage", VT_KIND_SWITCH, "off", "on|off", 0, 0, "DEF_EXTRACT_GA",
        "extract_ga where a request does not say"},
    [VT_KEY_DEFAULT_MASKS] = {"default_masks", VT_KIND_SWITCH, "off", "on|off", 0, 0, "DEF_DETECT_MASKS",
        "detect_masks where a request does not say"},
};

/* Variables of InsightFace-REST that mean nothing here; files may hold them too. */
static const char *const without_meaning[] = {"NUM_WORKERS", "REC_BATCH_SIZE", "DET_BATCH_SIZE", "FORCE_FP16",
    "TRITON_URI", "DEF_SSLV3_HACK", "FACE_MODEL_CLASS", "TRT_VERSION", "TENSORRT_VERSION", "tensorrt.workspace_size_mb",
    "comparison.min_cosine_similarity"};

const struct vt_key_info *vt_key_info(enum vt_key key) { return &table[key]; }

/* ---------------------------------------------------------------- names */

void vt_key_environment_name(enum vt_key key, char *text, size_t size) {
    int length = snprintf(text, size, "VULTUS_%s", table[key].name);
    for (int i = 0; i < length && (size_t)i < size; i++) text[i] = (char)toupper((unsigned char)text[i]);
}

void vt_key_flag_name(enum vt_key key, char *text, size_t size) {
    snprintf(text, size, "--%s", table[key].name);
    for (char *c = text; *c; c++)
        if (*c == '_') *c = '-';
}

enum vt_key vt_key_of_flag(const char *flag) {
    char name[64];
    for (int k = 0; k < VT_KEY_COUNT; k++) {
        vt_key_flag_name((enum vt_key)k, name, sizeof name);
        if (strcmp(name + 2, flag) == 0) return (enum vt_key)k;
    }
    return VT_KEY_COUNT;
}

/* Whether `name` is one of the blank-separated `list`, in any case. */
static bool is_listed(const char *list, const char *name) {
    size_t length = strlen(name);
    while (*list) {
        size_t word = strcspn(list, " ");
        if (word == length && strncasecmp(list, name, length) == 0) return true;
        list += word + (list[word] != '\0');
    }
    return false;
}

enum vt_key vt_key_of_name(const char *name) {
    for (int k = 0; k < VT_KEY_COUNT; k++)
        if (strcmp(table[k].name, name) == 0) return (enum vt_key)k;
    for (int k = 0; k < VT_KEY_COUNT; k++)
        if (is_listed(table[k].other_names, name)) return (enum vt_key)k;
    return VT_KEY_COUNT;
}

const char *vt_key_suggest(const char *name) {
    const char *found = NULL;
    int best = INT_MAX;
    for (int k = 0; k < VT_KEY_COUNT; k++)
        if (vt_is_nearer(name, table[k].name, &best)) found = table[k].name;
    return found;
}

bool vt_key_is_ignored(const char *name) {
    for (size_t i = 0; i < sizeof without_meaning / sizeof *without_meaning; i++)
        if (strcasecmp(without_meaning[i], name) == 0) return true;
    return false;
}

/* ---------------------------------------------------------------- values */

bool vt_key_read_switch(const char *text, int64_t *out) {
    static const char *const words[2][6] = {
        {"off", "false", "no", "0", "n", "f"}, {"on", "true", "yes", "1", "y", "t"}};
    for (int value = 0; value < 2; value++)
        for (int i = 0; i < 6; i++)
            if (strcasecmp(words[value][i], text) == 0) {
                *out = value;
                return true;
            }
    return false;
}

/* "640x640", "640,640" or "[640, 480]". */
static bool read_size(const struct vt_key_info *info, const char *text, struct vt_key_value *value) {
    int n = -1;
    const char *const forms[] = {"%dx%d%n", "%d , %d %n", " [ %d , %d ] %n"};
    for (int i = 0; i < 3; i++) {
        n = -1;
        if (sscanf(text, forms[i], &value->width, &value->height, &n) == 2 && n >= 0 && !text[n]) break;
        n = -1;
    }
    if (n < 0 || value->width < info->least || value->height < info->least || value->width > info->most ||
        value->height > info->most)
        return false;
    value->width -= value->width % 32;
    value->height -= value->height % 32;
    return true;
}

/* `text` of `length` bytes. */
static bool is_choice(const char *choices, const char *text, size_t length) {
    for (const char *at = choices; length && at; at = strchr(at, '|') ? strchr(at, '|') + 1 : NULL)
        if (strncmp(at, text, length) == 0 && (!at[length] || at[length] == '|')) return true;
    return false;
}

bool vt_are_choices(const char *choices, const char *text) {
    for (;;) {
        text += strspn(text, " ");
        size_t part = strcspn(text, ","), length = part;
        while (length > 0 && text[length - 1] == ' ') length--;
        if (!is_choice(choices, text, length)) return false;
        if (!text[part]) return true;
        text += part + 1;
    }
}

static bool read_value(const struct vt_key_info *info, const char *text, struct vt_key_value *value) {
    char *end;
    errno = 0;
    switch (info->kind) {
    case VT_KIND_TEXT: return true;
    case VT_KIND_CHOICE: return is_choice(info->argument, text, strlen(text));
    case VT_KIND_CHOICES: return vt_are_choices(info->argument, text);
    case VT_KIND_SWITCH: return vt_key_read_switch(text, &value->integer);
    case VT_KIND_SIZE: return read_size(info, text, value);
    case VT_KIND_INTEGER:
        value->integer = strtoll(text, &end, 10);
        return end != text && !*end && !errno && (double)value->integer >= info->least &&
               (double)value->integer <= info->most;
    case VT_KIND_NUMBER:
        value->number = strtod(text, &end);
        return end != text && !*end && value->number >= info->least && value->number <= info->most;
    }
    return false;
}

static void describe_values(const struct vt_key_info *info, char *text, size_t size) {
    switch (info->kind) {
    case VT_KIND_INTEGER: snprintf(text, size, "a whole number from %.0f to %.0f", info->least, info->most); break;
    case VT_KIND_NUMBER: snprintf(text, size, "a number from %g to %g", info->least, info->most); break;
    case VT_KIND_SIZE: snprintf(text, size, "WIDTHxHEIGHT, each from %.0f to %.0f", info->least, info->most); break;
    default: snprintf(text, size, "%s", info->argument);
    }
}

enum vultus_status vt_configuration_set(struct vt_configuration *configuration, enum vt_key key, const char *text,
    enum vt_source source, const char *origin, struct vultus_error *error) {
    struct vt_key_value value = {.source = source};
    if (!read_value(&table[key], text, &value)) {
        char wanted[96];
        describe_values(&table[key], wanted, sizeof wanted);
        return vt_fail(
            error, VULTUS_ERROR_INVALID, "%s: %s is \"%.64s\"; it takes %s", origin, table[key].name, text, wanted);
    }
    if (source < configuration->values[key].source) return VULTUS_OK;
    if (!(value.text = vt_arena_strdup(&configuration->arena, text)))
        return vt_fail_memory(error, "a setting", strlen(text));
    snprintf(value.origin, sizeof value.origin, "%s", origin);
    configuration->values[key] = value;
    return VULTUS_OK;
}

enum vultus_status vt_configuration_init(struct vt_configuration *configuration, struct vultus_error *error) {
    vt_arena_init(&configuration->arena, 0);
    enum vultus_status status = VULTUS_OK;
    for (int k = 0; !status && k < VT_KEY_COUNT; k++)
        status =
            vt_configuration_set(configuration, (enum vt_key)k, table[k].fallback, VT_FROM_DEFAULT, "default", error);
    return status;
}

void vt_configuration_fini(struct vt_configuration *configuration) { vt_arena_fini(&configuration->arena); }

/* ---------------------------------------------------------------- environment */

/* Sets the key from the variable `name`, unless that is not set or empty. */
static enum vultus_status take_variable(
    struct vt_configuration *configuration, enum vt_key key, const char *name, struct vultus_error *error) {
    const char *text = getenv(name);
    if (!text || !*text) return VULTUS_OK;
    return vt_configuration_set(configuration, key, text, VT_FROM_ENVIRONMENT, name, error);
}

enum vultus_status vt_configuration_read_environment(
    struct vt_configuration *configuration, struct vultus_error *error) {
    for (int k = 0; k < VT_KEY_COUNT; k++) {
        char name[64];
        enum vultus_status status = VULTUS_OK;
        for (const char *list = table[k].other_names; !status && *list;) {
            int length = (int)strcspn(list, " ");
            snprintf(name, sizeof name, "%.*s", length, list);
            bool is_variable = isupper((unsigned char)*name);
            if (is_variable) status = take_variable(configuration, (enum vt_key)k, name, error);
            list += length + (list[length] != '\0');
        }
        /* Last, so that our own name wins. */
        vt_key_environment_name((enum vt_key)k, name, sizeof name);
        if (!status) status = take_variable(configuration, (enum vt_key)k, name, error);
        if (status) return status;
    }
    return VULTUS_OK;
}

/* ---------------------------------------------------------------- printing */

static void print_quoted(const char *text, struct vt_strbuf *out) {
    vt_strbuf_puts(out, "'");
    for (; *text; text++) vt_strbuf_append(out, *text == '\'' ? "''" : text, *text == '\'' ? 2 : 1);
    vt_strbuf_puts(out, "'");
}

void vt_configuration_print(const struct vt_configuration *configuration, struct vt_strbuf *out) {
    for (int k = 0; k < VT_KEY_COUNT; k++) {
        const struct vt_key_value *value = &configuration->values[k];
        vt_strbuf_printf(out, "%s: ", table[k].name);
        /* Headers may hold an authorization token. */
        if (k == VT_KEY_FETCH_HEADERS && strcmp(value->text, table[k].fallback) != 0)
            vt_strbuf_puts(out, "'(not shown)'");
        else if (table[k].kind == VT_KIND_TEXT || table[k].kind == VT_KIND_SIZE || table[k].kind == VT_KIND_CHOICES)
            print_quoted(value->text, out);
        else
            vt_strbuf_puts(out, value->text);
        vt_strbuf_printf(out, "  # %s\n", value->origin);
    }
}
