/* Ramie for C: fibers, and what a program can ask about the shim.
 *
 *     static void work(void* argument) { ramie_sleep(1000000); puts(argument); }
 *
 *     ramie_fiber* one = ramie_spawn(work, "hello");
 *     ramie_join(one);
 *
 * A fiber runs on the kernel thread that spawned it, whenever that thread waits in a function of
 * Ramie, unless ramie_use_carriers says otherwise.  Times are nanoseconds, negative ones mean for
 * ever.  No function here is ended by cancellation; fibers that C++ spawned may call them as well.
 */
#ifndef RAMIE_H
#define RAMIE_H

#include <ramie/export.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The handle of a fiber: given back by ramie_join or ramie_detach, once. */
typedef struct ramie_fiber ramie_fiber;

/* Runs function(argument) as a fiber, which starts when the caller next waits.  NULL with errno
 * EAGAIN if there is no memory for its stack.  Never switches. */
RAMIE_API ramie_fiber* ramie_spawn(void (*function)(void* argument), void* argument);
/* The same with a name (or NULL) and the size of the stack in bytes (0 is RAMIE_STACK_SIZE). */
RAMIE_API ramie_fiber* ramie_spawn_named(const char* name, size_t stack_size,
                                         void (*function)(void* argument), void* argument);

/* Waits until the fiber has ended, and gives the handle back: 0.  EDEADLK, and nothing is given
 * back, from the fiber itself.  Switches fibers. */
RAMIE_API int ramie_join(ramie_fiber* fiber);
/* The same with a limit: ETIMEDOUT, and nothing is given back, if that passed first. */
RAMIE_API int ramie_join_for(ramie_fiber* fiber, int64_t nanoseconds);
/* Lets the fiber run on by itself. */
RAMIE_API void ramie_detach(ramie_fiber* fiber);

/* A number that is never used twice. */
RAMIE_API uint64_t ramie_id(const ramie_fiber* fiber);
/* That of the running fiber, or 0. */
RAMIE_API uint64_t ramie_self(void);

/* From now on fibers begin on any of `count` kernel threads of Ramie's: 0 for as many as
 * RAMIE_CARRIERS says, or as there are processors.  How many there are; see <ramie/carriers.h>.
 * Never switches. */
RAMIE_API unsigned ramie_use_carriers(unsigned count);

/* Lets the other ready fibers of this thread run first. */
RAMIE_API void ramie_yield(void);
/* Sleeps, and not less.  Switches fibers. */
RAMIE_API void ramie_sleep(int64_t nanoseconds);

/* What to wait for: a read, or a write, would not block. */
enum { RAMIE_READABLE = 1, RAMIE_WRITABLE = 2 };

/* Waits until the descriptor is ready for one of `events`: those for which it is; 0 at the limit;
 * -1 with errno, EBADF above all.  Level-triggered, as poll(2) is.  Switches fibers. */
RAMIE_API int ramie_wait_fd(int fd, int events, int64_t nanoseconds);
/* Before a descriptor that ramie_wait_fd has seen is closed or replaced. */
RAMIE_API void ramie_notify_close(int fd);

/* "major.minor.patch" of the library in use. */
RAMIE_API const char* ramie_version(void);

/* Any function; to be cast to its own type. */
typedef void (*ramie_function)(void); /* NOLINT(modernize-redundant-void-arg): this is C */

/* libc's own function of that name (or whoever's stands behind the shim): what it would be without
 * the shim.  NULL if there is none. */
RAMIE_API ramie_function ramie_original(const char* name);
/* 1 if calls by that name go to the shim, else 0: always where it isn't loaded.  (System calls that
 * libc makes inside itself are another matter, see docs/architecture.md.) */
RAMIE_API int ramie_is_patched(const char* name);

#ifdef __cplusplus
}
#endif

#endif
