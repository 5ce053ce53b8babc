// ops_epilogue and ops_epilogue_grad on a CPU. The gain is folded into scale, noise and bias (a leaky ReLU is
// positively homogeneous), so an element costs one multiply-add, one select and the clamp. Work is shared out by
// chunks of pixels (channels_last) or by planes (NCHW), never by thread, so sums come out the same on any number of
// threads.

#include <algorithm>
#include <cmath>
#include <vector>

#include "cpu_types.h"
#include "ops.h"

namespace {

constexpr int64_t kSerialElements = 1 << 14;  // below this a parallel region costs more than it saves
constexpr int64_t kChunkElements = 1 << 14;   // of the forward pass in channels_last

template <class A>
inline A activate(A v, A alpha, A bound) {
  v = v > 0 ? v : alpha * v;
  v = v > bound ? bound : v;
  return v < -bound ? -bound : v;
}

// dy to g; without a clamp `bound` is not a number, which no y reaches.
template <class A>
inline A slope(A dy, A y, A alpha, A gain, A bound) {
  const A g = dy * (y > 0 ? gain : gain * alpha);
  return (y >= bound || y <= -bound) ? A(0) : g;
}

template <class A>
A bound_of(double clamp, double without) {
  return static_cast<A>(clamp < 0 ? without : clamp);
}

// The bound as it stands in a stored y: results at the clamp were rounded with it.
template <class T, class A>
A stored_bound_of(double clamp) {
  T stored;
  store(&stored, bound_of<A>(clamp, NAN));
  return load(stored);
}

template <class T, class A>
void pixels_last(const T* x, T* y, const A* scale, const A* bias, const A* noise, const OpsEpilogue& a,
                 int64_t first, int64_t last) {
  const A alpha = a.alpha, gain = a.gain, bound = bound_of<A>(a.clamp, HUGE_VAL);
  const int64_t c = a.c;
  for (int64_t p = first; p < last; ++p) {
    const A shift = noise ? noise[p] * gain : A(0);
    const T* from = x + p * c;
    T* to = y + p * c;
#pragma omp simd
    for (int64_t j = 0; j < c; ++j) store(to + j, activate<A>(load(from[j]) * scale[j] + (bias[j] + shift), alpha, bound));
  }
}

template <class T, class A>
void plane(const T* x, T* y, A scale, A bias, const A* noise, const OpsEpilogue& a) {
  const A alpha = a.alpha, gain = a.gain, bound = bound_of<A>(a.clamp, HUGE_VAL);
  if (noise) {
#pragma omp simd
    for (int64_t p = 0; p < a.pixels; ++p)
      store(y + p, activate<A>(load(x[p]) * scale + (bias + noise[p] * gain), alpha, bound));
  } else {
#pragma omp simd
    for (int64_t p = 0; p < a.pixels; ++p) store(y + p, activate<A>(load(x[p]) * scale + bias, alpha, bound));
  }
}

template <class T>
int epilogue(const OpsEpilogue& a) {
  using A = Arith<T>;
  if (a.n * a.c * a.pixels == 0) return 0;
  const T* x = static_cast<const T*>(a.x);
  T* y = static_cast<T*>(a.y);
  const A *scale = static_cast<const A*>(a.scale), *bias = static_cast<const A*>(a.bias);
  const A *noise = static_cast<const A*>(a.noise), gain = a.gain;
  std::vector<A> scales(a.n * a.c, gain), biases(a.c, A(0));
  if (scale) for (int64_t i = 0; i < a.n * a.c; ++i) scales[i] = scale[i] * gain;
  if (bias) for (int64_t j = 0; j < a.c; ++j) biases[j] = bias[j] * gain;
  auto map = [&](int64_t n) { return noise ? noise + (a.noise_n == 1 ? 0 : n * a.pixels) : nullptr; };
  const int threads = a.n * a.c * a.pixels < kSerialElements ? 1 : std::max(a.threads, 1);
  if (a.channels_last) {
    const int64_t size = std::max<int64_t>(kChunkElements / a.c, 1), chunks = (a.pixels + size - 1) / size;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t i = 0; i < a.n * chunks; ++i) {
      const int64_t n = i / chunks, first = i % chunks * size, offset = n * a.pixels * a.c;
      pixels_last(x + offset, y + offset, scales.data() + n * a.c, biases.data(), map(n), a, first,
                  std::min(first + size, a.pixels));
    }
    return 0;
  }
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int64_t i = 0; i < a.n * a.c; ++i)
    plane(x + i * a.pixels, y + i * a.pixels, scales[i], biases[i % a.c], map(i / a.c), a);
  return 0;
}

// Sums of one chunk, and where its results go.
template <class T, class A>
struct Chunk {
  const T *dy, *y, *x;
  T* dx;
  A *dnoise, *sum_g, *sum_gx;
  const A* scale;
  int64_t first, last;
};

template <bool kX, bool kDx, class T, class A>
void grad_pixels_last(const Chunk<T, A>& k, const OpsEpilogueGrad& a) {
  const A alpha = a.alpha, gain = a.gain, bound = stored_bound_of<T, A>(a.clamp);
  const int64_t c = a.c;
  A *__restrict sum_g = k.sum_g, *__restrict sum_gx = k.sum_gx;
  const A* __restrict scale = k.scale;
  for (int64_t p = k.first; p < k.last; ++p) {
    const T *dy = k.dy + p * c, *y = k.y + p * c, *x = kX ? k.x + p * c : nullptr;
    T* dx = kDx ? k.dx + p * c : nullptr;
    A total = 0;
#pragma omp simd reduction(+ : total)
    for (int64_t j = 0; j < c; ++j) {
      const A g = slope<A>(load(dy[j]), load(y[j]), alpha, gain, bound);
      sum_g[j] += g;
      if (kX) sum_gx[j] += g * load(x[j]);
      total += g;
      if (kDx) store(dx + j, g * scale[j]);
    }
    if (k.dnoise) k.dnoise[p] = total;
  }
}

template <bool kX, bool kDx, class T, class A>
void grad_planes(const Chunk<T, A>& k, const OpsEpilogueGrad& a) {
  const A alpha = a.alpha, gain = a.gain, bound = stored_bound_of<T, A>(a.clamp);
  if (k.dnoise) std::fill(k.dnoise + k.first, k.dnoise + k.last, A(0));
  for (int64_t j = 0; j < a.c; ++j) {
    const T *dy = k.dy + j * a.pixels, *y = k.y + j * a.pixels, *x = kX ? k.x + j * a.pixels : nullptr;
    T* dx = kDx ? k.dx + j * a.pixels : nullptr;
    A* __restrict dnoise = k.dnoise;
    const A scale = k.scale[j];
    A sum = 0, sum_x = 0;
#pragma omp simd reduction(+ : sum, sum_x)
    for (int64_t p = k.first; p < k.last; ++p) {
      const A g = slope<A>(load(dy[p]), load(y[p]), alpha, gain, bound);
      sum += g;
      if (kX) sum_x += g * load(x[p]);
      if (dnoise) dnoise[p] += g;
      if (kDx) store(dx + p, g * scale);
    }
    k.sum_g[j] = sum;
    if (kX) k.sum_gx[j] = sum_x;
  }
}

template <class T, class A>
void grad_chunk(const Chunk<T, A>& k, const OpsEpilogueGrad& a) {
  const bool with_x = k.x && k.sum_gx;
#define OPS_RUN(X, DX) return a.channels_last ? grad_pixels_last<X, DX>(k, a) : grad_planes<X, DX>(k, a)
  if (with_x && k.dx) OPS_RUN(true, true);
  if (with_x) OPS_RUN(true, false);
  if (k.dx) OPS_RUN(false, true);
  OPS_RUN(false, false);
#undef OPS_RUN
}

template <class T>
int epilogue_grad(const OpsEpilogueGrad& a) {
  using A = Arith<T>;
  if (a.n * a.c * a.chunks == 0) return 0;
  if (a.sum_gx && !a.x) return 2;
  const int64_t size = (a.pixels + a.chunks - 1) / a.chunks, picture = a.pixels * a.c;
  const std::vector<A> ones(a.scale ? 0 : a.c, A(1));
  const int threads = a.n * picture < kSerialElements ? 1 : std::max(a.threads, 1);
#pragma omp parallel num_threads(threads)
  {
    std::vector<A> spare(2 * a.c);
#pragma omp for schedule(static)
    for (int64_t i = 0; i < a.n * a.chunks; ++i) {
      const int64_t n = i / a.chunks, first = std::min(i % a.chunks * size, a.pixels);
      auto at = [&](const void* t) { return t ? static_cast<const T*>(t) + n * picture : nullptr; };
      Chunk<T, A> k;
      k.dy = at(a.dy), k.y = at(a.y), k.x = at(a.x), k.dx = a.dx ? static_cast<T*>(a.dx) + n * picture : nullptr;
      k.dnoise = a.dnoise ? static_cast<A*>(a.dnoise) + n * a.pixels : nullptr;
      k.scale = a.scale ? static_cast<const A*>(a.scale) + n * a.c : ones.data();
      k.sum_g = a.sum_g ? static_cast<A*>(a.sum_g) + i * a.c : spare.data();
      k.sum_gx = a.sum_gx ? static_cast<A*>(a.sum_gx) + i * a.c : nullptr;
      k.first = first, k.last = std::min(first + size, a.pixels);
      std::fill(k.sum_g, k.sum_g + a.c, A(0));
      if (k.sum_gx) std::fill(k.sum_gx, k.sum_gx + a.c, A(0));
      grad_chunk(k, a);
    }
  }
  return 0;
}

}  // namespace

int ops_epilogue(const OpsEpilogue* a) {
  switch (a->dtype) {
    case OPS_FLOAT32: return epilogue<float>(*a);
    case OPS_FLOAT64: return epilogue<double>(*a);
    case OPS_BFLOAT16: return epilogue<BFloat16>(*a);
    default: return 1;
  }
}

int ops_epilogue_grad(const OpsEpilogueGrad* a) {
  switch (a->dtype) {
    case OPS_FLOAT32: return epilogue_grad<float>(*a);
    case OPS_FLOAT64: return epilogue_grad<double>(*a);
    case OPS_BFLOAT16: return epilogue_grad<BFloat16>(*a);
    default: return 1;
  }
}

int ops_abi(void) { return OPS_ABI; }

const char* ops_error(int code) {
  switch (code) {
    case 0: return "no error";
    case 1: return "an element type without a CPU kernel";
    case 2: return "the scale's gradient needs x";
    default: return "unknown error";
  }
}
