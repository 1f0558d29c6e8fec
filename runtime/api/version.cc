#include <ramie/version.h>

#define RAMIE_TEXT_OF(x) #x
#define RAMIE_TEXT(x) RAMIE_TEXT_OF(x)

namespace ramie {

const char* version() noexcept {
  return RAMIE_TEXT(RAMIE_VERSION_MAJOR) "." RAMIE_TEXT(RAMIE_VERSION_MINOR) "." RAMIE_TEXT(
      RAMIE_VERSION_PATCH);
}

}  // namespace ramie
