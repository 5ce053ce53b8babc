// What the CPU kernels share: element types (what a picture's element is stored as, and the type that arithmetic is done
// in), and from which size on threads are used.
#pragma once

#include <cstdint>
#include <cstring>

constexpr int64_t kSerialElements = 1 << 14;  // below this a parallel region costs more than it saves

struct BFloat16 {
  uint16_t bits;
};

template <class T>
struct Arithmetic {
  using type = T;
};
template <>
struct Arithmetic<BFloat16> {
  using type = float;
};
template <class T>
using Arith = typename Arithmetic<T>::type;

inline float load(float v) { return v; }
inline double load(double v) { return v; }
inline float load(BFloat16 v) {
  uint32_t bits = static_cast<uint32_t>(v.bits) << 16;
  float out;
  std::memcpy(&out, &bits, sizeof out);
  return out;
}

inline void store(float* to, float v) { *to = v; }
inline void store(double* to, double v) { *to = v; }
// Round to nearest even; a NaN stays one (its low bits would otherwise carry into the exponent).
inline void store(BFloat16* to, float v) {
  uint32_t bits;
  std::memcpy(&bits, &v, sizeof bits);
  uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  uint32_t quiet = (bits >> 16) | 0x40u;
  to->bits = static_cast<uint16_t>((bits & 0x7fffffffu) > 0x7f800000u ? quiet : rounded);
}

// A register's worth of elements, 64 bytes in arithmetic's type; the compiler splits it where registers are shorter.
template <class A>
struct Lanes {
  static constexpr int kCount = 64 / sizeof(A);
  typedef A Vec __attribute__((vector_size(64)));
};

inline Lanes<float>::Vec load_lanes(const float* from) {
  Lanes<float>::Vec v;
  std::memcpy(&v, from, sizeof v);
  return v;
}
inline Lanes<double>::Vec load_lanes(const double* from) {
  Lanes<double>::Vec v;
  std::memcpy(&v, from, sizeof v);
  return v;
}
inline void store_lanes(float* to, Lanes<float>::Vec v) { std::memcpy(to, &v, sizeof v); }
inline void store_lanes(double* to, Lanes<double>::Vec v) { std::memcpy(to, &v, sizeof v); }

typedef uint16_t Halves __attribute__((vector_size(32)));
typedef uint32_t Words __attribute__((vector_size(64)));
typedef int32_t SignedWords __attribute__((vector_size(64)));

inline Lanes<float>::Vec load_lanes(const BFloat16* from) {
  Halves halves;
  std::memcpy(&halves, from, sizeof halves);
  const Words bits = __builtin_convertvector(halves, Words) << 16;
  return reinterpret_cast<Lanes<float>::Vec>(bits);
}
inline void store_lanes(BFloat16* to, Lanes<float>::Vec v) {
  const Words bits = reinterpret_cast<Words>(v);
  const Words rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  const SignedWords nan = reinterpret_cast<SignedWords>(bits & 0x7fffffffu) > 0x7f800000;
  const Words chosen = nan ? ((bits >> 16) | 0x40u) : rounded;
  const Halves halves = __builtin_convertvector(chosen, Halves);
  std::memcpy(to, &halves, sizeof halves);
}
