#include "interpose/patch/scan.h"

#include <sys/syscall.h>

#include <algorithm>
#include <cstring>

#include "interpose/patch/syscall_number.h"
#include "interpose/patch/text_search.h"

namespace ramie::patch {
namespace {

constexpr int kMaxMovedBefore = 4;

// mov $number,%eax
constexpr std::uint8_t kLoadOpcode = 0xb8;
constexpr std::ptrdiff_t kLoadLength = 5;

bool is_load_of_number(const Instruction& instruction) {
  return instruction.length == kLoadLength && instruction.map == 0 &&
         instruction.opcode == kLoadOpcode;
}

// Makes room for a jump out of `count` instructions before the site and as many behind it as are
// needed.  Returns whether the room was found; refusal then says nothing, else why not.
bool make_room(Site& site, const ControlFlow& flow, TextRange function, int count) {
  site.refusal = Refusal::kImmovable;
  const std::uint8_t* begin = site.syscall;
  for (int i = 0; i < count; ++i) {
    const std::uint8_t* before = flow.previous(begin);
    if (before == nullptr || !is_movable(decode(before, begin))) return false;
    begin = before;
  }
  const std::uint8_t* end = site.syscall + kSyscallLength;
  while (end - begin < kJumpLength) {
    const Instruction next = decode(end, function.end);
    if (!is_movable(next)) return false;
    end += next.length;
  }
  if (flow.lands_inside(begin, end)) {
    site.refusal = Refusal::kBranchInside;
    return false;
  }
  site.begin = begin;
  site.length = static_cast<std::uint8_t>(end - begin);
  site.before = static_cast<std::uint8_t>(site.syscall - begin);
  site.after = static_cast<std::uint8_t>(end - site.syscall - kSyscallLength);
  site.refusal = Refusal::kNone;
  return true;
}

void choose_shape(Site& site, const ControlFlow& flow, TextRange function) {
  const std::uint8_t* before = flow.previous(site.syscall);
  const bool load = before != nullptr && is_load_of_number(decode(before, site.syscall));
  if (load && make_room(site, flow, function, 1)) {
    site.shape = Shape::kLoad;
    return;
  }
  for (int count = 0; count <= kMaxMovedBefore; ++count) {
    // The reason to report is that of the first try: the fewest instructions moved.
    const Refusal first = site.refusal;
    if (make_room(site, flow, function, count)) {
      site.shape = site.before == 0  ? Shape::kFollowed
                   : site.after == 0 ? Shape::kPreceded
                                     : Shape::kSurrounded;
      return;
    }
    if (count > 0) site.refusal = first;
  }
}

// Calls whose caller's own stack frame the trampoline would put itself into.  clone is let through
// in _Fork, where the child gets a copy of the stack with the trampoline's frame in it.
bool needs_own_frame(const Site& site, TextRange fork) {
  if (site.number == SYS_clone) return !fork.contains(site.syscall);
  return site.number == SYS_rt_sigreturn || site.number == SYS_vfork;
}

void refuse(Site& site, Refusal why) {
  site.verdict = Verdict::kRefuse;
  site.refusal = why;
}

// Most sites load their number in the instruction before.  Where nobody wants it there is nothing
// to prove: leaving a site as it is is always safe.
Site first_look(const std::uint8_t* at, TextRange text, const NumberSet& wanted) {
  Site site;
  site.syscall = at;
  if (at - text.begin < kLoadLength || at[-kLoadLength] != kLoadOpcode) return site;
  std::int32_t number;
  std::memcpy(&number, at - sizeof number, sizeof number);
  if (number < 0 || number >= NumberSet::kLimit || wanted.contains(number)) return site;
  site.number = number;
  site.number_source = NumberSource::kKnown;
  site.verdict = Verdict::kForward;
  return site;
}

bool needs_no_proof(const Site& site) { return site.verdict == Verdict::kForward; }

// Examines the sites of one function and returns how many of them are real.
std::size_t examine_function(ControlFlow& flow, const ElfObject& object, std::span<Site> sites,
                             TextRange fork, const NumberSet& wanted) {
  if (std::all_of(sites.begin(), sites.end(), needs_no_proof)) return sites.size();
  const TextRange function = object.function_containing(sites.front().syscall);
  if (function.begin == nullptr) {
    for (Site& site : sites) refuse(site, Refusal::kNoFunction);
    return sites.size();
  }
  if (object.is_signal_return(object.function_at_or_before(function.begin))) {
    for (Site& site : sites) {
      site.number = SYS_rt_sigreturn;
      site.number_source = NumberSource::kKnown;
      refuse(site, Refusal::kOwnStackFrame);
    }
    return sites.size();
  }
  if (!flow.read(function, &object)) {
    for (Site& site : sites) refuse(site, Refusal::kUndecodable);
    return sites.size();
  }

  std::size_t real = 0;
  for (const Site& site : sites) {
    if (!flow.is_start(site.syscall)) continue;
    sites[real] = site;
    examine(sites[real++], flow, function, fork, wanted);
  }
  return real;
}

}  // namespace

void examine(Site& site, const ControlFlow& flow, TextRange function, TextRange fork,
             const NumberSet& wanted) {
  const SyscallNumber number = find_number(flow, site.syscall);
  site.number = number.value;
  site.number_source = number.source;
  site.wide_state = flow.uses_x87() || flow.uses_vex();
  if (needs_own_frame(site, fork)) return refuse(site, Refusal::kOwnStackFrame);
  if (site.number_source == NumberSource::kKnown && !wanted.contains(site.number)) {
    site.verdict = Verdict::kForward;
    return;
  }
  choose_shape(site, flow, function);
  site.verdict = site.refusal == Refusal::kNone ? Verdict::kPatch : Verdict::kRefuse;
}

bool scan(const ElfObject& object, const NumberSet& wanted, ScratchArray<Site>& sites) {
  const std::size_t first = sites.size();
  bool room = true;
  for_each_syscall_byte_pair(object.text(), [&](const std::uint8_t* at) {
    room &= sites.push(first_look(at, object.text(), wanted));
  });
  if (!room) return false;

  ControlFlow flow;
  bool compiled_for_avx = false;
  const TextRange fork = object.symbol("_Fork");
  std::size_t kept = first;
  for (std::size_t i = first; i < sites.size();) {
    const TextRange function = object.function_containing(sites[i].syscall);
    std::size_t end = i + 1;
    while (end < sites.size() && function.contains(sites[end].syscall)) ++end;
    const std::span<Site> group(&sites[i], end - i);
    const std::size_t real = examine_function(flow, object, group, fork, wanted);
    compiled_for_avx |= flow.uses_vex();
    std::copy_n(&sites[i], real, &sites[kept]);
    kept += real;
    i = end;
  }
  sites.resize(kept);
  // A compiler that sees that a function leaves a register alone may keep a value there across the
  // call of it, so wider registers can be in use even where the site's own function has none.
  for (std::size_t i = first; i < kept; ++i) sites[i].wide_state |= compiled_for_avx;
  return refuse_entered_from_elsewhere(object, {&sites[first], kept - first});
}

}  // namespace ramie::patch
