// y = clamp(gain * lrelu(x * scale + noise + bias)) and z = y * style, or y plus another picture: one read, one write each.
#include "epilogue.cuh"

namespace ops {
namespace {

// A thread per vector of V consecutive elements, which lies in one plane (NCHW) or in one pixel (channels_last).
template <typename T, int V, bool CHANNELS_LAST>
__global__ void __launch_bounds__(kBlock)
    epilogue(const T* x, T* y, T* z, const T* add, EpilogueOperands<T> o, int64_t vectors) {
  using A = Acc<T>;
  const int64_t step = int64_t(gridDim.x) * kBlock;
  for (int64_t i = int64_t(blockIdx.x) * kBlock + threadIdx.x; i < vectors; i += step) {
    A v[V], t[V];
    load<V>(x + i * V, v);
    const int64_t inner = CHANNELS_LAST ? o.c : o.pixels, outer = CHANNELS_LAST ? o.pixels : o.c;
    const int64_t row = quotient(i * V, inner), at = i * V - row * inner;  // at: channel or pixel
    const int64_t n = quotient(row, outer), other = row - n * outer;       // other: pixel or channel
    const Place e{n, CHANNELS_LAST ? at : other, CHANNELS_LAST ? other : at, i * V};
    o.template shift<V, CHANNELS_LAST>(e, v);
    if (z) o.template channels<V, CHANNELS_LAST>(o.style + n * o.c, e.channel, t);
    if (add) load<V>(add + i * V, t);
#pragma unroll
    for (int j = 0; j < V; ++j) {
      v[j] = o.bounded(o.unbounded(v[j]));
      if (z) t[j] *= v[j];
      if (add) v[j] += t[j];
    }
    if (y) store<V>(y + i * V, v);
    if (z) store<V>(z + i * V, t);
  }
}

template <typename T, int V>
int launch(const OpsEpilogue* a) {
  const auto o = operands_of<T>(a->scale, a->noise, a->bias, a->style, a->n, a->c, a->pixels, a->noise_n, a->alpha,
                                a->gain, a->clamp);
  const int64_t vectors = a->n * a->c * a->pixels / V;
  auto kernel = a->channels_last ? epilogue<T, V, true> : epilogue<T, V, false>;
  OPS_LAUNCH(kernel, grid_for(ceil_div(vectors, kBlock)), kBlock, cudaStream_t(a->stream),
             static_cast<const T*>(a->x), static_cast<T*>(a->y), static_cast<T*>(a->z),
             static_cast<const T*>(a->add), o, vectors);
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
    if (a->z && !a->style) return int(kMissing);
    if (a->z && a->add) return int(kBoth);
    const bool whole = (a->channels_last ? a->c : a->pixels) % kVector<T> == 0 && aligned(a->x) && aligned(a->y) &&
                       aligned(a->z) && aligned(a->add) &&
                       (a->channels_last ? aligned(a->scale) && aligned(a->bias) && aligned(a->style) : aligned(a->noise));
    return whole ? launch<T, kVector<T>>(a) : launch<T, 1>(a);
  });
}
