// The gradient of the epilogue in channels_last.
#ifndef CARICATURE_EPILOGUE_GRAD_ROWS_CUH
#define CARICATURE_EPILOGUE_GRAD_ROWS_CUH

#include "epilogue_grad.cuh"

namespace ops {

// A block owns a chunk of pixels of a sample in a group of R * lanes vectors of channels; `lanes` neighbouring lanes (a
// power of two) share a pixel, each with R vectors, so that a block takes kBlock / lanes pixels at a time. A thread
// meets the same channels at every pixel and keeps their sums in registers; at the end these are added over the warp
// by shuffles and over the block in shared memory, in a fixed order. dnoise is a sum over the lanes of a pixel: it
// needs a single group.
template <typename T, int V, int R>
__global__ void __launch_bounds__(kBlock) grad_rows(Gradient<T> g, int lanes, int64_t groups, int64_t items) {
  using A = Acc<T>;
  __shared__ A partial[kWarps][R * kWarp * V];
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp, column = lane % lanes;
  const int together = kBlock / lanes;  // pixels
  for (int64_t i = blockIdx.x; i < items; i += gridDim.x) {
    const int64_t row = quotient(i, groups), n = quotient(row, g.chunks), chunk = row - n * g.chunks;
    const int64_t base = (i - row * groups) * R * lanes * V, begin = g.begin(chunk), end = g.end(chunk);
    A scale[R][V], sum_g[R][V], sum_gx[R][V];
#pragma unroll
    for (int r = 0; r < R; ++r) {
      const int64_t channel = base + (r * lanes + column) * V;
#pragma unroll
      for (int j = 0; j < V; ++j) {
        scale[r][j] = 1;
        sum_g[r][j] = sum_gx[r][j] = 0;
      }
      if (g.scale && channel < g.c) load<V>(g.scale + n * g.c + channel, scale[r]);
    }
    for (int64_t p0 = begin; p0 < end; p0 += together) {  // the warp stays whole for the shuffles
      const int64_t p = p0 + threadIdx.x / lanes;
      A noise = 0;
#pragma unroll
      for (int r = 0; r < R; ++r) {
        const int64_t channel = base + (r * lanes + column) * V;
        if (p < end && channel < g.c) {
          A v[V], u[V];
          g.template apply<V>((n * g.pixels + p) * g.c + channel, scale[r], v, u);
#pragma unroll
          for (int j = 0; j < V; ++j) {
            noise += v[j];
            sum_g[r][j] += v[j];
            sum_gx[r][j] += u[j];
          }
        }
      }
      if (g.dnoise) {
        noise = lane_sum(noise, lanes);
        if (column == 0 && p < end) g.dnoise[n * g.pixels + p] = noise;
      }
    }
    auto reduce = [&](A(&sum)[R][V], A* result) {
      if (!result) return;
      __syncthreads();  // the partial sums before have been read
#pragma unroll
      for (int r = 0; r < R; ++r) {
#pragma unroll
        for (int j = 0; j < V; ++j) {
          for (int d = kWarp / 2; d >= lanes; d /= 2) sum[r][j] += __shfl_xor_sync(kAllLanes, sum[r][j], d);
          if (lane < lanes) partial[warp][(r * lanes + lane) * V + j] = sum[r][j];
        }
      }
      __syncthreads();
      for (int k = threadIdx.x; k < R * lanes * V && base + k < g.c; k += kBlock) {
        A total = partial[0][k];
        for (int w = 1; w < kWarps; ++w) total += partial[w][k];
        result[row * g.c + base + k] = total;
      }
    };
    reduce(sum_g, g.sum_g);
    reduce(sum_gx, g.sum_gx);
  }
}

// dnoise alone, reading dy and y once more: for more channels than the lanes of a warp can hold. A warp a pixel.
template <typename T, int V>
__global__ void __launch_bounds__(kBlock) grad_noise(Gradient<T> g) {
  using A = Acc<T>;
  const int lane = threadIdx.x % kWarp;
  const int64_t step = int64_t(gridDim.x) * kWarps;
  for (int64_t p = int64_t(blockIdx.x) * kWarps + threadIdx.x / kWarp; p < g.n * g.pixels; p += step) {
    A noise = 0;
    for (int64_t channel = lane * V; channel < g.c; channel += kWarp * V) {
      A v[V], t[V];
      load<V>(g.dy + p * g.c + channel, v);
      load<V>(g.y + p * g.c + channel, t);
#pragma unroll
      for (int j = 0; j < V; ++j) noise += g(v[j], t[j]);
    }
    noise = lane_sum(noise, kWarp);
    if (lane == 0) g.dnoise[p] = noise;
  }
}

template <typename T, int V, int R>
void launch_rows(Gradient<T> g, cudaStream_t stream) {
  const int64_t vectors = g.c / V;
  int lanes = kWarp;
  while (R == 1 && lanes > 1 && lanes / 2 >= vectors) lanes /= 2;
  if (!g.sum_g && !g.sum_gx) {  // chunks for the machine's sake alone
    g.length = 8 * (kBlock / lanes);
    g.chunks = ceil_div(g.pixels, g.length);
  }
  const int64_t groups = ceil_div(vectors, int64_t(R) * lanes), items = g.n * g.chunks * groups;
  auto kernel = grad_rows<T, V, R>;
  OPS_LAUNCH(kernel, grid_for(items), kBlock, stream, g, lanes, groups, items);
}

template <typename T, bool WHOLE>
void grad_channels_last(Gradient<T> g, cudaStream_t stream) {
  constexpr int V = WHOLE ? kVector<T> : 1;
  const int64_t vectors = g.c / V;
  if (g.dnoise && vectors > kWarp) {
    if constexpr (WHOLE) {
      if (vectors <= 2 * kWarp) return launch_rows<T, V, 2>(g, stream);
      if (vectors <= 4 * kWarp) return launch_rows<T, V, 4>(g, stream);
    }
    auto kernel = grad_noise<T, V>;  // first: dx may be dy
    OPS_LAUNCH(kernel, grid_for(ceil_div(g.n * g.pixels, kWarps)), kBlock, stream, g);
    g.dnoise = nullptr;
  }
  if (g.dnoise || g.dx || g.sum_g || g.sum_gx) launch_rows<T, V, 1>(g, stream);
}

}  // namespace ops
#endif
