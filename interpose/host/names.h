// The names of the program's threads (man 3 pthread_setname_np), and the files by which glibc asks
// for another thread's: /proc/self/task/TID/comm, which the kernel does not have for a hosted one.
#pragma once

#include <cstddef>

namespace ramie::host {

struct Thread;

struct ThreadName {
  char text[16] = {};
};

// The name of a thread that cannot end meanwhile: the caller.  The first thread's is asked of the
// kernel, since any thread of the program may have changed it through its file.
[[nodiscard]] ThreadName name_of(const Thread& self);

// False when no such thread lives.
[[nodiscard]] bool find_name(int tid, ThreadName& name);

// Its kernel thread gets the name as well, if it has one of its own; and it gets one, if
// RAMIE_NATIVE has that name.  On a fiber, in a RuntimeSection; may switch.
bool rename_thread(int tid, const ThreadName& name);

// That kernel thread has this name from here on.
void show_name(int kernel_tid, const char* name);

// The name as the kernel would keep it: what is too long is cut.
[[nodiscard]] ThreadName make_name(const char* text, size_t length);

// For an open() that the kernel has answered with ENOENT: a descriptor of a file that stands for
// the name of a hosted thread, or -ENOENT where `path` is no such thread's.
[[nodiscard]] long open_name(const char* path, long flags);

// What was written to a descriptor of open_name(): the thread gets that name.  Answers as write().
[[nodiscard]] long write_name(int fd, const char* text, size_t length);

}  // namespace ramie::host
