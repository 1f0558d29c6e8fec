// ptrace(2).  The kernel knows a tracer by its kernel thread, so a thread that traces stays on the
// carrier on which it has begun to: where it has attached, or made the child that asked for it.
#include <sys/ptrace.h>

#include <cerrno>

#include "base/format.h"
#include "base/proc_files.h"
#include "base/sys.h"
#include "base/text.h"
#include "core/apart.h"
#include "core/carrier.h"
#include "core/crew.h"
#include "core/scheduler.h"
#include "interpose/host/entry.h"
#include "interpose/host/handlers.h"
#include "interpose/host/thread.h"

namespace ramie::host {
namespace {

// The carrier whose kernel thread traces that process or thread; null if it is another's.
core::Carrier* tracer_of(long pid) {
  constexpr std::string_view kLabel = "TracerPid:\t";
  base::Line<64> path;
  path << "/proc/" << static_cast<int>(pid) << "/status" << '\0';
  char buffer[1024];
  std::string_view text = base::read_file(path.view().data(), buffer, sizeof buffer);
  size_t at = text.find(kLabel);
  if (at == std::string_view::npos) {
    return nullptr;
  }
  text.remove_prefix(at + kLabel.size());
  auto tracer = static_cast<int>(base::take_number(text));
  if (tracer == 0) {
    return nullptr;  // nobody
  }
  for (core::Carrier* carrier = core::carriers(); carrier != nullptr;
       carrier = carrier->next_carrier) {
    if (carrier->kernel_tid == tracer && !carrier->gone.load(std::memory_order_acquire)) {
      return carrier;
    }
  }
  return nullptr;
}

}  // namespace

long ptrace(const long* a) {
  long result = kernel(SYS_ptrace, a);
  core::Fiber* self = core::current();
  if (current_thread() == nullptr || self->home.load(std::memory_order_relaxed) != nullptr) {
    return result;
  }
  bool has_attached = result == 0 && (a[0] == PTRACE_ATTACH || a[0] == PTRACE_SEIZE);
  core::Carrier* tracer = has_attached       ? self->carrier
                          : result == -ESRCH ? tracer_of(a[1])
                                             : nullptr;
  if (tracer == nullptr) {
    return result;
  }
  core::make_home(*tracer);
  self->home.store(tracer, std::memory_order_seq_cst);
  core::go_home();
  return has_attached ? result : kernel(SYS_ptrace, a);
}

}  // namespace ramie::host
