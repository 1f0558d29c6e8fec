#include "interpose/patch/patch.h"

#include <sys/syscall.h>

#include "base/deadline.h"
#include "interpose/patch/rewrite.h"
#include "interpose/patch/scan.h"
#include "interpose/patch/trampoline.h"

namespace ramie::patch {
namespace {

constexpr std::size_t kMaxSites = 1 << 14;

// One run of apply().
class Patcher {
 public:
  Patcher(const Options& options, Report& report)
      : options_(options), report_(report), sites_(kMaxSites) {}

  [[nodiscard]] bool run() {
    if (!find() || !prove()) return false;
    if (options_.dry_run) return true;
    choose_state_mask();
    if (build() && unlock() && rewrite()) return true;
    for (std::size_t i = 0; i < report_.object_count; ++i) areas_[i].unmap();
    return false;
  }

  // What the report shows stays mapped after the run.
  void hand_over_sites() { report_.memory = sites_.release(); }

 private:
  [[nodiscard]] bool find() {
    for (const char* name : options_.objects) {
      ElfObject object;
      const bool required = report_.object_count == 0;
      if (report_.object_count == kMaxObjects) return fail("too many objects", name);
      if (!object.open(name)) {
        if (required) return fail("not loaded, or without exception tables: ", name);
        continue;
      }
      const std::size_t first = sites_.size();
      if (!scan(object, options_.wanted, sites_)) return fail("no memory for the sites of ", name);
      texts_[report_.object_count] = object.text();
      report_.objects[report_.object_count++] = {
          name, object.base(), {&sites_[first], sites_.size() - first}};
    }
    return report_.object_count != 0 || fail("no object named", "");
  }

  // A required call is missing if it has no site, or a refused one; and a refused site that learns
  // its number at run time may be any call's.
  [[nodiscard]] bool prove() {
    count();
    NumberSet turned;
    NumberSet refused;
    bool refused_any = false;
    for (const Site& site : report_.objects[0].sites) {
      if (site.verdict == Verdict::kPatch) turned.add(site.number);
      if (site.verdict == Verdict::kRefuse) refused.add(site.number);
      refused_any |= site.verdict == Verdict::kRefuse && site.number == Site::kNoNumber;
    }
    long first_missing = Site::kNoNumber;
    for (long number = NumberSet::kLimit - 1; number >= 0; --number) {
      if (!options_.required.contains(number)) continue;
      if (turned.contains(number) && !refused.contains(number) && !refused_any) continue;
      report_.required_missing.add(number);
      first_missing = number;
    }
    if (first_missing == Site::kNoNumber) return true;
    report_.reason << report_.objects[0].name << " has no site, or an unsafe one, of system call "
                   << first_missing;
    return false;
  }

  void count() {
    for (const Site& site : sites_) {
      ++report_.found;
      report_.patched += site.verdict == Verdict::kPatch;
      report_.refused += site.verdict == Verdict::kRefuse;
      report_.forwarded += site.verdict == Verdict::kForward;
    }
  }

  [[nodiscard]] bool build() {
    Site* site = sites_.begin();
    for (std::size_t i = 0; i < report_.object_count; ++i) {
      const ObjectSites& object = report_.objects[i];
      if (long error = areas_[i].map(texts_[i], object.sites)) {
        return fail("no memory for trampolines near ", object.name, error);
      }
      for (const Site* end = site + object.sites.size(); site != end; ++site) {
        if (site->verdict == Verdict::kPatch) site->trampoline = areas_[i].emit(*site);
      }
      if (long error = areas_[i].seal()) {
        return fail("the system refuses new code near ", object.name, error);
      }
      report_.trampoline_bytes += areas_[i].used();
    }
    return true;
  }

  [[nodiscard]] bool unlock() {
    for (std::size_t i = 0; i < report_.object_count; ++i) {
      const long error = unlock_text(report_.objects[i].sites);
      if (error == 0) continue;
      while (i-- > 0) lock_text(report_.objects[i].sites);
      return fail("the system refuses to let code be rewritten", "", error);
    }
    return true;
  }

  [[nodiscard]] bool rewrite() {
    const Standstill* others = options_.standstill;
    const bool stopped = others == nullptr || others->stop(report_.reason);
    std::span<const Site> sites[kMaxObjects];
    for (std::size_t i = 0; i < report_.object_count; ++i) {
      sites[i] = report_.objects[i].sites;
      if (stopped) write_jumps(sites[i]);
      lock_text(sites[i]);
    }
    if (stopped && others != nullptr) others->resume({sites, report_.object_count});
    return stopped;
  }

  bool fail(const char* what, const char* name, long error = 0) {
    report_.reason << what << name;
    if (error != 0) report_.reason << " (error " << -error << ")";
    return false;
  }

  const Options& options_;
  Report& report_;
  ScratchArray<Site> sites_;
  TextRange texts_[kMaxObjects];
  TrampolineArea areas_[kMaxObjects];
};

}  // namespace

Report apply(const Options& options) {
  Report report;
  const std::int64_t start = base::now();
  {
    Patcher patcher(options, report);
    report.ok = patcher.run();
    patcher.hand_over_sites();
  }
  report.duration_ns = static_cast<std::uint64_t>(base::now() - start);
  return report;
}

void release(Report& report) {
  if (report.memory == nullptr) return;
  sys::call(SYS_munmap, sys::arg(report.memory), static_cast<long>(kMaxSites * sizeof(Site)));
  report.memory = nullptr;
  report.object_count = 0;
}

NumberSet required_for_hosting() {
  return NumberSet::of(SYS_futex, SYS_read, SYS_poll, SYS_clone3, SYS_exit);
}

}  // namespace ramie::patch
