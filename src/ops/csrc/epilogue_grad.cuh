// The gradient of the epilogue, and the gradient of that, for a vector of elements.
#ifndef CARICATURE_EPILOGUE_GRAD_CUH
#define CARICATURE_EPILOGUE_GRAD_CUH

#include "epilogue.cuh"

namespace ops {

constexpr int kSums = 3;  // over pixels: what bias, scale and style get

// A selection, not a product: what a bounded element passes on is zero, whatever v is.
template <typename A>
__device__ inline A passed(A slope, A v) {
  return slope != 0 ? slope * v : A(0);
}

// What a gradient needs of the epilogue at V elements.
template <typename A, int V>
struct Around {
  A x[V], scale[V], style[V], slope[V], y[V];
};

// The operands and results of either gradient, and the chunks in which it adds up.
template <typename T>
struct GradientOperands {
  using A = Acc<T>;
  EpilogueOperands<T> o;
  const T *dy, *dz, *y, *x;
  T* dx;
  A* dnoise;       // [n, pixels]: a sum over channels
  A* sums[kSums];  // [n, chunks, c] each
  int64_t chunks, length;  // length: pixels of a chunk

  __device__ int64_t begin(int64_t chunk) const { return chunk * length < o.pixels ? chunk * length : o.pixels; }
  __device__ int64_t end(int64_t chunk) const { return begin(chunk + 1); }

  template <bool CHANNELS_LAST>
  __device__ Place place(int64_t n, int64_t channel, int64_t pixel) const {
    return {n, channel, pixel, CHANNELS_LAST ? (n * o.pixels + pixel) * o.c + channel : (n * o.c + channel) * o.pixels + pixel};
  }

  bool summing() const { return sums[0] || sums[1] || sums[2]; }

  // The value and the slope from x again; or the slope from y as it is stored: clamped before it was rounded.
  template <int V, bool CHANNELS_LAST>
  __device__ void around(const Place& e, Around<A, V>& found) const {
    const A bound = x ? o.clamp : widen(narrow<T>(o.clamp));
#pragma unroll
    for (int j = 0; j < V; ++j) {
      found.scale[j] = found.style[j] = found.y[j] = 1;
      found.x[j] = 0;
    }
    if (o.scale) o.template channels<V, CHANNELS_LAST>(o.scale + e.n * o.c, e.channel, found.scale);
    if (dz) o.template channels<V, CHANNELS_LAST>(o.style + e.n * o.c, e.channel, found.style);
    if (x) {
      load<V>(x + e.at, found.x);
#pragma unroll
      for (int j = 0; j < V; ++j) found.y[j] = found.x[j];
      o.template shift<V, CHANNELS_LAST>(e, found.y);
    } else if (y) {
      load<V>(y + e.at, found.y);
    }
#pragma unroll
    for (int j = 0; j < V; ++j) {
      found.slope[j] = o.gain * (found.y[j] > 0 ? A(1) : o.alpha);
      if (x) found.y[j] = o.unbounded(found.y[j]);
      const A size = found.y[j] < 0 ? -found.y[j] : found.y[j];
      if (o.clamp >= 0 && !(size < bound)) found.slope[j] = 0;
      found.y[j] = o.bounded(found.y[j]);
    }
  }

  // dy + style * dz, and dz
  template <int V>
  __device__ void incoming(const Place& e, const Around<A, V>& here, A (&both)[V], A (&of_z)[V]) const {
#pragma unroll
    for (int j = 0; j < V; ++j) both[j] = of_z[j] = 0;
    if (dy) load<V>(dy + e.at, both);
    if (dz) load<V>(dz + e.at, of_z);
    if (dz) {
#pragma unroll
      for (int j = 0; j < V; ++j) both[j] += here.style[j] * of_z[j];
    }
  }
};

template <typename T>
struct Gradient : GradientOperands<T> {
  using A = Acc<T>;

  // Only what goes to the noise.
  Gradient alone() const {
    Gradient g = *this;
    g.dx = nullptr;
    g.sums[0] = g.sums[1] = g.sums[2] = nullptr;
    return g;
  }
  bool elementwise() const { return this->dx; }

  // dx of V elements; what each adds to dnoise and to the sums.
  template <int V, bool CHANNELS_LAST>
  __device__ void apply(const Place& e, A (&noise)[V], A (&sum)[kSums][V]) const {
    Around<A, V> here;
    A v[V], t[V];
    this->template around<V, CHANNELS_LAST>(e, here);
    this->template incoming<V>(e, here, v, t);
#pragma unroll
    for (int j = 0; j < V; ++j) {
      noise[j] = sum[0][j] = passed(here.slope[j], v[j]);
      sum[1][j] = noise[j] * here.x[j];
      sum[2][j] = t[j] * here.y[j];
      v[j] = noise[j] * here.scale[j];
    }
    if (this->dx) store<V>(this->dx + e.at, v);
  }
};

// The gradient of the gradient.
template <typename T>
struct SecondGradient : GradientOperands<T> {
  using A = Acc<T>;
  const T* ddx;
  const A *ddscale, *ddnoise, *ddbias, *ddstyle;
  T *ddy, *ddz;

  SecondGradient alone() const {
    SecondGradient g = *this;
    g.dx = g.ddy = g.ddz = nullptr;
    g.sums[0] = g.sums[1] = g.sums[2] = nullptr;
    return g;
  }
  bool elementwise() const { return this->dx || ddy || ddz; }

  template <int V, bool CHANNELS_LAST>
  __device__ void apply(const Place& e, A (&noise)[V], A (&sum)[kSums][V]) const {
    const auto& o = this->o;
    Around<A, V> here;
    A g[V], of_z[V], of_x[V], q[V], of_scale[V], of_style[V], t[V];
    this->template around<V, CHANNELS_LAST>(e, here);
    this->template incoming<V>(e, here, g, of_z);
#pragma unroll
    for (int j = 0; j < V; ++j) of_x[j] = of_scale[j] = of_style[j] = 0;
    if (ddx) load<V>(ddx + e.at, of_x);
    if (ddscale) o.template channels<V, CHANNELS_LAST>(ddscale + e.n * o.c, e.channel, of_scale);
    if (ddstyle) o.template channels<V, CHANNELS_LAST>(ddstyle + e.n * o.c, e.channel, of_style);
#pragma unroll
    for (int j = 0; j < V; ++j) q[j] = here.scale[j] * of_x[j] + of_scale[j] * here.x[j];
    if (ddnoise) {
      o.template pixels_of<V, CHANNELS_LAST>(ddnoise + e.n * o.pixels, e.pixel, t);
#pragma unroll
      for (int j = 0; j < V; ++j) q[j] += t[j];
    }
    if (ddbias) {
      o.template channels<V, CHANNELS_LAST>(ddbias, e.channel, t);
#pragma unroll
      for (int j = 0; j < V; ++j) q[j] += t[j];
    }
#pragma unroll
    for (int j = 0; j < V; ++j) {
      g[j] = passed(here.slope[j], g[j]);
      q[j] = passed(here.slope[j], q[j]);
      noise[j] = sum[0][j] = passed(here.slope[j], of_style[j] * of_z[j]);
      sum[1][j] = of_x[j] * g[j] + noise[j] * here.x[j];
      sum[2][j] = q[j] * of_z[j];
      g[j] = of_scale[j] * g[j] + here.scale[j] * noise[j];
      t[j] = here.style[j] * q[j] + of_style[j] * here.y[j];
    }
    if (ddy) store<V>(ddy + e.at, q);
    if (ddz) store<V>(ddz + e.at, t);
    if (this->dx) store<V>(this->dx + e.at, g);
  }
};

}  // namespace ops
#endif
