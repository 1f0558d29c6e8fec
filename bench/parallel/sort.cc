// usage: sort COUNT; that many numbers sorted by libstdc++'s parallel mode, with as many threads as
// OpenMP thinks right. Prints a hash of them in their new order.
#include <omp.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <parallel/algorithm>
#include <vector>

int main(int argc, char** argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: sort COUNT\n");
    return 2;
  }
  std::vector<uint64_t> numbers(strtoul(argv[1], nullptr, 10));
  uint64_t state = 1;
  for (uint64_t& each : numbers) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    each = state;
  }
  __gnu_parallel::sort(numbers.begin(), numbers.end(), __gnu_parallel::multiway_mergesort_tag());
  uint64_t hash = 0;
  for (uint64_t each : numbers) hash = (hash ^ each) * 1099511628211U;
  printf("%d threads, %016lx\n", omp_get_max_threads(), hash);
  return 0;
}
