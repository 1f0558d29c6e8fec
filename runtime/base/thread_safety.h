// Clang's thread-safety annotations (https://clang.llvm.org/docs/ThreadSafetyAnalysis.html): they
// say which lock guards what, and the clang build checks it.  gcc sees nothing.
#pragma once

#if defined(__clang__)
#define RAMIE_TSA(x) __attribute__((x))
#else
#define RAMIE_TSA(x)
#endif

#define RAMIE_CAPABILITY(name) RAMIE_TSA(capability(name))
#define RAMIE_SCOPED_CAPABILITY RAMIE_TSA(scoped_lockable)
#define RAMIE_GUARDED_BY(lock) RAMIE_TSA(guarded_by(lock))
#define RAMIE_REQUIRES(...) RAMIE_TSA(requires_capability(__VA_ARGS__))
#define RAMIE_ACQUIRE(...) RAMIE_TSA(acquire_capability(__VA_ARGS__))
#define RAMIE_TRY_ACQUIRE(...) RAMIE_TSA(try_acquire_capability(__VA_ARGS__))
#define RAMIE_RELEASE(...) RAMIE_TSA(release_capability(__VA_ARGS__))
#define RAMIE_EXCLUDES(...) RAMIE_TSA(locks_excluded(__VA_ARGS__))
#define RAMIE_NO_THREAD_SAFETY_ANALYSIS RAMIE_TSA(no_thread_safety_analysis)
