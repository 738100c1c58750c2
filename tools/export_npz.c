/* SPDX-License-Identifier: Apache-2.0
 * Columns of numbers and texts. Each is gathered in a temporary file, since an array begins with its size, and then
 * packed.
 */
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zip.h>

#include "base/file.h"
#include "base/status.h"
#include "export.h"

enum kind { FLOATS, INTEGERS, TEXTS };

/* Of photos, or of faces; `width` numbers a row, 0: a single one. */
enum column {
    FILE_NAME,
    ERROR,
    WIDTH,
    HEIGHT,
    FACES,
    PHOTO,
    BOX,
    SCORE,
    LANDMARKS,
    PASS,
    TURN,
    NORM,
    EMBEDDING,
    FAILURE,
    FIRST_ATTRIBUTE,
    MASK = FIRST_ATTRIBUTE,
    MASK_PROBABILITY,
    NO_MASK_PROBABILITY,
    LIVE,
    LIVE_PROBABILITY,
    GENDER,
    AGE,
    QUALITY,
    QUALITY_NORM,
    QUALITY_SHARPNESS,
    QUALITY_SIZE,
    QUALITY_YAW,
    QUALITY_PITCH,
    QUALITY_ROLL,
    QUALITY_NORM_PART,
    QUALITY_SHARPNESS_PART,
    QUALITY_SIZE_PART,
    QUALITY_POSE_PART,
    COLUMNS
};
static const struct {
    const char *name;
    enum kind kind;
    bool of_faces;
    const char *shape;   /* of a row, as NumPy writes it after the number of rows; NULL: as found */
    const char *path[3]; /* of an attribute below a face's attributes, as far as it is not NULL */
} layout[COLUMNS] = {
    [FILE_NAME] = {"file", TEXTS, false, ""},
    [ERROR] = {"error", TEXTS, false, ""},
    [WIDTH] = {"width", INTEGERS, false, ""},
    [HEIGHT] = {"height", INTEGERS, false, ""},
    [FACES] = {"faces", INTEGERS, false, ""},
    [PHOTO] = {"photo", INTEGERS, true, ""},
    [BOX] = {"bbox", FLOATS, true, ", 4"},
    [SCORE] = {"score", FLOATS, true, ""},
    [LANDMARKS] = {"landmarks", FLOATS, true, ", 5, 2"},
    [PASS] = {"pass", TEXTS, true, ""},
    [TURN] = {"turn", INTEGERS, true, ""},
    [NORM] = {"norm", FLOATS, true, ""},
    [EMBEDDING] = {"embedding", FLOATS, true, NULL},
    [FAILURE] = {"failure", TEXTS, true, ""},
    [MASK] = {"mask", INTEGERS, true, "", {"mask", "mask"}},
    [MASK_PROBABILITY] = {"mask_probability", FLOATS, true, "", {"mask", "probability"}},
    [NO_MASK_PROBABILITY] = {"no_mask_probability", FLOATS, true, "", {"mask", "no_mask_probability"}},
    [LIVE] = {"live", INTEGERS, true, "", {"liveness", "live"}},
    [LIVE_PROBABILITY] = {"live_probability", FLOATS, true, "", {"liveness", "probability"}},
    [GENDER] = {"gender", TEXTS, true, "", {"gender_age", "gender"}},
    [AGE] = {"age", INTEGERS, true, "", {"gender_age", "age"}},
    [QUALITY] = {"quality", FLOATS, true, "", {"quality", "overall"}},
    [QUALITY_NORM] = {"quality_norm", FLOATS, true, "", {"quality", "norm"}},
    [QUALITY_SHARPNESS] = {"quality_sharpness", FLOATS, true, "", {"quality", "sharpness"}},
    [QUALITY_SIZE] = {"quality_size", FLOATS, true, "", {"quality", "size"}},
    [QUALITY_YAW] = {"quality_yaw", FLOATS, true, "", {"quality", "yaw"}},
    [QUALITY_PITCH] = {"quality_pitch", FLOATS, true, "", {"quality", "pitch"}},
    [QUALITY_ROLL] = {"quality_roll", FLOATS, true, "", {"quality", "roll"}},
    [QUALITY_NORM_PART] = {"quality_norm_part", FLOATS, true, "", {"quality", "parts", "norm"}},
    [QUALITY_SHARPNESS_PART] = {"quality_sharpness_part", FLOATS, true, "", {"quality", "parts", "sharpness"}},
    [QUALITY_SIZE_PART] = {"quality_size_part", FLOATS, true, "", {"quality", "parts", "size"}},
    [QUALITY_POSE_PART] = {"quality_pose_part", FLOATS, true, "", {"quality", "parts", "pose"}},
};

struct table {
    FILE *columns[COLUMNS];  /* numbers as they are; texts as UTF-32 with a final 0 */
    size_t longest[COLUMNS]; /* text, in characters */
    bool seen[COLUMNS];      /* attributes that some face has; the others are not written */
    size_t photos, faces, dimension;
    const char *path;
};

/* ---------------------------------------------------------------- gathering */

static void put_integer(struct table *table, enum column column, json_int_t value) {
    int32_t number = (int32_t)value;
    fwrite(&number, sizeof number, 1, table->columns[column]);
}

/* NaN for what is no number. */
static void put_float(struct table *table, enum column column, const json_t *value) {
    float number = json_is_number(value) ? (float)json_number_value(value) : NAN;
    fwrite(&number, sizeof number, 1, table->columns[column]);
}

static void put_floats(struct table *table, enum column column, const json_t *array, size_t count) {
    for (size_t i = 0; i < count; i++) put_float(table, column, json_array_get(array, i));
}

/* Jansson's strings are valid UTF-8. */
static uint32_t next_character(const unsigned char **text) {
    const unsigned char *t = *text;
    int more = *t < 0x80 ? 0 : *t < 0xe0 ? 1 : *t < 0xf0 ? 2 : 3;
    uint32_t character = more ? *t & (0x3fu >> more) : *t;
    for (int i = 1; i <= more; i++) character = character << 6 | (t[i] & 0x3fu);
    *text = t + more + 1;
    return character;
}

static void put_text(struct table *table, enum column column, const json_t *value) {
    const char *string = json_string_value(value);
    size_t length = 0;
    for (const unsigned char *text = (const unsigned char *)(string ? string : ""); *text; length++) {
        uint32_t character = next_character(&text);
        fwrite(&character, sizeof character, 1, table->columns[column]);
    }
    fwrite(&(uint32_t){0}, sizeof(uint32_t), 1, table->columns[column]);
    if (length > table->longest[column]) table->longest[column] = length;
}

/* What a face lacks is NaN, -1 or an empty text. */
static void put_attribute(struct table *table, enum column column, const json_t *attributes) {
    const json_t *value = attributes;
    for (size_t i = 0; i < sizeof layout[column].path / sizeof(char *) && layout[column].path[i]; i++)
        value = json_object_get(value, layout[column].path[i]);
    table->seen[column] |= value != NULL;
    switch (layout[column].kind) {
    case FLOATS: put_float(table, column, value); break;
    case TEXTS: put_text(table, column, value); break;
    case INTEGERS:
        put_integer(table, column,
            json_is_boolean(value)   ? json_is_true(value)
            : json_is_integer(value) ? json_integer_value(value)
                                     : -1);
        break;
    }
}

static void put_face(struct table *table, const json_t *face) {
    put_integer(table, PHOTO, (json_int_t)table->photos);
    put_floats(table, BOX, json_object_get(face, "bbox"), 4);
    put_float(table, SCORE, json_object_get(face, "score"));
    const json_t *landmarks = json_object_get(face, "landmarks");
    for (size_t i = 0; i < VULTUS_LANDMARKS; i++) put_floats(table, LANDMARKS, json_array_get(landmarks, i), 2);
    put_text(table, PASS, json_object_get(face, "pass"));
    put_integer(table, TURN, json_integer_value(json_object_get(face, "turn")));
    put_float(table, NORM, json_object_get(face, "norm"));
    put_floats(table, EMBEDDING, json_object_get(face, "embedding"), table->dimension);
    put_text(table, FAILURE, json_object_get(face, "failure"));
    for (int c = FIRST_ATTRIBUTE; c < COLUMNS; c++)
        put_attribute(table, (enum column)c, json_object_get(face, "attributes"));
    table->faces++;
}

static void put_photo(struct table *table, const json_t *record) {
    const json_t *faces = json_object_get(record, "faces");
    put_text(table, FILE_NAME, json_object_get(record, "file"));
    put_text(table, ERROR, json_object_get(record, "error"));
    put_integer(table, WIDTH, json_integer_value(json_object_get(record, "width")));
    put_integer(table, HEIGHT, json_integer_value(json_object_get(record, "height")));
    put_integer(table, FACES, (json_int_t)json_array_size(faces));
    for (size_t i = 0; i < json_array_size(faces); i++) put_face(table, json_array_get(faces, i));
    table->photos++;
}

static size_t dimension_of(const json_t *record) {
    size_t i;
    json_t *face;
    json_array_foreach(json_object_get(record, "faces"), i, face) {
        size_t size = json_array_size(json_object_get(face, "embedding"));
        if (size) return size;
    }
    return 0;
}

/* Twice over the lines: embeddings' dimension is seen first where there is one. */
static enum vultus_status gather(FILE *lines, struct table *table, struct vultus_error *error) {
    char *line = NULL;
    size_t capacity = 0;
    for (json_t *record; !table->dimension && (record = vt_next_record(lines, &line, &capacity)); json_decref(record))
        table->dimension = dimension_of(record);
    rewind(lines);
    for (json_t *record; (record = vt_next_record(lines, &line, &capacity)); json_decref(record))
        put_photo(table, record);
    free(line);
    for (int c = 0; c < COLUMNS; c++)
        if (fflush(table->columns[c]) != 0 || ferror(table->columns[c]))
            return vt_fail(
                error, VULTUS_ERROR_IO, "%s: there is no room for its columns' temporary files", table->path);
    return VULTUS_OK;
}

/* ---------------------------------------------------------------- packing */

struct archive {
    zipFile zip;
    bool failed;
};

static void pack(struct archive *archive, const void *data, size_t size) {
    if (!archive->failed) archive->failed = zipWriteInFileInZip(archive->zip, data, (unsigned)size) != ZIP_OK;
}

/* NumPy's format 1.0: magic, version, length of the header, a Python dict padded to a multiple of 64. */
static void pack_header(struct archive *archive, const struct table *table, enum column c) {
    char header[256], type[32] = "<f4", shape[32], start[10] = "\x93NUMPY\1";
    if (layout[c].kind == INTEGERS) strcpy(type, "<i4");
    if (layout[c].kind == TEXTS) snprintf(type, sizeof type, "<U%zu", table->longest[c] ? table->longest[c] : 1);
    snprintf(shape, sizeof shape, ", %zu", table->dimension);
    const char *row = layout[c].shape ? layout[c].shape : shape;
    int length = snprintf(header, sizeof header, "{'descr': '%s', 'fortran_order': False, 'shape': (%zu%s), }", type,
        layout[c].of_faces ? table->faces : table->photos, *row ? row : ",");
    while ((length + (int)sizeof start + 1) % 64) header[length++] = ' ';
    header[length++] = '\n';
    start[8] = (char)(length & 255);
    start[9] = (char)(length >> 8);
    pack(archive, start, sizeof start);
    pack(archive, header, (size_t)length);
}

static void pack_numbers(struct archive *archive, FILE *column) {
    char chunk[1 << 15];
    for (size_t got; !archive->failed && (got = fread(chunk, 1, sizeof chunk, column)) > 0;) pack(archive, chunk, got);
}

/* Every text filled up with zeros to the longest. */
static void pack_texts(struct archive *archive, FILE *column, size_t longest) {
    static const uint32_t zeros[64];
    size_t length = 0, width = longest ? longest : 1;
    for (uint32_t character; !archive->failed && fread(&character, sizeof character, 1, column) == 1;) {
        if (character) {
            pack(archive, &character, sizeof character);
            length++;
            continue;
        }
        for (size_t left = width - length, some; left; left -= some) {
            some = left < 64 ? left : 64;
            pack(archive, zeros, some * sizeof *zeros);
        }
        length = 0;
    }
}

/* The same lines make the same bytes: members carry no time. */
static bool pack_table(struct table *table, zipFile zip) {
    struct archive archive = {zip, false};
    for (int c = 0; c < COLUMNS && !archive.failed; c++) {
        char name[32];
        if (c >= FIRST_ATTRIBUTE && !table->seen[c]) continue;
        snprintf(name, sizeof name, "%s.npy", layout[c].name);
        rewind(table->columns[c]);
        archive.failed = zipOpenNewFileInZip64(zip, name, &(zip_fileinfo){.dosDate = 0x21}, NULL, 0, NULL, 0, NULL,
                             Z_DEFLATED, Z_BEST_SPEED, 1) != ZIP_OK;
        pack_header(&archive, table, (enum column)c);
        if (layout[c].kind == TEXTS)
            pack_texts(&archive, table->columns[c], table->longest[c]);
        else
            pack_numbers(&archive, table->columns[c]);
        if (zipCloseFileInZip(zip) != ZIP_OK) archive.failed = true;
    }
    return !archive.failed;
}

/* Beside the file that it helps to make, where there is room for it, and nameless, so that it goes with the process. */
static FILE *open_temporary(const char *path) {
    char *name;
    if (asprintf(&name, "%s.XXXXXX", path) < 0) return NULL;
    int descriptor = mkostemp(name, O_CLOEXEC);
    if (descriptor >= 0) unlink(name);
    free(name);
    return descriptor < 0 ? NULL : fdopen(descriptor, "w+");
}

/* minizip writes by path: a temporary one, renamed when it is whole. */
static enum vultus_status write_archive(struct table *table, struct vultus_error *error) {
    struct vt_atomic_file file;
    enum vultus_status status = vt_atomic_file_open(table->path, &file, error);
    if (status < 0) return status;
    zipFile zip = zipOpen64(file.temporary_path, APPEND_STATUS_CREATE);
    bool fine = zip && pack_table(table, zip);
    if (zip && zipClose(zip, NULL) != ZIP_OK) fine = false;
    if (fine) return vt_atomic_file_commit(&file, error);
    vt_atomic_file_discard(&file);
    return vt_fail(error, VULTUS_ERROR_IO, "%s: the archive cannot be written", table->path);
}

enum vultus_status vt_export_npz(FILE *lines, const char *out, struct vultus_error *error) {
    struct table table = {.path = out};
    enum vultus_status status = VULTUS_OK;
    for (int c = 0; status == VULTUS_OK && c < COLUMNS; c++)
        if (!(table.columns[c] = open_temporary(out)))
            status = vt_fail(error, VULTUS_ERROR_IO, "%s: temporary files cannot be made", out);
    if (status == VULTUS_OK) status = gather(lines, &table, error);
    if (status == VULTUS_OK) status = write_archive(&table, error);
    for (int c = 0; c < COLUMNS; c++)
        if (table.columns[c]) fclose(table.columns[c]);
    return status;
}
