// Turns the `syscall` instructions of libc, and of libraries that bring their own, into calls of
// ramie_syscall().
//
// For the shim's start-up and for `ramie check`.  It knows system calls by number only: what
// becomes of them is decided behind ramie_syscall().  All or nothing: unless every site of every
// required call can be turned, and the system lets text be rewritten, nothing is changed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/format.h"
#include "interpose/patch/entry.h"
#include "interpose/patch/number_set.h"
#include "interpose/patch/site.h"

namespace ramie::patch {

inline constexpr std::size_t kMaxObjects = 4;

// Each thread but the caller waits between the two calls.
struct Standstill {
  // True when all of them wait.  Else `reason` says why not, and they run on.
  bool (*stop)(base::Line<160>& reason);
  // They go on where moved() says (trampoline.h).  `objects` are the sites of each object.
  void (*resume)(std::span<const std::span<const Site>> objects);
};

struct Options {
  // Sites whose number is known are turned if it is among these.  Sites that find their number at
  // run time (syscall() is one) always are.
  NumberSet wanted;
  // Calls of which the first object has to have a site, and not one that is refused.
  NumberSet required;
  // File names of objects, at most kMaxObjects.  The first must be loaded; others may be.
  std::span<const char* const> objects;
  // Where there may be other threads: what keeps them still while the text changes.
  const Standstill* standstill = nullptr;
  // Find and prove, but change nothing.
  bool dry_run = false;
};

// One object's part of the sites.
struct ObjectSites {
  const char* name = "";
  std::uintptr_t base = 0;
  std::span<const Site> sites;
};

struct Report {
  // Sites are turned, or would be, in a dry run.  Else `reason` says why not, in one line.
  bool ok = false;
  base::Line<160> reason;
  std::size_t found = 0;
  std::size_t patched = 0;
  std::size_t refused = 0;
  std::size_t forwarded = 0;
  NumberSet required_missing;
  std::uint64_t duration_ns = 0;
  std::size_t trampoline_bytes = 0;
  // Valid until release().
  ObjectSites objects[kMaxObjects];
  std::size_t object_count = 0;
  Site* memory = nullptr;

  // visit(const ObjectSites&, const Site&) for each site that was refused.
  template <class Visit>
  void for_each_refused(Visit visit) const {
    for (std::size_t i = 0; i < object_count; ++i) {
      for (const Site& site : objects[i].sites) {
        if (site.verdict == Verdict::kRefuse) visit(objects[i], site);
      }
    }
  }
};

// Does the work.  Unless it is a dry run, the process must have one thread (see rewrite.h), or have
// its others kept still.  Neither allocates nor touches errno.  A second call turns what has been
// loaded since: sites that are already jumps are not found again.  Sets nothing else:
// ramie_patch_active is the caller's to raise.
[[nodiscard]] Report apply(const Options& options);

// Gives back the memory behind `objects`.
void release(Report& report);

// The calls without which threads cannot be hosted: futex, read, poll, clone3, exit.
[[nodiscard]] NumberSet required_for_hosting();

}  // namespace ramie::patch
