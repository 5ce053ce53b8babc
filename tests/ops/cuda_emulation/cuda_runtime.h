// Stand-in for the CUDA runtime with which a C++ compiler builds the kernels for the CPU: blocks run one after another,
// the threads of a block as fibers that switch at barriers and shuffles.
#ifndef CUDA_EMULATION_RUNTIME_H
#define CUDA_EMULATION_RUNTIME_H

#include <string.h>

#include <functional>

#define __global__
#define __device__
#define __host__
#define __shared__ static  // one block at a time
#define __launch_bounds__(...)

struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return uint4{x, y, z, w}; }
inline void __stwb(uint4* p, uint4 v) { *p = v; }
template <typename T>
T min(T a, T b) {
  return a < b ? a : b;
}
template <typename T>
T atomicAdd(T* p, T v) {  // one thread at a time
  const T before = *p;
  *p += v;
  return before;
}

struct dim3 {
  unsigned x, y, z;
  dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

using cudaStream_t = void*;
enum cudaError_t { cudaSuccess = 0, cudaErrorInvalidConfiguration = 9, cudaErrorLaunchFailure = 719 };

extern dim3 threadIdx, blockIdx, blockDim, gridDim;

cudaError_t cudaGetLastError();
const char* cudaGetErrorString(cudaError_t error);
void __syncthreads();

#define OPS_MAX_GRID emulation::max_grid

namespace emulation {
extern unsigned max_grid;
void launch(dim3 grid, dim3 block, cudaStream_t stream, const std::function<void()>& kernel);
void exchange(unsigned mask, const void* mine, void* theirs, size_t size, int lane_xor);
}  // namespace emulation

template <typename T>
T __shfl_xor_sync(unsigned mask, T v, int lane_xor) {
  T result;
  emulation::exchange(mask, &v, &result, sizeof v, lane_xor);
  return result;
}

#endif
