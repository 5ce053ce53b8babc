// The scheduler of the emulated device. A kernel whose threads do not all reach a barrier, or do not all take part in a
// shuffle, fails with an error instead of hanging; one that overflows its stack faults there, in a guard.
#include <setjmp.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "cuda_runtime.h"

dim3 threadIdx, blockIdx, blockDim, gridDim;
unsigned emulation::max_grid = 0x7fffffff;

namespace {

enum State { READY, AT_BARRIER, AT_SHUFFLE, DONE };
constexpr unsigned kWarpSize = 32, kMaxThreads = 1024;
constexpr size_t kStack = 128 * 1024, kGuard = 64 * 1024;  // multiples of every machine's pages

struct Fiber {
  jmp_buf place;
  State state;
  bool started;
  char value[16];
};

Fiber fibers[kMaxThreads];  // kept from block to block
jmp_buf scheduler;
ucontext_t first_switch, unused;
unsigned current;
const std::function<void()>* body;
cudaError_t last_error = cudaSuccess;
bool reverse;  // the order of a block's threads: a missing barrier shows in one of the two

// A stack for every thread, with guards before, between and behind them.
char* make_stacks() {
  const size_t size = kMaxThreads * (kGuard + kStack) + kGuard;
  void* made = mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (made == MAP_FAILED) abort();
  char* first = static_cast<char*>(made) + kGuard;
  for (unsigned t = 0; t < kMaxThreads; ++t) {
    if (mprotect(first + t * (kStack + kGuard), kStack, PROT_READ | PROT_WRITE)) abort();
  }
  return first;
}

char* stack_of(unsigned thread) {
  static char* first = make_stacks();
  return first + thread * (kStack + kGuard);
}

void wait(State state) {
  Fiber& fiber = fibers[current];
  fiber.state = state;
  if (!_setjmp(fiber.place)) _longjmp(scheduler, 1);
}

void run_threads() {
  for (;;) {
    (*body)();
    wait(DONE);
  }
}

// Run the current thread to its next wait. Contexts only make its stack: swapping them costs system calls.
void resume() {
  if (_setjmp(scheduler)) return;
  Fiber& fiber = fibers[current];
  if (fiber.started) _longjmp(fiber.place, 1);
  fiber.started = true;
  getcontext(&first_switch);
  first_switch.uc_stack.ss_sp = stack_of(current);
  first_switch.uc_stack.ss_size = kStack;
  first_switch.uc_link = nullptr;
  makecontext(&first_switch, run_threads, 0);
  swapcontext(&unused, &first_switch);
}

// Let the threads [from, to) go on if all of them wait at the same thing.
bool release(unsigned from, unsigned to, State state) {
  for (unsigned t = from; t < to; ++t) {
    if (fibers[t].state != state) return false;
  }
  for (unsigned t = from; t < to; ++t) fibers[t].state = READY;
  return true;
}

// Run the threads [from, to) of a warp as far as they get without the other warps: the unfairest schedule.
void run_warp(unsigned from, unsigned to) {
  do {
    for (unsigned k = from; k < to; ++k) {
      current = reverse ? to - 1 - (k - from) : k;
      if (fibers[current].state != READY) continue;
      threadIdx = dim3(current % blockDim.x, current / blockDim.x % blockDim.y, current / blockDim.x / blockDim.y);
      resume();
    }
  } while (release(from, to, AT_SHUFFLE));
}

bool run_block(unsigned threads) {
  for (unsigned t = 0; t < threads; ++t) fibers[t].state = READY;
  const unsigned warps = (threads + kWarpSize - 1) / kWarpSize;
  for (;;) {
    for (unsigned k = 0; k < warps; ++k) {
      const unsigned from = (reverse ? warps - 1 - k : k) * kWarpSize;
      run_warp(from, from + kWarpSize < threads ? from + kWarpSize : threads);
    }
    if (release(0, threads, AT_BARRIER)) continue;
    for (unsigned t = 0; t < threads; ++t) {
      if (fibers[t].state == DONE) continue;
      for (Fiber& fiber : fibers) fiber.started = false;  // they hang: the next block begins anew
      return false;
    }
    return true;
  }
}

}  // namespace

void __syncthreads() { wait(AT_BARRIER); }

void emulation::exchange(unsigned mask, const void* mine, void* theirs, size_t size, int lane_xor) {
  const unsigned other = current ^ unsigned(lane_xor);
  if (mask != 0xffffffffu || size > sizeof fibers[0].value || other / kWarpSize != current / kWarpSize) {
    last_error = cudaErrorLaunchFailure;
    return;
  }
  memcpy(fibers[current].value, mine, size);
  wait(AT_SHUFFLE);
  memcpy(theirs, fibers[other].value, size);
  wait(AT_SHUFFLE);
}

void emulation::launch(dim3 grid, dim3 block, cudaStream_t, const std::function<void()>& kernel) {
  const unsigned threads = block.x * block.y * block.z;
  const unsigned long long blocks = 1ull * grid.x * grid.y * grid.z;
  if (threads == 0 || threads > kMaxThreads || blocks == 0 || grid.x > 0x7fffffffu || grid.y > 65535 ||
      grid.z > 65535) {
    last_error = cudaErrorInvalidConfiguration;
    return;
  }
  body = &kernel;
  gridDim = grid;
  blockDim = block;
  for (unsigned long long b = 0; b < blocks; ++b) {
    blockIdx = dim3(unsigned(b % grid.x), unsigned(b / grid.x % grid.y), unsigned(b / grid.x / grid.y));
    if (!run_block(threads)) {
      last_error = cudaErrorLaunchFailure;
      return;
    }
  }
}

cudaError_t cudaGetLastError() {
  const cudaError_t error = last_error;
  last_error = cudaSuccess;
  return error;
}

const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaSuccess:
      return "no error";
    case cudaErrorInvalidConfiguration:
      return "invalid configuration argument";
    default:
      return "unspecified launch failure";
  }
}

extern "C" __attribute__((visibility("default"))) void emulation_configure(int backwards, unsigned max_grid) {
  reverse = backwards != 0;
  emulation::max_grid = max_grid;
}
