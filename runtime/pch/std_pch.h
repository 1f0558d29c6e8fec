#include <algorithm>
#include <atomic>
