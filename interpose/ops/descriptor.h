// What is known of a descriptor's number, when it begins to mean something else.
#pragma once

#include "interpose/ops/blocking_sockets.h"

namespace ramie::ops {

// The number is about to be closed or replaced: whoever waits for it is told.
void forget(int fd);

// This process has made a socket of that number, with O_NONBLOCK or without.  If a descriptor of
// the same number was closed unseen, what was known of that one is forgotten now.
void begin_socket(int fd, const blocking_sockets::Birth& birth, bool blocks);

}  // namespace ramie::ops
