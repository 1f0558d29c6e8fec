/* How carriers sleep and are woken (docs/wakeup.md, runtime/core/crew.cc, scheduler.cc), for spin.
 *
 * Two carriers, and with STUCK a third.  The first is the program's own thread: fibers may be pinned
 * to it, and it never stands by.  With STUCK the second runs a fiber that switches only when another one has run, so it is stuck;
 * the watchdog notices that at some moment, and later that it has switched.  The third stands by.
 * Kernel threads that are no carriers make fibers ready: for anybody, where one may make another
 * one ready when it runs, or pinned to the first carrier.
 *
 * Each step between two semicolons is one atomic operation of the code, in the order of the code;
 * all are sequentially consistent there.  The poller is left out: who sleeps in it is woken as one
 * in the futex is, by another call.  A carrier that misses a hint which the code reads without a
 * fence (offer_work) is a choice.
 *
 * Mutations, which must be found:
 *   NO_RECHECK     a carrier sleeps without a last look at the queues
 *   NO_FENCE       that look is made before the others can see that it sleeps
 *   NO_SECOND_CALL a caller that has found nobody doesn't look whether somebody relied on it
 */

#define CARRIERS 3

/* How much there is to do: the fibers for anybody that other threads make ready, how many of those
 * make another one ready, and the pinned ones. */
#ifndef THREADS
#define THREADS 2
#endif
#ifndef SPAWNERS
#define SPAWNERS 0
#endif
#ifndef PINNED
#define PINNED 0
#endif

mtype = { awake, summoned, in_futex, standing_by };

mtype sleeping[CARRIERS];
byte idle, searching, taking_part, limit;
byte shared;           /* fibers in the shared queue */
byte ready[CARRIERS];  /* fibers in the carriers' own queues */
byte inbox;            /* of the first carrier */
byte spawners;         /* of the fibers to come, those that make another one ready */
byte done, pinned_done;
bool is_stuck;

#define everything_done (done == THREADS + SPAWNERS && pinned_done == PINNED)
#define nothing_ready (shared == 0 && ready[0] == 0 && ready[1] == 0 && ready[2] == 0)

#define somebody_sleeps \
  (sleeping[0] == in_futex || sleeping[1] == in_futex || sleeping[2] == in_futex)

/* The first carrier that sleeps so, if there is one, by one compare-exchange each. */
inline summon(how, found) {
  found = false;
  i = 0;
  do
  :: i < CARRIERS && !found ->
     atomic {
       if
       :: sleeping[i] == how -> sleeping[i] = summoned; found = true
       :: else -> i++
       fi
     }
  :: else -> break
  od
}

inline call_help() {
  do
  :: true ->
     got = false;
     atomic { if :: searching == 0 -> searching = 1; got = true :: else fi };
     if
     :: !got -> break  /* who searches looks once more after it has given up */
     :: else
     fi;
     got = false;
     if
     :: idle > 0 -> summon(in_futex, got)
     :: else
     fi;
     if
     :: !got ->
        atomic { if :: taking_part < limit -> taking_part++; got = true :: else fi };
        if
        :: got ->
           summon(standing_by, got);
           if :: !got -> taking_part-- :: else fi
        :: else
        fi
     :: else
     fi;
     if
     :: got -> break
     :: else
     fi;
     searching--;
#ifdef NO_SECOND_CALL
     break
#else
     if
     :: idle > 0 && !nothing_ready && somebody_sleeps -> skip
     :: else -> break
     fi
#endif
  od
}

inline end_search(success) {
  if
  :: searches ->
     searches = false;
     searching--;
     if
     :: success && (ready[me] > 0 || shared > 0) -> call_help()
     :: else
     fi
  :: else
  fi
}

/* Runs a fiber that was taken from a queue. */
inline run_fiber() {
  atomic {
    is_spawner = false;
    if :: spawners > 0 -> spawners--; is_spawner = true :: else fi
  };
#if SPAWNERS > 0
  if
  :: is_spawner ->
     ready[me]++;
     if :: call_help() :: skip fi  /* offer_work() */
  :: else
  fi;
#endif
  done++
}

inline sleep() {
#ifdef NO_FENCE
  looks_empty = nothing_ready && (me != 0 || inbox == 0);
#endif
  sleeping[me] = in_futex;
  idle++;
  end_search(false);
#ifdef NO_RECHECK
  looks_empty = true;
#else
#ifndef NO_FENCE
  looks_empty = (me != 0 || inbox == 0);
  if :: looks_empty -> looks_empty = (shared == 0) :: else fi;
#if SPAWNERS > 0
  i = 0;
  do
  :: i < CARRIERS && looks_empty -> looks_empty = (ready[i] == 0); i++
  :: else -> break
  od;
#endif
#endif
#endif
  if
  :: looks_empty -> (sleeping[me] != in_futex)
  :: else
  fi;
  idle--;
  atomic { searches = (sleeping[me] == summoned); sleeping[me] = awake }
}

inline stand_by() {
  end_search(false);
  got = false;
  atomic { if :: taking_part > limit -> taking_part--; got = true :: else fi };
  if
  :: got ->
     sleeping[me] = standing_by;
#if SPAWNERS > 0
     atomic { shared = shared + ready[me]; ready[me] = 0 };
#endif
     if :: shared > 0 -> call_help() :: else fi;
     (sleeping[me] != standing_by);
     atomic { searches = (sleeping[me] == summoned); sleeping[me] = awake }
  :: else
  fi
}

proctype carrier(byte me; bool begins_stuck; bool begins_in_reserve) {
  byte i;
  bool got, searches, is_spawner, looks_empty, found;

  if
  :: begins_stuck -> is_stuck = true; (done > 0); is_stuck = false
  :: begins_in_reserve ->
     (sleeping[me] != standing_by);
     atomic { searches = (sleeping[me] == summoned); sleeping[me] = awake }
  :: else
  fi;
  do
  :: everything_done -> break  /* nothing can be lost any more */
  :: else ->
     if
     :: me == 0 && inbox > 0 -> inbox--; pinned_done++
     :: else
     fi;
     if
     :: me != 0 && taking_part > limit -> stand_by()
     :: else ->
        /* Its own queue, the shared one, another one's: each is taken from at one moment. */
        atomic {
          found = false;
          i = 0;
          if
          :: ready[me] > 0 -> ready[me]--; found = true
          :: else -> if :: shared > 0 -> shared--; found = true :: else fi
          fi
        };
#if SPAWNERS > 0
        do
        :: i < CARRIERS && !found ->
           atomic { if :: ready[i] > 0 -> ready[i]--; found = true :: else -> i++ fi }
        :: else -> break
        od;
#endif
        if
        :: found -> end_search(true); run_fiber()
        :: else -> sleep()
        fi
     fi
  od
}

proctype other_thread() {
  byte i;
  bool got;
  shared++;
  call_help()
}

/* make_ready() of a pinned fiber, and wake(). */
proctype thread_that_pins() {
  inbox++;
  atomic { if :: sleeping[0] == in_futex -> sleeping[0] = awake :: else fi }
}

/* A carrier is stuck: one more may take part; and one less when it has switched again. */
proctype watchdog() {
  byte i;
  bool got;
  (is_stuck);
  limit++;
  call_help();
  (!is_stuck);
  limit--
}

/* When nobody can do anything any more, nothing is left to do. */
active proctype judge() {
  timeout;
  assert(everything_done)
}

init {
  atomic {
    sleeping[0] = awake;
    sleeping[1] = awake;
    sleeping[2] = standing_by;
    taking_part = 2;
    limit = 2;
    spawners = SPAWNERS;
    run carrier(0, false, false);
#ifdef STUCK
    run carrier(1, true, false);
    run carrier(2, false, true);
    run watchdog();
#else
    run carrier(1, false, false);
#endif
    run other_thread();
#if THREADS > 1
    run other_thread();
#endif
#if PINNED > 0
    run thread_that_pins();
#endif
  }
}

#ifdef LIVENESS
ltl no_wake_up_is_lost { <> everything_done }
#endif
