// clone, __clone.
#include "interpose/host/clone_function.h"
#include "interpose/symbols/symbol.h"

using namespace ramie;
using namespace ramie::interpose;

RAMIE_EXPORT int symbol_clone(int (*function)(void*), void* stack, int flags, void* argument,
                              pid_t* parent_tid, void* tls, pid_t* child_tid) __asm__("clone");
RAMIE_EXPORT int symbol_clone_alias(int (*function)(void*), void* stack, int flags, void* argument,
                                    pid_t* parent_tid, void* tls,
                                    pid_t* child_tid) __asm__("__clone")
    __attribute__((alias("clone")));

// The last three are only there if the flags say so.
int symbol_clone(int (*function)(void*), void* stack, int flags, void* argument, pid_t* parent_tid,
                 void* tls, pid_t* child_tid) {
  return host::clone_function(bound().clone,
                              {function, stack, flags, argument, parent_tid, tls, child_tid});
}
