// A few helper threads (core/kernel_thread.h) that make blocking system calls for fibers.
//
// A helper touches nothing but the job: who waits for it hears of its end through the poller, on a
// carrier's loop.  Helpers are started on demand, and end when they have been idle for two seconds.
#pragma once

#include <atomic>
#include <cstdint>

namespace ramie::core {
struct KernelThread;
}

namespace ramie::event {

struct HelperJob {
  long number = 0;  // of the system call
  long arguments[6] = {};
  bool is_lasting = false;                     // may block for ever: gets a helper at once
  void (*finished)(HelperJob& job) = nullptr;  // on a carrier's loop; may free the job

  // Valid in finished().
  long result = 0;
  int signal = 0;  // that the call has raised (SIGPIPE, SIGXFSZ), and which is the caller's

  // The pool's own.
  HelperJob* next = nullptr;
  bool queued = false;
  uint64_t jobs_done_before = 0;
  core::KernelThread* helper = nullptr;   // that makes the call now
  std::atomic<uint32_t> interrupted = 0;  // set once, by interrupt_job()
};

// Queues the job, and starts a helper if there is none for it and fewer than four.  0, or -errno
// when the job can't be made because no helper could be started: then it isn't queued.
[[nodiscard]] int submit(HelperJob& job);

// For a job that has been queued for some time: starts one more helper, up to RAMIE_MAX_BLOCKED, if
// none has finished anything since the last look.  Then all are blocked, maybe until this very job
// is done, as two ends of a FIFO are.  False when the job is not queued any more.
bool add_helper_if_stuck(HelperJob& job);

// Makes the call of a job that has not finished yet fail with -EINTR, as a signal would: at once if
// it has not begun, else where the kernel lets signals interrupt it. `finished` is called in any
// case, by then or later. The job is still the caller's: its end is reported to nobody else.
void interrupt_job(HelperJob& job);

// Helpers keep the credentials and namespaces that their creator had when they were started.  After
// those of the program have changed: helpers take no job any more, new ones will be started.
void renew_helpers();

// After fork, in the child: there are no helpers and no jobs.
void reset_helpers();

}  // namespace ramie::event
