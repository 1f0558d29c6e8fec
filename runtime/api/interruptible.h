// How cancel() and time-out scopes end waits.  Nothing throws in the library:
//
// 1. A function of the public API that waits opens an Interruptible.  Only parks within one end
// with
//    Wake::cancelled, and no later than the fiber's time-out scopes.
// 2. It tells its caller "not done", just as when its deadline passed.
// 3. The inline part of it, in the program, asks take_interruption() why, and throws.
//
// Waits that end in success take no notice: the interruption stays for the next one.
#pragma once

#include "core/interruptible.h"

namespace ramie::detail {
using core::Interruptible;
}
