/* Who watches for events where there is no watchdog (docs/wakeup.md, runtime/core/scheduler.cc), for
 * spin.
 *
 * Three carriers.  Events and other threads give them fibers, each of which may compute for ever.
 * When nothing happens any more, a carrier that sleeps means that one of them is in the poller.
 *
 * Each step between two semicolons is one atomic operation of the code, all sequentially consistent
 * there.  That a carrier which has fibers may look for events itself is left out: it need not.
 *
 * The mutation, which must be found:
 *   NO_PASSING_ON  a carrier that was called to watch and has something to run calls nobody else
 */

#define CARRIERS 3

#ifndef EVENTS
#define EVENTS 1
#endif
#ifndef THREADS
#define THREADS 1
#endif

mtype = { awake, in_futex, in_poller };

mtype sleeping[CARRIERS];
byte inbox[CARRIERS];
bool polling;

#define is_one_in(how) (sleeping[0] == how || sleeping[1] == how || sleeping[2] == how)

inline hand_over() {
  i = 0;
  do
  :: i < CARRIERS ->
     if
     :: i != me && sleeping[i] == in_futex ->
        /* If another one has woken it meanwhile, it sees to the rest itself. */
        atomic { if :: sleeping[i] == in_futex -> sleeping[i] = awake :: else fi };
        break
     :: else -> i++
     fi
  :: else -> break
  od;
  i = 0
}

inline sleep() {
  atomic { polls = !polling; polling = true };
  if :: polls -> sleeping[me] = in_poller :: else -> sleeping[me] = in_futex fi;
  if
  :: inbox[me] == 0 ->
     if
     :: polls -> (sleeping[me] != in_poller)
     :: else -> if :: polling -> (sleeping[me] != in_futex) :: else fi
     fi
  :: else
  fi;
  sleeping[me] = awake;
  if
  :: polls -> polling = false; hand_over()
  :: else
  fi;
  called = !polls
}

proctype carrier(byte me) {
  byte i;
  bool polls, called;
end:
  do
  :: inbox[me] > 0 ->
     inbox[me]--;
#ifndef NO_PASSING_ON
     if
     :: called -> if :: !polling -> hand_over() :: else fi
     :: else
     fi;
#endif
     called = false;
     if
     :: break  /* the fiber computes for ever */
     :: skip
     fi
  :: inbox[me] == 0 -> sleep()
  od
}

/* For a fiber of whichever carrier is in the poller. */
proctype event() {
end:
  if
  :: atomic { sleeping[0] == in_poller -> inbox[0]++; sleeping[0] = awake }
  :: atomic { sleeping[1] == in_poller -> inbox[1]++; sleeping[1] = awake }
  :: atomic { sleeping[2] == in_poller -> inbox[2]++; sleeping[2] = awake }
  fi
}

/* make_ready() of a fiber of some carrier, and wake(). */
proctype other_thread() {
  byte to;
  if :: to = 0 :: to = 1 :: to = 2 fi;
  inbox[to]++;
  atomic { if :: sleeping[to] != awake -> sleeping[to] = awake :: else fi }
}

active proctype judge() {
  timeout;
  assert(!is_one_in(in_futex) || is_one_in(in_poller))
}

init {
  byte n;
  atomic {
    sleeping[0] = awake;
    sleeping[1] = awake;
    sleeping[2] = awake;
    run carrier(0);
    run carrier(1);
    run carrier(2);
    n = 0;
    do :: n < EVENTS -> run event(); n++ :: else -> break od;
    n = 0;
    do :: n < THREADS -> run other_thread(); n++ :: else -> break od
  }
}
