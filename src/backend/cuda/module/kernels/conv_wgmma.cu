// SPDX-License-Identifier: Apache-2.0
//
// Convolution as a matrix product by Hopper's warp groups: half planes and weights, sums in float32. A block makes
// `pixels` pixels by `channels` channels. A warp of its own keeps a ring of stages filled: the copy engine gathers a
// tap's pixels straight from the planes (im2col) and rows of weights beside them; each warp group multiplies 64 pixels.
// Where a plane has few pixels, blocks of a cluster share the depth: each sends its sums to the block that stores their
// row, which adds them up, first block first, so that they depend on the step and the tactic alone. Another warp fills
// the block's part of the planes' border. Weights do not depend on what runs before: their copies begin while the grid
// before ends.
#include "backend/cuda/module/kernels/common.cuh"
#include "backend/cuda/module/kernels/hopper.cuh"
#include "backend/cuda/module/kernels/walk.cuh"

enum { group_threads = 128, group_pixels = 64, warp_threads = 32, helper_threads = 2 * warp_threads, most_parts = 8 };

struct wgmma_conv {
    vt_cuda_conv conv;
    simple_tail tail;
    int chunks;         // of the depth, all taps
    int chunks_per_tap; // of `depth` channels each
    int parts;          // blocks that share the depth
};

// Where a row of the tile goes, and comes from, in elements; y is -1 past the last pixel.
struct row_place {
    int64_t y, residual;
};

// `shared`: the depth, with the other blocks of a cluster.
template <int pixels, int channels, int depth, bool shared> struct shape {
    static constexpr int groups = pixels / group_pixels, threads = groups * group_threads;
    static constexpr int stage_bytes = (pixels + channels) * depth * (int)sizeof(__half);
    // Blocks that share a multiprocessor, so that some multiply while others begin or store.
    static constexpr int together = channels == 256 ? 1 : channels == 32 && !shared ? 3 : 2;
    // Sums of all blocks are received beside the tiles; a block's own take the tiles' room, with rows that begin in
    // other banks.
    static constexpr int received_bytes = shared ? pixels * channels * (int)sizeof(float) : 0;
    static constexpr int room = ((together == 1 ? 220 : together == 2 ? 108 : 71) << 10) - received_bytes;
    static constexpr int fitting = room / stage_bytes, stages = fitting > 8 ? 8 : fitting;
    static constexpr int pitch = shared ? channels : channels + 8;
    static constexpr int sums_bytes = shared ? 0 : pixels * pitch * (int)sizeof(float);
    static constexpr int tiles_bytes = stages * stage_bytes > sums_bytes ? stages *stage_bytes : sums_bytes;
    static constexpr int barriers_bytes = (2 * stages + 2) * (int)sizeof(uint64_t);
    static constexpr int bytes = tiles_bytes + received_bytes + barriers_bytes + pixels * (int)sizeof(row_place);
};

// Where the copies of a block's chunks come from: the first pixel, the first row of weights, and the next chunk.
struct source {
    const CUtensorMap *x, *w;
    int column, row, item, first_channel;
    int tap_row, tap_column, channel;

    __device__ void start(const wgmma_conv &p, int chunk, int depth) {
        const int tap = chunk / p.chunks_per_tap;
        channel = (chunk - tap * p.chunks_per_tap) * depth;
        tap_row = tap / p.conv.window.kernel[1];
        tap_column = tap - tap_row * p.conv.window.kernel[1];
    }
    __device__ void advance(const wgmma_conv &p, int depth) {
        channel += depth;
        if (channel < p.conv.x.lanes) return;
        channel = 0;
        if (++tap_column < p.conv.window.kernel[1]) return;
        tap_column = 0;
        tap_row++;
    }
};

template <int pixels, int channels, int depth, bool shared> struct ring {
    using s = shape<pixels, channels, depth, shared>;
    uint8_t *tiles;
    float *received;
    uint64_t *full, *empty, *all_received;
    row_place *places;

    __device__ explicit ring(uint8_t *memory)
        : tiles(memory), received((float *)(memory + s::tiles_bytes)),
          full((uint64_t *)(memory + s::tiles_bytes + s::received_bytes)), empty(full + s::stages),
          all_received(empty + s::stages), places((row_place *)((uint8_t *)full + s::barriers_bytes)) {}
    __device__ __half *x(int stage) const { return (__half *)(tiles + stage * s::stage_bytes); }
    __device__ __half *w(int stage) const { return x(stage) + pixels * depth; }

    __device__ void init() const {
        for (int i = 0; i < s::stages; i++) {
            barrier_init(&full[i], 1);
            barrier_init(&empty[i], s::groups);
        }
        barrier_init(all_received, 1);
        barrier_init_fence();
        if (shared) barrier_expect(all_received, s::received_bytes);
    }
    __device__ void copy_weights(const source &from, int stage, int chunk) const {
        barrier_expect(&full[stage], s::stage_bytes);
        copy_matrix(w(stage), from.w, &full[stage], chunk * depth, from.first_channel);
    }
    __device__ void copy_plane(const wgmma_conv &p, source &from, int stage) const {
        copy_pixels(x(stage), from.x, &full[stage], from.channel, from.column, from.row, from.item,
            (uint16_t)(from.tap_column * p.conv.window.dilation[1]),
            (uint16_t)(from.tap_row * p.conv.window.dilation[0]));
        from.advance(p, depth);
    }
};

// Keeps the ring filled with chunks [first, end).
template <int pixels, int channels, int depth, bool shared>
__device__ static void produce(
    const wgmma_conv &p, const ring<pixels, channels, depth, shared> &r, source from, int first, int end) {
    constexpr int stages = shape<pixels, channels, depth, shared>::stages;
    const int ahead = end - first < stages ? end - first : stages;
    from.start(p, first, depth);
    for (int i = 0; i < ahead; i++) r.copy_weights(from, i, first + i);
    wait_for_grids_before();
    for (int i = 0; i < ahead; i++) r.copy_plane(p, from, i);
    int stage = 0;
    uint32_t parity = 0;
#pragma unroll 1
    for (int chunk = first + ahead; chunk < end; chunk++) {
        barrier_wait(&r.empty[stage], parity);
        r.copy_weights(from, stage, chunk);
        r.copy_plane(p, from, stage);
        if (++stage == stages) {
            stage = 0;
            parity ^= 1;
        }
    }
}

template <int pixels, int channels, int depth, bool shared>
__device__ static void consume(const ring<pixels, channels, depth, shared> &r, int count, float (&sums)[channels / 2]) {
    constexpr int stages = shape<pixels, channels, depth, shared>::stages;
    const int group = threadIdx.x / group_threads;
    const bool first_of_group = threadIdx.x % group_threads == 0;
    const uint64_t x = describe_rows<depth>(r.x(0) + group * group_pixels * depth), w = describe_rows<depth>(r.w(0));
    int stage = 0;
    uint32_t parity = 0;
#pragma unroll 1
    for (int i = 0; i < count; i++) {
        barrier_wait(&r.full[stage], parity);
        const uint64_t at = (uint64_t)(stage * (shape<pixels, channels, depth, shared>::stage_bytes >> 4));
        products_begin();
        VT_UNROLL
        for (int k = 0; k < depth / 16; k++) multiply_rows<channels>(sums, x + at + 2 * k, w + at + 2 * k);
        products_commit();
        products_wait<1>();
        // Nobody waits for the last stages to become empty.
        if (i > 0 && first_of_group && i - 1 + stages < count)
            barrier_arrive(&r.empty[stage == 0 ? stages - 1 : stage - 1]);
        if (++stage == stages) {
            stage = 0;
            parity ^= 1;
        }
    }
    products_wait<0>();
    hold_sums(sums);
}

// A thread's sums to rows in shared memory.
template <int channels> __device__ static void keep_sums(float *rows, const float (&sums)[channels / 2]) {
    constexpr int pitch = channels + 8;
    const int lane = threadIdx.x % 32, row = threadIdx.x / 32 * 16 + lane / 4;
    float *at = rows + row * pitch + lane % 4 * 2;
    VT_UNROLL
    for (int j = 0; j < channels / 8; j++) {
        *(float2 *)(at + 8 * j) = make_float2(sums[4 * j], sums[4 * j + 1]);
        *(float2 *)(at + 8 * j + 8 * pitch) = make_float2(sums[4 * j + 2], sums[4 * j + 3]);
    }
}

// A thread's sums to the blocks that store their rows, each `part_rows` of them: neighbours exchange two of theirs, so
// that each sends four of one row.
template <int channels>
__device__ static void send_sums(
    float *received, uint64_t *all_received, int part_rows, const float (&sums)[channels / 2]) {
    const int lane = threadIdx.x % 32, row = threadIdx.x / 32 * 16 + lane / 4 + lane % 2 * 8;
    const uint32_t block = (uint32_t)(row / part_rows);
    const float *at = received + ((int)blockIdx.z * part_rows + row % part_rows) * channels + lane % 4 / 2 * 4;
    const uint32_t to = address_of_block(at, block), barrier = address_of_block(all_received, block);
    VT_UNROLL
    for (int j = 0; j < channels / 8; j++) {
        const bool odd = lane % 2;
        const float2 kept =
            odd ? make_float2(sums[4 * j + 2], sums[4 * j + 3]) : make_float2(sums[4 * j], sums[4 * j + 1]);
        const float2 given =
            odd ? make_float2(sums[4 * j], sums[4 * j + 1]) : make_float2(sums[4 * j + 2], sums[4 * j + 3]);
        const float2 got = make_float2(__shfl_xor_sync(~0u, given.x, 1), __shfl_xor_sync(~0u, given.y, 1));
        const float4 four = odd ? make_float4(got.x, got.y, kept.x, kept.y) : make_float4(kept.x, kept.y, got.x, got.y);
        send4(to + 32 * (uint32_t)j, four, barrier);
    }
}

struct alignas(16) half8_words {
    uint32_t v[4];
};

__device__ static inline uint32_t two_halves(float low, float high) {
    return (uint32_t)__half_as_ushort(__float2half_rn(low)) | (uint32_t)__half_as_ushort(__float2half_rn(high)) << 16;
}

// What a thread needs of its eight channels.
struct eight_channels {
    float bias[8], factor[8];
    int kept; // of the eight, those that are channels: the others become 0

    __device__ eight_channels(const wgmma_conv &p, int channel) : kept(p.conv.y.channels - channel) {
        VT_UNROLL
        for (int i = 0; i < 8; i++) {
            bias[i] = bias_of(p.conv.tail, channel + i);
            factor[i] = factor_of(p.conv.tail, p.tail, channel + i);
        }
    }
    __device__ float finish(const simple_tail &t, float sum, float residual, int i) const {
        return i < kept ? finish_simply(t, sum + bias[i], factor[i], residual) : 0;
    }
};

__device__ static inline void store_eight(const vt_cuda_plane &to, int64_t at, const float v[8]) {
    if (to.element == VT_CUDA_F16) {
        *(half8_words *)((__half *)to.data + at) = half8_words{
            {two_halves(v[0], v[1]), two_halves(v[2], v[3]), two_halves(v[4], v[5]), two_halves(v[6], v[7])}};
        return;
    }
    store4(to.data, VT_CUDA_F32, at, make_float4(v[0], v[1], v[2], v[3]));
    store4(to.data, VT_CUDA_F32, at + 4, make_float4(v[4], v[5], v[6], v[7]));
}

// The rows that a thread stores, all of the same eight channels. Their residuals are on their way `ahead` of them, the
// first even before the sums are made.
template <int pixels, int channels> struct rows_of_thread {
    static constexpr int vectors = channels / 8, threads = pixels / group_pixels * group_threads;
    static constexpr int step = threads / vectors, all = pixels / step,
                         ahead = all < 2 ? all : 2; // more would not fit registers
    int64_t at[ahead];
    half8 residual[ahead];

    // Of the block's `rows` the thread's from `first` on.
    __device__ void load(const wgmma_conv &p, const row_place *places, int first, int rows, int channel) {
        VT_UNROLL
        for (int i = 0; i < ahead; i++) {
            const int row = first + i * step;
            const row_place place = row < rows ? places[(int)blockIdx.z * rows + row] : row_place{-1, -1};
            at[i] = channel < p.conv.y.lanes ? place.y : -1;
            residual[i] = half8{};
            if (at[i] >= 0 && p.conv.residual.data) residual[i] = load8(p.conv.residual.data, place.residual + channel);
        }
    }

    // The sums of `parts` blocks are behind each other.
    template <int pitch>
    __device__ void store(
        const wgmma_conv &p, const eight_channels &of, const float *sums, int first, int rows, int channel) const {
        VT_UNROLL
        for (int i = 0; i < ahead; i++) {
            float v[8] = {};
            if (at[i] < 0) continue;
            for (int part = 0; part < p.parts; part++) {
                const float *from = sums + (part * rows + first + i * step) * pitch;
                VT_UNROLL
                for (int c = 0; c < 8; c++) v[c] += from[c];
            }
            VT_UNROLL
            for (int c = 0; c < 8; c++) v[c] = of.finish(p.tail, v[c], __half2float(residual[i].v[c]), c);
            store_eight(p.conv.y, at[i] + channel, v);
        }
    }
};

__device__ static inline row_place place_of(const vt_cuda_conv &p, int number, int total) {
    if (number >= total) return row_place{-1, -1};
    const int line = number / p.y.columns, item = line / p.y.rows;
    const int row = line - item * p.y.rows, column = number - line * p.y.columns;
    return row_place{pixel(p.y, item, row, column), p.residual.data ? pixel(p.residual, item, row, column) : 0};
}

__device__ static void fill_part_of_border(const vt_cuda_conv &conv, unsigned lane) {
    const unsigned block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
    const int64_t parts = (int64_t)gridDim.x * gridDim.y * gridDim.z * warp_threads;
    fill_border(conv.y, conv.batch, (int64_t)block * warp_threads + lane, parts);
}

template <int pixels, int channels, int depth, bool shared>
__global__ static void __launch_bounds__(shape<pixels, channels, depth, shared>::threads + helper_threads,
    shape<pixels, channels, depth, shared>::together) conv_wgmma(const __grid_constant__ CUtensorMap x_map,
    const __grid_constant__ CUtensorMap w_map, const __grid_constant__ wgmma_conv p) {
    using s = shape<pixels, channels, depth, shared>;
    extern __shared__ __align__(1024) uint8_t memory[];
    const ring<pixels, channels, depth, shared> r(memory);
    const vt_cuda_conv &conv = p.conv;
    const int total = (int)conv.batch * conv.y.rows * conv.y.columns;
    const int first_pixel = (int)blockIdx.x * pixels, first_channel = (int)blockIdx.y * channels;
    const int begin = p.chunks * (int)blockIdx.z / p.parts, end = p.chunks * ((int)blockIdx.z + 1) / p.parts;
    if (threadIdx.x == s::threads) {
        prefetch_map(&x_map);
        prefetch_map(&w_map);
        r.init();
    }
    __syncthreads();
    if (shared) cluster_arrive();
    let_next_grid_begin();
    if (threadIdx.x >= s::threads + warp_threads) {
        wait_for_grids_before();
        fill_part_of_border(conv, threadIdx.x - s::threads - warp_threads);
        if (shared) cluster_wait();
        return;
    }
    if (threadIdx.x >= s::threads) {
        if (threadIdx.x == s::threads) {
            const int line = first_pixel / conv.y.columns, item = line / conv.y.rows;
            const int row = line - item * conv.y.rows, column = first_pixel - line * conv.y.columns;
            produce(p, r,
                source{&x_map, &w_map, column * conv.window.stride[1] + conv.x.pad[1] - conv.window.pad[1],
                    row * conv.window.stride[0] + conv.x.pad[0] - conv.window.pad[0], item, first_channel, 0, 0, 0},
                begin, end);
        }
        __syncwarp();
        if (shared) cluster_wait();
        return;
    }
    using mine = rows_of_thread<pixels, channels>;
    const int rows = pixels / p.parts, column = (int)threadIdx.x % mine::vectors * 8, channel = first_channel + column;
    int row = (int)threadIdx.x / mine::vectors;
    float sums[channels / 2] = {};
    mine stored;
    if (threadIdx.x < pixels) r.places[threadIdx.x] = place_of(conv, first_pixel + (int)threadIdx.x, total);
    wait_for_grids_before();
    threads_wait(1, s::threads);
    stored.load(p, r.places, row, rows, channel);
    consume(r, end - begin, sums);
    const float *all = shared ? r.received : (const float *)memory;
    if constexpr (shared) {
        cluster_wait(); // every block's barriers are ready
        send_sums<channels>(r.received, r.all_received, rows, sums);
        barrier_wait(r.all_received, 0);
    } else {
        threads_wait(1, s::threads); // all tiles are read: their room becomes the sums'
        keep_sums<channels>((float *)memory, sums);
        threads_wait(1, s::threads);
    }
    const eight_channels of(p, channel < conv.y.lanes ? channel : 0);
#pragma unroll 1
    for (; row < rows; row += mine::step * mine::ahead) {
        stored.template store<s::pitch>(p, of, all + column, row, rows, channel);
        stored.load(p, r.places, row + mine::step * mine::ahead, rows, channel);
    }
}

// ------------------------------------------------------------ launching

// Functions of the driver by way of the runtime: nothing links with the driver.
template <typename Function> static Function driver_function(const char *name) {
    void *found = nullptr;
    cudaDriverEntryPointQueryResult result;
    if (cudaGetDriverEntryPointByVersion(name, &found, 12000, cudaEnableDefault, &result) || result) return nullptr;
    return (Function)found;
}

typedef CUresult (*encode_im2col)(CUtensorMap *, CUtensorMapDataType, cuuint32_t, void *, const cuuint64_t *,
    const cuuint64_t *, const int *, const int *, cuuint32_t, cuuint32_t, const cuuint32_t *, CUtensorMapInterleave,
    CUtensorMapSwizzle, CUtensorMapL2promotion, CUtensorMapFloatOOBfill);
typedef CUresult (*encode_tiled)(CUtensorMap *, CUtensorMapDataType, cuuint32_t, void *, const cuuint64_t *,
    const cuuint64_t *, const cuuint32_t *, const cuuint32_t *, CUtensorMapInterleave, CUtensorMapSwizzle,
    CUtensorMapL2promotion, CUtensorMapFloatOOBfill);

static CUtensorMapSwizzle swizzle_of(int depth) {
    return depth == 64 ? CU_TENSOR_MAP_SWIZZLE_128B : CU_TENSOR_MAP_SWIZZLE_64B;
}

// The planes with their border are the tensor; base pixels are those of the first tap.
static bool describe_planes(const vt_cuda_conv &p, int pixels, int depth, CUtensorMap *map) {
    static const encode_im2col encode = driver_function<encode_im2col>("cuTensorMapEncodeIm2col");
    const vt_cuda_plane &x = p.x;
    const uint64_t columns = (uint64_t)(x.pad[1] + x.columns + x.pad[3]),
                   rows = (uint64_t)(x.pad[0] + x.rows + x.pad[2]);
    const cuuint64_t sizes[4] = {(cuuint64_t)x.lanes, columns, rows, (cuuint64_t)p.batch};
    const cuuint64_t strides[3] = {
        (cuuint64_t)x.lanes * sizeof(__half), columns * x.lanes * sizeof(__half), (cuuint64_t)x.item * sizeof(__half)};
    const cuuint32_t steps[4] = {1, (cuuint32_t)p.window.stride[1], (cuuint32_t)p.window.stride[0], 1};
    int lower[2], upper[2];
    for (int i = 0; i < 2; i++) { // columns, rows
        const int axis = 1 - i, size = (int)sizes[1 + i], outputs = axis ? p.y.columns : p.y.rows;
        lower[i] = x.pad[axis] - p.window.pad[axis];
        upper[i] = lower[i] + (outputs - 1) * p.window.stride[axis] - (size - 1);
    }
    return encode && encode(map, CU_TENSOR_MAP_DATA_TYPE_FLOAT16, 4, x.data, sizes, strides, lower, upper,
                         (cuuint32_t)depth, (cuuint32_t)pixels, steps, CU_TENSOR_MAP_INTERLEAVE_NONE, swizzle_of(depth),
                         CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE) == CUDA_SUCCESS;
}

static bool describe_weights(const vt_cuda_conv &p, int channels, int depth, int chunks, CUtensorMap *map) {
    static const encode_tiled encode = driver_function<encode_tiled>("cuTensorMapEncodeTiled");
    const cuuint64_t sizes[2] = {(cuuint64_t)chunks * depth, (cuuint64_t)p.y.lanes};
    const cuuint64_t strides[1] = {sizes[0] * sizeof(__half)};
    const cuuint32_t box[2] = {(cuuint32_t)depth, (cuuint32_t)channels}, steps[2] = {1, 1};
    return encode && encode(map, CU_TENSOR_MAP_DATA_TYPE_FLOAT16, 2, (void *)p.weights, sizes, strides, box, steps,
                         CU_TENSOR_MAP_INTERLEAVE_NONE, swizzle_of(depth), CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
                         CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE) == CUDA_SUCCESS;
}

template <int pixels, int channels, int depth, bool shared>
static int launch_shape(const vt_cuda_conv &conv, int parts, void *stream) {
    using s = shape<pixels, channels, depth, shared>;
    const int64_t total = conv.batch * conv.y.rows * conv.y.columns;
    wgmma_conv p = {conv, simple_tail_of(conv.tail.what)};
    p.chunks_per_tap = (conv.x.lanes + depth - 1) / depth;
    p.chunks = conv.window.kernel[0] * conv.window.kernel[1] * p.chunks_per_tap;
    p.parts = parts;
    CUtensorMap x, w;
    if (total > INT32_MAX / 2 || p.chunks < parts || parts > most_parts) return cudaErrorInvalidValue;
    if (!describe_planes(conv, pixels, depth, &x) || !describe_weights(conv, channels, depth, p.chunks, &w))
        return cudaErrorInvalidValue;
    const auto kernel = conv_wgmma<pixels, channels, depth, shared>;
    const cudaError_t code = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, s::bytes);
    if (code) return code;
    cudaLaunchAttribute attributes[2];
    attributes[0].id = cudaLaunchAttributeProgrammaticStreamSerialization;
    attributes[0].val.programmaticStreamSerializationAllowed = 1;
    attributes[1].id = cudaLaunchAttributeClusterDimension;
    attributes[1].val.clusterDim.x = 1;
    attributes[1].val.clusterDim.y = 1;
    attributes[1].val.clusterDim.z = (unsigned)parts;
    cudaLaunchConfig_t config = {};
    const unsigned tiles = (unsigned)((total + pixels - 1) / pixels);
    config.gridDim = dim3(tiles, (unsigned)((conv.y.lanes + channels - 1) / channels), (unsigned)parts);
    config.blockDim = dim3(s::threads + helper_threads);
    config.dynamicSmemBytes = s::bytes;
    config.stream = (cudaStream_t)stream;
    config.attrs = attributes;
    config.numAttrs = shared ? 2 : 1;
    return cudaLaunchKernelEx(&config, kernel, x, w, p);
}

template <int pixels, int channels, bool shared>
static int launch_depth(const vt_cuda_conv &conv, const vt_cuda_wgmma_shape &shape, void *stream) {
    return vt_cuda_wgmma_depth(conv.x.lanes) == 64
               ? launch_shape<pixels, channels, 64, shared>(conv, shape.parts, stream)
               : launch_shape<pixels, channels, 32, shared>(conv, shape.parts, stream);
}

int vt_cuda_launch_conv_wgmma(const vt_cuda_conv *conv, const vt_cuda_wgmma_shape *shape, void *stream) {
    const int tile = shape->pixels << 16 | shape->channels;
    if (shape->parts > 1) switch (tile) {
        case 64 << 16 | 32: return launch_depth<64, 32, true>(*conv, *shape, stream);
        case 64 << 16 | 64: return launch_depth<64, 64, true>(*conv, *shape, stream);
        case 128 << 16 | 64: return launch_depth<128, 64, true>(*conv, *shape, stream);
        default: return cudaErrorInvalidValue;
        }
    switch (tile) {
    case 64 << 16 | 32: return launch_depth<64, 32, false>(*conv, *shape, stream);
    case 64 << 16 | 64: return launch_depth<64, 64, false>(*conv, *shape, stream);
    case 128 << 16 | 32: return launch_depth<128, 32, false>(*conv, *shape, stream);
    case 128 << 16 | 64: return launch_depth<128, 64, false>(*conv, *shape, stream);
    case 128 << 16 | 128: return launch_depth<128, 128, false>(*conv, *shape, stream);
    case 128 << 16 | 256: return launch_depth<128, 256, false>(*conv, *shape, stream);
    default: return cudaErrorInvalidValue;
    }
}
