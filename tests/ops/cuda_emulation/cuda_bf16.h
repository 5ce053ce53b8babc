// Stand-in for CUDA's bfloat16: storage and conversions, by bits.
#ifndef CUDA_EMULATION_BF16_H
#define CUDA_EMULATION_BF16_H

#include <stdint.h>
#include <string.h>

struct __nv_bfloat16 {
  uint16_t bits;
};

inline float __bfloat162float(__nv_bfloat16 b) {
  const uint32_t bits = uint32_t(b.bits) << 16;
  float v;
  memcpy(&v, &bits, sizeof v);
  return v;
}

inline __nv_bfloat16 __float2bfloat16_rn(float v) {
  uint32_t bits;
  memcpy(&bits, &v, sizeof bits);
  if (v != v) return __nv_bfloat16{0x7fff};
  bits += 0x7fff + ((bits >> 16) & 1);  // to the nearest, ties to even
  return __nv_bfloat16{uint16_t(bits >> 16)};
}

#endif
