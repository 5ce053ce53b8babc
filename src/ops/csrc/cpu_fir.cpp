// ops_fir on a CPU. One work item is a row of the result: the rows of x that it needs are combined vertically into a
// padded line, the line horizontally into the row. In channels_last a line holds all channels of a pixel side by side
// ("lane" of them), so both passes run over long contiguous stretches whatever C is; in NCHW the lane is 1.

#include <algorithm>
#include <type_traits>
#include <vector>

#include "cpu_fir_lanes.h"
#include "cpu_types.h"
#include "ops.h"

namespace {

// A combination of two, three or four rows; `first` starts the line, otherwise it is added to.
template <class T, class A>
void combine(const T* const* rows, const A* taps, int count, bool first, A* line, int64_t length) {
  const T *r0 = rows[0], *r1 = rows[count > 1], *r2 = rows[count > 2 ? 2 : 0], *r3 = rows[count > 3 ? 3 : 0];
  const A t0 = taps[0], t1 = count > 1 ? taps[1] : 0, t2 = count > 2 ? taps[2] : 0, t3 = count > 3 ? taps[3] : 0;
  A* __restrict out = line;
  if (!first) {
    for (int64_t i = 0; i < length; ++i) out[i] += t0 * load(r0[i]) + t1 * load(r1[i]) + t2 * load(r2[i]) + t3 * load(r3[i]);
  } else if (count == 1) {
    for (int64_t i = 0; i < length; ++i) out[i] = t0 * load(r0[i]);
  } else if (count == 2) {
    for (int64_t i = 0; i < length; ++i) out[i] = t0 * load(r0[i]) + t1 * load(r1[i]);
  } else {
    for (int64_t i = 0; i < length; ++i) out[i] = t0 * load(r0[i]) + t1 * load(r1[i]) + t2 * load(r2[i]) + t3 * load(r3[i]);
  }
}

// One call's geometry, shared by all rows.
template <class A>
struct Plan {
  int64_t lane, in_w, out_w, left, line_length;
  int up, down, pad, kw;
  std::vector<A> col, row;      // separable factors in correlation order, gain in col
  std::vector<A> taps;          // the full filter in correlation order, gain in it; empty when separable

  Plan(const OpsFir& a) : lane(a.channels_last ? a.c : 1), in_w(a.in_w), out_w(a.out_w) {
    up = a.up_x, down = a.down_x, pad = a.pad_x0, kw = a.kw;
    left = std::max<int64_t>(pad, 0);
    const int64_t last = ((out_w - 1) * down + kw - 1 - pad + up - 1) / up;  // the largest sample index touched
    line_length = left + std::max(in_w, last + 1) + 1;
    auto at = [&](int size, int k) { return a.flip ? k : size - 1 - k; };
    if (a.col && a.row) {
      for (int k = 0; k < a.kh; ++k) col.push_back(static_cast<A>(a.gain * a.col[at(a.kh, k)]));
      for (int k = 0; k < a.kw; ++k) row.push_back(static_cast<A>(a.row[at(a.kw, k)]));
      return;
    }
    for (int ky = 0; ky < a.kh; ++ky)
      for (int kx = 0; kx < a.kw; ++kx) {
        const int64_t i = static_cast<int64_t>(at(a.kh, ky)) * a.kw + at(a.kw, kx);
        taps.push_back(static_cast<A>(a.gain * static_cast<const A*>(a.taps)[i]));
      }
  }
};

// acc[ox] (+)= sum over kx of taps[kx] * line[sample(ox, kx)], without upsampling.
template <int kLane, class A>
void filter_line(const Plan<A>& p, const A* line, const A* taps, bool add, A* __restrict acc) {
  const int64_t lane = kLane ? kLane : p.lane, base = (p.left - p.pad) * lane, step = p.down * lane;
  if (p.kw == 4 && !add && p.down == 1) {
    const A t0 = taps[0], t1 = taps[1], t2 = taps[2], t3 = taps[3];
    const A *l0 = line + base, *l1 = l0 + lane, *l2 = l1 + lane, *l3 = l2 + lane;
    const int64_t length = p.out_w * lane;
    for (int64_t i = 0; i < length; ++i) acc[i] = t0 * l0[i] + t1 * l1[i] + t2 * l2[i] + t3 * l3[i];
    return;
  }
  if (p.kw == 4 && !add) {
    const A t0 = taps[0], t1 = taps[1], t2 = taps[2], t3 = taps[3];
    for (int64_t ox = 0; ox < p.out_w; ++ox) {
      const A *l0 = line + base + ox * step, *l1 = l0 + lane, *l2 = l1 + lane, *l3 = l2 + lane;
      A* __restrict out = acc + ox * lane;
      for (int64_t j = 0; j < lane; ++j) out[j] = t0 * l0[j] + t1 * l1[j] + t2 * l2[j] + t3 * l3[j];
    }
    return;
  }
  if (!add) std::fill(acc, acc + p.out_w * lane, A(0));
  for (int kx = 0; kx < p.kw; ++kx) {
    const A t = taps[kx];
    const A* from = line + base + kx * lane;
    for (int64_t ox = 0; ox < p.out_w; ++ox)
      for (int64_t j = 0; j < lane; ++j) acc[ox * lane + j] += t * from[ox * step + j];
  }
}

// The same with zeros between the samples: each result sees every up-th tap only.
template <int kLane, class A>
void filter_line_up(const Plan<A>& p, const A* line, const A* taps, bool add, A* __restrict acc) {
  const int64_t lane = kLane ? kLane : p.lane;
  if (p.up == 2 && p.down == 1 && p.kw == 4 && !add) {  // [1, 3, 3, 1] at up = 2: two taps, one phase after the other
    for (int64_t phase = 0; phase < std::min<int64_t>(2, p.out_w); ++phase) {
      const int kx = static_cast<int>((p.pad + phase) & 1);
      const A t0 = taps[kx], t1 = taps[kx + 2];
      const A* from = line + (p.left + (phase - p.pad + kx) / 2) * lane;
      for (int64_t ox = phase; ox < p.out_w; ox += 2, from += lane)
        for (int64_t j = 0; j < lane; ++j) acc[ox * lane + j] = t0 * from[j] + t1 * from[lane + j];
    }
    return;
  }
  for (int64_t ox = 0; ox < p.out_w; ++ox) {
    const int64_t position = ox * p.down - p.pad;
    int kx = static_cast<int>(((-position) % p.up + p.up) % p.up);
    const A* from = line + (p.left + (position + kx) / p.up) * lane;
    A* __restrict out = acc + ox * lane;
    if (!add) std::fill(out, out + lane, A(0));
    for (; kx < p.kw; kx += p.up, from += lane) {
      const A t = taps[kx];
      for (int64_t j = 0; j < lane; ++j) out[j] += t * from[j];
    }
  }
}

template <int kLane, class A>
void filter_lane(const Plan<A>& p, const A* line, const A* taps, bool add, A* acc) {
  if (p.up == 1) return filter_line<kLane>(p, line, taps, add, acc);
  filter_line_up<kLane>(p, line, taps, add, acc);
}

// Planes and RGB have lanes too short for a loop over them: the compiler unrolls those.
template <class A>
void filter(const Plan<A>& p, const A* line, const A* taps, bool add, A* acc) {
  if (p.lane == 1) return filter_lane<1>(p, line, taps, add, acc);
  if (p.lane == 3) return filter_lane<3>(p, line, taps, add, acc);
  filter_lane<0>(p, line, taps, add, acc);
}

template <class T, class A>
void fir_row(const OpsFir& a, const Plan<A>& p, const T* x, int64_t oy, A* line, A* acc, const T* add, T* y) {
  const int64_t width = p.in_w * p.lane, length = p.out_w * p.lane;
  A* inner = line + p.left * p.lane;
  const bool separable = p.taps.empty();
  const T* rows[4];
  A weights[4];
  int count = 0;
  bool first = true;
  A* target = std::is_same<T, A>::value ? reinterpret_cast<A*>(y) : acc;
  for (int ky = 0; ky < a.kh; ++ky) {
    const int64_t position = oy * a.down_y + ky - a.pad_y0;
    if (position < 0 || position >= a.in_h * a.up_y || position % a.up_y) continue;
    const T* row = x + position / a.up_y * width;
    if (separable) {
      rows[count] = row, weights[count] = p.col[ky], ++count;
      if (count == 4) combine(rows, weights, count, first, inner, width), first = false, count = 0;
    } else {
      const A one = 1;
      combine(&row, &one, 1, true, inner, width);
      filter(p, line, p.taps.data() + static_cast<int64_t>(ky) * a.kw, !first, target);
      first = false;
    }
  }
  if (separable && count) combine(rows, weights, count, first, inner, width), first = false;
  if (first)
    std::fill(target, target + length, A(0));
  else if (separable)
    filter(p, line, p.row.data(), false, target);
  if (add)
    for (int64_t i = 0; i < length; ++i) target[i] += load(add[i]);
  if (!std::is_same<T, A>::value)
    for (int64_t i = 0; i < length; ++i) store(y + i, acc[i]);
}

// The pair of rows 2 * pair, 2 * pair + 1 of an image; an odd last row is computed twice, into `spare` the second time.
template <class T, class A>
void sliding_pair(const OpsFir& a, const SlidingFir<T, A>& sliding, const T* x, int64_t pair, const T* zeros, T* spare, T* y) {
  const int64_t in_row = a.in_w * a.c, out_row = a.out_w * a.c, oy = 2 * pair;
  const T* rows[7];
  for (int k = 0; k < 7; ++k) {
    const int64_t iy = oy + k - a.pad_y0;
    rows[k] = iy >= 0 && iy < a.in_h ? x + iy * in_row : zeros;
  }
  sliding.two_rows(rows, y + oy * out_row, oy + 1 < a.out_h ? y + (oy + 1) * out_row : spare);
}

template <class T, class A>
bool slides(const OpsFir& a, const Plan<A>& p) {
  const bool resamples = a.up_x != 1 || a.up_y != 1 || a.down_x != 1 || a.down_y != 1;
  return p.taps.empty() && a.kh == 4 && a.kw == 4 && !resamples && !a.add && a.channels_last && a.c >= Lanes<A>::kCount;
}

template <class T, class A>
void fir_sliding(const OpsFir& a, const Plan<A>& p, int threads) {
  const SlidingFir<T, A> sliding{a.c, a.in_w, a.out_w, a.pad_x0, p.col.data(), p.row.data()};
  const int64_t pairs = (a.out_h + 1) / 2, in_size = a.in_h * a.in_w * a.c, out_size = a.out_h * a.out_w * a.c;
  const std::vector<T> zeros(a.in_w * a.c, T{});
#pragma omp parallel num_threads(threads)
  {
    std::vector<T> spare(a.out_h % 2 ? a.out_w * a.c : 0);
#pragma omp for schedule(static)
    for (int64_t i = 0; i < a.n * pairs; ++i) {
      const T* x = static_cast<const T*>(a.x) + i / pairs * in_size;
      sliding_pair(a, sliding, x, i % pairs, zeros.data(), spare.data(), static_cast<T*>(a.y) + i / pairs * out_size);
    }
  }
}

template <class T>
int fir(const OpsFir& a) {
  using A = Arith<T>;
  const Plan<A> plan(a);
  const int64_t images = a.channels_last ? a.n : a.n * a.c, rows = images * a.out_h;
  const int64_t in_size = a.in_h * a.in_w * plan.lane, out_row = a.out_w * plan.lane;
  if (rows * out_row == 0) return 0;
  const int threads = rows * out_row < kSerialElements ? 1 : std::max(a.threads, 1);
  if (slides<T>(a, plan)) return fir_sliding<T>(a, plan, threads), 0;
#pragma omp parallel num_threads(threads)
  {
    std::vector<A> line(plan.line_length * plan.lane), acc(std::is_same<T, A>::value ? 0 : out_row);
#pragma omp for schedule(static)
    for (int64_t r = 0; r < rows; ++r) {
      const T* x = static_cast<const T*>(a.x) + r / a.out_h * in_size;
      const T* add = a.add ? static_cast<const T*>(a.add) + r * out_row : nullptr;
      fir_row(a, plan, x, r % a.out_h, line.data(), acc.data(), add, static_cast<T*>(a.y) + r * out_row);
    }
  }
  return 0;
}

}  // namespace

int ops_fir(const OpsFir* a) {
  switch (a->dtype) {
    case OPS_FLOAT32: return fir<float>(*a);
    case OPS_FLOAT64: return fir<double>(*a);
    case OPS_BFLOAT16: return fir<BFloat16>(*a);
    default: return 1;
  }
}
