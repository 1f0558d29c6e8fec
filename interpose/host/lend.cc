#include "interpose/host/lend.h"

#include "core/carrier.h"
#include "interpose/host/signal_state.h"
#include "interpose/host/thread.h"
#include "interpose/ops/blocking_sockets.h"

namespace ramie::host {
namespace {

constinit int process = 0;

}  // namespace

void start_lending(Thread& thread) {
  core::keep_as_usual();
  core::Carrier& carrier = *thread.fiber->carrier;
  show_mask_to_kernel(thread);
  core::tls::make_real(carrier.cpu);
  thread.lends_memory = true;
  ops::blocking_sockets::note_sharing();
}

bool is_borrower_of_hosting() { return process != 0 && is_borrower(); }

void forget_process() { process = 0; }

bool is_borrower() { return sys::getpid() != process; }

void stop_lending(Thread& thread) {
  thread.lends_memory = false;
  ops::blocking_sockets::note_sharing();
  core::tls::make_trapped(thread.fiber->carrier->cpu);
}

void remember_process() { process = sys::getpid(); }

}  // namespace ramie::host

extern "C" void ramie_start_vfork() {
  if (ramie::host::Thread* thread = ramie::host::current_thread()) {
    // A child of vfork may call vfork again: then it lends what is lent already.
    if (!thread->lends_memory || !ramie::host::is_borrower()) {
      ramie::host::start_lending(*thread);
    }
  }
}
