// ops_epilogue on a CPU. Work is shared out by chunks of pixels (channels_last) or by planes (NCHW).
#include "cpu_epilogue.h"

namespace {

constexpr int64_t kChunkElements = 1 << 14;  // in channels_last

// Where results go: y, z = y * style, or both; or y plus another picture.
template <bool Y, bool Z, bool ADD, class T, class A>
void pixels_last(const T* x, T* y, T* z, const T* add, const A* scale, const A* bias, const A* noise, const A* style,
                 const OpsEpilogue& a, int64_t first, int64_t last) {
  const A alpha = a.alpha, gain = a.gain, bound = bound_of<A>(a.clamp, HUGE_VAL);
  const int64_t c = a.c;
  for (int64_t p = first; p < last; ++p) {
    const A shift = noise ? noise[p] * gain : A(0);
    const T* from = x + p * c;
    T *to = Y ? y + p * c : nullptr, *onward = Z ? z + p * c : nullptr;
    const T* beside = ADD ? add + p * c : nullptr;
#pragma omp simd
    for (int64_t j = 0; j < c; ++j) {
      const A v = activate<A>(load(from[j]) * scale[j] + (bias[j] + shift), alpha, bound);
      if (Y) store(to + j, ADD ? v + load(beside[j]) : v);
      if (Z) store(onward + j, v * style[j]);
    }
  }
}

template <bool Y, bool Z, bool ADD, class T, class A>
void plane(const T* x, T* y, T* z, const T* add, A scale, A bias, const A* noise, A style, const OpsEpilogue& a) {
  const A alpha = a.alpha, gain = a.gain, bound = bound_of<A>(a.clamp, HUGE_VAL);
#pragma omp simd
  for (int64_t p = 0; p < a.pixels; ++p) {
    const A v = activate<A>(load(x[p]) * scale + (noise ? bias + noise[p] * gain : bias), alpha, bound);
    if (Y) store(y + p, ADD ? v + load(add[p]) : v);
    if (Z) store(z + p, v * style);
  }
}

template <bool Y, bool Z, bool ADD, class T>
void epilogue(const OpsEpilogue& a) {
  using A = Arith<T>;
  const T *x = static_cast<const T*>(a.x), *add = static_cast<const T*>(a.add);
  T *y = static_cast<T*>(a.y), *z = static_cast<T*>(a.z);
  const A *noise = static_cast<const A*>(a.noise), *style = static_cast<const A*>(a.style), gain = a.gain;
  const auto scales = with_gain<A>(a.scale, a.n * a.c, gain, gain), biases = with_gain<A>(a.bias, a.c, gain, A(0));
  auto map = [&](int64_t n) { return noise ? noise + (a.noise_n == 1 ? 0 : n * a.pixels) : nullptr; };
  auto at = [](auto* t, int64_t offset) { return t ? t + offset : nullptr; };
  const int threads = a.n * a.c * a.pixels < kSerialElements ? 1 : std::max(a.threads, 1);
  if (a.channels_last) {
    const int64_t size = std::max<int64_t>(kChunkElements / a.c, 1), chunks = (a.pixels + size - 1) / size;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t i = 0; i < a.n * chunks; ++i) {
      const int64_t n = i / chunks, first = i % chunks * size, offset = n * a.pixels * a.c;
      pixels_last<Y, Z, ADD>(x + offset, at(y, offset), at(z, offset), at(add, offset), scales.data() + n * a.c,
                             biases.data(), map(n), Z ? style + n * a.c : nullptr, a, first,
                             std::min(first + size, a.pixels));
    }
    return;
  }
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int64_t i = 0; i < a.n * a.c; ++i) {
    const int64_t offset = i * a.pixels;
    plane<Y, Z, ADD>(x + offset, at(y, offset), at(z, offset), at(add, offset), scales[i], biases[i % a.c], map(i / a.c),
                     Z ? style[i] : A(0), a);
  }
}

template <class T>
int epilogue(const OpsEpilogue& a) {
  if (a.n * a.c * a.pixels == 0) return 0;
  if (a.z && !a.style) return 2;
  if (a.z && a.add) return 3;
  if (a.y && a.z) epilogue<true, true, false, T>(a);
  else if (a.z) epilogue<false, true, false, T>(a);
  else if (a.add) epilogue<true, false, true, T>(a);
  else epilogue<true, false, false, T>(a);
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

int ops_abi(void) { return OPS_ABI; }

const char* ops_error(int code) {
  switch (code) {
    case 0: return "no error";
    case 1: return "an element type without a CPU kernel";
    case 2: return "sums of scale and style need x, z and its gradient the style";
    case 3: return "another picture is added to y alone, without z";
    default: return "unknown error";
  }
}
