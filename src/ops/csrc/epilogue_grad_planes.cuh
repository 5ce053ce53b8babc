// The gradient of the epilogue in NCHW.
#ifndef CARICATURE_EPILOGUE_GRAD_PLANES_CUH
#define CARICATURE_EPILOGUE_GRAD_PLANES_CUH

#include "epilogue_grad.cuh"

namespace ops {

// dx and the sums: TEAM threads (a warp or a block) own a chunk of a plane, keep its sums in registers and add them up
// in a fixed order. Vectors of V in the middle; single elements at the chunk's ends, or throughout (V = 1).
template <typename T, int V, int TEAM>
__global__ void __launch_bounds__(kBlock) grad_planes(Gradient<T> g, int64_t teams) {
  using A = Acc<T>;
  __shared__ A partial[2][kWarps];
  const int lane = threadIdx.x % TEAM;
  const int64_t step = int64_t(gridDim.x) * (kBlock / TEAM);
  for (int64_t i = int64_t(blockIdx.x) * (kBlock / TEAM) + threadIdx.x / TEAM; i < teams; i += step) {
    const int64_t plane = quotient(i, g.chunks), chunk = i - plane * g.chunks;
    const int64_t begin = g.begin(chunk), end = g.end(chunk);
    const int64_t first = (begin + V - 1) / V * V, last = end / V * V > first ? end / V * V : first;
    A scale[V], v[V], u[V], one[1], other[1], sum_g = 0, sum_gx = 0;
    const A factor = g.scale ? g.scale[plane] : A(1);
#pragma unroll
    for (int j = 0; j < V; ++j) scale[j] = factor;
    for (int64_t p = first + lane * V; p < last; p += TEAM * V) {
      g.template apply<V>(plane * g.pixels + p, scale, v, u);
#pragma unroll
      for (int j = 0; j < V; ++j) {
        sum_g += v[j];
        sum_gx += u[j];
      }
    }
    if (V > 1) {
      const A single[1] = {factor};
      const int64_t head = (first < end ? first : end) - begin;
#pragma unroll 1
      for (int64_t k = lane; k < head + (end > last ? end - last : 0); k += TEAM) {
        g.template apply<1>(plane * g.pixels + (k < head ? begin + k : last + k - head), single, one, other);
        sum_g += one[0];
        sum_gx += other[0];
      }
    }
    if (!g.sum_g && !g.sum_gx) continue;
    sum_g = lane_sum(sum_g, kWarp);
    sum_gx = lane_sum(sum_gx, kWarp);
    if (TEAM > kWarp) {
      __syncthreads();  // the sums before have been read
      if (threadIdx.x % kWarp == 0) {
        partial[0][threadIdx.x / kWarp] = sum_g;
        partial[1][threadIdx.x / kWarp] = sum_gx;
      }
      __syncthreads();
      if (lane == 0) {
        for (int w = 1; w < kWarps; ++w) {
          sum_g += partial[0][w];
          sum_gx += partial[1][w];
        }
      }
    }
    if (lane == 0) {
      const int64_t n = quotient(plane, g.c), at = (n * g.chunks + chunk) * g.c + (plane - n * g.c);
      if (g.sum_g) g.sum_g[at] = sum_g;
      if (g.sum_gx) g.sum_gx[at] = sum_gx;
    }
  }
}

// The same with dnoise, in one pass: a block owns a chunk of pixels of a sample in all channels. It goes through the
// chunk in tiles as wide as a warp; warp w takes channels w, w + kWarps, ..., keeps its part of dnoise in registers
// and adds each channel's sums of the tile to the chunk's, which no other warp touches.
template <typename T, int V>
__global__ void __launch_bounds__(kBlock) grad_pixels(Gradient<T> g, int64_t items) {
  using A = Acc<T>;
  constexpr int kTile = kWarp * V;
  __shared__ A partial[kWarps][kTile];
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  for (int64_t i = blockIdx.x; i < items; i += gridDim.x) {
    const int64_t n = quotient(i, g.chunks), chunk = i - n * g.chunks;
    const int64_t begin = g.begin(chunk), end = g.end(chunk);
    int64_t tile = begin;
    do {  // once for an empty chunk too: its sums are zero
      const int64_t p = tile + lane * V;
      A noise[V];
#pragma unroll
      for (int j = 0; j < V; ++j) noise[j] = 0;
      for (int64_t channel = warp; channel < g.c; channel += kWarps) {
        const int64_t plane = n * g.c + channel;
        A sum_g = 0, sum_gx = 0;
        if (p < end) {
          A scale[V], v[V], u[V];
#pragma unroll
          for (int j = 0; j < V; ++j) scale[j] = g.scale ? g.scale[plane] : A(1);
          g.template apply<V>(plane * g.pixels + p, scale, v, u);
#pragma unroll
          for (int j = 0; j < V; ++j) {
            noise[j] += v[j];
            sum_g += v[j];
            sum_gx += u[j];
          }
        }
        const int64_t at = i * g.c + channel;
        if (g.sum_g) {
          sum_g = lane_sum(sum_g, kWarp);
          if (lane == 0) g.sum_g[at] = tile == begin ? sum_g : g.sum_g[at] + sum_g;
        }
        if (g.sum_gx) {
          sum_gx = lane_sum(sum_gx, kWarp);
          if (lane == 0) g.sum_gx[at] = tile == begin ? sum_gx : g.sum_gx[at] + sum_gx;
        }
      }
      __syncthreads();  // the partial sums before have been read
#pragma unroll
      for (int j = 0; j < V; ++j) partial[warp][lane * V + j] = noise[j];
      __syncthreads();
      for (int k = threadIdx.x; k < kTile && tile + k < end; k += kBlock) {
        A sum = partial[0][k];
        for (int w = 1; w < kWarps; ++w) sum += partial[w][k];
        g.dnoise[n * g.pixels + tile + k] = sum;
      }
      tile += kTile;
    } while (tile < end);
  }
}

template <typename T, int V>
void launch_pixels(const Gradient<T>& g, cudaStream_t stream) {
  auto kernel = grad_pixels<T, V>;
  OPS_LAUNCH(kernel, grid_for(g.n * g.chunks), kBlock, stream, g, g.n * g.chunks);
}

template <typename T, int V>
void launch_planes(Gradient<T> g, cudaStream_t stream) {
  if (!g.sum_g && !g.sum_gx) {  // chunks for the machine's sake alone
    const int64_t most = 8 * kBlock * V;
    g.length = g.pixels < most ? g.pixels : most;
    g.chunks = ceil_div(g.pixels, g.length);
  }
  const int64_t teams = g.n * g.c * g.chunks;
  if (g.length <= 4 * kWarp * V) {
    auto kernel = grad_planes<T, V, kWarp>;
    OPS_LAUNCH(kernel, grid_for(ceil_div(teams, kWarps)), kBlock, stream, g, teams);
  } else {
    auto kernel = grad_planes<T, V, kBlock>;
    OPS_LAUNCH(kernel, grid_for(teams), kBlock, stream, g, teams);
  }
}

// dnoise alone, reading dy and y once more: for pictures too small to give a block to every chunk of pixels.
template <typename T, bool WHOLE>
void launch_noise(Gradient<T> g, cudaStream_t stream) {
  g.dx = nullptr;
  g.sum_g = g.sum_gx = nullptr;
  constexpr int V = WHOLE ? kVector<T> : 1;
  const bool wide = g.n * ceil_div(g.pixels, kWarp * V) >= 256;
  g.length = kWarp * (wide ? V : 1);
  g.chunks = ceil_div(g.pixels, g.length);
  if (wide) {
    launch_pixels<T, V>(g, stream);
  } else {
    launch_pixels<T, 1>(g, stream);
  }
}

template <typename T, bool WHOLE>
void grad_nchw(const Gradient<T>& g, cudaStream_t stream) {
  constexpr int V = WHOLE ? kVector<T> : 1;
  const bool sums = g.sum_g || g.sum_gx;
  if (g.dnoise && (g.dx || sums)) {
    Gradient<T> all = g;
    if (!sums) {
      all.length = kWarp * V;
      all.chunks = ceil_div(g.pixels, all.length);
    }
    if (all.n * all.chunks >= 256 && all.length >= kWarp * V / 2) {
      // tiles begin where chunks do: only at multiples of V can they be read in vectors
      if (all.length % V == 0) {
        launch_pixels<T, V>(all, stream);
      } else {
        launch_pixels<T, 1>(all, stream);
      }
      return;
    }
  }
  if (g.dnoise) launch_noise<T, WHOLE>(g, stream);  // first: dx may be dy
  if (g.dx || sums) launch_planes<T, V>(g, stream);
}

}  // namespace ops
#endif
