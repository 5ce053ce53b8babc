// The interface of the compiled kernels. The CPU library (cpu_*.cpp) and the CUDA library (*.cu) export the same
// functions with the same arguments; src/ops/kernels.py mirrors the structures with ctypes. No PyTorch headers: a
// library is independent of PyTorch's version and compiles in seconds.
//
// Tensors are dense: channels_last == 0 means [N, C, H, W] contiguous, 1 means [N, H, W, C] contiguous in memory.
// Every function returns 0, or an error code of its library that ops_error() words. Launches of the CUDA library read
// taps when the stream comes to them; col and row are copied during the call.
#ifndef CARICATURE_OPS_H
#define CARICATURE_OPS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define OPS_ABI 4

// Element type of the pictures. Small operands (taps, scale, noise, bias) and sums are float, or double beside
// OPS_FLOAT64. Arithmetic is in float, or double for OPS_FLOAT64.
enum { OPS_FLOAT32 = 0, OPS_FLOAT64 = 1, OPS_FLOAT16 = 2, OPS_BFLOAT16 = 3 };

// y[n,c,oy,ox] = add[n,c,oy,ox] + gain * sum over ky, kx of t[ky,kx] * u[n, c, oy*down_y + ky - pad_y0, ox*down_x + kx - pad_x0]
// where u is x with up-1 zeros behind every sample (u[i*up] = x[i], in_h*up by in_w*up, zero outside), and t is taps
// reversed in both directions (flip == 0: convolution) or taps as they are (flip == 1: correlation).
typedef struct {
  const void* x;
  void* y;
  const void* add;      // like y, or null for nothing
  const void* taps;     // [kh, kw], where x is
  const double* col;    // [kh] and row [kw] in host memory with taps[i,j] = col[i] * row[j], or both null: not separable
  const double* row;
  int64_t n, c, in_h, in_w, out_h, out_w;
  int32_t kh, kw, up_x, up_y, down_x, down_y, pad_x0, pad_y0;
  int32_t flip, dtype, channels_last, threads;  // threads: CPU only
  double gain;
  void* stream;  // CUDA only
} OpsFir;
int ops_fir(const OpsFir* a);

// y = clamp(gain * lrelu(x * scale + noise + bias)) and z = y * style; lrelu(v) = v > 0 ? v : alpha * v. Either may be null,
// and the first that is not may be x. y alone may have another picture added, after the clamp. gain > 0 and alpha >= 0 (alpha 1: linear, 0: ReLU). clamp < 0: no bound.
typedef struct {
  const void* x;      // [n, c, pixels] (or [n, pixels, c])
  void* y;            // like x, or null
  void* z;            // like x, or null
  const void* add;    // like x, or null; without z only
  const void* scale;  // [n, c] or null
  const void* noise;  // [noise_n, pixels], noise_n 1 or n, or null
  const void* bias;   // [c] or null
  const void* style;  // [n, c]; with z, and needed there
  int64_t n, c, pixels, noise_n;
  double alpha, gain, clamp;
  int32_t dtype, channels_last, threads;
  void* stream;
} OpsEpilogue;
int ops_epilogue(const OpsEpilogue* a);

// The gradient of the above. With m = gain * (v > 0 ? 1 : alpha) where y is not at the bound, 0 where it is, and
// g = m * (dy + style * dz): dx = g * scale, dnoise[n,p] = sum over c of g, and sums over pixels sum_bias of g, sum_scale of
// g * x, sum_style of dz * y. m comes from x and the small operands again, or without x from y (its sign and bound, both as
// rounded to its type), or without both, where the epilogue is linear without bound, from nothing. Elements at the bound
// have g = 0, whatever dy is. Sums are written a chunk of pixels each (chunk k has pixels [k*ceil(pixels/chunks),
// (k+1)*ceil(pixels/chunks))), for the caller to add up: no atomics, the same result in every run. Null operands are taken
// for what changes nothing, null outputs are left out; sum_scale and sum_style need x. dx may be dy or dz.
//
// The gradient of that (ops_epilogue_grad_grad), for gradients ddx of dx, ddscale of sum_scale, ddnoise of dnoise, ddbias of
// sum_bias, ddstyle of sum_style: with q = scale * ddx + ddscale * x + ddnoise + ddbias and h = m * ddstyle * dz it is
// ddy = m * q, ddz = style * m * q + ddstyle * y, dx = ddscale * g + scale * h, dnoise the sum over c of h, and sums over
// pixels sum_bias of h, sum_scale of ddx * g + h * x, sum_style of m * q * dz.
typedef struct {
  const void *dy, *dz;                   // like x, or null
  const void *y, *x;                     // like x, or null
  const void *scale, *noise, *bias;      // as above
  const void* style;                     // [n, c]; with dz, and needed there
  void* dx;                              // like x, or null
  void* dnoise;                          // [n, pixels] or null
  void *sum_bias, *sum_scale, *sum_style;  // [n, chunks, c] or null
  // of the second gradient alone
  const void *ddx, *ddscale, *ddnoise, *ddbias, *ddstyle;  // like x, [n, c], [n, pixels], [c], [n, c]; or null
  void *ddy, *ddz;                                         // like x, or null
  int64_t n, c, pixels, noise_n, chunks;
  double alpha, gain, clamp;
  int32_t dtype, channels_last, threads;
  void* stream;
} OpsEpilogueGrad;
int ops_epilogue_grad(const OpsEpilogueGrad* a);
int ops_epilogue_grad_grad(const OpsEpilogueGrad* a);

// Resampling through an affine map a picture, by an orthogonal wavelet's low-pass filter of twelve taps: the picture is
// reflected at its borders, upsampled by 2, looked up bilinearly where the map says, downsampled by 2. With s(j) the fine
// sample that output point j looks up, y[i] = sum over k of taps[k] / sqrt 2 * s(2 i + 1 + k) along each axis. Fine samples
// and pixels further than the margins from the picture are 0. adjoint: x is a gradient of y's and y, zeroed by the caller,
// receives the gradient of x's; the CUDA library adds with atomics, in no fixed order.
typedef struct {
  const void* x;        // [n, c, h, w], float or double
  void* y;              // likewise
  const void* affine;   // [n, 2, 3] of x's type: centred output position in pixels to centred input position
  const void* margins;  // [4] of x's type: left, top, right, bottom, whole pixels below the size, where x is
  const double* taps;   // [12] in host memory
  int64_t n, c, h, w;
  int32_t adjoint, dtype, threads;
  void* stream;
} OpsWarp;
int ops_warp(const OpsWarp* a);

int ops_abi(void);                    // OPS_ABI of the library
const char* ops_error(int code);

#ifdef __cplusplus
}
#endif
#endif
