#include "core/hold_log.h"

#include <algorithm>
#include <cstring>

#include "base/sys.h"
#include "base/syscall_name.h"

namespace ramie::core {
namespace {

constexpr int64_t kMilli = 1'000'000;
constexpr size_t kKeyFrames = 3;  // which have to be the same for two calls to share a row
constexpr size_t kShownFrames = 5;

uintptr_t object_of(const CallChain& callers, const base::MemoryMap& map) {
  const auto* region = callers.count > 0 ? map.find(callers.frames[0]) : nullptr;
  return region != nullptr ? region->object : 0;
}

void right_align(base::Line<512>& line, int64_t value, size_t width) {
  base::Line<32> digits;
  digits << value;
  for (size_t n = digits.view().size(); n < width; ++n) {
    line << ' ';
  }
  line << digits.view();
}

}  // namespace

void describe_activity(base::Line<512>& line, long call) {
  const char* name = base::syscall_name(call);
  if (call == Activity::kComputes) {
    line << "computing";
  } else if (call == Activity::kFault) {
    line << "waiting for a page of memory";
  } else if (name != nullptr) {
    line << "in " << name;
  } else {
    line << "in system call " << call;
  }
}

HoldLog::Row* HoldLog::find(const Row& wanted) {
  for (size_t i = 0; i < count_; ++i) {
    Row& row = rows_[i];
    // A loop is somewhere else each time: there the object has to do.
    bool is_same =
        row.call == wanted.call && row.object == wanted.object &&
        (row.call == Activity::kComputes ||
         std::equal(row.callers.frames, row.callers.frames + kKeyFrames, wanted.callers.frames));
    if (is_same) {
      return &row;
    }
  }
  return nullptr;
}

void HoldLog::add(const Activity& activity, const CallChain& callers, int64_t duration,
                  const base::MemoryMap& map) {
  Row wanted;
  wanted.call = activity.call;
  wanted.callers = callers;
  wanted.object = object_of(callers, map);
  Row* row = find(wanted);
  if (row == nullptr) {
    if (count_ == kRows) {
      ++left_out_;
      return;
    }
    row = &rows_[count_++];
    *row = wanted;
  }
  ++row->times;
  row->total += duration;
  if (duration > row->longest) {
    row->longest = duration;
    row->callers = row->call == Activity::kComputes ? callers : row->callers;
  }
}

void HoldLog::write(const base::Line<512>& line) {
  size_t size = line.view().size();
  if (text_size_ + size + 1 <= kText) {
    memcpy(text_ + text_size_, line.view().data(), size);
    text_size_ += size;
    text_[text_size_++] = '\n';
  }
}

std::string_view HoldLog::render(int64_t threshold, const base::MemoryMap& map) {
  text_size_ = 0;
  std::sort(rows_, rows_ + count_, [](const Row& a, const Row& b) { return a.total > b.total; });
  base::Line<512> head;
  head << "ramie: audit of process " << sys::getpid() << ": "
       << (count_ == 0 ? "nothing has" : "what has") << " held up a kernel thread for "
       << threshold / kMilli << " ms or longer";
  write(head);
  if (count_ > 0) {
    base::Line<512> columns;
    columns << "ramie:    times  total ms  longest ms  what";
    write(columns);
  }
  for (const Row* row = rows_; row != rows_ + count_; ++row) {
    base::Line<512> line;
    line << "ramie: ";
    right_align(line, static_cast<int64_t>(row->times), 8);
    right_align(line, row->total / kMilli, 10);
    right_align(line, row->longest / kMilli, 12);
    line << "  ";
    describe_activity(line, row->call);
    for (size_t i = 0; i < std::min(row->callers.count, kShownFrames); ++i) {
      line << (i == 0 ? ": " : " < ");
      describe_code(line, map, row->callers.frames[i]);
    }
    write(line);
  }
  if (left_out_ > 0) {
    base::Line<512> line;
    line << "ramie: and " << left_out_ << " for which the table had no room";
    write(line);
  }
  return {text_, text_size_};
}

}  // namespace ramie::core
