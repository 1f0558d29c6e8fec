// The files of one thread in /proc (man 5 proc), which the kernel has for kernel threads alone:
// those of a hosted one are `comm`, `stat`, `status` and `schedstat`, in /proc/self/task/TID and,
// of the caller, in /proc/thread-self.  Not the directories, nor other files in them.
#pragma once

namespace ramie::host {

// For an open() of which the kernel has made `result`, a descriptor or -errno: a descriptor of a
// file that stands for the hosted thread's, or `result` where `path` is no such file.
[[nodiscard]] long open_thread_file(const char* path, long flags, long result);

}  // namespace ramie::host
