// mallopt(3), of whose parameters one is no good beside fibers.
#include "interpose/host/malloc_options.h"
#include "interpose/symbols/symbol.h"

RAMIE_EXPORT int mallopt(int parameter, int value) noexcept {
  return ramie::host::set_malloc_option(parameter, value);
}
