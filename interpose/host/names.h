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

// A descriptor of a file that stands for the name of a hosted thread, or -ENOENT if it has ended.
[[nodiscard]] long open_name(int tid, long flags);

// The same file as `fd`, for reading or writing alone, and close-on-exec, as `flags` say.
[[nodiscard]] long open_once_more(int fd, long flags);

// What was written to a descriptor of open_name(): the thread gets that name.  Answers as write().
[[nodiscard]] long write_name(int fd, const char* text, size_t length);

}  // namespace ramie::host
