// What the kernel blocks for a carrier's kernel thread, and what Carrier::kernel_mask says of it.
#pragma once

#include <cstdint>

namespace ramie::core {

struct Carrier;

// The calling carrier's mask becomes `mask`, which blocks all that it does now and more.  That is
// said when it is so: until then the signals are let in.  The kernel's answer.
long block_in_kernel(Carrier& carrier, uint64_t mask);

}  // namespace ramie::core
