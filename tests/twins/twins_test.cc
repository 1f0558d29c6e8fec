// Runs every twin: plain programs, natively and under the preload.
//
// The programs in C, C++ and Rust list their own cases; each case becomes a test of its own. Set by
// meson.build: TWIN_BIN_DIR, TWIN_SOURCE_DIR, RAMIE_PRELOAD, KNOWN_FAILURES, TWIN_PYTHON.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <exception>
#include <sstream>

#include "support/twin_pair.h"

namespace {

using ramie::testing::Hosting;
using ramie::testing::Outcome;
using ramie::testing::Program;
using ramie::testing::register_twin;
using ramie::testing::run_program;
using ramie::testing::setting;
using ramie::testing::Twin;

constexpr const char* kPrograms[] = {
    "inert",          "ticks",          "times",           "thread_locals",    "pthread_life",
    "pthread_stacks", "pthread_locks",  "pthread_waits",   "pthread_cancel",   "pthread_robust",
    "c11_threads",    "cxx_exceptions", "cxx_concurrency", "cxx_thread_local", "rust_threads",
    "pipes",          "descriptors",    "stream_sockets",  "connections",      "datagrams",
    "polling",        "epolling",       "child_waits",     "child_starts",
};

constexpr const char* kScripts[] = {"python_http", "python_subprocess", "python_sync"};

// A test that says why there is none.
class AbsentTwin : public ::testing::Test {
 public:
  explicit AbsentTwin(std::string reason) : reason_(std::move(reason)) {}
  void TestBody() override { GTEST_SKIP() << reason_; }

 private:
  std::string reason_;
};

void register_absent(const std::string& suite, const std::string& reason) {
  ::testing::RegisterTest(suite.c_str(), "all", nullptr, nullptr, __FILE__, __LINE__,
                          [reason]() -> ::testing::Test* { return new AbsentTwin(reason); });
}

// The cases are asked for natively, so that a shim that fails cannot hide any.
void register_program(const std::string& name) {
  const std::string path = setting("TWIN_BIN_DIR") + "/" + name;
  if (access(path.c_str(), X_OK) != 0) {
    register_absent(name, name + " was not built: no compiler for it");
    return;
  }
  const Outcome listed = run_program(Program{{path, "--list"}, {}, {}});
  if (!listed.ended_well()) throw std::runtime_error(path + " --list: " + listed.ending());
  std::istringstream lines(listed.output);
  for (std::string test, kind; lines >> test >> kind;) {
    Twin twin;
    twin.name = name + "." + test;
    twin.program.arguments = {path, test};
    twin.hosting = kind == "alone" ? Hosting::kForbidden : Hosting::kExpected;
    register_twin(name, test, twin);
  }
}

void register_script(const std::string& name) {
  const std::string interpreter = setting("TWIN_PYTHON");
  if (access(interpreter.c_str(), X_OK) != 0) {
    register_absent(name, interpreter + " is not there");
    return;
  }
  Twin twin;
  twin.name = name + ".all";
  twin.program.arguments = {interpreter, setting("TWIN_SOURCE_DIR") + "/" + name + ".py"};
  twin.program.limit = std::chrono::seconds(60);
  register_twin(name, "all", twin);
}

}  // namespace

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  try {
    for (const char* name : kPrograms) register_program(name);
    for (const char* name : kScripts) register_script(name);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return RUN_ALL_TESTS();
}
