// See background.cc.
#pragma once

#include "core/carrier.h"

namespace ramie::detail {

void tell_who_awaits_rest(core::Carrier& carrier, uint32_t who);

// By a fiber of this carrier that has just stopped counting as one of the rest.
inline void tell_of_rest(core::Carrier& carrier) {
  uint32_t who = carrier.rest_awaited.load(std::memory_order_seq_cst);
  if (who != 0) [[unlikely]] {
    tell_who_awaits_rest(carrier, who);
  }
}

}  // namespace ramie::detail
