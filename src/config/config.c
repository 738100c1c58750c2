/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config.h"

#include <stdlib.h>

static const struct vt_setting_info settings[VT_SETTING_COUNT] = {
    [VT_SETTING_DETECTOR] = {"--det", "VULTUS_DET", "the starter pack's", "face detector: an ONNX model or a plan"},
    [VT_SETTING_RECOGNISER] = {"--rec", "VULTUS_REC", "the starter pack's", "face recogniser: an ONNX model or a plan"},
    [VT_SETTING_MASK] = {"--mask-model", "VULTUS_MASK", "mask_detector112", "model that tells masks"},
    [VT_SETTING_LIVENESS] = {"--liveness-models", "VULTUS_LIVENESS",
        "2.7_80x80_MiniFASNetV2,4_0_0_80x80_MiniFASNetV1SE",
        "models that tell living faces from pictures of them, separated by commas"},
    [VT_SETTING_GENDER_AGE] = {"--gender-age-model", "VULTUS_GENDER_AGE", "genderage_v1",
        "model that tells gender and age"},
    [VT_SETTING_PLANS] = {"--plans", "VULTUS_PLANS", "$XDG_CACHE_HOME/vultus/plans, else ~/.cache/vultus/plans",
        "folder where plans are kept"},
    [VT_SETTING_MODELS] = {"--models", "VULTUS_MODELS",
        "$XDG_DATA_HOME/vultus/models, else ~/.local/share/vultus/models", "folder where pulled models are kept"},
    [VT_SETTING_MODELS_MIRROR] = {NULL, "VULTUS_MODELS_MIRROR", "the origins that the catalogue names",
        "where models are pulled from instead: a folder, or the beginning of a URL"},
    [VT_SETTING_ACCEPT_LICENCE] = {"--accept-licence", "VULTUS_ACCEPT_LICENCE", "asked on a terminal",
        "licences of models that are accepted, separated by commas"},
    [VT_SETTING_CATALOGUE] = {NULL, "VULTUS_CATALOGUE", "the built-in catalogue alone",
        "YAML file with models to add to the catalogue, or to replace in it"},
    [VT_SETTING_THREADS] = {"--threads", "VULTUS_THREADS", "the processors this process may use", "threads"},
    [VT_SETTING_CPU] = {NULL, "VULTUS_CPU", "native",
        "highest instruction set to use: sse, avx2, avx512, avx512_vnni, amx, native; on aarch64: neon, native"},
    [VT_SETTING_TACTICS] = {NULL, "VULTUS_TACTICS", "any",
        "text that the names of chosen tactics must contain where a step has such (for experiments)"},
    [VT_SETTING_BACKENDS] = {"--backends", "VULTUS_BACKENDS", "tensorrt,cuda,cpu",
        "back ends in the order in which they are tried"},
    [VT_SETTING_STRICT] = {"--strict", "VULTUS_STRICT", "off",
        "on: the first of the back ends or none, instead of falling back"},
    [VT_SETTING_DEVICES] = {"--devices", "VULTUS_DEVICES", "auto",
        "GPUs to use, as the driver counts them, separated by commas; auto: the first that can be used"},
    [VT_SETTING_CUDA_MODULE] = {NULL, "VULTUS_CUDA_MODULE", "vultus/libvultus_cuda.so beside the program or library",
        "module with the CUDA kernels"},
    [VT_SETTING_RESIDENT] = {NULL, "VULTUS_RESIDENT", "on",
        "off: processors prepare every network's input, even where pictures could stay on the GPU"},
    [VT_SETTING_USE_NVJPEG] = {NULL, "VULTUS_USE_NVJPEG", "on",
        "off: processors decode JPEG, even where the GPU could; it needs libnvjpeg"},
};

const struct vt_setting_info *vt_setting_info(enum vt_setting setting) { return &settings[setting]; }

const char *vt_setting_text(enum vt_setting setting, const char *flag_value) {
    if (flag_value) return flag_value;
    const char *value = getenv(settings[setting].environment);
    return value && *value ? value : NULL;
}
