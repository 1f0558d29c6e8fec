#include "base/syscall_name.h"

#include <cstddef>

namespace ramie::base {
namespace {

struct Named {
  long number;
  const char* name;
};

constexpr Named kNames[] = {
#include "syscall_names.gen.h"
};

}  // namespace

const char* syscall_name(long number) {
  for (const Named& row : kNames) {
    if (row.number == number) {
      return row.name;
    }
  }
  return nullptr;
}

}  // namespace ramie::base
