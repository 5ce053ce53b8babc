// Either gradient of the epilogue (G) in NCHW.
#ifndef CARICATURE_EPILOGUE_GRAD_PLANES_CUH
#define CARICATURE_EPILOGUE_GRAD_PLANES_CUH

#include "epilogue_grad.cuh"

namespace ops {

// dx and the sums: TEAM threads (a warp or a block) own a chunk of a plane, keep its sums in registers and add them up
// in a fixed order. Vectors of V in the middle; single elements at the chunk's ends, or throughout (V = 1).
template <typename G, int V, int TEAM>
__global__ void __launch_bounds__(kBlock, 1) grad_planes(G g, int64_t teams) {
  using A = typename G::A;
  __shared__ A partial[kSums][kWarps];
  const int lane = threadIdx.x % TEAM;
  const int64_t step = int64_t(gridDim.x) * (kBlock / TEAM);
  for (int64_t i = int64_t(blockIdx.x) * (kBlock / TEAM) + threadIdx.x / TEAM; i < teams; i += step) {
    const int64_t plane = quotient(i, g.chunks), chunk = i - plane * g.chunks;
    const int64_t begin = g.begin(chunk), end = g.end(chunk);
    const int64_t first = (begin + V - 1) / V * V, last = end / V * V > first ? end / V * V : first;
    const int64_t n = quotient(plane, g.o.c), channel = plane - n * g.o.c;
    A total[kSums] = {0, 0, 0}, noise[V], v[kSums][V], spare[1], one[kSums][1];
    for (int64_t p = first + lane * V; p < last; p += TEAM * V) {
      g.template apply<V, false>(g.template place<false>(n, channel, p), noise, v);
#pragma unroll
      for (int k = 0; k < kSums; ++k) {
#pragma unroll
        for (int j = 0; j < V; ++j) total[k] += v[k][j];
      }
    }
    if (V > 1) {
      const int64_t head = (first < end ? first : end) - begin;
#pragma unroll 1
      for (int64_t k = lane; k < head + (end > last ? end - last : 0); k += TEAM) {
        const int64_t p = k < head ? begin + k : last + k - head;
        g.template apply<1, false>(g.template place<false>(n, channel, p), spare, one);
#pragma unroll
        for (int i = 0; i < kSums; ++i) total[i] += one[i][0];
      }
    }
    if (!g.sums[0] && !g.sums[1] && !g.sums[2]) continue;
    if (TEAM > kWarp) __syncthreads();  // the sums before have been read
#pragma unroll
    for (int k = 0; k < kSums; ++k) {
      total[k] = lane_sum(total[k], kWarp);
      if (TEAM > kWarp && threadIdx.x % kWarp == 0) partial[k][threadIdx.x / kWarp] = total[k];
    }
    if (TEAM > kWarp) __syncthreads();
    if (lane != 0) continue;
#pragma unroll
    for (int k = 0; k < kSums; ++k) {
      if (TEAM > kWarp) {
        for (int w = 1; w < kWarps; ++w) total[k] += partial[k][w];
      }
      if (g.sums[k]) g.sums[k][(n * g.chunks + chunk) * g.o.c + channel] = total[k];
    }
  }
}

// The same with dnoise, in one pass: a block owns a chunk of pixels of a sample in all channels. It goes through the
// chunk in tiles as wide as a warp; warp w takes channels w, w + kWarps, ..., keeps its part of dnoise in registers
// and adds each channel's sums of the tile to the chunk's, which no other warp touches.
template <typename G, int V>
__global__ void __launch_bounds__(kBlock, 1) grad_pixels(G g, int64_t items) {
  using A = typename G::A;
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
      for (int64_t channel = warp; channel < g.o.c; channel += kWarps) {
        A sum[kSums] = {0, 0, 0};
        if (p < end) {
          A of_noise[V], v[kSums][V];
          g.template apply<V, false>(g.template place<false>(n, channel, p), of_noise, v);
#pragma unroll
          for (int j = 0; j < V; ++j) {
            noise[j] += of_noise[j];
#pragma unroll
            for (int k = 0; k < kSums; ++k) sum[k] += v[k][j];
          }
        }
        const int64_t at = i * g.o.c + channel;
#pragma unroll
        for (int k = 0; k < kSums; ++k) {
          if (!g.sums[k]) continue;
          sum[k] = lane_sum(sum[k], kWarp);
          if (lane == 0) g.sums[k][at] = tile == begin ? sum[k] : g.sums[k][at] + sum[k];
        }
      }
      __syncthreads();  // the partial sums before have been read
#pragma unroll
      for (int j = 0; j < V; ++j) partial[warp][lane * V + j] = noise[j];
      __syncthreads();
      for (int k = threadIdx.x; k < kTile && tile + k < end; k += kBlock) {
        A sum = partial[0][k];
        for (int w = 1; w < kWarps; ++w) sum += partial[w][k];
        g.dnoise[n * g.o.pixels + tile + k] = sum;
      }
      tile += kTile;
    } while (tile < end);
  }
}

template <typename G, int V>
void launch_pixels(const G& g, cudaStream_t stream) {
  auto kernel = grad_pixels<G, V>;
  OPS_LAUNCH(kernel, grid_for(g.o.n * g.chunks), kBlock, stream, g, g.o.n * g.chunks);
}

template <typename G, int V>
void launch_planes(G g, cudaStream_t stream) {
  if (!g.summing()) {  // chunks for the machine's sake alone
    const int64_t most = 8 * kBlock * V;
    g.length = g.o.pixels < most ? g.o.pixels : most;
    g.chunks = ceil_div(g.o.pixels, g.length);
  }
  const int64_t teams = g.o.n * g.o.c * g.chunks;
  if (g.length <= 4 * kWarp * V) {
    auto kernel = grad_planes<G, V, kWarp>;
    OPS_LAUNCH(kernel, grid_for(ceil_div(teams, kWarps)), kBlock, stream, g, teams);
  } else {
    auto kernel = grad_planes<G, V, kBlock>;
    OPS_LAUNCH(kernel, grid_for(teams), kBlock, stream, g, teams);
  }
}

// dnoise alone, reading the operands once more: for pictures too small to give a block to every chunk of pixels.
template <typename G, int V>
void launch_noise(const G& all, cudaStream_t stream) {
  G g = all.alone();
  const bool wide = g.o.n * ceil_div(g.o.pixels, kWarp * V) >= 256;
  g.length = kWarp * (wide ? V : 1);
  g.chunks = ceil_div(g.o.pixels, g.length);
  if (wide) {
    launch_pixels<G, V>(g, stream);
  } else {
    launch_pixels<G, 1>(g, stream);
  }
}

template <typename G, int V>
void grad_nchw(const G& g, cudaStream_t stream) {
  const bool others = g.elementwise() || g.summing();
  if (g.dnoise && others) {
    G all = g;
    if (!g.summing()) {
      all.length = kWarp * V;
      all.chunks = ceil_div(g.o.pixels, all.length);
    }
    if (all.o.n * all.chunks >= 256 && all.length >= kWarp * V / 2) {
      // tiles begin where chunks do: only at multiples of V can they be read in vectors
      if (all.length % V == 0) {
        launch_pixels<G, V>(all, stream);
      } else {
        launch_pixels<G, 1>(all, stream);
      }
      return;
    }
  }
  if (g.dnoise) launch_noise<G, V>(g, stream);  // first: dx may be dy
  if (others) launch_planes<G, V>(g, stream);
}

}  // namespace ops
#endif
