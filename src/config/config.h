/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_CONFIG_CONFIG_H
#define VT_CONFIG_CONFIG_H

#include <stddef.h>

/*
 * Every setting that programs take from outside, in one table. A value comes from the command line, else from the
 * environment, else it is the fallback.
 */
enum vt_setting {
    VT_SETTING_DETECTOR,
    VT_SETTING_RECOGNISER,
    VT_SETTING_MASK,
    VT_SETTING_LIVENESS,
    VT_SETTING_GENDER_AGE,
    VT_SETTING_PLANS,
    VT_SETTING_MODELS,
    VT_SETTING_MODELS_MIRROR,
    VT_SETTING_ACCEPT_LICENCE,
    VT_SETTING_CATALOGUE,
    VT_SETTING_THREADS,
    VT_SETTING_CPU,
    VT_SETTING_TACTICS,
    VT_SETTING_BACKENDS,
    VT_SETTING_STRICT,
    VT_SETTING_DEVICES,
    VT_SETTING_CUDA_MODULE,
    VT_SETTING_RESIDENT,
    VT_SETTING_USE_NVJPEG,
    VT_SETTING_COUNT
};

struct vt_setting_info {
    const char *flag;        /* of the command line, or NULL */
    const char *environment; /* variable's name */
    const char *fallback;    /* for people: what holds when neither is given */
    const char *meaning;
};

const struct vt_setting_info *vt_setting_info(enum vt_setting setting);

/* `flag_value` unless it is NULL, else the environment's value unless it is empty, else NULL. */
const char *vt_setting_text(enum vt_setting setting, const char *flag_value);

#endif
