// What the CUDA files share: element types, 16-byte accesses, launches, reductions.
#ifndef CARICATURE_COMMON_CUH
#define CARICATURE_COMMON_CUH

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#include <stdint.h>
#include <string.h>

#include "ops.h"

#define OPS_EXPORT extern "C" __attribute__((visibility("default")))

#ifndef OPS_MAX_GRID
#define OPS_MAX_GRID 0x7fffffff
#endif

// Without nvcc the same sources run on the CPU (tests/ops/cuda_emulation).
#ifdef __CUDACC__
#define OPS_LAUNCH(kernel, grid, block, stream, ...) kernel<<<grid, block, 0, stream>>>(__VA_ARGS__)
#else
#define OPS_LAUNCH(kernel, grid, block, stream, ...) emulation::launch(grid, block, stream, [&] { kernel(__VA_ARGS__); })
#endif

namespace ops {

constexpr int kBlock = 256;  // threads of every block
constexpr int kWarp = 32;
constexpr int kWarps = kBlock / kWarp;
constexpr unsigned kAllLanes = 0xffffffffu;

enum { kBadType = -1, kBadSize = -2, kMissing = -3, kBoth = -4 };  // beside CUDA's own codes, which are positive

// The type of arithmetic, small operands and sums beside elements of type T.
template <typename T>
struct Arithmetic {
  using type = float;
};
template <>
struct Arithmetic<double> {
  using type = double;
};
template <typename T>
using Acc = typename Arithmetic<T>::type;

template <typename T>
constexpr int kVector = 16 / int(sizeof(T));  // elements of a 16-byte access

__host__ __device__ inline float widen(float v) { return v; }
__host__ __device__ inline double widen(double v) { return v; }
__host__ __device__ inline float widen(__half v) { return __half2float(v); }
__host__ __device__ inline float widen(__nv_bfloat16 v) { return __bfloat162float(v); }

template <typename T>
__host__ __device__ inline T narrow(Acc<T> v) {
  return v;
}
template <>
__host__ __device__ inline __half narrow<__half>(float v) {
  return __float2half_rn(v);
}
template <>
__host__ __device__ inline __nv_bfloat16 narrow<__nv_bfloat16>(float v) {
  return __float2bfloat16_rn(v);
}

// V elements from p, in 16-byte accesses when V of them fill such (p is aligned then).
template <int V, typename T>
__device__ inline void load(const T* p, Acc<T> (&v)[V]) {
  if constexpr (V % kVector<T> == 0) {
#pragma unroll
    for (int i = 0; i < V; i += kVector<T>) {
      const uint4 raw = *reinterpret_cast<const uint4*>(p + i);
      T element[kVector<T>];
      memcpy(element, &raw, sizeof raw);
#pragma unroll
      for (int j = 0; j < kVector<T>; ++j) v[i + j] = widen(element[j]);
    }
  } else {
#pragma unroll
    for (int i = 0; i < V; ++i) v[i] = widen(p[i]);
  }
}

// Word W of the 16 bytes that v becomes as elements of type T. Words by shifts, stored by __stwb (an ordinary store):
// nvcc may split the assignment of a uint4, and does split one put together by memcpy.
template <int W, typename T>
__device__ inline unsigned word(const Acc<T>* v) {
  if constexpr (sizeof(T) == 8) {
    uint64_t bits;
    memcpy(&bits, v + W / 2, sizeof bits);
    return unsigned(bits >> (W % 2 * 32));
  } else if constexpr (sizeof(T) == 4) {
    unsigned bits;
    memcpy(&bits, v + W, sizeof bits);
    return bits;
  } else {
    const T low = narrow<T>(v[2 * W]), high = narrow<T>(v[2 * W + 1]);
    uint16_t bits[2];
    memcpy(&bits[0], &low, sizeof low);
    memcpy(&bits[1], &high, sizeof high);
    return bits[0] | (unsigned(bits[1]) << 16);
  }
}

template <int V, typename T>
__device__ inline void store(T* p, const Acc<T> (&v)[V]) {
  if constexpr (V % kVector<T> == 0) {
#pragma unroll
    for (int i = 0; i < V; i += kVector<T>) {
      __stwb(reinterpret_cast<uint4*>(p + i),
             make_uint4(word<0, T>(v + i), word<1, T>(v + i), word<2, T>(v + i), word<3, T>(v + i)));
    }
  } else {
#pragma unroll
    for (int i = 0; i < V; ++i) p[i] = narrow<T>(v[i]);
  }
}

// a / b for a >= 0, b > 0; the 64-bit division is several times slower and rarely needed.
__device__ inline int64_t quotient(int64_t a, int64_t b) {
  if (((a | b) >> 32) == 0) return int64_t(uint32_t(a) / uint32_t(b));
  return a / b;
}

// The sum over groups of `lanes` neighbouring lanes (a power of two), in every lane. The whole warp must call.
template <typename A>
__device__ inline A lane_sum(A v, int lanes) {
  for (int d = lanes / 2; d > 0; d /= 2) v += __shfl_xor_sync(kAllLanes, v, d);
  return v;
}

inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Blocks for so many items of work; kernels step by the grid over what exceeds its limit.
inline unsigned grid_for(int64_t items) { return unsigned(items < OPS_MAX_GRID ? items : OPS_MAX_GRID); }

inline bool aligned(const void* p) { return reinterpret_cast<uintptr_t>(p) % 16 == 0; }

inline int launched() { return int(cudaGetLastError()); }

// f(T{}) for the element type of the code.
template <typename F>
int with_type(int dtype, F f) {
  switch (dtype) {
    case OPS_FLOAT32:
      return f(float{});
    case OPS_FLOAT64:
      return f(double{});
    case OPS_FLOAT16:
      return f(__half{});
    case OPS_BFLOAT16:
      return f(__nv_bfloat16{});
    default:
      return kBadType;
  }
}

}  // namespace ops
#endif
