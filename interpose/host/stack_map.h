// Stacks of hosted threads.  glibc asks for them by mmap(PROT_NONE, MAP_STACK), mprotect, and gives
// them back by munmap; it also gives back the unused part of a stack as its thread ends.  These
// calls are answered from slabs (core/slab.h): no system call for most threads, no mapping of their
// own (vm.max_map_count), and the pages that one thread has touched serve the next.
#pragma once

#include <cstdint>

#include "interpose/host/thread.h"

namespace ramie::host {

// Where the stack of a new thread ends and its TCB begins: everything from there to the end of the
// slot has to be zero when glibc gets the slot again, as fresh memory is.
void note_stack_end(uintptr_t end);

// True if `address` is in the stack of a hosted thread, TCB included, or in one that is free.
[[nodiscard]] bool is_stack_memory(uintptr_t address);

// True if a hosted thread may exist at `address`: in its stack, TCB included.  Or if the word there
// holds the id of one: a TCB that lies in memory which the program has provided.
[[nodiscard]] bool is_thread_memory(uintptr_t address);

// For the message about an overflow: true if `address` is in the guard of a hosted stack, whose
// size is then in `size`.
[[nodiscard]] bool is_stack_guard(uintptr_t address, size_t& size);

// Around fork, in parent and child: the child's slabs are whole, whoever used them.
void lock_stacks_for_fork();
void unlock_stacks_after_fork();

}  // namespace ramie::host
