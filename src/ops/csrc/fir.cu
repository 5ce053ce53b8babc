// ops_fir: the filters of StyleGAN2's resampling by fir_separable.cuh, everything else by one general kernel.
#include "fir_separable.cuh"

namespace ops {
namespace {

// A thread per output element sums the taps that meet a sample of the input, none of those that meet inserted zeros.
template <typename T>
__global__ void __launch_bounds__(kBlock)
    fir_general(const T* __restrict__ x, T* __restrict__ y, const T* __restrict__ add, const Acc<T>* __restrict__ taps,
                OpsFir a, int64_t count) {
  using A = Acc<T>;
  const int64_t step = int64_t(gridDim.x) * kBlock;
  for (int64_t i = int64_t(blockIdx.x) * kBlock + threadIdx.x; i < count; i += step) {
    int64_t rest = i, channel = 0;
    if (a.channels_last) {
      rest = quotient(i, a.c);
      channel = i - rest * a.c;
    }
    const int64_t line = quotient(rest, a.out_w), plane = quotient(line, a.out_h);
    const int64_t y0 = (line - plane * a.out_h) * a.down_y - a.pad_y0;  // the first tap's place in the upsampled picture
    const int64_t x0 = (rest - line * a.out_w) * a.down_x - a.pad_x0;
    const int64_t stride = a.channels_last ? a.c : 1;
    const T* source = x + plane * a.in_h * a.in_w * stride + channel;
    const int64_t first_y = y0 > 0 ? quotient(y0 + a.up_y - 1, a.up_y) : 0;
    const int64_t first_x = x0 > 0 ? quotient(x0 + a.up_x - 1, a.up_x) : 0;
    A sum = 0;
    for (int64_t iy = first_y; iy < a.in_h && iy * a.up_y - y0 < a.kh; ++iy) {
      const int ky = int(iy * a.up_y - y0);
      const A* tap_line = taps + (a.flip ? ky : a.kh - 1 - ky) * a.kw;
      for (int64_t ix = first_x; ix < a.in_w && ix * a.up_x - x0 < a.kw; ++ix) {
        const int kx = int(ix * a.up_x - x0);
        sum += tap_line[a.flip ? kx : a.kw - 1 - kx] * widen(source[(iy * a.in_w + ix) * stride]);
      }
    }
    y[i] = narrow<T>(A(a.gain) * sum + (add ? widen(add[i]) : A(0)));
  }
}

// Coordinates in 32 bits with room for the taps, the factor 2 and the padding.
bool small(int64_t size) { return size < (int64_t(1) << 28); }

bool separable_by_four(const OpsFir* a) {
  return a->col && a->row && a->kh == kTaps && a->kw == kTaps && a->up_x == a->up_y && a->down_x == a->down_y &&
         a->up_x * a->down_x <= 2 && small(a->in_h) && small(a->in_w) && small(a->out_h) && small(a->out_w) &&
         small(a->pad_x0) && small(a->pad_y0) && small(-int64_t(a->pad_x0)) && small(-int64_t(a->pad_y0));
}

template <typename T>
int fir(const OpsFir* a) {
  if (separable_by_four(a)) {
    if (a->up_x == 2) return fir_separable<T, 2, 1>(a);
    return a->down_x == 2 ? fir_separable<T, 1, 2>(a) : fir_separable<T, 1, 1>(a);
  }
  const int64_t count = a->n * a->c * a->out_h * a->out_w;
  auto kernel = fir_general<T>;
  OPS_LAUNCH(kernel, grid_for(ceil_div(count, kBlock)), kBlock, cudaStream_t(a->stream), static_cast<const T*>(a->x),
             static_cast<T*>(a->y), static_cast<const T*>(a->add), static_cast<const Acc<T>*>(a->taps), *a, count);
  return launched();
}

}  // namespace
}  // namespace ops

OPS_EXPORT int ops_fir(const OpsFir* a) {
  using namespace ops;
  const bool sensible = a->n >= 0 && a->c >= 0 && a->in_h >= 0 && a->in_w >= 0 && a->out_h >= 0 && a->out_w >= 0 &&
                        a->kh >= 1 && a->kw >= 1 && a->up_x >= 1 && a->up_y >= 1 && a->down_x >= 1 && a->down_y >= 1;
  return with_type(a->dtype, [&](auto tag) {
    if (!sensible) return int(kBadSize);
    if (a->n == 0 || a->c == 0 || a->out_h == 0 || a->out_w == 0) return 0;
    return fir<decltype(tag)>(a);
  });
}
