/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_CATALOGUE_CATALOGUE_H
#define VT_CATALOGUE_CATALOGUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/*
 * What is known of models beyond their files: models/catalogue.yaml, compiled in, and what a user's file adds to it or
 * replaces in it. docs/models.md describes the format. All strings belong to the catalogue; what is not stated is "",
 * 0 or an empty list, never NULL.
 */
struct vt_texts {
    const char *const *items;
    size_t count;
};

struct vt_licence {
    const char *id; /* what a user accepts by */
    const char *text, *url;
    bool accept; /* whether it must be accepted before a download */
    struct vt_texts source;
};

/* An archive (zip) that holds several models. */
struct vt_catalogue_pack {
    const char *name, *licence, *page, *sha256;
    uint64_t bytes;
    struct vt_texts urls, source;
};

struct vt_catalogue_entry {
    const char *name, *function, *origin, *licence, *sha256; /* sha256 "" where it could not be verified */
    const char *channels;
    float mean[3], std[3];
    int width, height;
    float match_threshold; /* least cosine of one person, as measured; 0: nobody did */
    double typical_norm;   /* of raw embeddings of clear pictures, as measured; 0: nobody did */
    double crop_scale;     /* of a model that is shown boxes: how many times their size; 0: not stated */
    uint64_t bytes;
    const char *page;                      /* where people find the file */
    struct vt_texts urls, aliases, source; /* urls: of the ONNX file itself */
    struct vt_texts packs;                 /* names of those that hold it, the first being preferred */
};

struct vt_catalogue;

/* Reads a catalogue from YAML text (libyaml); every field is checked, errors name line and key. */
enum vultus_status vt_catalogue_parse(
    const char *text, size_t size, const char *name, struct vt_catalogue **out, struct vultus_error *error);
/* The catalogue compiled into the library; with a file (may be NULL) its entries added, or put in place of those named
 * alike. */
enum vultus_status vt_catalogue_open(const char *file, struct vt_catalogue **out, struct vultus_error *error);
void vt_catalogue_destroy(struct vt_catalogue *catalogue);

size_t vt_catalogue_count(const struct vt_catalogue *catalogue);
const struct vt_catalogue_entry *vt_catalogue_at(const struct vt_catalogue *catalogue, size_t i);
size_t vt_catalogue_pack_count(const struct vt_catalogue *catalogue);
const struct vt_catalogue_pack *vt_catalogue_pack_at(const struct vt_catalogue *catalogue, size_t i);

/* By sha256 first, then by name (the file's stem); NULL when unknown. */
const struct vt_catalogue_entry *vt_catalogue_find(
    const struct vt_catalogue *catalogue, const char *sha256, const char *name);
/* By name or alias; NULL when unknown. */
const struct vt_catalogue_entry *vt_catalogue_model(const struct vt_catalogue *catalogue, const char *name);
const struct vt_catalogue_pack *vt_catalogue_pack(const struct vt_catalogue *catalogue, const char *name);
/* NULL for one that is only named. */
const struct vt_licence *vt_catalogue_licence(const struct vt_catalogue *catalogue, const char *id);

bool vt_texts_contain(const struct vt_texts *texts, const char *text);
/* Whether `name` can be a model's: 1 to 64 letters, digits, '.', '_', '-', the first a letter or digit. Then it can be
 * part of a file's name too. */
bool vt_catalogue_is_name(const char *name);

#endif
