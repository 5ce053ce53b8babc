// FIR resampling with a separable filter of 4 x 4 taps: by a factor of 1, up by 2, or down by 2.
#ifndef CARICATURE_FIR_SEPARABLE_CUH
#define CARICATURE_FIR_SEPARABLE_CUH

#include "common.cuh"

namespace ops {

constexpr int kTaps = 4;

template <typename A>
struct Taps {
  A col[kTaps], row[kTaps];  // in the order of a correlation, the gain in col
};

struct Picture {
  int64_t n, c;
  int in_h, in_w, out_h, out_w, pad_y, pad_x;
};

// One axis: output o is the sum of COUNT samples from first() on. Between inserted zeros every other tap meets a
// sample, the even or the odd ones by the parity of the output.
template <int UP, int DOWN>
struct Axis {
  static_assert((UP == 1 && (DOWN == 1 || DOWN == 2)) || (UP == 2 && DOWN == 1), "1, up by 2, or down by 2");
  static constexpr int COUNT = kTaps / UP;

  __device__ static int first(int o, int pad) { return UP == 1 ? o * DOWN - pad : (o - pad + 1) >> 1; }

  template <typename A>
  __device__ static void taps(const A (&t)[kTaps], int o, int pad, A (&chosen)[COUNT]) {
    const bool odd = UP == 2 && ((o - pad) & 1);
#pragma unroll
    for (int j = 0; j < COUNT; ++j) chosen[j] = UP == 1 ? t[j] : (odd ? t[2 * j + UP - 1] : t[2 * j]);
  }

  static constexpr int extent(int outputs) { return UP == 1 ? (outputs - 1) * DOWN + kTaps : outputs / 2 + 2; }
};

// The column of outputs [begin, end): row(i, v) gives input row i filtered horizontally, which stays in registers
// while the filter passes over it, so that every input row is read once.
template <int UP, int DOWN, int V, typename A, typename Row, typename Store>
__device__ inline void march(const A (&col)[kTaps], int begin, int end, int pad, Row row, Store put) {
  using Y = Axis<UP, DOWN>;
  if (begin >= end) return;
  A window[Y::COUNT][V];
  int next = Y::first(begin, pad);
#pragma unroll
  for (int j = 0; j < Y::COUNT; ++j) row(next++, window[j]);
  for (int o = begin;;) {
    A t[Y::COUNT], v[V];
    Y::taps(col, o, pad, t);
#pragma unroll
    for (int k = 0; k < V; ++k) {
      v[k] = t[0] * window[0][k];
#pragma unroll
      for (int j = 1; j < Y::COUNT; ++j) v[k] += t[j] * window[j][k];
    }
    put(o, v);
    if (++o >= end) return;
    const int last = Y::first(o, pad) + Y::COUNT;
#pragma unroll
    for (int d = 0; d < DOWN; ++d) {
      if (UP == 2 && next == last) break;
#pragma unroll
      for (int j = 1; j < Y::COUNT; ++j) {
#pragma unroll
        for (int k = 0; k < V; ++k) window[j - 1][k] = window[j][k];
      }
      row(next++, window[Y::COUNT - 1]);
    }
  }
}

// channels_last (and small NCHW planes, as pictures of one channel): a thread per strip of output rows, output column
// and vector of V channels; the threads of a warp are neighbours along the channels, then along the columns.
template <typename T, int V, int UP, int DOWN>
__global__ void __launch_bounds__(kBlock, V * (4 / UP) > 16 ? 3 : 4)  // as many blocks as the registers are enough for
    fir_columns(const T* __restrict__ x, T* __restrict__ y, const T* __restrict__ add, Taps<Acc<T>> taps, Picture s,
                int strip, int64_t threads) {
  using A = Acc<T>;
  using X = Axis<UP, DOWN>;
  const int64_t vectors = s.c / V, across = s.out_w * vectors, strips = (s.out_h + strip - 1) / strip;
  const int64_t step = int64_t(gridDim.x) * kBlock;
  for (int64_t i = int64_t(blockIdx.x) * kBlock + threadIdx.x; i < threads; i += step) {
    const int64_t down = quotient(i, across), n = quotient(down, strips);
    const int64_t at = i - down * across;
    const int ox = int(quotient(at, vectors));
    const int begin = int(down - n * strips) * strip, end = begin + strip < s.out_h ? begin + strip : s.out_h;
    const int64_t channel = (at - ox * vectors) * V;
    const int ix = X::first(ox, s.pad_x);
    const T* source = x + n * s.in_h * s.in_w * s.c + channel;
    const int64_t start = (n * s.out_h * s.out_w + ox) * s.c + channel;
    A t[X::COUNT];
    X::taps(taps.row, ox, s.pad_x, t);
    int64_t column[X::COUNT];  // beside the picture: some column that exists, read in vain
    bool inside[X::COUNT];
#pragma unroll
    for (int j = 0; j < X::COUNT; ++j) {
      inside[j] = unsigned(ix + j) < unsigned(s.in_w);
      column[j] = inside[j] ? (ix + j) * s.c : 0;
    }
    march<UP, DOWN, V>(
        taps.col, begin, end, s.pad_y,
        [&](int iy, A(&v)[V]) {
#pragma unroll
          for (int k = 0; k < V; ++k) v[k] = 0;
          if (unsigned(iy) >= unsigned(s.in_h) || s.in_w == 0) return;
          const T* line = source + int64_t(iy) * s.in_w * s.c;
          A u[X::COUNT][V];  // all loads under way before the first is needed: no branch between them
#pragma unroll
          for (int j = 0; j < X::COUNT; ++j) load<V>(line + column[j], u[j]);
#pragma unroll
          for (int j = 0; j < X::COUNT; ++j) {
#pragma unroll
            for (int k = 0; k < V; ++k) v[k] += t[j] * (inside[j] ? u[j][k] : A(0));
          }
        },
        [&](int oy, A(&v)[V]) {
          const int64_t place = start + int64_t(oy) * s.out_w * s.c;
          if (add) {
            A u[V];
            load<V>(add + place, u);
#pragma unroll
            for (int k = 0; k < V; ++k) v[k] += u[k];
          }
          store<V>(y + place, v);
        });
  }
}

// Output tile of a block in NCHW: as wide as two warps (one when every output takes four samples), and a strip of rows
// per thread long enough for its halo of rows not to matter.
template <int UP, int DOWN>
struct Tile {
  static constexpr int WIDTH = DOWN == 2 ? 32 : 64, HEIGHT = UP == 2 ? 64 : 32;
  static constexpr int STRIP = HEIGHT * WIDTH / kBlock;
  static constexpr int IN_W = Axis<UP, DOWN>::extent(WIDTH), IN_H = Axis<UP, DOWN>::extent(HEIGHT);
};

// NCHW: the block brings the tile's input with its halo into shared memory, zeros outside the picture; then each
// thread marches down a strip of one column.
template <typename T, int UP, int DOWN>
__global__ void __launch_bounds__(kBlock)
    fir_tiles(const T* __restrict__ x, T* __restrict__ y, const T* __restrict__ add, Taps<Acc<T>> taps, Picture s,
              int64_t tiles) {
  using A = Acc<T>;
  using X = Axis<UP, DOWN>;
  using Z = Tile<UP, DOWN>;
  __shared__ A tile[Z::IN_H * Z::IN_W];
  const int64_t wide = (s.out_w + Z::WIDTH - 1) / Z::WIDTH, high = (s.out_h + Z::HEIGHT - 1) / Z::HEIGHT;
  const int column = threadIdx.x % Z::WIDTH, strip = threadIdx.x / Z::WIDTH;
  for (int64_t i = blockIdx.x; i < tiles; i += gridDim.x) {
    const int64_t rest = quotient(i, wide), plane = quotient(rest, high);
    const int ox0 = int(i - rest * wide) * Z::WIDTH, oy0 = int(rest - plane * high) * Z::HEIGHT;
    const int ix0 = X::first(ox0, s.pad_x), iy0 = X::first(oy0, s.pad_y);
    const T* source = x + plane * s.in_h * s.in_w;
    __syncthreads();  // the tile before has been used
#pragma unroll 4
    for (int k = threadIdx.x; k < Z::IN_H * Z::IN_W; k += kBlock) {
      const int iy = iy0 + k / Z::IN_W, ix = ix0 + k % Z::IN_W;
      const bool inside = unsigned(iy) < unsigned(s.in_h) && unsigned(ix) < unsigned(s.in_w);
      tile[k] = inside ? widen(source[int64_t(iy) * s.in_w + ix]) : A(0);
    }
    __syncthreads();
    const int ox = ox0 + column, begin = oy0 + strip * Z::STRIP;
    const int end = begin + Z::STRIP < s.out_h ? begin + Z::STRIP : s.out_h;
    if (ox >= s.out_w) continue;
    A t[X::COUNT];
    X::taps(taps.row, ox, s.pad_x, t);
    const A* corner = tile + X::first(ox, s.pad_x) - ix0;
    march<UP, DOWN, 1>(
        taps.col, begin, end, s.pad_y,
        [&](int iy, A(&v)[1]) {
          const A* line = corner + (iy - iy0) * Z::IN_W;
          v[0] = t[0] * line[0];
#pragma unroll
          for (int j = 1; j < X::COUNT; ++j) v[0] += t[j] * line[j];
        },
        [&](int oy, const A(&v)[1]) {
          const int64_t place = (plane * s.out_h + oy) * s.out_w + ox;
          y[place] = narrow<T>(add ? v[0] + widen(add[place]) : v[0]);
        });
  }
}

template <typename T, int V, int UP, int DOWN>
void launch_columns(const OpsFir* a, const Taps<Acc<T>>& taps, const Picture& s) {
  const int64_t lines = s.n * s.out_w * (s.c / V);
  int strip = 32;  // shorter ones read more rows twice, but a small picture needs them to fill the machine
  while (strip > 4 && lines * ceil_div(s.out_h, strip) < (1 << 18)) strip /= 2;
  const int64_t threads = lines * ceil_div(s.out_h, strip);
  auto kernel = fir_columns<T, V, UP, DOWN>;
  OPS_LAUNCH(kernel, grid_for(ceil_div(threads, kBlock)), kBlock, cudaStream_t(a->stream),
             static_cast<const T*>(a->x), static_cast<T*>(a->y), static_cast<const T*>(a->add), taps, s, strip, threads);
}

template <typename T, int UP, int DOWN>
int fir_separable(const OpsFir* a) {
  using Z = Tile<UP, DOWN>;
  Taps<Acc<T>> taps;
  for (int k = 0; k < kTaps; ++k) {
    const int from = a->flip ? k : kTaps - 1 - k;
    taps.col[k] = Acc<T>(a->col[from] * a->gain);
    taps.row[k] = Acc<T>(a->row[from]);
  }
  Picture s{a->n, a->c, int(a->in_h), int(a->in_w), int(a->out_h), int(a->out_w), a->pad_y0, a->pad_x0};
  if (!a->channels_last || s.c == 1) {
    s.n *= s.c;
    s.c = 1;
    if (s.out_w >= Z::WIDTH / 4 * 3) {
      const int64_t tiles = s.n * ceil_div(s.out_h, Z::HEIGHT) * ceil_div(s.out_w, Z::WIDTH);
      auto kernel = fir_tiles<T, UP, DOWN>;
      OPS_LAUNCH(kernel, grid_for(tiles), kBlock, cudaStream_t(a->stream), static_cast<const T*>(a->x),
                 static_cast<T*>(a->y), static_cast<const T*>(a->add), taps, s, tiles);
      return launched();
    }
  }
  if (s.c % kVector<T> == 0 && aligned(a->x) && aligned(a->y) && aligned(a->add)) {
    launch_columns<T, kVector<T>, UP, DOWN>(a, taps, s);
  } else {
    launch_columns<T, 1, UP, DOWN>(a, taps, s);
  }
  return launched();
}

}  // namespace ops
#endif
