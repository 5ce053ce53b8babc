// ops_epilogue_grad and ops_epilogue_grad_grad on a CPU. Work is shared out by chunks of pixels, never by thread, so sums
// come out the same on any number of threads.
#include "cpu_epilogue.h"

namespace {

// The elements of a run: the channels of a pixel (channels_last), or a chunk's pixels of a plane (NCHW). Operands of the
// other axis are single values then. What is missing points to zeros (ones for scales), what nobody wants to a spare run.
template <class T, class A>
struct Run {
  int64_t size;
  const T *dy, *dz, *y, *x, *ddx;
  T *dx, *ddy, *ddz;
  const A *scale, *bias, *style, *ddscale, *ddbias, *ddstyle;  // along channels
  const A *noise, *ddnoise;                                    // along pixels
  A *sum_bias, *sum_scale, *sum_style;                         // along channels: added to
  A* dnoise;                                                   // along pixels: added to
};

template <class A>
inline A passed(A slope, A v) {
  return slope == A(0) ? A(0) : slope * v;
}

// X: value and slope from x again; otherwise the slope from y. A bounded element passes on zero, whatever comes in.
template <bool SECOND, bool LAST, bool X, bool DY, bool DZ, class T, class A>
void run(const Run<T, A>& r, A alpha, A gain, A bound) {
  const T *dys = r.dy, *dzs = r.dz, *ys = r.y, *xs = r.x, *ddxs = r.ddx;
  T *dx = r.dx, *ddy = r.ddy, *ddz = r.ddz;
  const A *scales = r.scale, *biases = r.bias, *styles = r.style, *noises = r.noise;
  const A *ddscales = r.ddscale, *ddbiases = r.ddbias, *ddstyles = r.ddstyle, *ddnoises = r.ddnoise;
  A *__restrict sum_bias = r.sum_bias, *__restrict sum_scale = r.sum_scale, *__restrict sum_style = r.sum_style;
  A* __restrict dnoise = r.dnoise;
  A of_bias = 0, of_scale = 0, of_style = 0, of_noise = 0;
#pragma omp simd reduction(+ : of_bias, of_scale, of_style, of_noise)
  for (int64_t j = 0; j < r.size; ++j) {
    const int64_t channel = LAST ? j : 0, pixel = LAST ? 0 : j;
    const A x = X ? load(xs[j]) : A(0), scale = scales[channel];
    A y = X ? x * scale + (biases[channel] + noises[pixel]) : load(ys[j]);
    A slope = y > 0 ? gain : gain * alpha;
    if (X) y *= slope;
    slope = (y >= bound || y <= -bound) ? A(0) : slope;
    y = y > bound ? bound : (y < -bound ? -bound : y);
    const A dz = DZ ? load(dzs[j]) : A(0), style = DZ ? styles[channel] : A(0);
    const A g = passed(slope, (DY ? load(dys[j]) : A(0)) + style * dz);
    A noise = g, scale_ = g * x, style_ = dz * y;
    if (SECOND) {
      const A of_dx = load(ddxs[j]), ddscale = ddscales[channel], ddstyle = DZ ? ddstyles[channel] : A(0);
      const A q = passed(slope, scale * of_dx + ddscale * x + ddnoises[pixel] + ddbiases[channel]);
      noise = passed(slope, ddstyle * dz);
      scale_ = of_dx * g + noise * x;
      style_ = q * dz;
      if (DY) store(ddy + j, q);
      if (DZ) store(ddz + j, style * q + ddstyle * y);
      if (X) store(dx + j, ddscale * g + scale * noise);
    } else {
      store(dx + j, g * scale);
    }
    if (LAST) {
      sum_bias[j] += noise;
      if (X) sum_scale[j] += scale_;
      if (DZ) sum_style[j] += style_;
      of_noise += noise;
    } else {
      of_bias += noise;
      if (X) of_scale += scale_;
      if (DZ) of_style += style_;
      dnoise[j] += noise;
    }
  }
  if (LAST) {
    *dnoise += of_noise;
  } else {
    *sum_bias += of_bias;
    *sum_scale += of_scale;
    *sum_style += of_style;
  }
}

// What runs of at most `longest` elements read for operands that are missing.
template <class T, class A>
struct Missing {
  const std::vector<A> zeros, ones;
  const std::vector<T> nothing;

  explicit Missing(int64_t longest) : zeros(longest, A(0)), ones(longest, A(1)), nothing(longest, T{}) {}
};

// Where a thread's runs write what nobody wants: stretches of their own, a line of the cache away from everything else.
template <class T, class A>
class Unwanted {
  static constexpr int64_t kLine = 64;  // elements: at least as many bytes
  const int64_t stretch_;
  std::vector<T> picture_;
  std::vector<A> sums_;

 public:
  explicit Unwanted(int64_t longest)
      : stretch_(longest + kLine), picture_(stretch_ + kLine), sums_(4 * stretch_ + kLine) {}
  T* picture() { return picture_.data() + kLine; }
  A* sum(int kind) { return sums_.data() + kind * stretch_ + kLine; }
};

// Pixels [first, last) of a sample, run by run.
template <bool SECOND, bool LAST, bool X, bool DY, bool DZ, class T, class A>
void chunk(const OpsEpilogueGrad& a, int64_t n, int64_t i, int64_t first, int64_t last, A bound, const Missing<T, A>& missing,
           Unwanted<T, A>& unwanted) {
  const int64_t runs = LAST ? last - first : a.c, size = LAST ? a.c : last - first, picture = a.c * a.pixels;
  const A* zeros = missing.zeros.data();
  for (int64_t k = 0; k < runs; ++k) {
    const int64_t offset = n * picture + (LAST ? (first + k) * a.c : k * a.pixels + first);
    auto in = [&](const void* t) { return t ? static_cast<const T*>(t) + offset : missing.nothing.data(); };
    auto out = [&](void* t) { return t ? static_cast<T*>(t) + offset : unwanted.picture(); };
    const int64_t c = LAST ? 0 : k, p = LAST ? first + k : first;
    auto channels = [&](const void* t, int64_t m) { return t ? static_cast<const A*>(t) + m * a.c + c : zeros; };
    auto pixels = [&](const void* t, int64_t m) { return t ? static_cast<const A*>(t) + m * a.pixels + p : zeros; };
    auto sums = [&](void* t, int kind) { return t ? static_cast<A*>(t) + i * a.c + c : unwanted.sum(kind); };
    Run<T, A> r;
    r.size = size;
    r.dy = in(a.dy), r.dz = in(a.dz), r.y = in(a.y), r.x = in(a.x), r.ddx = in(a.ddx);
    r.dx = out(a.dx), r.ddy = out(a.ddy), r.ddz = out(a.ddz);
    r.scale = a.scale ? channels(a.scale, n) : missing.ones.data();
    r.bias = channels(a.bias, 0), r.style = channels(a.style, n);
    r.ddscale = channels(a.ddscale, n), r.ddbias = channels(a.ddbias, 0), r.ddstyle = channels(a.ddstyle, n);
    r.noise = pixels(a.noise, a.noise_n == 1 ? 0 : n), r.ddnoise = pixels(a.ddnoise, n);
    r.sum_bias = sums(a.sum_bias, 0), r.sum_scale = sums(a.sum_scale, 1), r.sum_style = sums(a.sum_style, 2);
    r.dnoise = a.dnoise ? static_cast<A*>(a.dnoise) + n * a.pixels + p : unwanted.sum(3);
    run<SECOND, LAST, X, DY, DZ>(r, A(a.alpha), A(a.gain), bound);
  }
}

// Without a clamp the bound is not a number, which nothing reaches; a y was clamped before it was rounded to its type.
template <class T>
Arith<T> bound_beside(const OpsEpilogueGrad& a) {
  const auto bound = bound_of<Arith<T>>(a.clamp, NAN);
  if (a.x) return bound;
  T stored;
  store(&stored, bound);
  return load(stored);
}

template <bool SECOND, bool LAST, bool X, bool DY, bool DZ, class T>
int chunks(const OpsEpilogueGrad& a) {
  using A = Arith<T>;
  const int64_t size = (a.pixels + a.chunks - 1) / a.chunks;
  const int threads = a.n * a.c * a.pixels < kSerialElements ? 1 : std::max(a.threads, 1);
  const A bound = bound_beside<T>(a);
  const int64_t longest = std::max(LAST ? 0 : size, a.c);
  const Missing<T, A> missing(longest);
#pragma omp parallel num_threads(threads)
  {
    Unwanted<T, A> unwanted(longest);
#pragma omp for schedule(static)
    for (int64_t i = 0; i < a.n * a.chunks; ++i) {
      const int64_t n = i / a.chunks, first = std::min(i % a.chunks * size, a.pixels), last = std::min(first + size, a.pixels);
      for (void* sum : {a.sum_bias, a.sum_scale, a.sum_style})
        if (sum) std::fill_n(static_cast<A*>(sum) + i * a.c, a.c, A(0));
      if (a.dnoise) std::fill_n(static_cast<A*>(a.dnoise) + n * a.pixels + first, last - first, A(0));
      chunk<SECOND, LAST, X, DY, DZ>(a, n, i, first, last, bound, missing, unwanted);
    }
  }
  return 0;
}

template <bool SECOND, bool LAST, class T>
int choose(const OpsEpilogueGrad& a) {
  if (!a.x) return chunks<SECOND, LAST, false, true, false, T>(a);
  if (!a.dz) return chunks<SECOND, LAST, true, true, false, T>(a);
  if (!a.dy) return chunks<SECOND, LAST, true, false, true, T>(a);
  return chunks<SECOND, LAST, true, true, true, T>(a);
}

template <bool SECOND>
int gradient(const OpsEpilogueGrad& a) {
  if (a.n * a.c * a.chunks == 0) return 0;
  if ((a.sum_scale || a.sum_style || a.dz) && !a.x) return 2;
  if (a.dz && !a.style) return 2;
  auto with = [&](auto tag) {
    using T = decltype(tag);
    return a.channels_last ? choose<SECOND, true, T>(a) : choose<SECOND, false, T>(a);
  };
  switch (a.dtype) {
    case OPS_FLOAT32: return with(float{});
    case OPS_FLOAT64: return with(double{});
    case OPS_BFLOAT16: return with(BFloat16{});
    default: return 1;
  }
}

}  // namespace

int ops_epilogue_grad(const OpsEpilogueGrad* a) { return gradient<false>(*a); }

int ops_epilogue_grad_grad(const OpsEpilogueGrad* a) { return gradient<true>(*a); }
