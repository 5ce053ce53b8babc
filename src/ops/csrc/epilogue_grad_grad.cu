// ops_epilogue_grad_grad
#include "epilogue_grad_launch.cuh"

OPS_EXPORT int ops_epilogue_grad_grad(const OpsEpilogueGrad* given) {
  using namespace ops;
  return checked_gradient(given, [](auto tag, const OpsEpilogueGrad* a) {
    using T = decltype(tag);
    using A = Acc<T>;
    const SecondGradient<T> g{gradient_operands<T>(a), static_cast<const T*>(a->ddx),
                              static_cast<const A*>(a->ddscale), static_cast<const A*>(a->ddnoise),
                              static_cast<const A*>(a->ddbias), static_cast<const A*>(a->ddstyle),
                              static_cast<T*>(a->ddy), static_cast<T*>(a->ddz)};
    return launch_gradient<T>(g, a);
  });
}
