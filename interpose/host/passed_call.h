// System calls of hosted threads that the kernel makes as they are, and that may wait there.
#pragma once

#include <ucontext.h>

namespace ramie::host {

// Makes the call.  Outside of any RuntimeSection: handlers run as they come.
[[nodiscard]] long passed_call(long number, const long* arguments);

// A kick has interrupted such a call, which the kernel would make once more: it ends with -EINTR.
// In the handler of the kick, where a handler without SA_RESTART is about to be entered.
void end_passed_call(ucontext_t& context);

}  // namespace ramie::host
