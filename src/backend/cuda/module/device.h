/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_BACKEND_CUDA_DEVICE_H
#define VT_BACKEND_CUDA_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/*
 * What the back end asks of a GPU: the CUDA runtime behind it (device.c), or, in tests, the host's own memory. Device
 * pointers are never read by the host. Failures are BACKEND, or MEMORY where the device has no room left. Everything
 * may be called by any thread; a stream, its graphs and its events by one at a time.
 *
 * Devices have the ordinals of the CUDA runtime. Whatever is made, launched or asked for below is of the device that
 * the calling thread named last (vt_cuda_use); whoever comes from outside the module names one first.
 */

struct vt_cuda_device_info {
    char name[96];
    int major, minor;    /* compute capability */
    size_t memory;       /* bytes, in all */
    size_t cache;        /* bytes of the one that all multiprocessors share; 0: not known */
    int processors;      /* multiprocessors; 0: not known */
    int clock;           /* the highest of the processors, kHz; 0: not known */
    bool integrated;     /* its memory is the host's */
    int runtime, driver; /* versions: 13000 for 13.0 */
};
/* BACKEND with the reason when there is no such device. */
enum vultus_status vt_cuda_device_info(int device, struct vt_cuda_device_info *info, struct vultus_error *error);
enum vultus_status vt_cuda_use(int device, struct vultus_error *error);

/* Device memory; 0 bytes give NULL. Released by vt_cuda_release (NULL is fine). */
enum vultus_status vt_cuda_allocate(size_t bytes, void **out, struct vultus_error *error);
void vt_cuda_release(void *memory);
/* Host memory that copies can take straight, and that kernels can reach by the address that vt_cuda_mapped tells. */
enum vultus_status vt_cuda_allocate_host(size_t bytes, void **out, struct vultus_error *error);
void vt_cuda_release_host(void *memory);
enum vultus_status vt_cuda_mapped(void *host, void **device, struct vultus_error *error);

/* Work that runs in the order in which it is queued. */
struct vt_cuda_stream;
enum vultus_status vt_cuda_stream_create(struct vt_cuda_stream **out, struct vultus_error *error);
void vt_cuda_stream_destroy(struct vt_cuda_stream *stream); /* waits for what is queued; NULL is fine */
enum vultus_status vt_cuda_stream_wait(struct vt_cuda_stream *stream, struct vultus_error *error);
void *vt_cuda_stream_native(struct vt_cuda_stream *stream); /* what kernel launchers take */

enum vt_cuda_direction { VT_CUDA_TO_DEVICE, VT_CUDA_TO_HOST, VT_CUDA_ON_DEVICE };
/* Queues a copy; host memory is vt_cuda_allocate_host's, or stays as it is until the stream was waited for. */
enum vultus_status vt_cuda_copy(struct vt_cuda_stream *stream, void *to, const void *from, size_t bytes,
    enum vt_cuda_direction direction, struct vultus_error *error);

/* Bytes copied to or from the host since the process began. A copy that is recorded counts when vt_cuda_count_copy says
 * that it ran, and so does one by a library. */
void vt_cuda_count_copy(uint64_t bytes, enum vt_cuda_direction direction);
uint64_t vt_cuda_copied(enum vt_cuda_direction direction);

/* Queues the filling of device memory with zeros. */
enum vultus_status vt_cuda_clear(struct vt_cuda_stream *stream, void *memory, size_t bytes, struct vultus_error *error);

/* Between begin and end, what is queued is not run but becomes a graph, to be launched any number of times. end also
 * ends the recording when it fails. */
struct vt_cuda_graph;
enum vultus_status vt_cuda_graph_begin(struct vt_cuda_stream *stream, struct vultus_error *error);
enum vultus_status vt_cuda_graph_end(
    struct vt_cuda_stream *stream, struct vt_cuda_graph **out, struct vultus_error *error);
enum vultus_status vt_cuda_graph_launch(
    struct vt_cuda_graph *graph, struct vt_cuda_stream *stream, struct vultus_error *error);
void vt_cuda_graph_destroy(struct vt_cuda_graph *graph); /* NULL is fine */

struct vt_cuda_event;
enum vultus_status vt_cuda_event_create(struct vt_cuda_event **out, struct vultus_error *error);
enum vultus_status vt_cuda_event_record(
    struct vt_cuda_event *event, struct vt_cuda_stream *stream, struct vultus_error *error);
/* Between two events that were reached. */
enum vultus_status vt_cuda_event_nanoseconds(const struct vt_cuda_event *from, const struct vt_cuda_event *to,
    uint64_t *nanoseconds, struct vultus_error *error);
void vt_cuda_event_destroy(struct vt_cuda_event *event); /* NULL is fine */

/* OK for 0, else the failure that a launcher's code stands for, with `what` was being done. */
enum vultus_status vt_cuda_check(int code, const char *what, struct vultus_error *error);

#endif
