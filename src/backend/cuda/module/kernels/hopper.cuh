// SPDX-License-Identifier: Apache-2.0
//
// Hopper's own instructions (compute capability 9.0a) under readable names: barriers in shared memory, bulk copies of
// tensors, clusters, and products of warp groups. The PTX manual (ISA 8.x: "mbarrier", "cp.async.bulk.tensor", "wgmma")
// says what each does.
#ifndef VT_BACKEND_CUDA_KERNELS_HOPPER
#define VT_BACKEND_CUDA_KERNELS_HOPPER

#include <cuda.h>
#include <cuda_fp16.h>
#include <stdint.h>

__device__ static inline uint32_t shared_address(const void *p) { return (uint32_t)__cvta_generic_to_shared(p); }

// ------------------------------------------------------------ barriers

__device__ static inline void barrier_init(uint64_t *barrier, int arrivals) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(barrier)), "r"(arrivals) : "memory");
}

// Makes initialised barriers visible to the copy engine.
__device__ static inline void barrier_init_fence() {
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}

__device__ static inline void barrier_arrive(uint64_t *barrier) {
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(barrier)) : "memory");
}

// One arrival, and `bytes` that copies will bring.
__device__ static inline void barrier_expect(uint64_t *barrier, uint32_t bytes) {
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(barrier)), "r"(bytes)
                 : "memory");
}

__device__ static inline void barrier_wait(uint64_t *barrier, uint32_t parity) {
    asm volatile("{\n.reg .pred done;\n"
                 "again:\n"
                 "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
                 "@!done bra again;\n}" ::"r"(shared_address(barrier)),
                 "r"(parity)
                 : "memory");
}

// Of `threads` threads of the block, by number (0 is __syncthreads).
__device__ static inline void threads_wait(int number, int threads) {
    asm volatile("bar.sync %0, %1;" ::"r"(number), "r"(threads) : "memory");
}

// ------------------------------------------------------------ grids that overlap

// Everything before, in the stream, is done and visible.
__device__ static inline void wait_for_grids_before() { asm volatile("griddepcontrol.wait;" ::: "memory"); }
// The next grid may begin, up to where it waits.
__device__ static inline void let_next_grid_begin() { asm volatile("griddepcontrol.launch_dependents;" ::: "memory"); }

// ------------------------------------------------------------ copies of tensors

__device__ static inline void prefetch_map(const CUtensorMap *map) {
    asm volatile("prefetch.tensormap [%0];" ::"l"(map) : "memory");
}

// A box of rows of a matrix.
__device__ static inline void copy_matrix(
    void *to, const CUtensorMap *map, uint64_t *barrier, int32_t column, int32_t row) {
    asm volatile(
        "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3}], "
        "[%4];" ::"r"(shared_address(to)),
        "l"(map), "r"(column), "r"(row), "r"(shared_address(barrier))
        : "memory");
}

// Pixels of planes, channels last, each moved by the same taps.
__device__ static inline void copy_pixels(void *to, const CUtensorMap *map, uint64_t *barrier, int32_t channel,
    int32_t column, int32_t row, int32_t item, uint16_t tap_column, uint16_t tap_row) {
    asm volatile(
        "cp.async.bulk.tensor.4d.shared::cluster.global.im2col.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3, "
        "%4, %5}], [%6], {%7, %8};" ::"r"(shared_address(to)),
        "l"(map), "r"(channel), "r"(column), "r"(row), "r"(item), "r"(shared_address(barrier)), "h"(tap_column),
        "h"(tap_row)
        : "memory");
}

// ------------------------------------------------------------ clusters

// Between these, every thread of every block of the cluster has come by. Of memory, only barrier_init_fence's barriers
// are known to be visible behind it.
__device__ static inline void cluster_arrive() { asm volatile("barrier.cluster.arrive.relaxed.aligned;" ::: "memory"); }
__device__ static inline void cluster_wait() { asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory"); }

// Where a block of the cluster has what is here at `mine`.
__device__ static inline uint32_t address_of_block(const void *mine, uint32_t block) {
    uint32_t address;
    asm volatile("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(address) : "r"(shared_address(mine)), "r"(block));
    return address;
}

// Numbers to another block's shared memory, counted there by its barrier.
__device__ static inline void send1(uint32_t to, float v, uint32_t barrier) {
    asm volatile(
        "st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.f32 [%0], %1, [%2];" ::"r"(to), "f"(v), "r"(barrier)
        : "memory");
}

__device__ static inline void send4(uint32_t to, float4 v, uint32_t barrier) {
    asm volatile(
        "st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.v4.f32 [%0], {%1, %2, %3, %4}, [%5];" ::"r"(to),
        "f"(v.x), "f"(v.y), "f"(v.z), "f"(v.w), "r"(barrier)
        : "memory");
}

// ------------------------------------------------------------ products

// Describes rows of `depth` halves, 32 or 64, in shared memory, swizzled as copies with that box leave them; the first
// row's address is a multiple of 1024. 16 halves further along the rows is 2 more.
template <int depth> __device__ static inline uint64_t describe_rows(const __half *rows) {
    const uint64_t eight_rows = depth * sizeof(__half) * 8, swizzle = depth == 64 ? 1 : 2;
    return (uint64_t)(shared_address(rows) >> 4 & 0x3fff) | (uint64_t)1 << 16 | eight_rows >> 4 << 32 | swizzle << 62;
}

__device__ static inline void products_begin() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ static inline void products_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
// At most `pending` groups are not done.
template <int pending> __device__ static inline void products_wait() {
    asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(pending) : "memory");
}

// The compiler moves no use of the sums across this.
template <int count> __device__ static inline void hold_sums(float (&s)[count]) {
    VT_UNROLL
    for (int i = 0; i < count; i++) asm volatile("" : "+f"(s[i])::"memory");
}

#define VT_R16(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p)                                                         \
    "%" #a ",%" #b ",%" #c ",%" #d ",%" #e ",%" #f ",%" #g ",%" #h ",%" #i ",%" #j ",%" #k ",%" #l ",%" #m ",%" #n     \
    ",%" #o ",%" #p
#define VT_R0 VT_R16(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
#define VT_R1 VT_R16(16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31)
#define VT_R2 VT_R16(32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47)
#define VT_R3 VT_R16(48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63)
#define VT_R4 VT_R16(64, 65, 66, 67, 68, 69, 70, 71, 72, 73, 74, 75, 76, 77, 78, 79)
#define VT_R5 VT_R16(80, 81, 82, 83, 84, 85, 86, 87, 88, 89, 90, 91, 92, 93, 94, 95)
#define VT_R6 VT_R16(96, 97, 98, 99, 100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 110, 111)
#define VT_R7 VT_R16(112, 113, 114, 115, 116, 117, 118, 119, 120, 121, 122, 123, 124, 125, 126, 127)
#define VT_S4(i) "+f"(s[i]), "+f"(s[(i) + 1]), "+f"(s[(i) + 2]), "+f"(s[(i) + 3])
#define VT_S16(i) VT_S4(i), VT_S4((i) + 4), VT_S4((i) + 8), VT_S4((i) + 12)
#define VT_PRODUCT(n, registers, x, w, ...)                                                                            \
    asm volatile("wgmma.mma_async.sync.aligned.m64n" #n "k16.f32.f16.f16 {" registers "}, %" #x ", %" #w               \
                 ", 1, 1, 1, 0, 0;"                                                                                    \
                 : __VA_ARGS__                                                                                         \
                 : "l"(x_rows), "l"(w_rows))

// s += 64 rows of x times `columns` rows of w, transposed, 16 deep, by a warp group. Thread t of it holds of row
// t / 32 * 16 + t % 32 / 4 + 8 * i and columns 8 * j + t % 4 * 2 + {0, 1} the numbers s[4 * j + 2 * i + {0, 1}].
template <int columns>
__device__ static inline void multiply_rows(float (&s)[columns / 2], uint64_t x_rows, uint64_t w_rows) {
    static_assert(columns == 32 || columns == 64 || columns == 128 || columns == 256, "instructions that are here");
    if constexpr (columns == 32)
        VT_PRODUCT(32, VT_R0, 16, 17, VT_S16(0));
    else if constexpr (columns == 64)
        VT_PRODUCT(64, VT_R0 "," VT_R1, 32, 33, VT_S16(0), VT_S16(16));
    else if constexpr (columns == 128)
        VT_PRODUCT(128, VT_R0 "," VT_R1 "," VT_R2 "," VT_R3, 64, 65, VT_S16(0), VT_S16(16), VT_S16(32), VT_S16(48));
    else
        VT_PRODUCT(256, VT_R0 "," VT_R1 "," VT_R2 "," VT_R3 "," VT_R4 "," VT_R5 "," VT_R6 "," VT_R7, 128, 129,
            VT_S16(0), VT_S16(16), VT_S16(32), VT_S16(48), VT_S16(64), VT_S16(80), VT_S16(96), VT_S16(112));
}

#endif
