/* SPDX-License-Identifier: Apache-2.0
 *
 * Blocks and threads of emulation.h, and src/backend/cuda/module/device.h on the host's memory.
 */
#include "emulation.h"

#include <setjmp.h>
#include <ucontext.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#define FIBERS_ARE_WATCHED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#include <sanitizer/common_interface_defs.h>
#define FIBERS_ARE_WATCHED 1
#endif
#endif

#include "backend/cuda/module/kernels/kernels.h"

extern "C" {
#include "backend/cuda/module/device.h"
#include "base/clock.h"
#include "emulated.h"

struct emulated_gpus emulated_gpus = {1, -1, -1, 0, 0};
}

dim3 gridDim, blockDim, blockIdx, threadIdx;

static const float *all_halves() {
    static float halves[1 << 16];
    for (unsigned bits = 0; bits < 1 << 16; bits++) halves[bits] = vt_f16_to_f32((uint16_t)bits);
    return halves;
}
const float *const emulated_halves = all_halves();

namespace {

/* ------------------------------------------------------------ fibers */

const size_t stack_bytes = 128 << 10;
const unsigned most_threads = 1024;

/*
 * Carries threads of a block: one after the other as long as they end without waiting for each other, so that kernels
 * without barriers never switch. One that waits keeps its fiber, and the next one gets another.
 */
struct fiber {
    jmp_buf here; /* where it waits: ucontext's own switches ask the operating system for signal masks */
    char *stack;
    dim3 thread; /* the one that it carries */
    bool waits;
    void *fake_stack;
};

/* One block at a time: shared memory is static. */
std::mutex one_grid;
fiber fibers[most_threads];
jmp_buf scheduler;
fiber *current;
const std::function<void()> *kernel_to_run;
unsigned threads, started, ended;
bool backwards;
#ifdef FIBERS_ARE_WATCHED
void *scheduler_fake_stack;
const void *scheduler_stack;
size_t scheduler_stack_bytes;
#endif

void give_up(const char *why) {
    fprintf(stderr, "emulated GPU: %s\n", why);
    abort();
}

/* AddressSanitizer has to know which stack is in use: these two stand before and behind every switch. */
void leave_scheduler(const fiber *to) {
#ifdef FIBERS_ARE_WATCHED
    __sanitizer_start_switch_fiber(&scheduler_fake_stack, to->stack, stack_bytes);
#else
    (void)to;
#endif
}

void arrive_in_scheduler() {
#ifdef FIBERS_ARE_WATCHED
    __sanitizer_finish_switch_fiber(scheduler_fake_stack, nullptr, nullptr);
#endif
}

void leave_fiber(fiber *from, bool for_good) {
#ifdef FIBERS_ARE_WATCHED
    __sanitizer_start_switch_fiber(for_good ? nullptr : &from->fake_stack, scheduler_stack, scheduler_stack_bytes);
#else
    (void)from;
    (void)for_good;
#endif
}

void arrive_in_fiber(fiber *to) {
#ifdef FIBERS_ARE_WATCHED
    __sanitizer_finish_switch_fiber(to->fake_stack, &scheduler_stack, &scheduler_stack_bytes);
#else
    (void)to;
#endif
}

dim3 thread_number(unsigned i) {
    if (backwards) i = threads - 1 - i;
    return dim3(i % blockDim.x, i / blockDim.x % blockDim.y, i / blockDim.x / blockDim.y);
}

void carry_threads() {
    fiber *self = current;
    arrive_in_fiber(self);
    while (started < threads) {
        threadIdx = self->thread = thread_number(started++);
        (*kernel_to_run)();
        ended++;
    }
    self->waits = false;
    leave_fiber(self, true);
    _longjmp(scheduler, 1);
}

void resume(fiber *f) {
    current = f;
    threadIdx = f->thread;
    leave_scheduler(f);
    if (_setjmp(scheduler) == 0) _longjmp(f->here, 1);
    arrive_in_scheduler();
}

void start(fiber *f) {
    if (!f->stack && !(f->stack = (char *)malloc(stack_bytes))) give_up("there is no memory for a thread's stack");
    f->fake_stack = nullptr;
    ucontext_t context;
    getcontext(&context);
    context.uc_stack.ss_sp = f->stack;
    context.uc_stack.ss_size = stack_bytes;
    context.uc_link = nullptr;
    makecontext(&context, carry_threads, 0);
    current = f;
    leave_scheduler(f);
    if (_setjmp(scheduler) == 0) setcontext(&context);
    arrive_in_scheduler();
}

/* Takes every thread from one barrier to the next until all have ended. */
void run_block() {
    unsigned used = 0;
    started = ended = 0;
    while (started < threads) start(&fibers[used++]);
    while (ended < threads) {
        if (ended != 0) give_up("some threads of a block wait for others that have ended");
        for (unsigned i = 0; i < used; i++)
            if (fibers[i].waits) resume(&fibers[i]);
    }
}

void run_grid(dim3 grid, dim3 block, const std::function<void()> &kernel) {
    const std::lock_guard<std::mutex> lock(one_grid);
    threads = block.x * block.y * block.z;
    if (threads < 1 || threads > most_threads) give_up("a block has 1 to 1024 threads");
    if (grid.x < 1 || grid.y < 1 || grid.z < 1 || grid.y > 65535 || grid.z > 65535)
        give_up("a grid has at least one block, and at most 65535 along y and z");
    kernel_to_run = &kernel;
    gridDim = grid;
    blockDim = block;
    for (unsigned z = 0; z < grid.z; z++)
        for (unsigned y = 0; y < grid.y; y++)
            for (unsigned x = 0; x < grid.x; x++) {
                blockIdx = dim3(x, y, z);
                run_block();
                backwards = !backwards; // results that depend on the threads' order do not repeat
            }
}

} // namespace

void __syncthreads() {
    fiber *self = current;
    self->waits = true;
    leave_fiber(self, false);
    if (_setjmp(self->here) == 0) _longjmp(scheduler, 1);
    arrive_in_fiber(self);
}

/*
 * Every lane lays down what it holds, and then computes its four sums from what the others did. A thread's numbers, by
 * the PTX manual ("Matrix Fragments for mma.m16n8k16 with floating point type"), where groupID = lane >> 2 and
 * threadID_in_group = lane % 4: a[i]: row groupID, 8 lower for i = 2, 3, 6, 7; column threadID_in_group * 2 + (i & 1),
 * 8 more for i >= 4. b[i]: row threadID_in_group * 2 + (i & 1), 8 more for i >= 2; column groupID. c[i]: row groupID, 8
 * lower for i >= 2; column threadID_in_group * 2 + (i & 1).
 */
static void multiply(float sum[4], const __half a[8], const __half b[4], float (*value)(__half)) {
    static float as[most_threads / 32][16][16], bs[most_threads / 32][16][8];
    const unsigned warp = threadIdx.x / 32, lane = threadIdx.x % 32, group = lane >> 2, in_group = lane % 4;
    for (unsigned i = 0; i < 8; i++) {
        const bool lower = i == 2 || i == 3 || i == 6 || i == 7;
        as[warp][group + (lower ? 8 : 0)][in_group * 2 + (i & 1) + (i >= 4 ? 8 : 0)] = value(a[i]);
    }
    for (unsigned i = 0; i < 4; i++) bs[warp][in_group * 2 + (i & 1) + (i >= 2 ? 8 : 0)][group] = value(b[i]);
    __syncthreads();
    for (unsigned i = 0; i < 4; i++)
        for (unsigned k = 0; k < 16; k++)
            sum[i] += as[warp][group + (i >= 2 ? 8 : 0)][k] * bs[warp][k][in_group * 2 + (i & 1)];
    __syncthreads();
}

void mma(float sum[4], const __half a[8], const __half b[4]) { multiply(sum, a, b, __half2float); }
void mma_bf16(float sum[4], const __half a[8], const __half b[4]) {
    multiply(sum, a, b, [](__half v) { return vt_bf16_to_f32(v.bits); });
}

/* "Matrix Fragments for mma.m16n8k8", .tf32: a[i]: row groupID, 8 lower for odd i; column threadID_in_group, 4 more for
 * i
 * >= 2. b[i]: row threadID_in_group, 4 more for i = 1; column groupID. c as above. */
void mma_tf32(float sum[4], const float a[4], const float b[2]) {
    static float as[most_threads / 32][16][8], bs[most_threads / 32][8][8];
    const unsigned warp = threadIdx.x / 32, lane = threadIdx.x % 32, group = lane >> 2, in_group = lane % 4;
    for (unsigned i = 0; i < 4; i++) as[warp][group + i % 2 * 8][in_group + i / 2 * 4] = a[i];
    for (unsigned i = 0; i < 2; i++) bs[warp][in_group + i * 4][group] = b[i];
    __syncthreads();
    for (unsigned i = 0; i < 4; i++)
        for (unsigned k = 0; k < 8; k++)
            sum[i] += as[warp][group + (i >= 2 ? 8 : 0)][k] * bs[warp][k][in_group * 2 + (i & 1)];
    __syncthreads();
}

/* ------------------------------------------------------------ streams, which run at once, and graphs */

static thread_local int device_in_use;

struct vt_cuda_stream {
    int device = device_in_use;
    bool recording = false;
    std::vector<std::function<void()>> recorded;
};

struct vt_cuda_graph {
    std::vector<std::function<void()>> work;
};

struct vt_cuda_event {
    uint64_t at;
};

static void queue(struct vt_cuda_stream *stream, std::function<void()> work) {
    if (stream->device != device_in_use) give_up("work for a stream of another device than the thread's");
    if (stream->recording)
        stream->recorded.push_back(work);
    else
        work();
}

int emulated_launch(dim3 grid, dim3 block, void *stream, std::function<void()> kernel) {
    queue((struct vt_cuda_stream *)stream, [=] { run_grid(grid, block, kernel); });
    return 0;
}

extern "C" {

enum vultus_status vt_cuda_check(int code, const char *what, struct vultus_error *error) {
    return code == 0 ? VULTUS_OK
                     : vt_fail(error, VULTUS_ERROR_BACKEND, "the emulated GPU failed at %s: %d", what, code);
}

enum vultus_status vt_cuda_device_info(int device, struct vt_cuda_device_info *info, struct vultus_error *error) {
    *info = {};
    if (device < 0 || device >= emulated_gpus.count)
        return vt_fail(error, VULTUS_ERROR_BACKEND, "there is no emulated GPU %d", device);
    strcpy(info->name, "emulated GPU");
    info->major = 8;
    info->memory = (size_t)1 << 30;
    info->integrated = device == emulated_gpus.integrated;
    return VULTUS_OK;
}

enum vultus_status vt_cuda_use(int device, struct vultus_error *error) {
    device_in_use = device;
    return device < emulated_gpus.count ? VULTUS_OK
                                        : vt_fail(error, VULTUS_ERROR_BACKEND, "there is no emulated GPU %d", device);
}

/* Aligned as the device's; zones of a known pattern before and behind show writes outside even without sanitizers. */
static const size_t zone = 256;
static const unsigned char zone_byte = 0xa5, fresh_byte = 0xff;

enum vultus_status vt_cuda_allocate(size_t bytes, void **out, struct vultus_error *error) {
    *out = nullptr;
    if (bytes == 0) return VULTUS_OK;
    emulated_gpus.allocations++;
    unsigned char *whole = (unsigned char *)aligned_alloc(zone, (bytes + 3 * zone - 1) / zone * zone);
    if (!whole) return vt_fail_memory(error, "emulated device memory", bytes);
    memset(whole, zone_byte, zone);
    memcpy(whole, &bytes, sizeof bytes);
    memset(whole + zone, fresh_byte, bytes);
    memset(whole + zone + bytes, zone_byte, (bytes + 3 * zone - 1) / zone * zone - zone - bytes);
    *out = whole + zone;
    return VULTUS_OK;
}

void vt_cuda_release(void *memory) {
    if (!memory) return;
    unsigned char *whole = (unsigned char *)memory - zone;
    size_t bytes;
    memcpy(&bytes, whole, sizeof bytes);
    for (size_t i = sizeof bytes; i < zone; i++)
        if (whole[i] != zone_byte) give_up("a kernel wrote in front of its memory");
    for (size_t i = zone + bytes; i < (bytes + 3 * zone - 1) / zone * zone; i++)
        if (whole[i] != zone_byte) give_up("a kernel wrote behind its memory");
    free(whole);
}

enum vultus_status vt_cuda_allocate_host(size_t bytes, void **out, struct vultus_error *error) {
    emulated_gpus.allocations++;
    *out = bytes ? malloc(bytes) : nullptr;
    return *out || !bytes ? VULTUS_OK : vt_fail_memory(error, "emulated pinned memory", bytes);
}

void vt_cuda_release_host(void *memory) { free(memory); }

enum vultus_status vt_cuda_mapped(void *host, void **device, struct vultus_error *) {
    *device = host;
    return VULTUS_OK;
}

enum vultus_status vt_cuda_stream_create(struct vt_cuda_stream **out, struct vultus_error *) {
    *out = new vt_cuda_stream();
    return VULTUS_OK;
}

void vt_cuda_stream_destroy(struct vt_cuda_stream *stream) { delete stream; }
enum vultus_status vt_cuda_stream_wait(struct vt_cuda_stream *stream, struct vultus_error *error) {
    return stream->device != emulated_gpus.lost
               ? VULTUS_OK
               : vt_fail(error, VULTUS_ERROR_BACKEND, "emulated GPU %d is lost", stream->device);
}
void *vt_cuda_stream_native(struct vt_cuda_stream *stream) { return stream; }

static std::atomic<uint64_t> copied[VT_CUDA_ON_DEVICE + 1];

void vt_cuda_count_copy(uint64_t bytes, enum vt_cuda_direction direction) { copied[direction] += bytes; }
uint64_t vt_cuda_copied(enum vt_cuda_direction direction) { return copied[direction]; }

enum vultus_status vt_cuda_copy(struct vt_cuda_stream *stream, void *to, const void *from, size_t bytes,
    enum vt_cuda_direction direction, struct vultus_error *) {
    if (!stream->recording) vt_cuda_count_copy(bytes, direction);
    queue(stream, [=] {
        memcpy(to, from, bytes);
        if (direction != VT_CUDA_ON_DEVICE) emulated_gpus.copied += bytes;
    });
    return VULTUS_OK;
}

enum vultus_status vt_cuda_clear(struct vt_cuda_stream *stream, void *memory, size_t bytes, struct vultus_error *) {
    queue(stream, [=] { memset(memory, 0, bytes); });
    return VULTUS_OK;
}

enum vultus_status vt_cuda_graph_begin(struct vt_cuda_stream *stream, struct vultus_error *) {
    stream->recording = true;
    return VULTUS_OK;
}

enum vultus_status vt_cuda_graph_end(struct vt_cuda_stream *stream, struct vt_cuda_graph **out, struct vultus_error *) {
    *out = new vt_cuda_graph{std::move(stream->recorded)};
    stream->recorded.clear();
    stream->recording = false;
    return VULTUS_OK;
}

enum vultus_status vt_cuda_graph_launch(
    struct vt_cuda_graph *graph, struct vt_cuda_stream *stream, struct vultus_error *) {
    for (const std::function<void()> &work : graph->work) queue(stream, work);
    return VULTUS_OK;
}

void vt_cuda_graph_destroy(struct vt_cuda_graph *graph) { delete graph; }

enum vultus_status vt_cuda_event_create(struct vt_cuda_event **out, struct vultus_error *) {
    *out = new vt_cuda_event();
    return VULTUS_OK;
}

enum vultus_status vt_cuda_event_record(
    struct vt_cuda_event *event, struct vt_cuda_stream *stream, struct vultus_error *) {
    queue(stream, [=] { event->at = vt_now_ns(); });
    return VULTUS_OK;
}

enum vultus_status vt_cuda_event_nanoseconds(
    const struct vt_cuda_event *from, const struct vt_cuda_event *to, uint64_t *nanoseconds, struct vultus_error *) {
    *nanoseconds = to->at - from->at;
    return VULTUS_OK;
}

void vt_cuda_event_destroy(struct vt_cuda_event *event) { delete event; }

// The emulated GPU is none of Hopper's: tactics that need one are never chosen.
int vt_cuda_launch_conv_wgmma(const struct vt_cuda_conv *, const struct vt_cuda_wgmma_shape *, void *) { return 1; }
int vt_cuda_launch_group_norm_cluster(const struct vt_cuda_norm *, void *) { return 1; }
}
