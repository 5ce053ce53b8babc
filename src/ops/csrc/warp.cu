// ops_warp: a block gathers the points that a tile of the output is filtered from, or scatters those of a tile of points.
#include "common.cuh"
#include "warp_point.h"

namespace ops {
namespace {

using warp::Filters;
using warp::kReach;
constexpr int kChannels = 3;  // at a time: the pictures are RGB

template <typename T>
constexpr int kTile = sizeof(T) == 8 ? 8 : 16;  // output pixels along a side: what shared memory holds

struct Size {
  int c, h, w;
};

// Pixels and weights that a point of the fine grid has along an axis; pixels beyond the margins weigh nothing.
template <typename T>
__device__ inline bool weights_at(T position, int size, T before, T after, const Filters<T>& filters, int (&pixel)[kReach],
                                  T (&weight)[kReach]) {
  const int low = -int(before), high = size + int(after);
  warp::Lookup<T> found;
  const bool any = warp::look_up(position, low, high, found);
  if (!any) return false;
#pragma unroll
  for (int i = 0; i < kReach; ++i) {
    const int at = found.first + i;
    pixel[i] = warp::reflected(at, size);
    weight[i] = at >= low && at < high ? warp::weight_of(found, i, filters) : T(0);
  }
  return true;
}

template <typename T>
__global__ void __launch_bounds__(kBlock)
    warp_gather(const T* __restrict__ x, T* __restrict__ y, const T* __restrict__ affine, const T* __restrict__ margins,
                Filters<T> filters, Size size, int tiles_y, int tiles_x, int64_t tiles) {
  constexpr int kSide = kTile<T>, kFine = 2 * kSide + 10;
  __shared__ T points[kChannels][kFine][kFine];
  __shared__ T lines[kChannels][kFine][kSide];
  const int64_t plane = int64_t(size.h) * size.w;
  for (int64_t tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
    const int64_t row_of_tiles = quotient(tile, tiles_x), n = quotient(row_of_tiles, tiles_y);
    const int x0 = int(tile - row_of_tiles * tiles_x) * kSide, y0 = int(row_of_tiles - n * tiles_y) * kSide;
    const T* map = affine + n * 6;
    for (int c0 = 0; c0 < size.c; c0 += kChannels) {
      const int channels = min(kChannels, size.c - c0);
      const T* source = x + (n * size.c + c0) * plane;
      for (int p = threadIdx.x; p < kFine * kFine; p += kBlock) {
        const int row = p / kFine, col = p - row * kFine, px = 2 * x0 + 1 + col, py = 2 * y0 + 1 + row;
        T weight_x[kReach], weight_y[kReach], sum[kChannels] = {};
        int at_x[kReach], at_y[kReach];
        if (weights_at(warp::position_of(map, px, py, size.w, size.h, size.w), size.w, margins[0], margins[2], filters,
                       at_x, weight_x) &&
            weights_at(warp::position_of(map + 3, px, py, size.w, size.h, size.h), size.h, margins[1], margins[3],
                       filters, at_y, weight_y)) {
#pragma unroll
          for (int i = 0; i < kReach; ++i) {
            const T* line = source + int64_t(at_y[i]) * size.w;
            for (int c = 0; c < channels; ++c, line += plane) {
              T along = 0;
#pragma unroll
              for (int j = 0; j < kReach; ++j) along += weight_x[j] * line[at_x[j]];
              sum[c] += weight_y[i] * along;
            }
          }
        }
        for (int c = 0; c < channels; ++c) points[c][row][col] = sum[c];
      }
      __syncthreads();
      for (int p = threadIdx.x; p < channels * kFine * kSide; p += kBlock) {
        const int col = p % kSide, row = p / kSide % kFine, c = p / (kSide * kFine);
        T sum = 0;
#pragma unroll
        for (int k = 0; k < warp::kTaps; ++k) sum += filters.down[k] * points[c][row][2 * col + k];
        lines[c][row][col] = sum;
      }
      __syncthreads();
      for (int p = threadIdx.x; p < channels * kSide * kSide; p += kBlock) {
        const int col = p % kSide, row = p / kSide % kSide, c = p / (kSide * kSide);
        T sum = 0;
#pragma unroll
        for (int k = 0; k < warp::kTaps; ++k) sum += filters.down[k] * lines[c][2 * row + k][col];
        if (y0 + row < size.h && x0 + col < size.w)
          y[(n * size.c + c0 + c) * plane + int64_t(y0 + row) * size.w + x0 + col] = sum;
      }
      __syncthreads();
    }
  }
}

// The six outputs that a fine point at `place` of a tile goes to, as filtered values of a line of the tile's gradients.
template <typename T>
__device__ inline T filtered(const Filters<T>& filters, const T* line, int stride, int place) {
  T sum = 0;
  const int odd = place & 1, last = place / 2 + 5 + odd;
#pragma unroll
  for (int r = 0; r < warp::kTaps / 2; ++r) sum += (odd ? filters.down[2 * r] : filters.down[2 * r + 1]) * line[(last - r) * stride];
  return sum;
}

template <typename T>
__global__ void __launch_bounds__(kBlock)
    warp_scatter(const T* __restrict__ dy, T* __restrict__ dx, const T* __restrict__ affine,
                 const T* __restrict__ margins, Filters<T> filters, Size size, int tiles_y, int tiles_x, int64_t tiles) {
  constexpr int kSide = kTile<T>, kFine = 2 * kSide, kNeeded = kSide + 6;
  __shared__ T given[kChannels][kNeeded][kNeeded];
  __shared__ T lines[kChannels][kFine][kNeeded];
  const int64_t plane = int64_t(size.h) * size.w;
  for (int64_t tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
    const int64_t row_of_tiles = quotient(tile, tiles_x), n = quotient(row_of_tiles, tiles_y);
    const int x0 = int(tile - row_of_tiles * tiles_x) * kSide, y0 = int(row_of_tiles - n * tiles_y) * kSide;
    const T* map = affine + n * 6;
    for (int c0 = 0; c0 < size.c; c0 += kChannels) {
      const int channels = min(kChannels, size.c - c0);
      for (int p = threadIdx.x; p < channels * kNeeded * kNeeded; p += kBlock) {
        const int col = p % kNeeded, row = p / kNeeded % kNeeded, c = p / (kNeeded * kNeeded);
        const int iy = y0 - 6 + row, ix = x0 - 6 + col;
        const bool inside = iy >= 0 && iy < size.h && ix >= 0 && ix < size.w;
        given[c][row][col] = inside ? dy[(n * size.c + c0 + c) * plane + int64_t(iy) * size.w + ix] : T(0);
      }
      __syncthreads();
      for (int p = threadIdx.x; p < channels * kFine * kNeeded; p += kBlock) {
        const int col = p % kNeeded, row = p / kNeeded % kFine, c = p / (kNeeded * kFine);
        lines[c][row][col] = filtered(filters, &given[c][0][col], kNeeded, row);
      }
      __syncthreads();
      for (int p = threadIdx.x; p < kFine * kFine; p += kBlock) {
        const int row = p / kFine, col = p - row * kFine, px = 2 * x0 + col, py = 2 * y0 + row;
        T weight_x[kReach], weight_y[kReach];
        int at_x[kReach], at_y[kReach];
        if (!weights_at(warp::position_of(map, px, py, size.w, size.h, size.w), size.w, margins[0], margins[2], filters,
                        at_x, weight_x) ||
            !weights_at(warp::position_of(map + 3, px, py, size.w, size.h, size.h), size.h, margins[1], margins[3],
                        filters, at_y, weight_y))
          continue;
        for (int c = 0; c < channels; ++c) {
          const T value = filtered(filters, lines[c][row], 1, col);
          if (value == 0) continue;
          T* target = dx + (n * size.c + c0 + c) * plane;
#pragma unroll
          for (int i = 0; i < kReach; ++i) {
            T* line = target + int64_t(at_y[i]) * size.w;
            const T part = weight_y[i] * value;
#pragma unroll
            for (int j = 0; j < kReach; ++j) {
              if (weight_x[j] != 0 && part != 0) atomicAdd(line + at_x[j], part * weight_x[j]);
            }
          }
        }
      }
      __syncthreads();
    }
  }
}

template <typename T>
int run(const OpsWarp* a) {
  const Size size{int(a->c), int(a->h), int(a->w)};
  const int around = a->adjoint ? 6 : 0;  // points beyond the picture, in pixels
  const int tiles_y = int(ceil_div(a->h + around, kTile<T>)), tiles_x = int(ceil_div(a->w + around, kTile<T>));
  const int64_t tiles = a->n * tiles_y * tiles_x;
  auto kernel = a->adjoint ? warp_scatter<T> : warp_gather<T>;
  OPS_LAUNCH(kernel, grid_for(tiles), kBlock, cudaStream_t(a->stream), static_cast<const T*>(a->x), static_cast<T*>(a->y),
             static_cast<const T*>(a->affine), static_cast<const T*>(a->margins), Filters<T>(a->taps), size, tiles_y,
             tiles_x, tiles);
  return launched();
}

}  // namespace
}  // namespace ops

OPS_EXPORT int ops_warp(const OpsWarp* a) {
  using namespace ops;
  if (a->n < 0 || a->c < 0 || a->h < 0 || a->w < 0 || a->h >= 1 << 24 || a->w >= 1 << 24) return kBadSize;
  if (a->n == 0 || a->c == 0 || a->h == 0 || a->w == 0) return 0;
  if (a->dtype == OPS_FLOAT32) return run<float>(a);
  return a->dtype == OPS_FLOAT64 ? run<double>(a) : int(kBadType);
}
