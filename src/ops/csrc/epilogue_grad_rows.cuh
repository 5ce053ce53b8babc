// Either gradient of the epilogue (G) in channels_last.
#ifndef CARICATURE_EPILOGUE_GRAD_ROWS_CUH
#define CARICATURE_EPILOGUE_GRAD_ROWS_CUH

#include "epilogue_grad.cuh"

namespace ops {

// A block owns a chunk of pixels of a sample in a group of R * lanes vectors of channels; `lanes` neighbouring lanes (a
// power of two) share a pixel, each with R vectors, so that a block takes kBlock / lanes pixels at a time. A thread
// meets the same channels at every pixel and keeps their sums in registers; at the end these are added over the warp
// by shuffles and over the block in shared memory, in a fixed order. dnoise is a sum over the lanes of a pixel: it
// needs a single group.
template <typename G, int V, int R>
__global__ void __launch_bounds__(kBlock, 1) grad_rows(G g, int lanes, int64_t groups, int64_t items) {
  using A = typename G::A;
  __shared__ A partial[kWarps][R * kWarp * V];
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp, column = lane % lanes;
  const int together = kBlock / lanes;  // pixels
  for (int64_t i = blockIdx.x; i < items; i += gridDim.x) {
    const int64_t row = quotient(i, groups), n = quotient(row, g.chunks), chunk = row - n * g.chunks;
    const int64_t base = (i - row * groups) * R * lanes * V, begin = g.begin(chunk), end = g.end(chunk);
    A sum[kSums][R][V];
#pragma unroll
    for (int k = 0; k < kSums; ++k) {
#pragma unroll
      for (int r = 0; r < R; ++r) {
#pragma unroll
        for (int j = 0; j < V; ++j) sum[k][r][j] = 0;
      }
    }
    for (int64_t p0 = begin; p0 < end; p0 += together) {  // the warp stays whole for the shuffles
      const int64_t p = p0 + threadIdx.x / lanes;
      A noise = 0;
#pragma unroll
      for (int r = 0; r < R; ++r) {
        const int64_t channel = base + (r * lanes + column) * V;
        if (p < end && channel < g.o.c) {
          A of_noise[V], v[kSums][V];
          g.template apply<V, true>(g.template place<true>(n, channel, p), of_noise, v);
#pragma unroll
          for (int j = 0; j < V; ++j) {
            noise += of_noise[j];
#pragma unroll
            for (int k = 0; k < kSums; ++k) sum[k][r][j] += v[k][j];
          }
        }
      }
      if (g.dnoise) {
        noise = lane_sum(noise, lanes);
        if (column == 0 && p < end) g.dnoise[n * g.o.pixels + p] = noise;
      }
    }
#pragma unroll
    for (int i_sum = 0; i_sum < kSums; ++i_sum) {
      if (!g.sums[i_sum]) continue;
      __syncthreads();  // the partial sums before have been read
#pragma unroll
      for (int r = 0; r < R; ++r) {
#pragma unroll
        for (int j = 0; j < V; ++j) {
          A v = sum[i_sum][r][j];
          for (int d = kWarp / 2; d >= lanes; d /= 2) v += __shfl_xor_sync(kAllLanes, v, d);
          if (lane < lanes) partial[warp][(r * lanes + lane) * V + j] = v;
        }
      }
      __syncthreads();
      for (int k = threadIdx.x; k < R * lanes * V && base + k < g.o.c; k += kBlock) {
        A total = partial[0][k];
        for (int w = 1; w < kWarps; ++w) total += partial[w][k];
        g.sums[i_sum][row * g.o.c + base + k] = total;
      }
    }
  }
}

// dnoise alone, reading the operands once more: for more channels than the lanes of a warp can hold. A warp a pixel.
template <typename G, int V>
__global__ void __launch_bounds__(kBlock, 1) grad_noise(G g) {
  using A = typename G::A;
  const int lane = threadIdx.x % kWarp;
  const int64_t step = int64_t(gridDim.x) * kWarps;
  for (int64_t i = int64_t(blockIdx.x) * kWarps + threadIdx.x / kWarp; i < g.o.n * g.o.pixels; i += step) {
    const int64_t n = quotient(i, g.o.pixels), p = i - n * g.o.pixels;
    A noise = 0, of_noise[V], spare[kSums][V];
    for (int64_t channel = lane * V; channel < g.o.c; channel += kWarp * V) {
      g.template apply<V, true>(g.template place<true>(n, channel, p), of_noise, spare);
#pragma unroll
      for (int j = 0; j < V; ++j) noise += of_noise[j];
    }
    noise = lane_sum(noise, kWarp);
    if (lane == 0) g.dnoise[i] = noise;
  }
}

template <typename G, int V, int R>
void launch_rows(G g, cudaStream_t stream) {
  const int64_t vectors = g.o.c / V;
  int lanes = kWarp;
  while (R == 1 && lanes > 1 && lanes / 2 >= vectors) lanes /= 2;
  if (!g.summing()) {  // chunks for the machine's sake alone
    g.length = 8 * (kBlock / lanes);
    g.chunks = ceil_div(g.o.pixels, g.length);
  }
  const int64_t groups = ceil_div(vectors, int64_t(R) * lanes), items = g.o.n * g.chunks * groups;
  auto kernel = grad_rows<G, V, R>;
  OPS_LAUNCH(kernel, grid_for(items), kBlock, stream, g, lanes, groups, items);
}

template <typename G, int V>
void grad_channels_last(G g, cudaStream_t stream) {
  const int64_t vectors = g.o.c / V;
  if (g.dnoise && vectors > kWarp) {
    if constexpr (V > 1) {
      if (vectors <= 2 * kWarp) return launch_rows<G, V, 2>(g, stream);
    }
    if constexpr (V > 1 && V <= 4) {  // more sums than that do not fit into registers
      if (vectors <= 4 * kWarp) return launch_rows<G, V, 4>(g, stream);
    }
    auto kernel = grad_noise<G, V>;  // first: dx may be dy
    OPS_LAUNCH(kernel, grid_for(ceil_div(g.o.n * g.o.pixels, kWarps)), kBlock, stream, g.alone());
    g.dnoise = nullptr;
  }
  if (g.dnoise || g.elementwise() || g.summing()) launch_rows<G, V, 1>(g, stream);
}

}  // namespace ops
#endif
