// y = clamp(gain * lrelu(x * scale + noise + bias)): one read, one write.
#include "common.cuh"

namespace ops {
namespace {

template <typename A>
struct Epilogue {
  const A *scale, *noise, *bias;
  int64_t c, pixels, noise_step;  // noise_step: from sample to sample, 0 for noise that all share
  A alpha, gain, clamp;

  __device__ A operator()(A v) const {
    v = gain * (v > 0 ? v : alpha * v);
    if (clamp >= 0) v = v < -clamp ? -clamp : (v > clamp ? clamp : v);  // comparisons that let NaN through
    return v;
  }
};

// A thread per vector of V consecutive elements, which lies in one plane (NCHW) or in one pixel (channels_last).
// No __restrict__: y may be x.
template <typename T, int V, bool CHANNELS_LAST>
__global__ void __launch_bounds__(kBlock) epilogue(const T* x, T* y, Epilogue<Acc<T>> e, int64_t vectors) {
  using A = Acc<T>;
  const int64_t step = int64_t(gridDim.x) * kBlock;
  for (int64_t i = int64_t(blockIdx.x) * kBlock + threadIdx.x; i < vectors; i += step) {
    A v[V], t[V];
    load<V>(x + i * V, v);
    const int64_t inner = CHANNELS_LAST ? e.c : e.pixels, outer = CHANNELS_LAST ? e.pixels : e.c;
    const int64_t row = quotient(i * V, inner), at = i * V - row * inner;  // at: channel or pixel
    const int64_t n = quotient(row, outer), other = row - n * outer;       // other: pixel or channel
    if (e.scale) {
      if (CHANNELS_LAST) load<V>(e.scale + n * e.c + at, t);
#pragma unroll
      for (int j = 0; j < V; ++j) v[j] *= CHANNELS_LAST ? t[j] : e.scale[row];
    }
    if (e.noise) {
      if (!CHANNELS_LAST) load<V>(e.noise + n * e.noise_step + at, t);
#pragma unroll
      for (int j = 0; j < V; ++j) v[j] += CHANNELS_LAST ? e.noise[n * e.noise_step + other] : t[j];
    }
    if (e.bias) {
      if (CHANNELS_LAST) load<V>(e.bias + at, t);
#pragma unroll
      for (int j = 0; j < V; ++j) v[j] += CHANNELS_LAST ? t[j] : e.bias[other];
    }
#pragma unroll
    for (int j = 0; j < V; ++j) v[j] = e(v[j]);
    store<V>(y + i * V, v);
  }
}

template <typename T, int V>
int launch(const OpsEpilogue* a) {
  using A = Acc<T>;
  const Epilogue<A> e{static_cast<const A*>(a->scale), static_cast<const A*>(a->noise), static_cast<const A*>(a->bias),
                      a->c, a->pixels, a->noise_n == 1 ? 0 : a->pixels, A(a->alpha), A(a->gain), A(a->clamp)};
  const int64_t vectors = a->n * a->c * a->pixels / V;
  auto kernel = a->channels_last ? epilogue<T, V, true> : epilogue<T, V, false>;
  OPS_LAUNCH(kernel, grid_for(ceil_div(vectors, kBlock)), kBlock, cudaStream_t(a->stream),
             static_cast<const T*>(a->x), static_cast<T*>(a->y), e, vectors);
  return launched();
}

}  // namespace
}  // namespace ops

OPS_EXPORT int ops_epilogue(const OpsEpilogue* a) {
  using namespace ops;
  return with_type(a->dtype, [a](auto tag) {
    using T = decltype(tag);
    if (a->n == 0 || a->c == 0 || a->pixels == 0) return 0;
    if (a->n < 0 || a->c < 0 || a->pixels < 0) return int(kBadSize);
    const bool whole = (a->channels_last ? a->c : a->pixels) % kVector<T> == 0 && aligned(a->x) && aligned(a->y) &&
                       (a->channels_last ? aligned(a->scale) && aligned(a->bias) : aligned(a->noise));
    return whole ? launch<T, kVector<T>>(a) : launch<T, 1>(a);
  });
}
