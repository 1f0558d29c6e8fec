#include "interpose/patch/rewrite.h"

#include <sys/mman.h>

#include <bit>
#include <cstring>

#include "base/sys.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

namespace ramie::patch {
namespace {

constexpr std::uintptr_t kPage = 4096;
constexpr std::uint8_t kJumpOpcode = 0xe9;
constexpr std::uint8_t kBreakpoint = 0xcc;

std::uintptr_t page_of(const std::uint8_t* address) {
  return reinterpret_cast<std::uintptr_t>(address) & ~(kPage - 1);
}

const std::uint8_t* end_of(const Site& site) { return site.begin + site.length; }

long protect(std::span<const Site> sites, int protection) {
  std::uintptr_t begin = 0;
  std::uintptr_t end = 0;
  for (const Site& site : sites) {
    if (site.verdict != Verdict::kPatch) continue;
    if (begin == 0) begin = page_of(site.begin);
    end = page_of(end_of(site) - 1) + kPage;
  }
  if (begin == 0) return 0;
  return sys::call(SYS_mprotect, static_cast<long>(begin), static_cast<long>(end - begin),
                   protection);
}

// Gives the process its own copies of the pages in [begin, end), which is cheaper than taking a
// page fault for each.  Where the kernel does not know the call, the faults do it.
void copy_pages(std::uintptr_t begin, std::uintptr_t end) {
  if (begin == end) return;
  (void)sys::call(SYS_madvise, static_cast<long>(begin), static_cast<long>(end - begin),
                  MADV_POPULATE_WRITE);
}

void copy_pages_of(std::span<const Site> sites) {
  std::uintptr_t begin = 0;
  std::uintptr_t end = 0;
  for (const Site& site : sites) {
    if (site.verdict != Verdict::kPatch) continue;
    const std::uintptr_t first = page_of(site.begin);
    const std::uintptr_t last = page_of(end_of(site) - 1) + kPage;
    if (first > end) {
      copy_pages(begin, end);
      begin = first;
    }
    if (last > end) end = last;
  }
  copy_pages(begin, end);
}

// One instruction, so that no signal handler finds half of it done.
void store(std::uint8_t* address, std::uint64_t value) {
  asm volatile("movq %1, (%0)" : : "r"(address), "r"(value) : "memory");
}

void write_jump(const Site& site) {
  auto* text = const_cast<std::uint8_t*>(site.begin);
  std::uint8_t bytes[255];
  std::memset(bytes, kBreakpoint, site.length);
  bytes[0] = kJumpOpcode;
  const auto displacement = static_cast<std::int32_t>(site.trampoline - (site.begin + kJumpLength));
  std::memcpy(bytes + 1, &displacement, sizeof displacement);

  // The jump goes in with one store of eight bytes, which a shorter site shares with its
  // neighbours; those before it if the ones behind are on another page, which may be locked.  What
  // follows the eight bytes can no longer be reached.
  constexpr std::size_t kWord = sizeof(std::uint64_t);
  const std::size_t size = site.length < kWord ? site.length : kWord;
  const bool crosses = page_of(text) != page_of(text + kWord - 1);
  const std::size_t lead = crosses ? kWord - size : 0;
  std::uint8_t word[kWord];
  std::memcpy(word, text - lead, kWord);
  std::memcpy(word + lead, bytes, size);
  store(text - lead, std::bit_cast<std::uint64_t>(word));
  std::memcpy(text + size, bytes + size, site.length - size);
}

}  // namespace

long unlock_text(std::span<const Site> sites) {
  return protect(sites, PROT_READ | PROT_WRITE | PROT_EXEC);
}

long lock_text(std::span<const Site> sites) { return protect(sites, PROT_READ | PROT_EXEC); }

void write_jumps(std::span<const Site> sites) {
  copy_pages_of(sites);
  for (const Site& site : sites) {
    if (site.verdict == Verdict::kPatch) write_jump(site);
  }
}

}  // namespace ramie::patch
