#include "base/processors.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

using ramie::base::allowed_by_quotas;
using ramie::base::kMostProcessors;

namespace {

namespace fs = std::filesystem;

// A folder such as /sys/fs/cgroup.
class Quotas : public testing::Test {
 protected:
  void SetUp() override { root_ = fs::path(testing::TempDir()) / "ramie_quotas"; }
  void TearDown() override { fs::remove_all(root_); }

  void write(const std::string& file, const std::string& text) const {
    fs::create_directories((root_ / file).parent_path());
    std::ofstream(root_ / file) << text << "\n";
  }
  [[nodiscard]] unsigned allowed(const char* groups) const {
    return allowed_by_quotas(groups, root_.string());
  }

 private:
  fs::path root_;
};

TEST_F(Quotas, WithoutGroupsAllIsAllowed) {
  EXPECT_EQ(allowed(""), kMostProcessors);
  EXPECT_EQ(allowed("0::/a/b\n"), kMostProcessors);
  EXPECT_EQ(allowed("no line of that kind"), kMostProcessors);
}

TEST_F(Quotas, OfVersion2AreRoundedUp) {
  write("a/cpu.max", "150000 100000");
  EXPECT_EQ(allowed("0::/a\n"), 2U);
  write("a/cpu.max", "max 100000");
  EXPECT_EQ(allowed("0::/a\n"), kMostProcessors);
}

TEST_F(Quotas, OfTheGroupsAboveCountToo) {
  write("a/cpu.max", "100000 100000");
  write("a/b/c/cpu.max", "300000 100000");
  EXPECT_EQ(allowed("0::/a/b/c\n"), 1U);
}

// Where a container's own group is the root of what it sees.
TEST_F(Quotas, OfTheRootCountToo) {
  write("cpu.max", "300000 100000");
  EXPECT_EQ(allowed("0::/\n"), 3U);
  EXPECT_EQ(allowed("0::/of/the/host\n"), 3U);
}

TEST_F(Quotas, OfVersion1AreOfTheProcessorsController) {
  write("cpu/a/cpu.cfs_quota_us", "250000");
  write("cpu/a/cpu.cfs_period_us", "100000");
  write("cpu/b/cpu.cfs_quota_us", "-1");
  write("cpu/b/cpu.cfs_period_us", "100000");
  EXPECT_EQ(allowed("9:name=systemd:/\n4:memory:/b\n3:cpu,cpuacct:/a\n0::/\n"), 3U);
  EXPECT_EQ(allowed("2:cpuacct:/a\n1:cpu:/a/c\n"), 3U);
  EXPECT_EQ(allowed("2:cpuacct:/a\n1:cpu:/b\n"), kMostProcessors);
  EXPECT_EQ(allowed("5:cpuset:/a\n"), kMostProcessors);
}

}  // namespace
