// The common case of ops_fir on a CPU: four separable taps each way, no resampling, channels_last with at least a
// register's worth of channels. Two rows of the result at a time, a register of channels at a time: the column sums of
// the last three pixels stay in registers while the filter slides along, so every element is loaded 2.5 times (from the
// cache, after the first) and written once.
#pragma once

#include <algorithm>

#include "cpu_types.h"

template <class T, class A = Arith<T>>
struct SlidingFir {
  using Vec = typename Lanes<A>::Vec;
  static constexpr int kCount = Lanes<A>::kCount;
  static constexpr int64_t kTileBytes = 8192;  // of a row at a time: the pages of all rows in use stay known

  int64_t c, in_w, out_w, pad;
  const A *col, *row;  // four taps each, in correlation order

  // Sum of four rows' taps at one pixel, for two results one row apart.
  void column(const T* const* rows, int64_t offset, Vec& first, Vec& second) const {
    const Vec r1 = load_lanes(rows[1] + offset), r2 = load_lanes(rows[2] + offset), r3 = load_lanes(rows[3] + offset);
    first = col[0] * load_lanes(rows[0] + offset) + col[1] * r1 + col[2] * r2 + col[3] * r3;
    second = col[0] * r1 + col[1] * r2 + col[2] * r3 + col[3] * load_lanes(rows[4] + offset);
  }

  // rows: five successive rows of x and the two that come next (a row of zeros stands for one outside); y0, y1: two
  // rows of the result.
  void two_rows(const T* const* rows, T* y0, T* y1) const {
    const int64_t tile = std::max<int64_t>(kTileBytes / static_cast<int64_t>(c * sizeof(T)), 16);
    for (int64_t first = 0; first < out_w; first += tile)
      for (int64_t start = 0; start < c; start += kCount)  // the last register overlaps the one before
        slide(rows, y0, y1, start + kCount <= c ? start : c - kCount, first, std::min(first + tile, out_w));
  }

  // The pixels first .. last - 1 of both rows, in the channels j .. j + kCount - 1.
  void slide(const T* const* rows, T* y0, T* y1, int64_t j, int64_t first, int64_t last) const {
    Vec a0 = {}, a1 = {}, b0 = {}, b1 = {}, d0 = {}, d1 = {}, v0, v1;
    for (int64_t x = first - pad; x < last + 3 - pad; ++x) {
      if (x >= 0 && x < in_w) {
        column(rows, x * c + j, v0, v1);
        __builtin_prefetch(rows[5] + x * c + j);
        __builtin_prefetch(rows[6] + x * c + j);
      } else {
        v0 = Vec{}, v1 = Vec{};
      }
      const int64_t ox = x + pad - 3;
      if (ox >= first) {
        store_lanes(y0 + ox * c + j, row[0] * a0 + row[1] * b0 + row[2] * d0 + row[3] * v0);
        store_lanes(y1 + ox * c + j, row[0] * a1 + row[1] * b1 + row[2] * d1 + row[3] * v1);
      }
      a0 = b0, a1 = b1, b0 = d0, b1 = d1, d0 = v0, d1 = v1;
    }
  }
};
