#include "interpose/real.h"

#include <dlfcn.h>

namespace ramie::interpose {

constinit Real real;

namespace {

template <class Function>
void bind(Function*& pointer, const char* name) {
  pointer = reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

}  // namespace

[[gnu::constructor(101)]] void bind_all() {
#define REAL(returns, name, parameters) bind(real.name, #name);
#include "interpose/real.gen.h"
#undef REAL
  bind(real.find_object, "_dl_find_object");
  bind(real.thread_size, "_thread_db_sizeof_pthread");
}

}  // namespace ramie::interpose
