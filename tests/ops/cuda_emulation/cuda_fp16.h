// Stand-in for CUDA's half: storage and conversions, by bits.
#ifndef CUDA_EMULATION_FP16_H
#define CUDA_EMULATION_FP16_H

#include <math.h>
#include <stdint.h>
#include <string.h>

struct __half {
  uint16_t bits;
};

inline float __half2float(__half h) {
  const int exponent = (h.bits >> 10) & 31, fraction = h.bits & 1023;
  float v;
  if (exponent == 31) {
    v = fraction ? NAN : INFINITY;
  } else {
    v = exponent ? ldexpf(float(1024 + fraction), exponent - 25) : ldexpf(float(fraction), -24);
  }
  return (h.bits >> 15) ? -v : v;
}

inline __half __float2half_rn(float v) {
  uint16_t bits = signbit(v) ? 0x8000 : 0;
  const float size = fabsf(v);
  if (v != v) {
    bits |= 0x7e00;
  } else if (size >= 65520.0f) {
    bits |= 0x7c00;
  } else if (size < 6.103515625e-05f) {  // subnormal: a multiple of 2^-24
    bits |= uint16_t(nearbyintf(ldexpf(size, 24)));
  } else {
    int exponent;
    const float fraction = frexpf(size, &exponent);  // in [0.5, 1)
    bits |= uint16_t((exponent + 13) << 10) + uint16_t(nearbyintf(ldexpf(fraction, 11)));
  }
  return __half{bits};
}

#endif
