// The gradient of the epilogue for one element, and the sums of a block.
#ifndef CARICATURE_EPILOGUE_GRAD_CUH
#define CARICATURE_EPILOGUE_GRAD_CUH

#include "common.cuh"

namespace ops {

template <typename T>
struct Gradient {
  using A = Acc<T>;
  // No __restrict__: dx may be dy, so everything of an element is read before its dx is written.
  const T *dy, *y, *x;
  T* dx;
  const A* scale;
  A *dnoise, *sum_g, *sum_gx;
  int64_t n, c, pixels, chunks, length;  // length: pixels of a chunk
  A gain, gain_below, bound;
  bool bounded;

  // A selection, not a product with the mask: what a bounded element passes on is zero, whatever dy is.
  __device__ A operator()(A dy_, A y_) const {
    const A size = y_ < 0 ? -y_ : y_;
    if (bounded && !(size < bound)) return 0;
    return dy_ * (y_ > 0 ? gain : gain_below);
  }

  __device__ int64_t begin(int64_t chunk) const { return chunk * length < pixels ? chunk * length : pixels; }
  __device__ int64_t end(int64_t chunk) const { return begin(chunk + 1); }

  // dx of V elements from `at` on; v becomes g, u becomes g * x (zero without x).
  template <int V>
  __device__ void apply(int64_t at, const A (&s)[V], A (&v)[V], A (&u)[V]) const {
    A t[V];
    load<V>(dy + at, v);
    load<V>(y + at, t);
    if (sum_gx) load<V>(x + at, u);
#pragma unroll
    for (int j = 0; j < V; ++j) {
      v[j] = (*this)(v[j], t[j]);
      u[j] = sum_gx ? v[j] * u[j] : A(0);
      t[j] = v[j] * s[j];
    }
    if (dx) store<V>(dx + at, t);
  }
};

}  // namespace ops
#endif
