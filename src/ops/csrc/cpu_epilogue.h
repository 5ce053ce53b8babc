// What the CPU's epilogue and its gradients share: the activation, and small operands with the gain in them (a leaky ReLU
// is positively homogeneous), so that an element costs one multiply-add, one select and the clamp.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "cpu_types.h"
#include "ops.h"

template <class A>
inline A activate(A v, A alpha, A bound) {
  v = v > 0 ? v : alpha * v;
  v = v > bound ? bound : v;
  return v < -bound ? -bound : v;
}

template <class A>
A bound_of(double clamp, double without) {
  return static_cast<A>(clamp < 0 ? without : clamp);
}

// n values times the gain; n times `missing` where there are none.
template <class A>
std::vector<A> with_gain(const void* values, int64_t n, A gain, A missing) {
  std::vector<A> found(n, missing);
  if (values) for (int64_t i = 0; i < n; ++i) found[i] = static_cast<const A*>(values)[i] * gain;
  return found;
}
