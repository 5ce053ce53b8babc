// What the library says of itself.
#include "common.cuh"

OPS_EXPORT int ops_abi(void) { return OPS_ABI; }

OPS_EXPORT const char* ops_error(int code) {
  if (code == ops::kBadType) return "unknown element type";
  if (code == ops::kBadSize) return "a size, factor or number of chunks is out of range";
  if (code == ops::kMissing) return "sums of scale and style need x, z and its gradient the style";
  if (code == ops::kBoth) return "another picture is added to y alone, without z";
  return cudaGetErrorString(cudaError_t(code));
}
