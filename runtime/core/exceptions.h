// What the C++ runtime keeps of exceptions by thread.
#pragma once

#include "core/fiber.h"

// The C++ ABI's, if the program has a C++ runtime.
extern "C" [[gnu::weak]] void* ramie_exception_globals() asm("__cxa_get_globals");

namespace ramie::core {

// The __cxa_eh_globals of the calling kernel thread's TCB, two words: the exceptions caught, and
// how many are not caught yet.  Null without a C++ runtime.
[[nodiscard]] inline void** exceptions_of_tcb() {
  return ramie_exception_globals != nullptr ? static_cast<void**>(ramie_exception_globals())
                                            : nullptr;
}

// Whether an exception is on its way up the stack of the running fiber: a second one, thrown by a
// destructor that waits, would end the program.
[[nodiscard]] inline bool is_unwinding(const Fiber& self) {
  // A fiber that shares no TCB has the C++ runtime's words to itself.
  void** exceptions = self.shares_tcb ? self.wait->tcb->exceptions : exceptions_of_tcb();
  return exceptions != nullptr &&
         static_cast<uint32_t>(reinterpret_cast<uintptr_t>(exceptions[1])) != 0;
}

}  // namespace ramie::core
