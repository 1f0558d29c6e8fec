#include "interpose/patch/elf_object.h"

#include <elf.h>

#include <cstring>

namespace ramie::patch {
namespace {

// Encodings of pointers in exception tables (Linux Standard Base, "DWARF extensions").
constexpr std::uint8_t kPcRelative32 = 0x1b;
constexpr std::uint8_t kUnsigned32 = 0x03;
constexpr std::uint8_t kHeaderRelative32 = 0x3b;

std::int32_t read_int32(const std::uint8_t* at) {
  std::int32_t value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

}  // namespace

struct ElfObject::TableEntry {
  std::int32_t start;  // both relative to the header
  std::int32_t description;
};

// The parts of DT_GNU_HASH: a header of four words, a Bloom filter, buckets, chains.
struct ElfObject::GnuHash {
  std::uint32_t bucket_count;
  std::uint32_t first_symbol;
  const std::uint32_t* buckets;
  const std::uint32_t* chains;
};

namespace {

struct Search {
  ElfObject* object;
  const char* name;
  bool found;
};

// The loaded segment that holds the exception tables, null if there are none.
const ElfW(Phdr) * frame_segment(const dl_phdr_info& info) {
  for (int i = 0; i < info.dlpi_phnum; ++i) {
    if (info.dlpi_phdr[i].p_type != PT_GNU_EH_FRAME) continue;
    const ElfW(Addr) address = info.dlpi_phdr[i].p_vaddr;
    for (int j = 0; j < info.dlpi_phnum; ++j) {
      const ElfW(Phdr)& segment = info.dlpi_phdr[j];
      const bool holds = address >= segment.p_vaddr && address - segment.p_vaddr < segment.p_memsz;
      if (segment.p_type == PT_LOAD && holds) return &segment;
    }
  }
  return nullptr;
}

const char* file_name(const char* path) {
  const char* slash = std::strrchr(path, '/');
  return slash == nullptr ? path : slash + 1;
}

}  // namespace

int ElfObject::match(dl_phdr_info* info, std::size_t, void* argument) {
  auto& search = *static_cast<Search*>(argument);
  if (std::strcmp(file_name(info->dlpi_name), search.name) != 0) return 0;
  *search.object = ElfObject();
  search.object->name_ = search.name;
  search.object->read_segments(*info);
  search.found = true;
  return 1;
}

bool ElfObject::open(const char* name) {
  Search search{this, name, false};
  dl_iterate_phdr(&ElfObject::match, &search);
  if (!search.found || text_.begin == nullptr || !read_function_table()) return false;
  read_dynamic();
  return true;
}

void ElfObject::read_segments(const dl_phdr_info& info) {
  base_ = info.dlpi_addr;
  for (int i = 0; i < info.dlpi_phnum; ++i) {
    const ElfW(Phdr)& segment = info.dlpi_phdr[i];
    const auto* begin = reinterpret_cast<const std::uint8_t*>(base_ + segment.p_vaddr);
    const std::uint8_t* end = begin + segment.p_memsz;
    if (segment.p_type == PT_GNU_EH_FRAME) frame_header_ = begin;
    if (segment.p_type == PT_DYNAMIC) dynamic_ = reinterpret_cast<const ElfW(Dyn)*>(begin);
    if (segment.p_type != PT_LOAD) continue;
    if ((segment.p_flags & PF_X) != 0 && text_.begin == nullptr) text_ = {begin, end};
    // Linkers that keep constants apart from code put them next to the exception tables; others
    // put all three into the text segment.
    if ((segment.p_flags & PF_W) == 0 && frame_segment(info) == &segment) constants_ = {begin, end};
  }
}

bool ElfObject::read_function_table() {
  if (frame_header_ == nullptr) return false;
  const bool searchable = frame_header_[0] == 1 && frame_header_[1] == kPcRelative32 &&
                          frame_header_[2] == kUnsigned32 && frame_header_[3] == kHeaderRelative32;
  if (!searchable) return false;
  function_count_ = static_cast<std::uint32_t>(read_int32(frame_header_ + 8));
  functions_ = reinterpret_cast<const TableEntry*>(frame_header_ + 12);
  return function_count_ != 0;
}

TextRange ElfObject::function(std::size_t index) const {
  const TableEntry& entry = functions_[index];
  const std::uint8_t* begin = frame_header_ + entry.start;
  const std::uint8_t* limit =
      index + 1 < function_count_ ? frame_header_ + functions_[index + 1].start : text_.end;
  // length, a pointer to the common part, the start, the size.  That the start is encoded as
  // assumed shows by its being the one in the table; else the next function bounds this one.
  const std::uint8_t* start_field = frame_header_ + entry.description + 8;
  if (start_field + read_int32(start_field) != begin) return {begin, limit};
  const std::uint8_t* end = begin + static_cast<std::uint32_t>(read_int32(start_field + 4));
  return {begin, end < limit ? end : limit};
}

std::size_t ElfObject::function_at_or_before(const std::uint8_t* address) const {
  const std::ptrdiff_t wanted = address - frame_header_;
  std::size_t low = 0;
  std::size_t high = function_count_;
  while (low < high) {
    const std::size_t middle = low + (high - low) / 2;
    if (functions_[middle].start <= wanted) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low == 0 ? function_count_ : low - 1;
}

TextRange ElfObject::function_containing(const std::uint8_t* address) const {
  const std::size_t index = function_at_or_before(address);
  if (index == function_count_) return {};
  const TextRange range = function(index);
  if (range.contains(address)) return range;
  const bool last = index + 1 == function_count_;
  const std::uint8_t* next = last ? text_.end : function(index + 1).begin;
  return address < next ? TextRange{range.begin, next} : TextRange{};
}

// A function's description starts with its length and the distance back to the part that it shares
// with others; that one starts with a length, a zero, a version and a string of properties.
bool ElfObject::is_signal_return(std::size_t index) const {
  const std::uint8_t* description = frame_header_ + functions_[index].description;
  const std::uint8_t* shared = description + 4 - read_int32(description + 4);
  return std::strchr(reinterpret_cast<const char*>(shared + 9), 'S') != nullptr;
}

bool ElfObject::is_constant(const std::uint8_t* address, std::size_t size) const {
  return constants_.contains(address) && size <= static_cast<std::size_t>(constants_.end - address);
}

void ElfObject::read_dynamic() {
  if (dynamic_ == nullptr) return;
  for (const ElfW(Dyn)* entry = dynamic_; entry->d_tag != DT_NULL; ++entry) {
    // The dynamic linker has made most of these addresses; where it left an offset, add the base.
    const std::uintptr_t value = entry->d_un.d_ptr;
    const std::uintptr_t address = value < base_ ? base_ + value : value;
    if (entry->d_tag == DT_SYMTAB) symbols_ = reinterpret_cast<const ElfW(Sym)*>(address);
    if (entry->d_tag == DT_STRTAB) strings_ = reinterpret_cast<const char*>(address);
    if (entry->d_tag == DT_GNU_HASH) hash_ = reinterpret_cast<const std::uint32_t*>(address);
  }
  if (symbols_ == nullptr || strings_ == nullptr || hash_ == nullptr) return;
  count_symbols();
}

ElfObject::GnuHash ElfObject::gnu_hash() const {
  const std::uint32_t filter_words = hash_[2];
  const std::uint32_t* buckets = hash_ + 4 + std::size_t{2} * filter_words;
  return {hash_[0], hash_[1], buckets, buckets + hash_[0]};
}

// No entry holds the number of symbols: it ends with the chain of the highest bucket.
void ElfObject::count_symbols() {
  const GnuHash hash = gnu_hash();
  std::uint32_t last = 0;
  for (std::uint32_t i = 0; i < hash.bucket_count; ++i) {
    if (hash.buckets[i] > last) last = hash.buckets[i];
  }
  if (last < hash.first_symbol) return;
  while ((hash.chains[last - hash.first_symbol] & 1) == 0) ++last;
  symbol_count_ = last + 1;
}

bool ElfObject::is_code(const ElfW(Sym) & symbol) const {
  const unsigned type = ELF64_ST_TYPE(symbol.st_info);
  const bool function = type == STT_FUNC || type == STT_GNU_IFUNC || type == STT_NOTYPE;
  return function && symbol.st_shndx != SHN_UNDEF && text_.contains(code(symbol));
}

TextRange ElfObject::symbol(const char* name) const {
  if (symbol_count_ == 0) return {};
  std::uint32_t wanted = 5381;
  for (const char* c = name; *c != 0; ++c) wanted = wanted * 33 + static_cast<std::uint8_t>(*c);
  const GnuHash hash = gnu_hash();
  for (std::uint32_t i = hash.buckets[wanted % hash.bucket_count]; i >= hash.first_symbol; ++i) {
    const std::uint32_t link = hash.chains[i - hash.first_symbol];
    const ElfW(Sym)& candidate = symbols_[i];
    if ((link | 1) == (wanted | 1) && std::strcmp(strings_ + candidate.st_name, name) == 0 &&
        is_code(candidate)) {
      return {code(candidate), code(candidate) + candidate.st_size};
    }
    if ((link & 1) != 0) break;
  }
  return {};
}

}  // namespace ramie::patch
