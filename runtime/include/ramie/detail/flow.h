// Stacks below the scheduler: a flow is a stack that somebody switches to by himself, within one
// fiber (or thread), which the scheduler goes on to see as one.  Under generator.h and greenlet.h.
// Not part of the interface.
//
// A flow that waits in a function of Ramie parks the fiber that it runs on, with all of its flows.
// errno is not kept by a switch, no more than by a function call.
#pragma once

#include <cxxabi.h>
#include <ramie/detail/abi.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <system_error>

namespace ramie::detail {

// The C++ runtime's account of exceptions that are caught or on their way, of which each flow has
// its own.  Functions of their own: the globals' address is asked for anew after a switch, which
// may have come back on another thread.
struct exception_account {
  void* words[2] = {};  // the ABI's __cxa_eh_globals

  [[gnu::noinline]] void save() noexcept {
    std::memcpy(words, static_cast<void*>(abi::__cxa_get_globals()), sizeof words);
    asm volatile("" ::: "memory");
  }
  [[gnu::noinline]] void restore() const noexcept {
    asm volatile("" ::: "memory");
    std::memcpy(static_cast<void*>(abi::__cxa_get_globals()), words, sizeof words);
  }
};

// Goes on at `to`, until somebody switches back to `from`.  With `for_ever`, nobody does.
inline void switch_between(flow_place& from, flow_place& to, bool for_ever = false) noexcept {
  exception_account mine;
  mine.save();
  switch_flow(from, to, for_ever);
  mine.restore();
}

// A stack for a flow, with where it begins.
class flow_stack {
 public:
  flow_stack() noexcept = default;
  flow_stack(const flow_stack&) = delete;
  flow_stack& operator=(const flow_stack&) = delete;
  ~flow_stack() { release(); }

  // The first switch to `begin` calls entry(argument), which must switch away at its end.  Throws
  // std::system_error without memory.
  void create(std::size_t size, const char* name, flow_place& begin, void (*entry)(void*) noexcept,
              void* argument) {
    stack_ = create_flow(size, name, begin, entry, argument);
    if (stack_ == nullptr) {
      throw std::system_error(EAGAIN, std::generic_category(), "ramie: no memory for a stack");
    }
    begin_ = &begin;
  }

  // Nobody may be on it any more.
  void release() noexcept {
    if (stack_ != nullptr) {
      destroy_flow(stack_, *begin_);
      stack_ = nullptr;
    }
  }

 private:
  control* stack_ = nullptr;
  flow_place* begin_ = nullptr;
};

}  // namespace ramie::detail
