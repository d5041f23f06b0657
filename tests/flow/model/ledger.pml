/*
 * ledger.pml: one partition with several events, its ledger and its commits (consumer/ledger.c, consumer/intake.c).
 *
 * The owner reads ascending offsets and opens each, at most WINDOW from the oldest open one to the newest. Deliveries end in any order: a handled
 * one closes its offset, one that was dropped unsent does not. The offset to commit is the oldest open one, or, when none is open, the position:
 * one past the newest offset read, or the end of the partition. It is stored, and committed some time later. Offset GAP was compacted away, and
 * the last one is a transaction marker: neither is ever read, both count as finished. When the partition is taken away, what is unsent is dropped,
 * finished offsets are committed at once, unless the assignment was lost, and the next owner starts from what is committed, as after a crash.
 *
 * Checked: NO LOSS: a commit never covers an event without a next home. ALL DONE: when nothing is left to do, everything is committed.
 *
 * Left out: what a delivery does (delivery.pml): here it finds a next home (a 2xx or an acknowledged record), settles, and is over. A second worker:
 * a partition has one owner, commits of an earlier one are refused by the broker, and its POSTs under way only find homes earlier than they must.
 *
 * Mutations: M_COMMIT_LARGEST (the largest finished offset), M_COMMIT_POSITION (whatever was read), M_DROP_CLOSES (a dropped delivery closes its
 * offset), M_END_CLOSES (the end of the partition finishes what is open, too), M_GAP_BLOCKS (a gap is waited for).
 */
#ifndef OFFSETS
#define OFFSETS 5
#endif
#ifndef GAP
#define GAP 2
#endif
#ifndef WINDOW
#define WINDOW 3
#endif
#ifndef CRASH
#define CRASH 2
#endif
#ifndef REVOKE
#define REVOKE 2
#endif

#define IS_EVENT(o) ((o) != GAP && (o) != OFFSETS - 1)

#define FINISHED 0                        /* closed, or never opened */
#define OPEN 1                            /* nothing was sent, or it failed */
#define HOMED 2                           /* it has its next home, and settles */

byte state[OFFSETS];
byte position = 0;                        /* one past the newest offset seen */
byte oldest = 0, span = 0;                /* the oldest open offset, if there is one; entries from there to the newest, 0: none is open */
byte largest = 0;                         /* one past the largest finished offset */
byte stored = 0, committed = 0;
bool homed[OFFSETS];
byte crashes = 0, revokes = 0;

#if defined(M_COMMIT_LARGEST)
#define COMMITTABLE (span == 0 -> position : largest)
#elif defined(M_COMMIT_POSITION)
#define COMMITTABLE position
#else
#define COMMITTABLE (span == 0 -> position : oldest)
#endif

inline open_offset(offset) {
  state[offset] = OPEN; position = offset + 1;
  if :: span == 0 -> oldest = offset :: else fi;
  span++
}

inline close_offset(offset) {             /* and shorten the ledger to start at the oldest open entry */
  state[offset] = FINISHED;
  if :: largest < offset + 1 -> largest = offset + 1 :: else fi;
  do
#ifdef M_GAP_BLOCKS
  :: span > 0 && state[oldest] == FINISHED && oldest != GAP -> oldest++; span--
#else
  :: span > 0 && state[oldest] == FINISHED -> if :: IS_EVENT(oldest) -> span-- :: else fi; oldest++
#endif
  :: else -> break
  od;
  if :: span == 0 -> oldest = 0 :: else fi
}

inline commit(offset) {
  if :: offset > committed -> committed = offset :: else fi;
  o = 0;
  do
  :: o < committed -> assert(!IS_EVENT(o) || homed[o]); o++       /* NO LOSS */
  :: else -> break
  od;
  o = 0
}

inline forget_open() {
  o = 0;
  do :: o < OFFSETS -> state[o] = FINISHED; o++ :: else -> break od;
  o = 0; oldest = 0; span = 0
}

inline start_from_committed() { forget_open(); largest = 0; position = committed; stored = committed }

inline drop_unsent() {                    /* their offsets stay open */
#ifdef M_DROP_CLOSES
  do :: o < OFFSETS && state[o] == OPEN -> close_offset(o); o++ :: o < OFFSETS && state[o] != OPEN -> o++ :: else -> break od;
  o = 0
#else
  skip
#endif
}

#if OFFSETS > 7
#error "ANY looks at six offsets"
#elif OFFSETS > 5
#define MORE(s) :: state[4] == s -> k = 4 :: state[OFFSETS - 2] == s -> k = OFFSETS - 2
#else
#define MORE(s)
#endif
#define ANY(s) if :: state[0] == s -> k = 0 :: state[1] == s -> k = 1 :: state[2] == s -> k = 2 :: state[3] == s -> k = 3 MORE(s) fi
#define NEXT (position == GAP -> position + 1 : position)

active proctype Owner() {
  byte o, k;
  do
  :: atomic { IS_EVENT(NEXT) && NEXT < OFFSETS && span < WINDOW -> k = NEXT; open_offset(k); k = 0 }
  :: atomic {                                                     /* the end of the partition, behind the marker */
       position < OFFSETS && NEXT == OFFSETS - 1 ->
       position = OFFSETS;
#ifdef M_END_CLOSES
       forget_open()
#endif
     }
  :: atomic { ANY(OPEN); homed[k] = true; state[k] = HOMED; k = 0 }
  :: atomic { ANY(HOMED); close_offset(k); k = 0 }
  :: atomic { stored < COMMITTABLE -> stored = COMMITTABLE }
  :: atomic { stored > committed -> commit(stored) }
  :: atomic { crashes < CRASH -> crashes++; start_from_committed() }
  :: atomic { revokes < REVOKE -> revokes++; start_from_committed() }                   /* the assignment was lost */
  :: atomic { revokes < REVOKE -> revokes++; drop_unsent(); k = COMMITTABLE; commit(k); k = 0; start_from_committed() }
  :: atomic { committed == OFFSETS -> break }                     /* ALL DONE; where this is never reached, spin finds an invalid end state */
  od
}
