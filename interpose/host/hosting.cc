#include "interpose/host/hosting.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/single_threaded.h>

#include <atomic>
#include <cstring>

#include "base/check.h"
#include "base/config.h"
#include "base/log.h"
#include "base/processors.h"
#include "base/sys.h"
#include "core/crew.h"
#include "core/fault.h"
#include "core/light_home.h"
#include "core/observer.h"
#include "core/scheduler.h"
#include "core/slab.h"
#include "core/stack.h"
#include "core/workers.h"
#include "event/deadlock.h"
#include "event/own_descriptors.h"
#include "event/poller.h"
#include "interpose/host/held_signals.h"
#include "interpose/host/lend.h"
#include "interpose/host/malloc_options.h"
#include "interpose/host/names.h"
#include "interpose/host/native_names.h"
#include "interpose/host/other_threads.h"
#include "interpose/host/signal_delivery.h"
#include "interpose/host/signal_state.h"
#include "interpose/host/stack_map.h"
#include "interpose/host/thread.h"
#include "interpose/host/user_dispatch.h"
#include "interpose/ops/blocking_sockets.h"
#include "interpose/patch/patch.h"
#include "runtime.h"

namespace ramie::host {
namespace {

enum class State : uint8_t { inert, hosting, refused };

constinit std::atomic<State> state = State::inert;
constinit char why_not[160] = {};
constinit bool was_hosting = false;

struct Sites {
  size_t found = 0;
  size_t patched = 0;
  size_t refused = 0;
  uint64_t duration = 0;
};
constinit Sites sites;

void refuse(std::string_view reason) {
  size_t length = reason.size() < sizeof why_not - 1 ? reason.size() : sizeof why_not - 1;
  memcpy(why_not, reason.data(), length);
  state.store(State::refused, std::memory_order_relaxed);
  base::log_line(base::LogLevel::info, "threads are left to the kernel: ", reason);
}

// Somebody asked for it by name, so it is said whatever RAMIE_LOG says.
void say_unavailable(const char* variable, std::string_view reason) {
  base::Line<256> line;
  line << "ramie: " << variable << ": " << reason << "; threads are left to the kernel";
  line.write_to(2);
}

constexpr patch::NumberSet wanted_calls() {
  patch::NumberSet wanted;
#define ROW(number, cls, handler) \
  if (std::string_view(#cls) != "forward") wanted.add(number);
#include "interpose/syscalls.gen.h"
#undef ROW
  return wanted;
}

// How system calls come to the table: by patched sites, or by Syscall User Dispatch.
enum class Entry : uint8_t { none, patch, dispatch };
constinit Entry entry = Entry::none;

std::string_view name_of(Entry which) {
  return which == Entry::patch ? "patch" : which == Entry::dispatch ? "sud" : "none";
}

// With RAMIE_PATCH, not every call that counts is answered by us.
void know_blocking_sockets() {
  if (base::config().families_off == 0) {
    ops::blocking_sockets::enable();
  }
}

// Whether each call of libc that changes how a read waits comes to the table.
bool sees_settings(const patch::Report& report) {
  bool sees = true;
  report.for_each_refused([&](const patch::ObjectSites&, const patch::Site& site) {
    sees &= site.number != SYS_fcntl && site.number != SYS_ioctl && site.number != SYS_setsockopt &&
            site.number != SYS_sendmsg && site.number != SYS_sendmmsg;
  });
  return sees;
}

// libc has made threads for itself before the program made its first one.
bool has_threads_of_libc() { return __libc_single_threaded == 0 && !was_hosting; }

bool patch_libraries(base::Line<160>& reason) {
  static constexpr const char* kObjects[] = {"libc.so.6", "libgomp.so.1", "liburing.so.2"};
  patch::Options options;
  options.wanted = wanted_calls();
  options.required = patch::required_for_hosting();
  options.objects = kObjects;
  options.standstill = has_threads_of_libc() ? &kThreadsOfLibc : nullptr;
  patch::Report report = patch::apply(options);
  sites = {report.found, report.ok ? report.patched : 0, report.refused, report.duration_ns};
  bool ok = report.ok;
  if (ok && sees_settings(report)) {
    know_blocking_sockets();
  }
  reason << report.reason.view();
  patch::release(report);
  return ok;
}

// The best entry that this system has, or the one that is asked for.
bool open_entry() {
  using Choice = base::EntryChoice;
  Choice wish = base::config().entry;
  if (entry == Entry::patch) {
    return true;  // this process is a fork's child: the text came with it
  }
  if (wish == Choice::symbols) {
    refuse("RAMIE_ENTRY=symbols");
    return false;
  }
  base::Line<160> reason;
  if (wish != Choice::sud && patch_libraries(reason)) {
    entry = Entry::patch;
    return true;
  }
  // A thread that is no carrier bypasses the table there, and so do the futexes that it shares.
  if (wish != Choice::patch && has_user_dispatch() && !has_threads_of_libc()) {
    base::log_line(base::LogLevel::info, "Syscall User Dispatch instead of patched sites: ",
                   reason.view().empty() ? "RAMIE_ENTRY=sud" : reason.view());
    choose_user_dispatch();
    know_blocking_sockets();
    entry = Entry::dispatch;
    return true;
  }
  if (wish == Choice::sud) {
    reason << (has_threads_of_libc() ? "the program has threads already"
                                     : "the kernel has no Syscall User Dispatch");
  }
  if (wish != Choice::automatic) {
    say_unavailable("RAMIE_ENTRY", reason.view());
  }
  refuse(reason.view());
  return false;
}

bool describe_overflow(uintptr_t address, core::fault::Overflow& out) {
  if (const core::Fiber* light = core::fiber_of_guard(address)) {
    out = {light->id, light->name, light->stack.size, false};
    return true;
  }
  size_t size = 0;
  const core::Fiber* fiber = core::current();
  if (fiber == nullptr || !is_stack_guard(address, size)) {
    return false;
  }
  out = {fiber->id, fiber->name, size, true};
  return true;
}

core::AlternateStack alternate_stack() {
  Thread* thread = current_thread();
  return thread != nullptr ? thread->alternate_stack : core::AlternateStack{};
}

constinit const core::fault::Hooks kFaultHooks{describe_overflow, alternate_stack, put_off_sent,
                                               handle_fault};

void visit_hosted(void (*visit)(core::Fiber&, void*), void* argument) {
  struct Request {
    void (*visit)(core::Fiber&, void*);
    void* argument;
  } request{visit, argument};
  if (Thread* first = first_thread()) {
    visit(*first->fiber, argument);
  }
  LiveThreads threads;
  LiveThreads::for_each(
      [](Thread& thread, void* context) {
        auto& wanted = *static_cast<Request*>(context);
        wanted.visit(*thread.fiber, wanted.argument);
      },
      &request);
}

// The first thread becomes a fiber, with what it has: TCB, mask, alternate stack.
void adopt() {
  core::Carrier& carrier = runtime::start();
  const stack_t& alternate = carrier.fault.previous;
  Thread* first = adopt_first_thread(carrier.thread);
  if ((alternate.ss_flags & SS_DISABLE) == 0) {
    first->alternate_stack = {reinterpret_cast<uintptr_t>(alternate.ss_sp), alternate.ss_size};
  }
  core::fault::set_hooks(&kFaultHooks);
  event::set_fiber_visitor(visit_hosted);
  RAMIE_CHECK(core::tls::start_thread(carrier.cpu) == 0);
  take_over_signals(*first);
  event::make_room();
  unsigned wanted = base::config().carriers;
  core::start_crew(wanted != 0 ? wanted : base::usable_processors());
  if (!core::serves_light_fibers()) {
    (void)core::free_thread_fiber(carrier);
  }
  remember_process();
}

// Whether RAMIE_NATIVE names the file of this program.
bool is_left_to_kernel() {
  char path[512];
  long size = base::config().native == nullptr ? 0
                                               : sys::call(SYS_readlink, sys::arg("/proc/self/exe"),
                                                           sys::arg(path), sizeof path);
  if (size <= 0) {
    return false;
  }
  std::string_view program(path, static_cast<size_t>(size));
  program.remove_prefix(program.rfind('/') + 1);
  return is_native_program(program);
}

// For what is mapped as hosting begins and by the first threads: tables of threads, descriptors and
// signals, of which little is touched, and stacks.
bool has_room() {
  constexpr long kRoom = 160L << 20;
  long room = sys::call(SYS_mmap, 0, kRoom, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (sys::failed(room)) {
    return false;
  }
  (void)sys::call(SYS_munmap, room, kRoom);
  return true;
}

void start_hosting() {
  if (!base::config().hosting) {
    refuse("RAMIE_HOSTING=off");
    return;
  }
  if (is_left_to_kernel()) {
    refuse("RAMIE_NATIVE names this program");
    return;
  }
  if (core::have_workers()) {
    refuse("its fibers have several carriers of their own (ramie/carriers.h)");
    return;
  }
  if (!has_room()) {
    refuse("there is no room for it (address space)");
    return;
  }
  if (has_threads_of_libc() && sys::getpid() != sys::gettid()) {
    refuse("the first thread is made by one that Ramie doesn't know");
    return;
  }
  if (const char* reason = core::tls::select(base::config().fs)) {
    say_unavailable("RAMIE_FS", reason);
    refuse(reason);
    return;
  }
  if (!open_entry()) {
    return;
  }
  raise_mmap_threshold();
  adopt();
  was_hosting = true;
  state.store(State::hosting, std::memory_order_relaxed);
  ramie_patch_active.store(1, std::memory_order_release);
  RAMIE_CHECK(dispatch_this_thread());
  base::log_line(base::LogLevel::info, "threads are fibers from here on: ", sites.patched,
                 " sites patched in ", sites.duration / 1000, " us, FS base by ",
                 core::tls::name(core::tls::mode()));
  if (Thread* first = current_thread()) {  // none on a light fiber, beside which it isn't bound
    core::RuntimeSection section(*first->fiber);
    (void)rename_thread(first->tid, name_of(*first));  // RAMIE_NATIVE may have its name
  }
}

uint64_t count(std::atomic<uint64_t> core::Carrier::*counter) {
  uint64_t sum = 0;
  for (core::Carrier* c = core::carriers(); c != nullptr; c = c->next_carrier) {
    sum += (c->*counter).load(std::memory_order_relaxed);
  }
  return sum;
}

uint64_t count_traps() {
  uint64_t sum = 0;
  for (core::Carrier* c = core::carriers(); c != nullptr; c = c->next_carrier) {
    sum += c->cpu.traps.load(std::memory_order_relaxed);
  }
  return sum;
}

}  // namespace

void prepare_for_threads() {
  if (state.load(std::memory_order_relaxed) == State::inert) {
    start_hosting();
  }
}

bool is_hosting() { return state.load(std::memory_order_relaxed) == State::hosting; }

int report(char* buffer, size_t size) {
  base::Line<1024> text;
  text << "hosting " << (is_hosting() ? "on" : "off") << "\nentry " << name_of(entry)
       << "\nsites_found " << sites.found << "\nsites_patched " << sites.patched
       << "\nsites_refused " << sites.refused << "\nfs_mode " << core::tls::name(core::tls::mode())
       << "\npoller epoll\nguards " << core::guard_kind() << "\nfibers " << threads_created()
       << "\nswitches " << count(&core::Carrier::switches) << "\nparks "
       << count(&core::Carrier::parks) << "\ntraps " << count_traps() << "\nreason " << why_not
       << '\n';
  size_t n = text.view().size();
  if (size > 0) {
    size_t copied = n < size - 1 ? n : size - 1;
    memcpy(buffer, text.view().data(), copied);
    buffer[copied] = '\0';
  }
  return static_cast<int>(n);
}

void write_stats() {
  const char* path = base::config().stats;
  if (path == nullptr || !is_hosting()) {
    return;
  }
  long fd = sys::call(SYS_open, sys::arg(path), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (fd < 0) {
    base::log_line(base::LogLevel::warn, "RAMIE_STATS: can't write ", path);
    return;
  }
  base::Line<256> line;
  line << "fibers=" << threads_created() << " switches=" << count(&core::Carrier::switches)
       << " parks=" << count(&core::Carrier::parks) << " sites=" << sites.patched
       << " entry=" << name_of(entry) << " fs=" << core::tls::name(core::tls::mode())
       << " traps=" << count_traps();
  line.write_to(static_cast<int>(fd));
  sys::call(SYS_close, fd);
}

void write_audit() {
  std::string_view text = core::audit_report();
  if (!text.empty()) {
    base::write_message(text);
  }
}

void reset_hosting_after_fork() {
  state.store(State::inert, std::memory_order_relaxed);
  forget_process();
}

}  // namespace ramie::host
