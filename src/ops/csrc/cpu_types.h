// Element types of the CPU kernels: what a picture's element is stored as, and the type that arithmetic is done in.
#pragma once

#include <cstdint>
#include <cstring>

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
