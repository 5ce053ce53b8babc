// Either gradient of the epilogue: which arrangement of threads, and vectors where sizes and addresses allow them.
#ifndef CARICATURE_EPILOGUE_GRAD_LAUNCH_CUH
#define CARICATURE_EPILOGUE_GRAD_LAUNCH_CUH

#include "epilogue_grad_planes.cuh"
#include "epilogue_grad_rows.cuh"

namespace ops {

template <typename T>
GradientOperands<T> gradient_operands(const OpsEpilogueGrad* a) {
  using A = Acc<T>;
  GradientOperands<T> g{};
  g.o = operands_of<T>(a->scale, a->noise, a->bias, a->style, a->n, a->c, a->pixels, a->noise_n, a->alpha, a->gain,
                       a->clamp);
  g.dy = static_cast<const T*>(a->dy);
  g.dz = static_cast<const T*>(a->dz);
  g.y = static_cast<const T*>(a->y);
  g.x = static_cast<const T*>(a->x);
  g.dx = static_cast<T*>(a->dx);
  g.dnoise = static_cast<A*>(a->dnoise);
  g.sums[0] = static_cast<A*>(a->sum_bias);
  g.sums[1] = static_cast<A*>(a->sum_scale);
  g.sums[2] = static_cast<A*>(a->sum_style);
  g.chunks = a->chunks > 0 ? a->chunks : 1;
  g.length = ceil_div(a->pixels, g.chunks);
  return g;
}

template <typename... P>
bool all_aligned(P... pointers) {
  return (aligned(pointers) && ...);
}

template <typename T, typename G>
int launch_gradient(const G& g, const OpsEpilogueGrad* a) {
  const cudaStream_t stream = cudaStream_t(a->stream);
  const bool rows = a->channels_last && a->c > 1;
  const bool whole =
      (rows ? a->c : a->pixels) % kVector<T> == 0 &&
      all_aligned(a->dy, a->dz, a->y, a->x, a->dx, a->ddx, a->ddy, a->ddz) &&
      (rows ? all_aligned(a->scale, a->bias, a->style, a->ddscale, a->ddbias, a->ddstyle)
            : all_aligned(a->noise, a->ddnoise));
  if (rows) {
    whole ? grad_channels_last<G, kVector<T>>(g, stream) : grad_channels_last<G, 1>(g, stream);
  } else {
    whole ? grad_nchw<G, kVector<T>>(g, stream) : grad_nchw<G, 1>(g, stream);
  }
  return launched();
}

// f(T{}, a) for the element type, with results left out that have no elements; or why there is nothing to do.
template <typename F>
int checked_gradient(const OpsEpilogueGrad* given, F f) {
  OpsEpilogueGrad a = *given;
  const bool summing = a.sum_bias || a.sum_scale || a.sum_style;
  if (a.n < 0 || a.c < 0 || a.pixels < 0 || (summing && a.chunks < 1)) return kBadSize;
  const bool empty = a.c == 0 || a.pixels == 0;
  const bool missing = ((a.sum_scale || a.sum_style || a.dz) && !a.x) || (a.dz && !a.style);
  if (missing && a.n > 0 && !empty) return kMissing;
  if (empty) a.dx = a.ddy = a.ddz = nullptr;
  if (a.c == 0) a.sum_bias = a.sum_scale = a.sum_style = nullptr;
  if (a.pixels == 0) a.dnoise = nullptr;
  const bool any = a.dx || a.ddy || a.ddz || a.dnoise || a.sum_bias || a.sum_scale || a.sum_style;
  if (a.n == 0 || !any) return 0;
  return with_type(a.dtype, [&](auto tag) { return f(tag, &a); });
}

}  // namespace ops
#endif
