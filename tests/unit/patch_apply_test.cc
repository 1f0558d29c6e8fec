// What apply() reports, and that it changes all or nothing.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "interpose/patch/elf_object.h"
#include "interpose/patch/patch.h"
#include "patch_child.h"

// No site is active here, so none of them gets this far.
extern "C" [[gnu::visibility("hidden")]] long ramie_syscall(long, void*) { return -ENOSYS; }

namespace ramie::patch {
namespace {

constexpr int kSkip = 77;

// The exit code of a child that runs `body`, which may patch.
int exit_code_of(void (*body)()) {
  const pid_t child = fork();
  if (child == 0) {
    body();
    std::_Exit(0);
  }
  int status = -1;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
  return WEXITSTATUS(status);
}

TEST(Apply, FindsNothingTheSecondTime) {
  EXPECT_EQ(exit_code_of([] {
              const Report first = apply(everything());
              CHILD_EXPECT(first.ok && first.patched > 300);
              CHILD_EXPECT(first.trampoline_bytes > 0 && first.duration_ns > 0);
              const Report again = apply(everything());
              CHILD_EXPECT(!again.ok);
              CHILD_EXPECT(again.patched == 0 && again.found == again.refused);
              CHILD_EXPECT(again.required_missing.contains(SYS_futex));
              CHILD_EXPECT(poll(nullptr, 0, 1) == 0);
            }),
            0);
}

TEST(Apply, ADryRunChangesNothing) {
  ElfObject libc;
  ASSERT_TRUE(libc.open("libc.so.6"));
  const std::vector<std::uint8_t> before(libc.text().begin, libc.text().end);
  Options options = everything();
  options.dry_run = true;
  Report report = apply(options);
  EXPECT_TRUE(report.ok);
  EXPECT_EQ(report.found, report.patched + report.refused + report.forwarded);
  EXPECT_GT(report.patched, 300u);
  std::size_t refused = 0;
  report.for_each_refused([&](const ObjectSites&, const Site& site) {
    ++refused;
    EXPECT_NE(site.refusal, Refusal::kNone);
  });
  EXPECT_EQ(refused, report.refused);
  EXPECT_EQ(std::memcmp(before.data(), libc.text().begin, before.size()), 0);
  release(report);
}

TEST(Apply, LeavesCallsAloneThatNobodyWants) {
  Options options = everything();
  options.dry_run = true;
  options.wanted = required_for_hosting();
  Report report = apply(options);
  EXPECT_TRUE(report.ok);
  EXPECT_GT(report.forwarded, 300u);
  EXPECT_LT(report.patched, 200u);
  release(report);
}

TEST(Apply, AMissingRequiredCallIsNamed) {
  Options options = everything();
  options.dry_run = true;
  options.required.add(SYS_vfork);
  Report report = apply(options);
  EXPECT_FALSE(report.ok);
  EXPECT_TRUE(report.required_missing.contains(SYS_vfork));
  EXPECT_NE(report.reason.view().find("58"), std::string_view::npos);
  release(report);
}

TEST(Apply, AnObjectThatIsNotLoadedIsNamed) {
  constexpr const char* kNone[] = {"libnowhere.so.9"};
  Options options = everything();
  options.objects = kNone;
  const Report report = apply(options);
  EXPECT_FALSE(report.ok);
  EXPECT_NE(report.reason.view().find("libnowhere.so.9"), std::string_view::npos);
}

std::size_t mapping_count() {
  FILE* maps = std::fopen("/proc/self/maps", "r");
  std::size_t lines = 0;
  for (int c; (c = std::getc(maps)) != EOF;) lines += c == '\n';
  std::fclose(maps);
  return lines;
}

TEST(Apply, WhereTextMayNotBeWrittenNothingIsTouched) {
  const int code = exit_code_of([] {
    constexpr int kSetMdwe = 65;  // PR_SET_MDWE
    if (prctl(kSetMdwe, 1L, 0L, 0L, 0L) != 0) std::_Exit(kSkip);
    ElfObject libc;
    CHILD_EXPECT(libc.open("libc.so.6"));
    const std::vector<std::uint8_t> before(libc.text().begin, libc.text().end);
    const std::size_t mappings = mapping_count();
    Report report = apply(everything());
    release(report);
    CHILD_EXPECT(!report.ok);
    CHILD_EXPECT(report.reason.view().find("refuses") != std::string_view::npos);
    CHILD_EXPECT(std::memcmp(before.data(), libc.text().begin, before.size()) == 0);
    CHILD_EXPECT(mapping_count() == mappings);
    CHILD_EXPECT(poll(nullptr, 0, 1) == 0);
  });
  if (code == kSkip) GTEST_SKIP() << "this kernel has no PR_SET_MDWE";
  EXPECT_EQ(code, 0);
}

}  // namespace
}  // namespace ramie::patch
