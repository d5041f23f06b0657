/*
 * careful.pml: a record that ends the program, and how it is found (consumer/careful.c, admission.c, dedupe/scripts/hold.lua).
 *
 * One partition, one process after another. Whoever takes it up notes so in Redis, at the offset of its first record, and takes the note back when it
 * goes in order. Found with IN_DOUBT deaths there, it is read ALONE: one record at a time, each with a note of its own that is written before anything
 * of the record is looked at, and deleted when its offset goes. A record in whose note the deaths weigh CONDEMNED becomes a dead letter unparsed. Else it
 * is read FREELY, WINDOW records at a time, handled in any order. A death within a second of something new weighs FRESH, a later one STALE.
 *
 * Checked: NO INNOCENT: with fewer than three other deaths only what ends the program is condemned. FEW CRASHES: not more than five for each record that
 * ends it, one more for each start that committed something before it crashed, and for each time that reading alone ended too early; two for each other
 * death or departure, and each time that Redis was not asked. ALL DONE: the partition is read to its end at last.
 *
 * Budgets: KILLS (SIGKILL, at any step), LEAVES (SIGTERM, rebalance), IMPATIENT (reading alone ends because its time is over: it lasts twice as long with
 * each further death, so that this does not happen again and again), AWAY (Redis does not answer when the partition is taken up).
 *
 * Left out: several partitions (they are read alone in turn, one record in the whole process), zombies (their notes are their own), the TTL of the notes.
 *
 * Mutations: M_NOTE_LATE (the record is looked at before its note is written), M_BLAME_ALL (whatever was in hand is blamed, not what was alone),
 * M_KEEP_NOTES (a holder that goes in order leaves its notes), M_NEVER_ALONE (nobody looks who died).
 */
#ifndef RECORDS
#define RECORDS 4
#endif
#ifndef POISON
#define POISON 2
#endif
#ifndef POISON_TOO
#define POISON_TOO POISON
#endif
#ifndef WINDOW
#define WINDOW 2
#endif
#ifndef KILLS
#define KILLS 0
#endif
#ifndef LEAVES
#define LEAVES 0
#endif
#ifndef IMPATIENT
#define IMPATIENT 0
#endif
#ifndef AWAY
#define AWAY 0
#endif

#define IN_DOUBT 2
#define FRESH 4
#define STALE 1
#define CONDEMNED 12
#define ENDS_IT(o) ((o) == POISON || (o) == POISON_TOO)
#define POISONS (POISON == POISON_TOO -> 1 : 2)

#define UNREAD 0
#define OPEN 1
#define FINISHED 2

byte state[RECORDS];
byte committed = 0;
byte from = 0, deaths = 0; bool noted = false;   /* the partition's note */
byte weight[RECORDS];                           /* of those who died with the record alone */
byte crashes = 0, moved = 0, kills = 0, leaves = 0, impatient = 0, aways = 0;
bool innocent = false;                          /* one was condemned */

#define FEW (5 * POISONS + moved + impatient + 2 * (kills + leaves + aways))

/* hold.lua for the partition: the note stands, and says how many died at it. */
inline take_up() {
  if
  :: noted && (from == committed || (deaths >= IN_DOUBT && from <= committed)) -> skip
  :: else -> from = committed; deaths = 0; noted = true
  fi
}

inline start_over() {
  o = 0;
  do :: o < RECORDS -> if :: o >= committed -> state[o] = UNREAD :: else fi; o++ :: else -> break od;
  o = 0
}

inline die() {                                  /* nobody gives the notes back */
  if :: noted && mine -> deaths++ :: else fi;
#ifdef M_BLAME_ALL
  o = 0;
  do :: o < RECORDS -> if :: state[o] == OPEN -> weight[o] = weight[o] + FRESH :: else fi; o++ :: else -> break od;
  o = 0;
#else
  if
  :: alone && held && fresh -> weight[k] = weight[k] + FRESH
  :: alone && held && !fresh -> weight[k] = weight[k] + STALE
  :: else
  fi;
#endif
  start_over(); held = false; mine = false; k = 0; fresh = false
}

inline crash() { crashes++; if :: committed > began -> moved++ :: else fi; assert(crashes <= FEW); die() }

inline finish(offset) {
  state[offset] = FINISHED; weight[offset] = 0;
  do :: committed < RECORDS && state[committed] == FINISHED -> committed++ :: else -> break od
}

#if RECORDS > 4
#error "ANY looks at four records"
#endif
#define ANY(s) if :: state[0] == s -> k = 0 :: state[1] == s -> k = 1 :: state[2] == s -> k = 2 :: state[3] == s -> k = 3 fi

#define KILLED :: kills < KILLS -> kills++; die(); goto up
#ifdef M_KEEP_NOTES
#define LEFT :: leaves < LEAVES -> leaves++; die(); goto up
#else
#define LEFT :: leaves < LEAVES -> leaves++; start_over(); held = false; mine = false; k = 0; fresh = false; if :: deaths == 0 -> noted = false :: else fi; goto up
#endif

active proctype Process() {
  byte o, k, next, began;
  bool alone, held, mine, fresh;
up:
  atomic {
    alone = false;
    if
    :: committed == RECORDS -> goto done
    :: committed < RECORDS -> take_up(); mine = true; alone = deaths >= IN_DOUBT
    :: committed < RECORDS && aways < AWAY -> aways++
    fi;
#ifdef M_NEVER_ALONE
    alone = false;
#endif
    next = committed; began = committed
  }
  if :: alone -> goto reading_alone :: else fi;
reading:                                        /* freely: reads ahead, handles in any order */
  atomic {
    if
    KILLED
    LEFT
    :: next < RECORDS && next < committed + WINDOW -> state[next] = OPEN; next++
    :: ANY(OPEN);
       if :: ENDS_IT(k) -> crash(); goto up :: else -> finish(k); k = 0 fi
    :: committed == RECORDS -> goto done
    fi;
    goto reading
  }
reading_alone:
  atomic {
    if
    KILLED
    LEFT
    :: impatient < IMPATIENT -> impatient++; alone = false; goto reading
    :: next == RECORDS -> goto done             /* the end of the partition */
    :: next < RECORDS -> k = next; state[k] = OPEN; next++
    fi
  }
#ifdef M_NOTE_LATE
  atomic { if :: ENDS_IT(k) -> crash(); goto up :: else fi }
#endif
  atomic {                                      /* its note */
    if
    KILLED
    LEFT
    :: held = true; fresh = true;
       if
       :: weight[k] >= CONDEMNED -> innocent = !ENDS_IT(k); assert(!innocent); finish(k); held = false; k = 0; goto reading_alone
       :: else
       fi
    fi
  }
handling:
  atomic {
    if
    KILLED
    LEFT
    :: fresh && !ENDS_IT(k) -> fresh = false; goto handling    /* it waits for its receiver */
    :: ENDS_IT(k) -> crash(); goto up
    :: !ENDS_IT(k) -> finish(k); held = false; fresh = false; k = 0; goto reading_alone
    fi
  }
done:
  skip
}
