#include "core/bare_tcb.h"

#include <sys/mman.h>

#include <cstddef>
#include <cstring>

#include "base/sys.h"
#include "core/tls.h"

namespace ramie::core {
namespace {

constexpr size_t kBelow = kMostStaticTls;
constexpr size_t kAbove = 4096;
// glibc's tcbhead_t up to and with its pointer guard (sysdeps/x86_64/nptl/tls.h).
constexpr size_t kHeader = 56;
constexpr size_t kSelf = 16;

}  // namespace

uintptr_t make_bare_tcb() {
  long memory = sys::call(SYS_mmap, 0, kBelow + kAbove, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (sys::failed(memory)) {
    return 0;
  }
  auto fs = static_cast<uintptr_t>(memory) + kBelow;
  memcpy(reinterpret_cast<void*>(fs), reinterpret_cast<const void*>(tls::self()), kHeader);
  memcpy(reinterpret_cast<void*>(fs), &fs, sizeof fs);
  memcpy(reinterpret_cast<void*>(fs + kSelf), &fs, sizeof fs);
  return fs;
}

void free_bare_tcb(uintptr_t fs) {
  (void)sys::call(SYS_munmap, static_cast<long>(fs - kBelow), kBelow + kAbove);
}

}  // namespace ramie::core
