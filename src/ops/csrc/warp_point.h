// What ops_warp's two libraries share: where a point looks, and with which weights.
#ifndef CARICATURE_WARP_POINT_H
#define CARICATURE_WARP_POINT_H

#include <math.h>

#ifdef __CUDACC__
#define WARP_FUNCTION __host__ __device__ inline
#else
#define WARP_FUNCTION inline
#endif

namespace warp {

constexpr int kTaps = 12;
constexpr int kReach = 7;  // pixels that two neighbouring fine samples are made of

// Taps k - 1 of the upsampling filter at [k], zeros around them; and the downsampling filter's as they are.
template <class A>
struct Filters {
  A up[kTaps + 3], down[kTaps];

  explicit Filters(const double* taps) {
    for (A& tap : up) tap = 0;
    for (int k = 0; k < kTaps; ++k) {
      up[k + 1] = A(taps[k] * 1.4142135623730951);
      down[k] = A(taps[k] / 1.4142135623730951);
    }
  }
};

// A bilinear lookup at a fine position along one axis: of the fine samples 2 p + odd and the next one, weighted. Fine sample
// 2 p is made of the pixels p - 3 .. p + 2, sample 2 p + 1 of p - 2 .. p + 3: `first` is p - 3.
template <class A>
struct Lookup {
  int first, odd;
  A nearer, further;
};

// What lies at a position, given how far from the picture samples are not 0; false where nothing does.
template <class A>
WARP_FUNCTION bool look_up(A position, int low, int high, Lookup<A>& found) {
  const A below = floor(position);
  if (!(below >= A(2 * low - 1) && below < A(2 * high))) return false;  // NaN too
  const int fine = int(below), odd = fine & 1, pixel = (fine - odd) / 2;
  const A part = position - below;
  found = {pixel - 3, odd, pixel >= low && pixel < high ? 1 - part : A(0),
           pixel + odd >= low && pixel + odd < high ? part : A(0)};
  return found.nearer != 0 || found.further != 0;
}

// The weight of the pixel first + i.
template <class A>
WARP_FUNCTION A weight_of(const Lookup<A>& found, int i, const Filters<A>& filters) {
  const A even_tap = filters.up[12 - 2 * i], odd_tap = filters.up[13 - 2 * i], next_tap = filters.up[14 - 2 * i];
  return found.odd ? found.nearer * odd_tap + found.further * next_tap : found.nearer * even_tap + found.further * odd_tap;
}

// Fine position, from the picture's first sample, that point (px, py) of the output's fine grid looks up along an axis of
// a size; row is that axis's row of the affine map. The grid begins 6 pixels' worth of samples before the picture.
template <class A>
WARP_FUNCTION A position_of(const A* row, int px, int py, int w, int h, int size) {
  const A x = A(px - (w + 6)) + A(0.5), y = A(py - (h + 6)) + A(0.5);
  return row[0] * x + row[1] * y + (2 * row[2] + (row[0] + row[1]) * A(0.5)) + A(size - 1);
}

// The pixel of the picture that one beyond its borders mirrors; any in range where none does.
WARP_FUNCTION int reflected(int pixel, int size) {
  pixel = pixel < 0 ? -pixel : pixel;
  pixel = pixel >= size ? 2 * (size - 1) - pixel : pixel;
  return pixel < 0 ? 0 : pixel >= size ? size - 1 : pixel;
}

}  // namespace warp
#endif
