// What the epilogue and its gradients share: small operands beside an element, and the activation.
#ifndef CARICATURE_EPILOGUE_CUH
#define CARICATURE_EPILOGUE_CUH

#include "common.cuh"

namespace ops {

// V consecutive elements: of one pixel in channels_last, of one plane in NCHW; the first is this channel's and pixel's.
struct Place {
  int64_t n, channel, pixel, at;  // at: in the picture
};

template <typename T>
struct EpilogueOperands {
  using A = Acc<T>;
  // No __restrict__: results may take the place of operands, so everything of an element is read before it is written.
  const A *scale, *noise, *bias, *style;
  int64_t n, c, pixels, noise_step;  // noise_step: from sample to sample, 0 for noise that all share
  A alpha, gain, clamp;

  // Of a tensor [c], or [n, c] from this sample on.
  template <int V, bool CHANNELS_LAST>
  __device__ static void channels(const A* small, int64_t channel, A (&v)[V]) {
    if (CHANNELS_LAST) {
      load<V>(small + channel, v);
    } else {
      const A one = small[channel];
#pragma unroll
      for (int j = 0; j < V; ++j) v[j] = one;
    }
  }

  // Of maps [n, pixels] from this sample on.
  template <int V, bool CHANNELS_LAST>
  __device__ static void pixels_of(const A* map, int64_t pixel, A (&v)[V]) {
    if (CHANNELS_LAST) {
      const A one = map[pixel];
#pragma unroll
      for (int j = 0; j < V; ++j) v[j] = one;
    } else {
      load<V>(map + pixel, v);
    }
  }

  // v = x * scale + noise + bias, where v is x
  template <int V, bool CHANNELS_LAST>
  __device__ void shift(const Place& e, A (&v)[V]) const {
    A t[V];
    if (scale) {
      channels<V, CHANNELS_LAST>(scale + e.n * c, e.channel, t);
#pragma unroll
      for (int j = 0; j < V; ++j) v[j] *= t[j];
    }
    if (noise) {
      pixels_of<V, CHANNELS_LAST>(noise + e.n * noise_step, e.pixel, t);
#pragma unroll
      for (int j = 0; j < V; ++j) v[j] += t[j];
    }
    if (bias) {
      channels<V, CHANNELS_LAST>(bias, e.channel, t);
#pragma unroll
      for (int j = 0; j < V; ++j) v[j] += t[j];
    }
  }

  __device__ A unbounded(A v) const { return gain * (v > 0 ? v : alpha * v); }
  __device__ A bounded(A v) const {
    if (clamp >= 0) v = v < -clamp ? -clamp : (v > clamp ? clamp : v);  // comparisons that let NaN through
    return v;
  }
};

template <typename T>
EpilogueOperands<T> operands_of(const void* scale, const void* noise, const void* bias, const void* style, int64_t n,
                                int64_t c, int64_t pixels, int64_t noise_n, double alpha, double gain, double clamp) {
  using A = Acc<T>;
  return {static_cast<const A*>(scale), static_cast<const A*>(noise), static_cast<const A*>(bias),
          static_cast<const A*>(style), n, c, pixels, noise_n == 1 ? 0 : pixels, A(alpha), A(gain), A(clamp)};
}

}  // namespace ops
#endif
