#include "core/kernel_mask.h"

#include <signal.h>

#include "base/sys.h"
#include "core/carrier.h"

namespace ramie::core {

long block_in_kernel(Carrier& carrier, uint64_t mask) {
  uint64_t before = carrier.kernel_mask;
  long result = sys::call(SYS_rt_sigprocmask, SIG_SETMASK, sys::arg(&mask), 0, sizeof mask);
  // Unless a signal was put off meanwhile, with everything blocked.
  carrier.kernel_mask.compare_exchange_strong(before, mask);
  return result;
}

}  // namespace ramie::core
