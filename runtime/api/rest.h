// See background.cc.
#pragma once

#include "core/carrier.h"

namespace ramie::detail {

// By a fiber of this carrier that has just stopped counting as one of the rest.
void tell_of_rest(core::Carrier& carrier);

}  // namespace ramie::detail
