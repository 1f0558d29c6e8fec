// Runs every twin: plain programs, natively and under the preload.
//
// The programs in C, C++ and Rust list their own cases; each case becomes a test of its own. Set by
// meson.build: TWIN_BIN_DIR, TWIN_SOURCE_DIR, RAMIE_PRELOAD, KNOWN_FAILURES, TWIN_PYTHON.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/io_uring.h>
#include <linux/userfaultfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "support/twin_pair.h"

namespace {

using ramie::testing::Hosting;
using ramie::testing::Outcome;
using ramie::testing::Program;
using ramie::testing::register_twin;
using ramie::testing::run_program;
using ramie::testing::setting;
using ramie::testing::Twin;

// One on each line, so that two changes seldom meet.
// clang-format off
constexpr const char* kPrograms[] = {
    "blocking_calls",
    "blocking_modes",
    "bound_threads",
    "bursts",
    "c11_threads",
    "call_signals",
    "child_starts",
    "child_waits",
    "clones",
    "closings",
    "connections",
    "cpu_clocks",
    "cpu_timers",
    "cxx_concurrency",
    "cxx_exceptions",
    "cxx_thread_local",
    "datagrams",
    "descriptors",
    "entries",
    "epolling",
    "error_queues",
    "fifos",
    "files",
    "futexes",
    "inert",
    "ipc",
    "kernel_state",
    "libc_threads",
    "named_threads",
    "names",
    "native_library",
    "pipes",
    "polling",
    "preemptions",
    "pthread_cancel",
    "pthread_life",
    "pthread_locks",
    "pthread_robust",
    "pthread_shared",
    "pthread_stacks",
    "pthread_waits",
    "rings",
    "rows",
    "rust_threads",
    "scheduling",
    "signal_corners",
    "signal_descriptors",
    "signal_details",
    "signal_helpers",
    "signal_moments",
    "signal_queues",
    "signal_races",
    "signal_senders",
    "signal_waits",
    "signals",
    "slices",
    "storms",
    "stream_sockets",
    "thread_files",
    "thread_locals",
    "ticks",
    "timers",
    "times",
    "tracing",
};
// clang-format on

constexpr const char* kScripts[] = {"python_http", "python_subprocess", "python_sync",
                                    "python_clocks"};

bool is_asked_for_user_dispatch() {
  const char* entry = std::getenv("RAMIE_ENTRY");
  return entry != nullptr && std::string(entry) == "sud";
}

// Linux 6.7 has rings that wait for futexes and children; elsewhere each such wait may take a
// kernel thread, which is more than the tests allow.
bool has_ring_waits() {
  io_uring_params params{};
  const auto ring = static_cast<int>(syscall(SYS_io_uring_setup, 1, &params));
  if (ring < 0) return false;
  constexpr unsigned kFutexWait = 51;
  constexpr unsigned kCount = kFutexWait + 1;
  alignas(
      io_uring_probe) char memory[sizeof(io_uring_probe) + kCount * sizeof(io_uring_probe_op)] = {};
  auto* probe = reinterpret_cast<io_uring_probe*>(memory);
  const bool is_told =
      syscall(SYS_io_uring_register, ring, IORING_REGISTER_PROBE, probe, kCount) == 0;
  close(ring);
  return is_told && probe->last_op >= kFutexWait;
}

// Many sandboxes refuse it.
bool has_user_faults() {
  const auto faults = static_cast<int>(syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY));
  if (faults >= 0) close(faults);
  return faults >= 0;
}

// The system calls that take futex(2) apart came with them.
bool needs_ring_waits(const std::string& twin) {
  return twin.starts_with("futexes.newer_") || twin == "ipc.many_wait" ||
         twin == "child_waits.many_groups";
}

// Why a twin can't be run on this system; nothing if it can.
std::string what_lacks(const std::string& twin) {
  if (needs_ring_waits(twin) && !has_ring_waits()) {
    return "this kernel has no rings that wait for futexes";
  }
  if (twin == "clones.kernel_threads" && is_asked_for_user_dispatch()) {
    return "kernel threads bypass Ramie under Syscall User Dispatch";
  }
  if (twin == "descriptors.page_faults" && !has_user_faults()) {
    return "this system lets nobody handle page faults (userfaultfd, Linux 5.11)";
  }
  return "";
}

// A test that says why there is none.
class AbsentTwin : public ::testing::Test {
 public:
  explicit AbsentTwin(std::string reason) : reason_(std::move(reason)) {}
  void TestBody() override { GTEST_SKIP() << reason_; }

 private:
  std::string reason_;
};

void register_absent(const std::string& suite, const std::string& reason,
                     const std::string& test = "all") {
  ::testing::RegisterTest(suite.c_str(), test.c_str(), nullptr, nullptr, __FILE__, __LINE__,
                          [reason]() -> ::testing::Test* { return new AbsentTwin(reason); });
}

// The cases are asked for natively, so that a shim that fails cannot hide any.
void register_program(const std::string& name) {
  const std::string path = setting("TWIN_BIN_DIR") + "/" + name;
  if (name.starts_with("rust_") && access(path.c_str(), X_OK) != 0) {
    register_absent(name, "not built, for want of rustc");
    return;
  }
  const Outcome listed = run_program(Program{{path, "--list"}, {}, {}});
  if (!listed.ended_well()) throw std::runtime_error(path + " --list: " + listed.ending());
  std::istringstream lines(listed.output);
  for (std::string test, kind; lines >> test >> kind;) {
    Twin twin;
    twin.name = name + "." + test;
    twin.program.arguments = {path, test};
    if (const std::string reason = what_lacks(twin.name); !reason.empty()) {
      register_absent(name, reason, test);
      continue;
    }
    if (name == "blocking_calls" || name == "rings")
      twin.program.environment = {"RAMIE_SLICE=10000"};
    // On one carrier it is a slice that lets somebody else run.
    if (twin.name == "blocking_calls.in_flock_beside_a_hog")
      twin.program.environment = {"RAMIE_SLICE=1000"};
    if (name == "native_library") twin.program.environment = {"RAMIE_NATIVE=lib:libtwin_native.so"};
    if (name == "named_threads") twin.program.environment = {"RAMIE_NATIVE=thread:native*"};
    twin.hosting = kind == "alone" ? Hosting::kForbidden : Hosting::kExpected;
    if (name == "files" && !has_ring_waits()) twin.most_kernel_threads += 8;
    // Each lock that is waited for takes a helper once they are known to be stuck.
    // Each of the crowd may have to compute before the one that sleeps has its turn.
    if (twin.name == "storms.crowd_that_spins") twin.most_kernel_threads += 600;
    // Some of the sixty, while others have the processors.
    if (twin.name == "storms.crowd_that_never_waits") twin.most_kernel_threads += 30;
    // Each copies a file into memory that the kernel has to find first, in one call.
    if (twin.name == "files.in_one_piece") twin.most_kernel_threads += 8;
    if (twin.name == "blocking_calls.many_in_flock") twin.most_kernel_threads += 12;
    // Each sync that is under way has a helper, and a slow one a carrier more.
    if (twin.name == "timers.beside_syncs") twin.most_kernel_threads += 4;
    // Each thread that is bound has its own; one that has just ended may be there as well.
    if (name == "kernel_state" || name == "preemptions" || name == "scheduling" ||
        name == "slices" || name == "tracing")
      twin.most_kernel_threads += 8;
    if (name == "named_threads") twin.most_kernel_threads += 8;
    if (name == "bound_threads") twin.most_kernel_threads += 64;
    // Each that the program makes itself; one that has just ended may be there as well.
    if (name == "clones") twin.most_kernel_threads += 8;
    // Each thread that blocks.
    if (name == "bursts")
      twin.most_kernel_threads += 24 + static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
    // Beside threads that are libc's own, threads are hosted by patched sites only.
    if (name == "libc_threads" && is_asked_for_user_dispatch()) twin.hosting = Hosting::kForbidden;
    register_twin(name, test, twin);
  }
}

// Each interpreter with the ending of its tests' names: TWIN_PYTHON, and any newer one in PATH.
std::vector<std::pair<std::string, std::string>> interpreters() {
  std::vector<std::pair<std::string, std::string>> found{{setting("TWIN_PYTHON"), ""}};
  for (const char* version : {"3.12", "3.13", "3.14"}) {
    const std::string name = std::string("python") + version;
    const Outcome asked =
        run_program(Program{{name, "-c", "import sys; print(sys.executable, end='')"}, {}, {}});
    if (asked.ended_well()) found.emplace_back(asked.output, std::string("_") + version);
  }
  return found;
}

void register_script(const std::string& script, const std::string& interpreter,
                     const std::string& ending) {
  const std::string name = script + ending;
  Twin twin;
  twin.name = name + ".all";
  twin.program.arguments = {interpreter, setting("TWIN_SOURCE_DIR") + "/" + script + ".py"};
  twin.program.limit = std::chrono::seconds(180);
  register_twin(name, "all", twin);
}

bool lacks_entry() {
  constexpr int kSetUserDispatch = 59;
  return is_asked_for_user_dispatch() && prctl(kSetUserDispatch, 0, 0, 0, 0) != 0;
}

}  // namespace

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  if (lacks_entry()) {
    register_absent("entry", "this kernel has no Syscall User Dispatch");
    return RUN_ALL_TESTS();
  }
  try {
    for (const char* name : kPrograms) {
      // All threads are hosted there, whatever RAMIE_NATIVE says of libraries.
      const bool is_without = std::string(name) == "native_library" && is_asked_for_user_dispatch();
      if (!is_without) register_program(name);
    }
    for (const auto& [interpreter, ending] : interpreters()) {
      for (const char* script : kScripts) register_script(script, interpreter, ending);
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return RUN_ALL_TESTS();
}
