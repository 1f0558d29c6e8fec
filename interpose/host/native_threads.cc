#include "interpose/host/native_threads.h"

#include <link.h>
#include <signal.h>

#include <atomic>
#include <cerrno>
#include <string_view>

#include "base/log.h"
#include "base/sys.h"
#include "core/carrier.h"
#include "core/tls.h"
#include "interpose/host/native_names.h"
#include "interpose/host/signal_masks.h"
#include "interpose/host/user_dispatch.h"
#include "interpose/real.h"

// long ramie_native_clone3(const clone_args* args, long size, void* (*start)(void*), void*
// argument)
//
// The child has a stack of its own, on which nothing of ours may be.
asm(R"(
  .text
  .p2align 4
  .type ramie_native_clone3, @function
  .hidden ramie_native_clone3
  .globl ramie_native_clone3
ramie_native_clone3:
  .cfi_startproc
  movq %rcx, %r8
  movl $435, %eax
  syscall
  testq %rax, %rax
  jz 1f
  ret
1:
  .cfi_undefined rip
  xorl %ebp, %ebp
  andq $-16, %rsp
  movq %r8, %rdi
  call *%rdx
  movq %rax, %rdi
  call ramie_native_thread_ended
  hlt
  .cfi_endproc
  .size ramie_native_clone3, . - ramie_native_clone3
)");

extern "C" {
long ramie_native_clone3(const clone_args* args, long size, void* (*start)(void*), void* argument);

// Bits, in each thread's own memory.
[[gnu::visibility("hidden")]] __thread unsigned ramie_native
    __attribute__((tls_model("initial-exec"))) = 0;

[[gnu::visibility("hidden"), gnu::used]] void ramie_native_thread_ended(long status) {
  (void)ramie::host::end_native_thread(status);
}
}

namespace ramie::host {
namespace {

using std::string_view;

static_assert(SYS_clone3 == 435);

constexpr unsigned kIsNative = 1;
constexpr unsigned kNextIsNative = 2;

// Of all native threads that there were, until somebody else has the memory.  One that begins may
// be looked for by whoever joins it, so it is there before the thread is.
constexpr size_t kMost = 1024;
constinit std::atomic<const void*> ids[kMost] = {};
constinit std::atomic<size_t> used = 0;  // places below this have been used

std::atomic<const void*>* find_id(const void* word) {
  size_t end = used.load(std::memory_order_acquire);
  for (size_t i = 0; i < end; ++i) {
    if (ids[i].load(std::memory_order_acquire) == word) {
      return &ids[i];
    }
  }
  return nullptr;
}

string_view file_of(const char* path) {
  string_view name(path);
  name.remove_prefix(name.rfind('/') + 1);
  return name;
}

struct Search {
  uintptr_t address;
  string_view file;
};

int match(dl_phdr_info* info, size_t, void* argument) {
  auto& search = *static_cast<Search*>(argument);
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const ElfW(Phdr)& segment = info->dlpi_phdr[i];
    if (segment.p_type == PT_LOAD &&
        search.address - (info->dlpi_addr + segment.p_vaddr) < segment.p_memsz) {
      search.file = file_of(info->dlpi_name);
      return 1;
    }
  }
  return 0;
}

// The file of the object in which the address lies; empty for the program itself.  Where it can,
// without the loader's lock: that one stays locked in the child of a fork that comes meanwhile.
string_view file_at(const void* address) {
  if (interpose::real.find_object != nullptr) {
    dl_find_object found;
    bool is_known = interpose::real.find_object(const_cast<void*>(address), &found) == 0;
    return is_known ? file_of(found.dlfo_link_map->l_name) : string_view();
  }
  Search search{reinterpret_cast<uintptr_t>(address), {}};
  (void)dl_iterate_phdr(match, &search);
  return search.file;
}

}  // namespace

bool begins_in_native_library(const void* start, const void* argument) {
  if (!has_native_libraries()) {
    return false;
  }
  if (is_dispatch_signal(SIGSYS)) {
    static constinit std::atomic<bool> said = false;
    base::log_once(said, base::LogLevel::warn,
                   "RAMIE_NATIVE: no library's threads are left to the kernel where calls come by "
                   "Syscall User Dispatch");
    return false;
  }
  string_view file = file_at(start);
  if (is_library("libstdc++.so", file) && argument != nullptr) {
    // std::thread's own function.  What it is to call is an object with a virtual function, whose
    // table is in the library that made the thread.
    file = file_at(*static_cast<const void* const*>(argument));
  }
  return is_native_library(file);
}

NativeThreadAhead::NativeThreadAhead(bool is_native) {
  ramie_native |= is_native ? kNextIsNative : 0;
}

NativeThreadAhead::~NativeThreadAhead() { ramie_native &= ~kNextIsNative; }

bool is_native_thread_ahead() { return ramie_native != 0; }

bool is_native_thread() { return (ramie_native & kIsNative) != 0; }

bool has_native_threads() { return used.load(std::memory_order_acquire) != 0; }

bool is_native_id(const void* word) { return find_id(word) != nullptr; }

bool note_native_id(const void* word) {
  if (find_id(word) != nullptr) {
    return true;
  }
  for (size_t i = 0; i < kMost; ++i) {
    const void* free = nullptr;
    if (ids[i].compare_exchange_strong(free, word, std::memory_order_seq_cst)) {
      size_t end = used.load(std::memory_order_relaxed);
      while (end < i + 1 && !used.compare_exchange_weak(end, i + 1, std::memory_order_seq_cst)) {
      }
      return true;
    }
  }
  return false;
}

void forget_native_id(const void* word) {
  if (std::atomic<const void*>* place = find_id(word)) {
    place->store(nullptr, std::memory_order_seq_cst);
  }
}

long start_native_thread(const clone_args& args, void* (*start)(void*), void* argument) {
  if (!note_native_id(reinterpret_cast<const void*>(args.child_tid))) {
    return -EAGAIN;
  }
  auto in_tcb = [&args](const void* own) {
    return args.tls + (reinterpret_cast<uintptr_t>(own) - core::tls::self());
  };
  *reinterpret_cast<unsigned*>(in_tcb(&ramie_native)) = kIsNative;
  *reinterpret_cast<core::Fiber**>(args.tls + static_cast<uintptr_t>(core::current_offset())) =
      nullptr;
  core::AsUsual for_the_child;
  // Until glibc sets the mask of the new thread.
  AllBlocked block;
  return ramie_native_clone3(&args, sizeof args, start, argument);
}

}  // namespace ramie::host
