// A suspended stack, and the jump onto it: Boost.Context's fcontext (Boost 1.81,
// boost/context/detail/fcontext.hpp), and the only user of Boost in the runtime.
//
// A jump saves what the System V ABI calls callee-saved, the x87 control word and MXCSR; everything
// else is dead across a function call.  The FS base is not its business (core/tls.h).
#pragma once

#include <boost/context/detail/fcontext.hpp>
#include <cstddef>

namespace ramie::core {

using Context = boost::context::detail::fcontext_t;

// What arrives with a jump: the stack that was left, and the argument that its owner passed.
using Arrival = boost::context::detail::transfer_t;

// A context that will call `entry` on the stack which ends at `top`.  `entry` must not return.
inline Context make_context(void* top, size_t size, void (*entry)(Arrival)) {
  return boost::context::detail::make_fcontext(top, size, entry);
}

inline Arrival jump(Context to, void* argument) {
  return boost::context::detail::jump_fcontext(to, argument);
}

}  // namespace ramie::core
