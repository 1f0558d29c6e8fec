// Whether a name is the shim's, and what stands behind it: asked of the loader, so the answer is
// the same wherever the shim comes from.  In the preloaded object "ours" is the shim; libramie.so
// alone stands before nobody.
#include <dlfcn.h>
#include <ramie.h>

#include <cstring>

namespace {

constexpr char kOwnPrefix[] = "ramie_";

const void* object_of(const void* address) {
  Dl_info found{};
  return address != nullptr && dladdr(address, &found) != 0 ? found.dli_fbase : nullptr;
}

}  // namespace

int ramie_is_patched(const char* name) {
  // The API itself is in both objects, and stands for nobody else's.
  if (std::strncmp(name, kOwnPrefix, sizeof kOwnPrefix - 1) == 0) {
    return 0;
  }
  const void* called = dlsym(RTLD_DEFAULT, name);
  return called != nullptr &&
         object_of(called) == object_of(reinterpret_cast<const void*>(ramie_is_patched));
}

ramie_function ramie_original(const char* name) {
  void* handle = ramie_is_patched(name) != 0 ? RTLD_NEXT : RTLD_DEFAULT;
  void* found = dlsym(handle, name);
  asm volatile("" : "+r"(found));  // "next" is seen from who calls dlsym, which a jump would hide
  return reinterpret_cast<ramie_function>(found);
}
