// Finds the `syscall` instructions of an object and decides what is to become of each.
//
// Reads the object's text and tables only; nothing is changed, so a scan may be made at any time
// and by any thread.
#pragma once

#include <span>

#include "interpose/patch/control_flow.h"
#include "interpose/patch/elf_object.h"
#include "interpose/patch/number_set.h"
#include "interpose/patch/scratch_array.h"
#include "interpose/patch/site.h"

namespace ramie::patch {

// Appends the object's sites, ascending by address.  Bytes that only look like the instruction are
// left out where the function around them can be decoded.  False if `sites` or the scan's own
// tables have no room.
[[nodiscard]] bool scan(const ElfObject& object, const NumberSet& wanted,
                        ScratchArray<Site>& sites);

// The part of scan() for the sites of one function, whose code `flow` holds: fills in everything
// about `site`, of which only `syscall` is set.  `fork` is libc's _Fork, the one place where clone
// may be turned: its child goes on with a copy of the same stack.
void examine(Site& site, const ControlFlow& flow, TextRange function, TextRange fork,
             const NumberSet& wanted);

// Refuses those of the sites in `object` that the rest of the object can reach into: by a branch
// from another function, or as the address of a dynamic symbol.
[[nodiscard]] bool refuse_entered_from_elsewhere(const ElfObject& object, std::span<Site> sites);

}  // namespace ramie::patch
