#include "interpose/patch/trampoline.h"

#include <sys/mman.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstring>

#include "base/sys.h"
#include "interpose/patch/entry.h"

namespace ramie::patch {
namespace {

constexpr std::size_t kPage = 4096;
constexpr std::ptrdiff_t kReach = 0x7fff0000;
constexpr std::uintptr_t kStride = 1 << 20;

constexpr std::uint8_t kLeaveRedZone[] = {0x48, 0x8d, 0x64, 0x24, 0x80};
constexpr std::uint8_t kCallIndirect[] = {0xff, 0x15};
constexpr std::uint8_t kCall[] = {0x67, 0xe8};  // the prefix does nothing but make it as long
constexpr std::uint8_t kNop[] = {0x0f, 0x1f, 0x80};
constexpr std::uint8_t kSkipSyscall[] = {0xeb, 0x02, 0x0f, 0x05};
constexpr std::uint8_t kJump[] = {0xe9};

using Entry = void (*)();

// The area starts with these addresses, for where they are too far away to be called directly.
constexpr Entry kEntries[] = {ramie_patch_entry, ramie_patch_entry_wide, ramie_patch_entry_any,
                              ramie_patch_entry_any_wide};

// Whether the call may have to be made on the site's own stack; clone3's child starts on another.
bool takes_any(const Site& site) {
  return site.number_source != NumberSource::kKnown || site.number == SYS_clone3;
}

std::size_t trampoline_size(const Site& site) {
  const std::size_t skip = takes_any(site) ? sizeof kSkipSyscall : 0;
  return site.before + sizeof kLeaveRedZone + sizeof kCallIndirect + 4 + sizeof kNop + 4 + skip +
         site.after + sizeof kJump + 4;
}

// Maps `size` bytes at exactly `address`, or nothing.
std::uint8_t* map_at(std::uintptr_t address, std::size_t size) {
  const long result =
      sys::call(SYS_mmap, static_cast<long>(address), static_cast<long>(size),
                PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  if (sys::failed(result)) return nullptr;
  if (static_cast<std::uintptr_t>(result) == address) {
    return reinterpret_cast<std::uint8_t*>(result);
  }
  // Kernels before 4.17 take the flag for a mere hint.
  sys::call(SYS_munmap, result, static_cast<long>(size));
  return nullptr;
}

// Looks for room below the object first: the dynamic linker fills addresses from above.
std::uint8_t* map_near(TextRange text, std::size_t size) {
  const auto low = reinterpret_cast<std::uintptr_t>(text.begin) & ~(kStride - 1);
  const auto high = reinterpret_cast<std::uintptr_t>(text.end) & ~(kStride - 1);
  const std::uintptr_t reach = kReach - text.size() - size - kStride;
  for (std::uintptr_t distance = kStride; distance < reach && distance < low; distance += kStride) {
    if (std::uint8_t* area = map_at(low - distance, size)) return area;
  }
  for (std::uintptr_t distance = kStride; distance < reach; distance += kStride) {
    if (std::uint8_t* area = map_at(high + distance, size)) return area;
  }
  return nullptr;
}

// Where the instruction is that began at `offset` of the replaced bytes.
std::uintptr_t trampoline_address(const Site& site, std::size_t offset) {
  const auto start = reinterpret_cast<std::uintptr_t>(site.trampoline);
  if (offset <= site.before) return start + offset;
  const std::size_t skip = takes_any(site) ? sizeof kSkipSyscall : 0;
  return start + sizeof kLeaveRedZone + sizeof kCallIndirect + 4 + sizeof kNop + 4 + skip + offset -
         kSyscallLength;
}

}  // namespace

std::uintptr_t moved(std::uintptr_t pc, std::span<const Site> sites) {
  for (const Site& site : sites) {
    const auto begin = reinterpret_cast<std::uintptr_t>(site.begin);
    if (site.verdict == Verdict::kPatch && pc > begin && pc < begin + site.length) {
      return trampoline_address(site, pc - begin);
    }
  }
  return pc;
}

long TrampolineArea::map(TextRange text, std::span<const Site> sites) {
  std::size_t size = sizeof kEntries;
  for (const Site& site : sites) {
    if (site.verdict == Verdict::kPatch) size += trampoline_size(site);
  }
  size = (size + kPage - 1) & ~(kPage - 1);
  if (text.size() + size > static_cast<std::size_t>(kReach) / 2) return -ENOMEM;
  begin_ = map_near(text, size);
  if (begin_ == nullptr) return -ENOMEM;
  size_ = size;
  at_ = begin_;
  put(kEntries, sizeof kEntries);
  return 0;
}

const std::uint8_t* TrampolineArea::emit(const Site& site) {
  const std::uint8_t* start = at_;
  put(site.begin, site.before);
  put(kLeaveRedZone, sizeof kLeaveRedZone);
  put_call((takes_any(site) ? 2 : 0) + (site.wide_state ? 1 : 0));
  const std::uint8_t* return_address = at_;
  put(kNop, sizeof kNop);
  const auto distance = static_cast<std::int32_t>(site.syscall + kSyscallLength - return_address);
  put(&distance, sizeof distance);
  if (takes_any(site)) put(kSkipSyscall, sizeof kSkipSyscall);
  put(site.syscall + kSyscallLength, site.after);
  put(kJump, sizeof kJump);
  put_relative(site.begin + site.length);
  return start;
}

long TrampolineArea::seal() {
  return sys::call(SYS_mprotect, sys::arg(begin_), static_cast<long>(size_), PROT_READ | PROT_EXEC);
}

void TrampolineArea::unmap() {
  if (begin_ != nullptr) sys::call(SYS_munmap, sys::arg(begin_), static_cast<long>(size_));
  begin_ = nullptr;
}

void TrampolineArea::put(const void* bytes, std::size_t size) {
  std::memcpy(at_, bytes, size);
  at_ += size;
}

// A direct call touches no page for the address, which counts where each system call makes the
// processor forget where pages are.
void TrampolineArea::put_call(std::size_t entry) {
  const auto* target = reinterpret_cast<const std::uint8_t*>(kEntries[entry]);
  const std::ptrdiff_t distance = target - at_;
  if (distance < kReach && distance > -kReach) {
    put(kCall, sizeof kCall);
    put_relative(target);
  } else {
    put(kCallIndirect, sizeof kCallIndirect);
    put_relative(begin_ + entry * sizeof(Entry));
  }
}

void TrampolineArea::put_relative(const std::uint8_t* target) {
  const auto displacement = static_cast<std::int32_t>(target - (at_ + sizeof(std::int32_t)));
  put(&displacement, sizeof displacement);
}

}  // namespace ramie::patch
