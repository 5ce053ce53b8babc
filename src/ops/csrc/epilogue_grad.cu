// ops_epilogue_grad
#include "epilogue_grad_launch.cuh"

OPS_EXPORT int ops_epilogue_grad(const OpsEpilogueGrad* given) {
  using namespace ops;
  return checked_gradient(given, [](auto tag, const OpsEpilogueGrad* a) {
    using T = decltype(tag);
    return launch_gradient<T>(Gradient<T>{gradient_operands<T>(a)}, a);
  });
}
