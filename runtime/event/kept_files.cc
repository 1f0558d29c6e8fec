#include "event/kept_files.h"

#include <algorithm>
#include <iterator>

#include "base/lock.h"
#include "event/descriptor_table.h"
#include "event/own_descriptors.h"
#include "event/section.h"

namespace ramie::event {
namespace {

struct KeptFile {
  int closed = -1;  // the number that the program had
  uint32_t closings = 0;
  uint32_t users = 0;  // 0: the place is free
  int number = -1;
};

// Calls of further ones end with EBADF.
constexpr int kMost = 32;  // of the numbers that are ours (own_descriptors.cc)
constinit base::Lock lock;
constinit KeptFile files[kMost] RAMIE_GUARDED_BY(lock) = {};

// The file that had number `fd` before it was closed for the time after `closings`.
KeptFile* find(int fd, uint32_t closings) RAMIE_REQUIRES(lock) {
  auto* found = std::find_if(std::begin(files), std::end(files), [&](const KeptFile& file) {
    return file.users != 0 && file.closed == fd && file.closings == closings;
  });
  return found != std::end(files) ? found : nullptr;
}

}  // namespace

bool end_use(int fd, const FileUse& use) {
  std::atomic<uint64_t>& uses = descriptor_of(fd)->uses;
  uint64_t seen = uses.load(std::memory_order_relaxed);
  while (closings_of(seen) == use.closings) {
    if (uses.compare_exchange_weak(seen, seen - 1, std::memory_order_relaxed)) {
      return true;
    }
  }
  return false;
}

int kept_number(int fd, const FileUse& use) {
  Section section;
  base::LockGuard guard(lock);
  const KeptFile* file = find(fd, use.closings);
  return file != nullptr ? file->number : -1;
}

int drop_kept(int fd, const FileUse& use) {
  Section section;
  base::LockGuard guard(lock);
  KeptFile* file = find(fd, use.closings);
  return file != nullptr && --file->users == 0 ? file->number : -1;
}

void keep_file(int fd, uint32_t closings, uint32_t users) {
  base::LockGuard guard(lock);
  auto* place = std::find_if(std::begin(files), std::end(files),
                             [](const KeptFile& file) { return file.users == 0; });
  int number = place != std::end(files) ? keep_copy(fd) : -1;
  if (number >= 0) {
    *place = {fd, closings, users, number};
  }
}

void reset_kept_files() {
  lock.reset();
  base::LockGuard guard(lock);
  std::fill(std::begin(files), std::end(files), KeptFile{});
}

}  // namespace ramie::event
