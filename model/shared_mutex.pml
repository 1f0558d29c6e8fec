/* The lock for many readers or one writer (runtime/include/ramie/shared_mutex.h), for spin.
 *
 * Writers and readers take the lock some times, and then leave.  With TIMED=n, n waits may end by
 * their deadline, at any moment; who has no lock then leaves at once.  When nothing happens any more,
 * all must have left.
 *
 * Each step between two semicolons is one atomic operation of the code, which has patience for more
 * lost turns.  Who is woken of the writers, of which there are two at most, is a choice.
 *
 * The mutation, which must be found:
 *   ONE_LOOK  an unlock that has found no writer, and then the word changed, leaves the rest to others
 */

#ifndef WRITERS
#define WRITERS 2
#endif
#ifndef READERS
#define READERS 1
#endif
#ifndef TURNS
#define TURNS 1
#endif
#ifndef PATIENCE
#define PATIENCE 1
#endif
#ifndef TIMED
#define TIMED 0
#endif

#define USERS (WRITERS + READERS)

/* The word: at most six readers. */
#define holders 7
#define written 7
#define urgent 8
#define readers 16
#define writers 32

byte word, turn;
bool parked[USERS];  /* the first ones are the writers, on the turn; readers are on the word */
byte writers_inside, readers_inside, gone;
byte time_outs = TIMED;

#define is_writer (me < WRITERS)
#define is_next (lost >= PATIENCE)
#define is_parked_writer(which) (which < WRITERS && parked[which])

/* Whether that has succeeded is in `found`. */
inline try_lock() {
  atomic {
    found = false;
    if
    :: is_writer && (word & (holders | urgent)) == 0 -> word = word | written; found = true
    :: !is_writer && (word & (readers | writers | urgent)) == 0 && (word & holders) < written - 1 ->
       word++; found = true
    :: else
    fi
  }
}

inline wake_all(first, end_of) {
  d_step {
    i = first;
    do :: i < end_of -> parked[i] = false; i++ :: else -> break od;
    i = 0
  }
}

/* The turn changes first, as another step. */
inline wake_one_writer() {
  atomic {
    found = false;
    if
    :: is_parked_writer(0) -> parked[0] = false; found = true
    :: is_parked_writer(1) -> parked[1] = false; found = true
    :: !is_parked_writer(0) && !is_parked_writer(1)
    fi
  }
}

proctype user(byte me) {
  byte seen, expected, announced, others, cleared, i;
  byte left = TURNS;
  byte lost;
  bool found, none_parked;

next:
  atomic {
    seen = 0; expected = 0; announced = 0; others = 0; cleared = 0;
    lost = 0; found = false; none_parked = false
  };
  if :: left == 0 -> goto end :: else -> left-- fi;

  try_lock();
  if :: found -> goto inside :: else fi;

  seen = word;
look:
  if
  :: is_writer && (seen & holders) == 0 && (lost > 0 || (seen & urgent) == 0) ->
     atomic {
       if
       :: word == seen -> word = (seen & ~urgent) | written | others; goto inside
       :: else -> seen = word; goto look
       fi
     }
  :: !is_writer && (seen & holders) < written - 1 &&
     (is_next || (seen & (readers | writers | urgent)) == 0) ->
     atomic {
       if
       :: word == seen -> word = (is_next -> seen & ~urgent : seen) + 1; goto inside
       :: else -> seen = word; goto look
       fi
     }
  :: else
  fi;

  announced = (is_writer -> writers : readers) | ((is_next && (seen & holders) != 0) -> urgent : 0);
  if
  :: (seen & announced) != announced ->
     atomic {
       if
       :: word == seen -> word = seen | announced; seen = word
       :: else -> seen = word; goto look
       fi
     }
  :: else
  fi;

  if
  :: is_writer ->
     others = writers;
     expected = turn;
     seen = word;
     if
     :: ((seen & holders) == 0 && (lost > 0 || (seen & urgent) == 0)) || (seen & writers) == 0 -> goto look
     :: else
     fi;
     atomic { if :: turn == expected -> parked[me] = true :: else fi }
  :: else ->
     atomic { if :: word == seen -> parked[me] = true :: else fi }
  fi;
  if
  :: !parked[me]
  :: atomic { parked[me] && time_outs > 0 -> parked[me] = false; time_outs--; goto give_up }
  fi;
  if :: lost < PATIENCE -> lost++ :: else fi;
  seen = word;
  goto look;

inside:
  if
  :: is_writer -> atomic { assert(writers_inside == 0 && readers_inside == 0); writers_inside++ }
  :: else -> atomic { assert(writers_inside == 0); readers_inside++ }
  fi;
  if
  :: is_writer -> atomic { writers_inside--; word = word - written; seen = word }
  :: else -> atomic { readers_inside--; word = word - 1; seen = word }
  fi;

wake:
  none_parked = false;
again:
  if :: (seen & holders) != 0 || (seen & (readers | writers)) == 0 -> goto next :: else fi;
  cleared = ((seen & readers) != 0 && ((seen & writers) == 0 || none_parked) -> readers : writers);
  atomic {
    if
    :: word == seen -> word = seen & ~cleared
    :: else -> seen = word; goto changed
    fi
  };
  if
  :: cleared == readers -> wake_all(WRITERS, USERS)
  :: else ->
     turn++;
     wake_one_writer();
     if
     :: !found && (seen & readers) != 0 ->
        none_parked = true;
        seen = seen & ~writers;
        goto again
     :: else
     fi
  fi;
  goto next;
changed:
#ifdef ONE_LOOK
  if :: none_parked -> goto next :: else fi;
#endif
  goto again;

give_up:
  try_lock();
  word = word & ~(readers | writers | urgent);
  turn++;
  wake_all(0, WRITERS);
  wake_all(WRITERS, USERS);
  if :: found -> goto inside :: else fi;
end:
  gone++
}

init {
  atomic {
    byte i = 0;
    do :: i < USERS -> run user(i); i++ :: else -> break od
  };
  timeout;
  assert(gone == USERS)
}
