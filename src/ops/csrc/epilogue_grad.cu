// ops_epilogue_grad: which arrangement of threads, and vectors where sizes and addresses allow them.
#include "epilogue_grad_planes.cuh"
#include "epilogue_grad_rows.cuh"

namespace ops {
namespace {

template <typename T>
int grad(const OpsEpilogueGrad* a) {
  using A = Acc<T>;
  Gradient<T> g{static_cast<const T*>(a->dy),
                static_cast<const T*>(a->y),
                static_cast<const T*>(a->x),
                static_cast<T*>(a->dx),
                static_cast<const A*>(a->scale),
                static_cast<A*>(a->dnoise),
                static_cast<A*>(a->sum_g),
                static_cast<A*>(a->sum_gx),
                a->n,
                a->c,
                a->pixels,
                a->chunks > 0 ? a->chunks : 1,
                0,
                A(a->gain),
                A(a->gain * a->alpha),
                // as y holds it: y was clamped before it was rounded to T
                widen(narrow<T>(A(a->clamp))),
                a->clamp >= 0};
  g.length = ceil_div(g.pixels, g.chunks);
  if (g.c == 0) g.dx = nullptr, g.sum_g = g.sum_gx = nullptr;
  if (g.pixels == 0) g.dx = nullptr, g.dnoise = nullptr;
  if (g.n == 0 || !(g.dx || g.dnoise || g.sum_g || g.sum_gx)) return 0;

  const bool rows = a->channels_last && g.c > 1;
  const bool whole = (rows ? g.c : g.pixels) % kVector<T> == 0 && aligned(g.dy) && aligned(g.y) && aligned(g.dx) &&
                     (!g.sum_gx || aligned(g.x)) && (!rows || aligned(g.scale));
  const cudaStream_t stream = cudaStream_t(a->stream);
  if (rows) {
    whole ? grad_channels_last<T, true>(g, stream) : grad_channels_last<T, false>(g, stream);
  } else {
    whole ? grad_nchw<T, true>(g, stream) : grad_nchw<T, false>(g, stream);
  }
  return launched();
}

}  // namespace
}  // namespace ops

OPS_EXPORT int ops_epilogue_grad(const OpsEpilogueGrad* a) {
  using namespace ops;
  const bool sums = a->sum_g || a->sum_gx;
  const bool sensible = a->n >= 0 && a->c >= 0 && a->pixels >= 0 && (!sums || a->chunks >= 1);
  return with_type(a->dtype, [&](auto tag) {
    if (!sensible) return int(kBadSize);
    if (a->sum_gx && !a->x && a->n > 0 && a->c > 0 && a->pixels > 0) return int(kMissing);
    return grad<decltype(tag)>(a);
  });
}
