// A piece of a test in a process of its own: what it writes to descriptor 2, and how it ends.
#pragma once

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <string>

namespace ramie::test {

struct ChildOutput {
  std::string text;
  int status = -1;  // as waitpid(2) gives it
};

inline ChildOutput run_in_child(const std::function<void()>& work) {
  int fds[2];
  EXPECT_EQ(pipe(fds), 0);
  pid_t pid = fork();
  if (pid == 0) {
    dup2(fds[1], STDERR_FILENO);
    close(fds[0]);
    close(fds[1]);
    work();
    _exit(0);
  }
  close(fds[1]);
  ChildOutput output;
  char data[1000];
  for (ssize_t n; (n = read(fds[0], data, sizeof data)) > 0;) {
    output.text.append(data, static_cast<size_t>(n));
  }
  close(fds[0]);
  EXPECT_EQ(waitpid(pid, &output.status, 0), pid);
  return output;
}

}  // namespace ramie::test
