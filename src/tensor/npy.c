/* SPDX-License-Identifier: Apache-2.0 */
#include "tensor/npy.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/file.h"

#define MAGIC "\x93NUMPY"
#define MAGIC_BYTES 6
#define HEADER_LIMIT 65536
/* The whole header is padded so that data start aligned (NEP 1, version 1.0). */
#define HEADER_ALIGNMENT 64

static const struct {
    enum vt_dtype dtype;
    const char *descr;
} descrs[] = {{VT_DTYPE_F32, "<f4"}, {VT_DTYPE_F64, "<f8"}, {VT_DTYPE_F16, "<f2"}, {VT_DTYPE_I64, "<i8"},
    {VT_DTYPE_I32, "<i4"}, {VT_DTYPE_I16, "<i2"}, {VT_DTYPE_I8, "|i1"}, {VT_DTYPE_U64, "<u8"}, {VT_DTYPE_U32, "<u4"},
    {VT_DTYPE_U16, "<u2"}, {VT_DTYPE_U8, "|u1"}, {VT_DTYPE_BOOL, "|b1"}};

/* The header is a Python dictionary literal; this reads the part of the syntax that numpy writes. */
struct scanner {
    const char *at, *end;
};

static void skip_blanks(struct scanner *s) {
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\n' || *s->at == '\t')) s->at++;
}

static bool accept(struct scanner *s, char wanted) {
    skip_blanks(s);
    if (s->at == s->end || *s->at != wanted) return false;
    s->at++;
    return true;
}

static bool accept_word(struct scanner *s, const char *word) {
    size_t length = strlen(word);
    skip_blanks(s);
    if ((size_t)(s->end - s->at) < length || memcmp(s->at, word, length) != 0) return false;
    s->at += length;
    return true;
}

static bool read_quoted(struct scanner *s, char *text, size_t size) {
    char quote = accept(s, '\'') ? '\'' : accept(s, '"') ? '"' : '\0';
    const char *close = quote ? memchr(s->at, quote, (size_t)(s->end - s->at)) : NULL;
    if (!close || (size_t)(close - s->at) >= size) return false;
    memcpy(text, s->at, (size_t)(close - s->at));
    text[close - s->at] = '\0';
    s->at = close + 1;
    return true;
}

static bool read_dim(struct scanner *s, int64_t *dim) {
    skip_blanks(s);
    const char *first = s->at;
    for (*dim = 0; s->at < s->end && *s->at >= '0' && *s->at <= '9'; s->at++)
        if (!vt_mul_i64(*dim, 10, dim) || !vt_add_i64(*dim, *s->at - '0', dim)) return false;
    return s->at > first;
}

/* "(3, 4)", "(3,)" or "()"; a rank over VT_MAX_RANK counts on without storing. */
static bool read_shape(struct scanner *s, struct vt_tensor *tensor) {
    tensor->rank = 0;
    if (!accept(s, '(')) return false;
    while (!accept(s, ')')) {
        int64_t dim;
        if (!read_dim(s, &dim)) return false;
        if (tensor->rank < VT_MAX_RANK) tensor->dims[tensor->rank] = dim;
        tensor->rank++;
        if (!accept(s, ',')) return accept(s, ')');
    }
    return true;
}

struct npy_header {
    char descr[32];
    bool fortran, has_descr, has_fortran, has_shape;
};

static bool read_entry(struct scanner *s, struct npy_header *header, struct vt_tensor *tensor) {
    char key[32];
    if (!read_quoted(s, key, sizeof key) || !accept(s, ':')) return false;
    if (strcmp(key, "descr") == 0) return header->has_descr = read_quoted(s, header->descr, sizeof header->descr);
    if (strcmp(key, "shape") == 0) return header->has_shape = read_shape(s, tensor);
    if (strcmp(key, "fortran_order") != 0) return false;
    header->fortran = accept_word(s, "True");
    return header->has_fortran = header->fortran || accept_word(s, "False");
}

static bool read_dictionary(struct scanner *s, struct npy_header *header, struct vt_tensor *tensor) {
    if (!accept(s, '{')) return false;
    while (!accept(s, '}')) {
        if (!read_entry(s, header, tensor)) return false;
        if (accept(s, ',')) continue;
        if (!accept(s, '}')) return false;
        break;
    }
    skip_blanks(s);
    return s->at == s->end && header->has_descr && header->has_fortran && header->has_shape;
}

/* Finds the dictionary's text and where the data start. */
static enum vultus_status locate_header(const uint8_t *bytes, size_t size, const char *name, struct scanner *s,
    size_t *data_start, struct vultus_error *error) {
    if (size < MAGIC_BYTES + 4 || memcmp(bytes, MAGIC, MAGIC_BYTES) != 0)
        return vt_fail(error, VULTUS_ERROR_FORMAT, "%s does not start with the magic of a .npy file", name);
    int version = bytes[MAGIC_BYTES];
    if (version < 1 || version > 3)
        return vt_fail(error, VULTUS_ERROR_UNSUPPORTED, "%s: .npy version %d is none of 1, 2, 3", name, version);
    size_t length_bytes = version == 1 ? 2 : 4, start = MAGIC_BYTES + 2 + length_bytes, length = 0;
    if (size < start) return vt_fail(error, VULTUS_ERROR_FORMAT, "%s ends inside its .npy header", name);
    for (size_t i = 0; i < length_bytes; i++) length |= (size_t)bytes[MAGIC_BYTES + 2 + i] << (8 * i);
    if (length > HEADER_LIMIT || length > size - start)
        return vt_fail(error, VULTUS_ERROR_FORMAT,
            "%s: a .npy header of %zu bytes is over %d or does not fit in the file's %zu", name, length, HEADER_LIMIT,
            size);
    *s = (struct scanner){(const char *)bytes + start, (const char *)bytes + start + length};
    *data_start = start + length;
    return VULTUS_OK;
}

static enum vt_dtype dtype_from_descr(const char *descr) {
    for (size_t i = 0; i < sizeof descrs / sizeof *descrs; i++) {
        /* One byte has no order, so numpy reads any prefix there. */
        bool single = vt_dtype_size(descrs[i].dtype) == 1 && *descr == '<';
        if (strcmp(descr + single, descrs[i].descr + single) == 0) return descrs[i].dtype;
    }
    return VT_DTYPE_NONE;
}

enum vultus_status vt_npy_parse(const uint8_t *bytes, size_t size, const char *name, struct vt_arena *arena,
    struct vt_tensor *out, struct vultus_error *error) {
    struct scanner s = {0};
    struct npy_header header = {0};
    struct vt_tensor tensor = {0};
    size_t start = 0;
    int64_t count;
    enum vultus_status status = locate_header(bytes, size, name, &s, &start, error);
    if (status) return status;
    if (!read_dictionary(&s, &header, &tensor))
        return vt_fail(
            error, VULTUS_ERROR_FORMAT, "%s: the .npy header is not a dictionary of descr, fortran_order, shape", name);
    if (header.fortran) return vt_fail(error, VULTUS_ERROR_UNSUPPORTED, "%s is in Fortran order", name);
    tensor.dtype = dtype_from_descr(header.descr);
    if (tensor.dtype == VT_DTYPE_NONE)
        return vt_fail(
            error, VULTUS_ERROR_UNSUPPORTED, "%s has element type \"%s\", which is not supported", name, header.descr);
    if (!vt_dims_valid(tensor.rank, tensor.dims, tensor.dtype, &count))
        return vt_fail(error, VULTUS_ERROR_LIMIT, "%s: a shape of rank %d is over rank %d or too large to address",
            name, tensor.rank, VT_MAX_RANK);
    size_t needed = (size_t)count * vt_dtype_size(tensor.dtype);
    if (needed != size - start)
        return vt_fail(error, VULTUS_ERROR_FORMAT, "%s holds %zu bytes of data, but its shape asks for %zu", name,
            size - start, needed);
    status = vt_tensor_alloc(arena, tensor.dtype, tensor.rank, tensor.dims, out, error);
    if (!status && needed) memcpy(out->data, bytes + start, needed);
    return status;
}

enum vultus_status vt_npy_read(
    const char *path, struct vt_arena *arena, struct vt_tensor *out, struct vultus_error *error) {
    struct vt_mapped_file file;
    enum vultus_status status = vt_map_file(path, &file, error);
    if (status) return status;
    status = vt_npy_parse(file.data, file.size, path, arena, out, error);
    vt_unmap_file(&file);
    return status;
}

/* Magic, version 1.0, length and dictionary into `header`; returns the bytes, a multiple of HEADER_ALIGNMENT. */
static size_t write_header(const struct vt_tensor *tensor, const char *descr, char header[512]) {
    size_t start = MAGIC_BYTES + 4;
    int used = snprintf(header + start, 512 - start, "{'descr': '%s', 'fortran_order': False, 'shape': (", descr);
    size_t length = start + (size_t)used;
    for (int i = 0; i < tensor->rank; i++)
        length += (size_t)snprintf(header + length, 512 - length,
            tensor->rank == 1 ? "%" PRId64 ","
            : i               ? ", %" PRId64
                              : "%" PRId64,
            tensor->dims[i]);
    length += (size_t)snprintf(header + length, 512 - length, "), }");
    size_t total = vt_round_up(length + 1, HEADER_ALIGNMENT);
    memset(header + length, ' ', total - length);
    header[total - 1] = '\n';
    memcpy(header, MAGIC "\x01\x00", MAGIC_BYTES + 2);
    header[MAGIC_BYTES + 2] = (char)((total - start) & 255);
    header[MAGIC_BYTES + 3] = (char)((total - start) >> 8);
    return total;
}

enum vultus_status vt_npy_write(const char *path, const struct vt_tensor *tensor, struct vultus_error *error) {
    const char *descr = NULL;
    for (size_t i = 0; i < sizeof descrs / sizeof *descrs; i++)
        if (descrs[i].dtype == tensor->dtype) descr = descrs[i].descr;
    if (!descr)
        return vt_fail(error, VULTUS_ERROR_UNSUPPORTED, "%s: the .npy format has no element type %s", path,
            vt_dtype_name(tensor->dtype));
    char header[512];
    size_t header_bytes = write_header(tensor, descr, header);
    struct vt_atomic_file file;
    enum vultus_status status = vt_atomic_file_open(path, &file, error);
    if (status) return status;
    status = vt_atomic_file_write(&file, header, header_bytes, error);
    if (!status) status = vt_atomic_file_write(&file, tensor->data, vt_tensor_bytes(tensor), error);
    if (!status) return vt_atomic_file_commit(&file, error);
    vt_atomic_file_discard(&file);
    return status;
}
