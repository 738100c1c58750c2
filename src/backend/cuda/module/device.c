/* SPDX-License-Identifier: Apache-2.0
 *
 * device.h by the CUDA runtime.
 */
#include "backend/cuda/module/device.h"

#include <cuda_runtime_api.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/checked.h"

/* The handles behind the opaque types are pointers already. */
static cudaStream_t stream_of(struct vt_cuda_stream *stream) { return (cudaStream_t)stream; }
static cudaEvent_t event_of(const struct vt_cuda_event *event) { return (cudaEvent_t)event; }
static cudaGraphExec_t graph_of(struct vt_cuda_graph *graph) { return (cudaGraphExec_t)graph; }

enum vultus_status vt_cuda_check(int code, const char *what, struct vultus_error *error) {
    if (code == cudaSuccess) return VULTUS_OK;
    cudaGetLastError(); /* what can be forgotten must not come up at the next call */
    return vt_fail(error, code == cudaErrorMemoryAllocation ? VULTUS_ERROR_MEMORY : VULTUS_ERROR_BACKEND,
        "CUDA failed at %s: %s (%s)", what, cudaGetErrorString((cudaError_t)code), cudaGetErrorName((cudaError_t)code));
}

/* 0 for what a device does not tell. */
static int attribute(enum cudaDeviceAttr which, int device) {
    int value = 0;
    if (cudaDeviceGetAttribute(&value, which, device) == cudaSuccess) return value;
    cudaGetLastError();
    return 0;
}

enum vultus_status vt_cuda_device_info(int device, struct vt_cuda_device_info *info, struct vultus_error *error) {
    int count = 0;
    struct cudaDeviceProp properties;
    enum vultus_status status = vt_cuda_check(cudaGetDeviceCount(&count), "counting devices", error);
    if (!status && (device < 0 || device >= count))
        status = vt_fail(error, VULTUS_ERROR_BACKEND, "there is no CUDA device %d, there are %d", device, count);
    if (!status) status = vt_cuda_check(cudaGetDeviceProperties(&properties, device), "describing a device", error);
    if (status) return status;
    *info = (struct vt_cuda_device_info){.major = properties.major,
        .minor = properties.minor,
        .memory = properties.totalGlobalMem,
        .cache = (size_t)vt_max_i64(attribute(cudaDevAttrL2CacheSize, device), 0),
        .processors = attribute(cudaDevAttrMultiProcessorCount, device),
        .clock = attribute(cudaDevAttrClockRate, device),
        .integrated = attribute(cudaDevAttrIntegrated, device) != 0};
    snprintf(info->name, sizeof info->name, "%.*s", (int)sizeof info->name - 1, properties.name);
    status = vt_cuda_check(cudaRuntimeGetVersion(&info->runtime), "asking for the runtime's version", error);
    return status ? status
                  : vt_cuda_check(cudaDriverGetVersion(&info->driver), "asking for the driver's version", error);
}

enum vultus_status vt_cuda_use(int device, struct vultus_error *error) {
    return vt_cuda_check(cudaSetDevice(device), "turning to a device", error);
}

/* ------------------------------------------------------------ memory */

enum vultus_status vt_cuda_allocate(size_t bytes, void **out, struct vultus_error *error) {
    *out = NULL;
    return bytes ? vt_cuda_check(cudaMalloc(out, bytes), "allocating device memory", error) : VULTUS_OK;
}

void vt_cuda_release(void *memory) { cudaFree(memory); }

enum vultus_status vt_cuda_allocate_host(size_t bytes, void **out, struct vultus_error *error) {
    *out = NULL;
    return bytes ? vt_cuda_check(cudaHostAlloc(out, bytes, cudaHostAllocMapped), "allocating pinned memory", error)
                 : VULTUS_OK;
}

void vt_cuda_release_host(void *memory) {
    if (memory) cudaFreeHost(memory);
}

enum vultus_status vt_cuda_mapped(void *host, void **device, struct vultus_error *error) {
    *device = NULL;
    return host ? vt_cuda_check(cudaHostGetDevicePointer(device, host, 0), "mapping pinned memory", error) : VULTUS_OK;
}

/* ------------------------------------------------------------ streams */

enum vultus_status vt_cuda_stream_create(struct vt_cuda_stream **out, struct vultus_error *error) {
    cudaStream_t stream = NULL;
    int code = cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
    *out = (struct vt_cuda_stream *)stream;
    return vt_cuda_check(code, "making a stream", error);
}

void vt_cuda_stream_destroy(struct vt_cuda_stream *stream) {
    if (!stream) return;
    cudaStreamSynchronize(stream_of(stream));
    cudaStreamDestroy(stream_of(stream));
}

enum vultus_status vt_cuda_stream_wait(struct vt_cuda_stream *stream, struct vultus_error *error) {
    return vt_cuda_check(cudaStreamSynchronize(stream_of(stream)), "waiting for a stream", error);
}

void *vt_cuda_stream_native(struct vt_cuda_stream *stream) { return stream; }

static _Atomic uint64_t copied[VT_CUDA_ON_DEVICE + 1]; /* by direction */

void vt_cuda_count_copy(uint64_t bytes, enum vt_cuda_direction direction) {
    atomic_fetch_add_explicit(&copied[direction], bytes, memory_order_relaxed);
}

uint64_t vt_cuda_copied(enum vt_cuda_direction direction) {
    return atomic_load_explicit(&copied[direction], memory_order_relaxed);
}

enum vultus_status vt_cuda_copy(struct vt_cuda_stream *stream, void *to, const void *from, size_t bytes,
    enum vt_cuda_direction direction, struct vultus_error *error) {
    static const struct {
        enum cudaMemcpyKind kind;
        const char *what;
    } directions[] = {[VT_CUDA_TO_DEVICE] = {cudaMemcpyHostToDevice, "copying to the device"},
        [VT_CUDA_TO_HOST] = {cudaMemcpyDeviceToHost, "copying from the device"},
        [VT_CUDA_ON_DEVICE] = {cudaMemcpyDeviceToDevice, "copying on the device"}};
    enum cudaStreamCaptureStatus recording = cudaStreamCaptureStatusNone;
    cudaStreamIsCapturing(stream_of(stream), &recording);
    if (recording == cudaStreamCaptureStatusNone) vt_cuda_count_copy(bytes, direction);
    return vt_cuda_check(cudaMemcpyAsync(to, from, bytes, directions[direction].kind, stream_of(stream)),
        directions[direction].what, error);
}

enum vultus_status vt_cuda_clear(
    struct vt_cuda_stream *stream, void *memory, size_t bytes, struct vultus_error *error) {
    return vt_cuda_check(cudaMemsetAsync(memory, 0, bytes, stream_of(stream)), "clearing device memory", error);
}

/* ------------------------------------------------------------ graphs */

enum vultus_status vt_cuda_graph_begin(struct vt_cuda_stream *stream, struct vultus_error *error) {
    /* Other threads may allocate meanwhile. */
    int code = cudaStreamBeginCapture(stream_of(stream), cudaStreamCaptureModeThreadLocal);
    return vt_cuda_check(code, "recording a graph", error);
}

enum vultus_status vt_cuda_graph_end(
    struct vt_cuda_stream *stream, struct vt_cuda_graph **out, struct vultus_error *error) {
    cudaGraph_t graph = NULL;
    cudaGraphExec_t executable = NULL;
    enum vultus_status status =
        vt_cuda_check(cudaStreamEndCapture(stream_of(stream), &graph), "ending a graph's recording", error);
    if (!status) status = vt_cuda_check(cudaGraphInstantiate(&executable, graph, 0), "making a graph ready", error);
    if (graph) cudaGraphDestroy(graph);
    *out = (struct vt_cuda_graph *)executable;
    return status;
}

enum vultus_status vt_cuda_graph_launch(
    struct vt_cuda_graph *graph, struct vt_cuda_stream *stream, struct vultus_error *error) {
    return vt_cuda_check(cudaGraphLaunch(graph_of(graph), stream_of(stream)), "launching a graph", error);
}

void vt_cuda_graph_destroy(struct vt_cuda_graph *graph) {
    if (graph) cudaGraphExecDestroy(graph_of(graph));
}

/* ------------------------------------------------------------ events */

enum vultus_status vt_cuda_event_create(struct vt_cuda_event **out, struct vultus_error *error) {
    cudaEvent_t event = NULL;
    int code = cudaEventCreate(&event);
    *out = (struct vt_cuda_event *)event;
    return vt_cuda_check(code, "making an event", error);
}

enum vultus_status vt_cuda_event_record(
    struct vt_cuda_event *event, struct vt_cuda_stream *stream, struct vultus_error *error) {
    return vt_cuda_check(cudaEventRecord(event_of(event), stream_of(stream)), "recording an event", error);
}

enum vultus_status vt_cuda_event_nanoseconds(const struct vt_cuda_event *from, const struct vt_cuda_event *to,
    uint64_t *nanoseconds, struct vultus_error *error) {
    float milliseconds = 0;
    int code = cudaEventElapsedTime(&milliseconds, event_of(from), event_of(to));
    *nanoseconds = (uint64_t)((double)milliseconds * 1e6);
    return vt_cuda_check(code, "reading an event's time", error);
}

void vt_cuda_event_destroy(struct vt_cuda_event *event) {
    if (event) cudaEventDestroy(event_of(event));
}
