// Descriptors of signalfd(2) that this process has not made by a call of its hosted threads: those
// from before there were any, inherited ones, and what comes in messages.
#pragma once

#include <sys/socket.h>

#include <cstdint>

namespace ramie::host {

// What the process's descriptors of that kind look for, all together.
[[nodiscard]] uint64_t signals_looked_for();

// A message with control data has been received: if it brought a signalfd, that one sees from now
// on what it shall.
void note_received(const msghdr& message);

}  // namespace ramie::host
