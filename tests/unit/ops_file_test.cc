// Reads of files whose data is not in memory.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <iterator>

#include "event/io_uring_ops.h"
#include "interpose/ops/descriptor_hints.h"
#include "interpose/ops/file_read.h"
#include "ops_calls.h"

using namespace ramie;
using namespace ramie::test;

namespace {

constexpr long kPage = 4096;
constexpr long kSize = 64 * kPage + 100;

// A file of which the kernel has forgotten what is in it, though not on all file systems.
class OpsFile : public OpsTest {
 protected:
  void SetUp() override {
    OpsTest::SetUp();
    char path[] = "ops_file_XXXXXX";
    fd = mkstemp(path);
    ASSERT_GE(fd, 0);
    unlink(path);
    ASSERT_EQ(write(fd, content.data(), content.size()), kSize);
    ASSERT_EQ(fsync(fd), 0);
    ASSERT_EQ(lseek(fd, 0, SEEK_SET), 0);
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
    if (!event::uring_available() || !forget()) {
      GTEST_SKIP() << "no ring, or no disk";
    }
  }
  void TearDown() override {
    if (fd >= 0) {
      EXPECT_EQ(call(ops::close, fd), 0);
    }
  }

  // False where the file system keeps it.  To look by a read would fetch it.
  [[nodiscard]] bool forget() const {
    void* memory = mmap(nullptr, kSize, PROT_READ, MAP_SHARED, fd, 0);
    bool is_there = true;
    for (int i = 0; i < 100 && is_there; ++i) {
      unsigned char pages[kSize / kPage + 1] = {};
      (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
      (void)mincore(memory, kSize, pages);
      is_there =
          std::any_of(std::begin(pages), std::end(pages), [](auto page) { return page & 1; });
    }
    munmap(memory, kSize);
    return !is_there;
  }
  [[nodiscard]] std::string part(long offset, long size) const {
    return content.substr(static_cast<size_t>(offset), static_cast<size_t>(size));
  }

  // Whether the disk takes so long that somebody can wait for it: most pages aren't there some time
  // after they were asked for.  A virtual machine's may answer before the machine goes on.
  [[nodiscard]] bool is_worth_waiting_for() const {
    constexpr int kTries = 50;
    constexpr int64_t kPause = 50'000;  // ns: more than from the question to the park
    int away = 0;
    for (int tries = 0; tries < kTries; ++tries) {
      (void)forget();
      char byte;
      iovec one = {&byte, 1};
      (void)preadv2(fd, &one, 1, 8 * kPage, RWF_NOWAIT);
      for (int64_t end = base::now() + kPause; base::now() < end;) {
      }
      away += preadv2(fd, &one, 1, 8 * kPage, RWF_NOWAIT) < 0 ? 1 : 0;
    }
    return away > kTries / 2;
  }

  // What `read` got, which is to park, on a fiber.  The data may be there before it parks; but not
  // each time.
  template <class Read>
  std::string parking(Read read) {
    constexpr int kMostTries = 50;
    std::string got;
    off_t offset = lseek(fd, 0, SEEK_CUR);
    bool has_parked = false;
    for (int tries = 0; tries < kMostTries && !has_parked; ++tries) {
      got.assign(kSize, '\0');
      EXPECT_EQ(lseek(fd, offset, SEEK_SET), offset);
      EXPECT_TRUE(forget());
      ops::descriptor_hints.set(fd, ops::Direction::read, ops::Way::cold_file);
      fibers.spawn([&] {
        uint64_t before = parks();
        long size = read(got.data());
        has_parked = parks() > before;
        EXPECT_GE(size, 0);
        got.resize(static_cast<size_t>(size < 0 ? 0 : size));
      });
      fibers.join();
    }
    EXPECT_TRUE(has_parked || !is_worth_waiting_for());
    return got;
  }

  std::string content = text(kSize);
  int fd = -1;
};

TEST_F(OpsFile, AReadAtAnOffsetParks) {
  EXPECT_EQ(parking([&](char* into) { return call(ops::pread64, fd, into, kPage, 8 * kPage); }),
            part(8 * kPage, kPage));
  std::string got = parking([&](char* into) {
    iovec list[] = {{into, 10}, {nullptr, 0}, {into + 10, kPage}};
    return call(ops::preadv, fd, list, 3, 16 * kPage - 5);
  });
  EXPECT_EQ(got, part(16 * kPage - 5, kPage + 10));
}

TEST_F(OpsFile, AReadAtAnOffsetIsWholeWhereAPartIsThere) {
  auto read = [&](char* into) {
    char byte;
    EXPECT_EQ(pread(fd, &byte, 1, 0), 1);
    return call(ops::pread64, fd, into, kSize, 0);
  };
  EXPECT_EQ(parking(read), content);
}

TEST_F(OpsFile, AReadAtTheCurrentOffsetParks) {
  ASSERT_EQ(lseek(fd, 8 * kPage, SEEK_SET), 8 * kPage);
  EXPECT_EQ(parking([&](char* into) { return call(ops::read, fd, into, 2 * kPage); }),
            part(8 * kPage, 2 * kPage));
  EXPECT_EQ(lseek(fd, 0, SEEK_CUR), 10 * kPage);
  std::string got = parking([&](char* into) {
    iovec list[] = {{into, kPage}, {into + kPage, kPage}};
    return call(ops::readv, fd, list, 2);
  });
  EXPECT_EQ(got, part(10 * kPage, 2 * kPage));
  EXPECT_EQ(lseek(fd, 0, SEEK_CUR), 12 * kPage);
}

TEST_F(OpsFile, ADirectReadParks) {
  if (fcntl(fd, F_SETFL, O_DIRECT) != 0) {
    GTEST_SKIP() << "no direct reads here";
  }
  void* memory =
      mmap(nullptr, 2 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  auto read = [&](char* into) {
    long size = call(ops::pread64, fd, memory, 2 * kPage, 63 * kPage);
    memcpy(into, memory, 2 * kPage);
    return size;
  };
  EXPECT_EQ(parking(read), part(63 * kPage, kPage + 100));
  ASSERT_EQ(lseek(fd, kPage, SEEK_SET), kPage);
  EXPECT_EQ(call(ops::read, fd, memory, kPage), kPage);
  EXPECT_EQ(std::string(static_cast<char*>(memory), kPage), part(kPage, kPage));
  munmap(memory, 2 * kPage);
}

// A program that reads many files has just read one that was not in memory.  (Not at the beginning:
// to ask whether a file may be a cold one begins to fetch that.)
TEST_F(OpsFile, TheNextFileIsTakenForAColdOneToo) {
  (void)parking([&](char* into) { return call(ops::pread64, fd, into, kPage, 8 * kPage); });
  int other = dup(fd);  // of which nothing is known
  EXPECT_EQ(parking([&](char* into) { return call(ops::pread64, other, into, kPage, 8 * kPage); }),
            part(8 * kPage, kPage));
  EXPECT_EQ(call(ops::close, other), 0);
}

TEST(OpsFileClock, IsLookedAtForSomeReadsAfterManyQuickOnes) {
  constexpr int kTurns = 8;  // what the thread reads comes again after so many
  uint8_t quick_reads = 0;
  uint64_t clock = 0;
  int timed[kTurns] = {};
  auto read = [&](int reads) {
    int count = 0;
    for (int i = 0; i < reads; ++i) {
      clock += 1000;
      if (ops::detail::is_time_taken(quick_reads)) {
        ops::detail::spread(quick_reads, clock);
        ++timed[i % kTurns];
        ++count;
      }
    }
    return count;
  };
  EXPECT_EQ(read(64), 64);
  EXPECT_NEAR(read(8000), 1000, 200);
  for (int count : timed) {
    EXPECT_GT(count, 50) << "the file of one turn is never timed";
  }
  quick_reads = 0;  // one was slow
  EXPECT_EQ(read(64), 64);
}

TEST_F(OpsFile, TheEndIsWhereItIs) {
  EXPECT_EQ(
      parking([&](char* into) { return call(ops::pread64, fd, into, 4 * kPage, 62 * kPage); }),
      part(62 * kPage, 2 * kPage + 100));
  char buffer[200];
  EXPECT_EQ(call(ops::pread64, fd, buffer, sizeof buffer, kSize - 7), 7);
  EXPECT_EQ(call(ops::pread64, fd, buffer, sizeof buffer, kSize), 0);
  EXPECT_EQ(lseek(fd, kSize - 7, SEEK_SET), kSize - 7);
  EXPECT_EQ(call(ops::read, fd, buffer, sizeof buffer), 7);
  EXPECT_EQ(call(ops::read, fd, buffer, sizeof buffer), 0);
}

TEST_F(OpsFile, ErrorsAreTheKernels) {
  char buffer[10];
  EXPECT_EQ(call(ops::pread64, fd, buffer, sizeof buffer, -1), -EINVAL);
  EXPECT_EQ(call(ops::pread64, fd, 0, sizeof buffer, 0), -EFAULT);
  EXPECT_EQ(call(ops::read, fd, 0, sizeof buffer), -EFAULT);
  EXPECT_EQ(call(ops::preadv, fd, 0, 1, 0), -EFAULT);
  EXPECT_EQ(call(ops::preadv, fd, 0, -1, 0), -EINVAL);
  Pair pipe = Pair::pipe();
  EXPECT_EQ(call(ops::pread64, pipe.in, buffer, sizeof buffer, 0), -ESPIPE);
  EXPECT_EQ(call(ops::pread64, -1, buffer, sizeof buffer, 0), -EBADF);
}

// Which all read at a time, though each waits for a disk.
TEST_F(OpsFile, ManyReadAtATime) {
  constexpr int kReaders = 32;
  int begun = 0;
  int most = 0;
  ops::descriptor_hints.set(fd, ops::Direction::read, ops::Way::cold_file);
  for (int i = 0; i < kReaders; ++i) {
    fibers.spawn([&, i] {
      std::string got(kPage, '\0');
      most = std::max(most, ++begun);
      EXPECT_EQ(call(ops::pread64, fd, got.data(), kPage, 2 * i * kPage), kPage);
      --begun;
      EXPECT_EQ(got, part(2 * i * kPage, kPage));
    });
  }
  fibers.join();
  EXPECT_TRUE(most > 1 || !is_worth_waiting_for());
}

// What has no disk behind it is not asked for twice.
TEST_F(OpsFile, AFileOfTheKernelsOwnIsReadOnce) {
  int status = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
  ops::descriptor_hints.set(status, ops::Direction::read, ops::Way::cold_file);
  char buffer[8];
  EXPECT_EQ(call(ops::read, status, buffer, 5), 5);
  EXPECT_EQ(std::string(buffer, 5), "Name:");
  EXPECT_EQ(call(ops::pread64, status, buffer, 4, 0), 4);
  EXPECT_EQ(std::string(buffer, 4), "Name");
  EXPECT_EQ(call(ops::close, status), 0);
}

}  // namespace
