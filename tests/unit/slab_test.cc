// How much memory slots have before anybody uses them.
#include "core/slab.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <set>

namespace ramie::core {
namespace {

constexpr size_t kStride = size_t{64} << 10;

constinit Slab slab;

bool has_memory(char* page) {
  unsigned char flags = 0;
  return mincore(page, Slab::kPage, &flags) == 0 && (flags & 1) != 0;
}

TEST(Slab, SlotsHaveMemoryWhenTheyAreHandedOutAndFewBefore) {
  slab.configure(kStride, Slab::kPage, 2 * Slab::kPage);
  std::set<char*> slots;
  for (int i = 0; i < 600; ++i) {
    bool recycled = true;
    char* slot = slab.allocate(recycled);
    ASSERT_NE(slot, nullptr);
    EXPECT_FALSE(recycled);
    EXPECT_TRUE(has_memory(slot + kStride - Slab::kPage));
    EXPECT_TRUE(has_memory(slot + kStride - 2 * Slab::kPage));
    EXPECT_FALSE(has_memory(slot + kStride - 3 * Slab::kPage));
    slots.insert(slot);
    int ahead = 0;
    for (char* next = slot + kStride; !slots.contains(next); next += kStride) {
      bool is_ours = slab.slot_of(reinterpret_cast<uintptr_t>(next)) != nullptr;
      if (!is_ours || !has_memory(next + kStride - Slab::kPage)) {
        break;
      }
      ++ahead;
    }
    EXPECT_LT(ahead, 32);
  }
}

}  // namespace
}  // namespace ramie::core
