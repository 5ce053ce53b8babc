// ops_warp on a CPU. A picture is one work item: it is copied with its reflected borders, so that the pixels of a lookup
// lie side by side; its points are looked up a line at a time, and lines are filtered as soon as twelve are there.

#include <algorithm>
#include <cstring>
#include <vector>

#include "ops.h"
#include "warp_point.h"

namespace {

using warp::Filters;
using warp::kReach;
using warp::kTaps;

constexpr int kLanes = 8;  // a lookup's seven pixels and one more
constexpr int kSpare = 4;  // pixels around the margins that lookups touch with weight 0

// One picture with its borders: channel after channel.
template <class A>
struct Padded {
  int h, w, left, top, width, height;
  std::vector<A> values;

  Padded(const OpsWarp& a, const A* margins)
      : h(int(a.h)), w(int(a.w)), left(int(margins[0]) + kSpare), top(int(margins[1]) + kSpare),
        width(left + w + int(margins[2]) + kSpare), height(top + h + int(margins[3]) + kSpare),
        values(size_t(a.c) * width * height + kLanes) {}

  A* at(int64_t channel, int row, int col) {
    return values.data() + (channel * height + row + top) * width + col + left;
  }

  // Calls f(pixel of the padded picture, pixel of the picture) for the pixels within the margins.
  template <class F>
  void each(int64_t channel, F f) {
    for (int row = kSpare - top; row < height - top - kSpare; ++row) {
      const int from = warp::reflected(row, h);
      for (int col = kSpare - left; col < width - left - kSpare; ++col)
        f(*at(channel, row, col), int64_t(from) * w + warp::reflected(col, w));
    }
  }
};

template <class A>
struct Lanes {
  typedef A Vec __attribute__((vector_size(kLanes * sizeof(A))));
};
template <class A>
using Vec = typename Lanes<A>::Vec;

template <class A>
Vec<A> load(const A* from) {
  Vec<A> v;
  std::memcpy(&v, from, sizeof v);
  return v;
}

// The weights of seven pixels as sums of two of these: for the nearer and the further fine sample, by the nearer's parity.
template <class A>
struct Weights {
  Vec<A> nearer[2] = {}, further[2] = {};

  explicit Weights(const Filters<A>& filters) {
    for (int odd = 0; odd < 2; ++odd)
      for (int i = 0; i < kReach; ++i) {
        nearer[odd][i] = warp::weight_of<A>({0, odd, 1, 0}, i, filters);
        further[odd][i] = warp::weight_of<A>({0, odd, 0, 1}, i, filters);
      }
  }

  // Pixels beyond the margins have weights too: they are 0 in a padded picture, and what they receive is dropped.
  Vec<A> of(const warp::Lookup<A>& found) const {
    return found.nearer * nearer[found.odd] + found.further * further[found.odd];
  }
};

// Where a point looks, along both axes.
template <class A>
struct Point {
  warp::Lookup<A> x, y;

  bool look(const Padded<A>& padded, const A* map, int px, int py) {
    const int h = padded.h, w = padded.w;
    return warp::look_up(warp::position_of(map, px, py, w, h, w), kSpare - padded.left,
                         padded.width - padded.left - kSpare, x) &&
           warp::look_up(warp::position_of(map + 3, px, py, w, h, h), kSpare - padded.top,
                         padded.height - padded.top - kSpare, y);
  }
};

template <class A>
A gather(const A* from, int width, Vec<A> weight_x, Vec<A> weight_y) {
  Vec<A> sums = {};
  for (int i = 0; i < kReach; ++i, from += width) sums += weight_y[i] * load(from);
  sums *= weight_x;
  return ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]));
}

template <class A>
void scatter(A* to, int width, Vec<A> weight_x, Vec<A> weight_y) {
  for (int i = 0; i < kReach; ++i, to += width) {
    const Vec<A> sum = load(to) + weight_y[i] * weight_x;
    std::memcpy(to, &sum, sizeof sum);
  }
}

template <class A>
void forward(const OpsWarp& a, const A* x, A* y, const A* map, const A* margins, const Filters<A>& filters) {
  const int h = int(a.h), w = int(a.w), c = int(a.c), half = w + 6;
  const int64_t plane = int64_t(h) * w;
  const Weights<A> weights(filters);
  Padded<A> padded(a, margins);
  for (int channel = 0; channel < c; ++channel)
    padded.each(channel, [&](A& to, int64_t from) { to = x[channel * plane + from]; });
  std::vector<A> even(c * half), odd(c * half), lines(size_t(kTaps) * c * w);
  for (int py = 1; py <= 2 * h + 10; ++py) {
    for (int px = 0; px < 2 * half; ++px) {
      Point<A> point;
      const bool any = point.look(padded, map, px, py);
      A* to = (px % 2 ? odd : even).data() + px / 2;
      if (!any) {
        for (int channel = 0; channel < c; ++channel) to[channel * half] = 0;
        continue;
      }
      const Vec<A> weight_x = weights.of(point.x), weight_y = weights.of(point.y);
      for (int channel = 0; channel < c; ++channel)
        to[channel * half] = gather(padded.at(channel, point.y.first, point.x.first), padded.width, weight_x, weight_y);
    }
    for (int channel = 0; channel < c; ++channel) {
      A* __restrict line = lines.data() + (size_t(py % kTaps) * c + channel) * w;
      const A *from_odd = odd.data() + channel * half, *from_even = even.data() + channel * half + 1;
      std::fill(line, line + w, A(0));
      for (int r = 0; r < kTaps / 2; ++r)
        for (int i = 0; i < w; ++i)
          line[i] += filters.down[2 * r] * from_odd[i + r] + filters.down[2 * r + 1] * from_even[i + r];
    }
    if (py < kTaps || py % 2) continue;
    const int row = (py - kTaps) / 2;
    for (int channel = 0; channel < c; ++channel) {
      A* __restrict to = y + channel * plane + int64_t(row) * w;
      std::fill(to, to + w, A(0));
      for (int k = 0; k < kTaps; ++k) {
        const A* line = lines.data() + (size_t((2 * row + 1 + k) % kTaps) * c + channel) * w;
        for (int i = 0; i < w; ++i) to[i] += filters.down[k] * line[i];
      }
    }
  }
}

template <class A>
void adjoint(const OpsWarp& a, const A* dy, A* dx, const A* map, const A* margins, const Filters<A>& filters) {
  const int h = int(a.h), w = int(a.w), c = int(a.c), half = w + 6, room = kTaps / 2;
  const int64_t plane = int64_t(h) * w;
  const Weights<A> weights(filters);
  Padded<A> padded(a, margins);
  std::vector<A> line(w + 2 * room), even(c * half), odd(c * half);
  for (int py = 1; py <= 2 * h + 10; ++py) {
    for (int channel = 0; channel < c; ++channel) {
      std::fill(line.begin(), line.end(), A(0));
      A* __restrict sums = line.data() + room;
      for (int r = 0; r < kTaps / 2; ++r) {  // point 2 q is in the outputs q - 1 - r, point 2 q + 1 in q - r
        const int row = py % 2 ? (py - 1) / 2 - r : py / 2 - 1 - r;
        if (row < 0 || row >= h) continue;
        const A tap = filters.down[py % 2 ? 2 * r : 2 * r + 1];
        const A* from = dy + channel * plane + int64_t(row) * w;
        for (int i = 0; i < w; ++i) sums[i] += tap * from[i];
      }
      A *__restrict to_even = even.data() + channel * half, *__restrict to_odd = odd.data() + channel * half;
      std::fill(to_even, to_even + half, A(0));
      std::fill(to_odd, to_odd + half, A(0));
      for (int r = 0; r < kTaps / 2; ++r)
        for (int q = 0; q < half; ++q) {
          to_odd[q] += filters.down[2 * r] * sums[q - r];
          to_even[q] += filters.down[2 * r + 1] * sums[q - 1 - r];
        }
    }
    for (int px = 0; px < 2 * half; ++px) {
      Point<A> point;
      if (!point.look(padded, map, px, py)) continue;
      const A* values = (px % 2 ? odd : even).data() + px / 2;
      const Vec<A> weight_x = weights.of(point.x), weight_y = weights.of(point.y);
      for (int channel = 0; channel < c; ++channel)
        scatter(padded.at(channel, point.y.first, point.x.first), padded.width, values[channel * half] * weight_x,
                weight_y);
    }
  }
  for (int channel = 0; channel < c; ++channel)
    padded.each(channel, [&](A& from, int64_t to) { dx[channel * plane + to] += from; });
}

template <class A>
int run(const OpsWarp& a) {
  const Filters<A> filters(a.taps);
  const A *x = static_cast<const A*>(a.x), *affine = static_cast<const A*>(a.affine);
  const A* margins = static_cast<const A*>(a.margins);
  A* y = static_cast<A*>(a.y);
  const int64_t picture = a.c * a.h * a.w;
  if (picture == 0) return 0;
#pragma omp parallel for schedule(dynamic) num_threads(std::max(a.threads, 1))
  for (int64_t n = 0; n < a.n; ++n)
    (a.adjoint ? adjoint<A> : forward<A>)(a, x + n * picture, y + n * picture, affine + 6 * n, margins, filters);
  return 0;
}

}  // namespace

int ops_warp(const OpsWarp* a) {
  switch (a->dtype) {
    case OPS_FLOAT32: return run<float>(*a);
    case OPS_FLOAT64: return run<double>(*a);
    default: return 1;
  }
}
