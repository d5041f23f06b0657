/*
 * delivery.pml: the life of one task's events, from the record in Kafka to the next home (DESIGN §5, delivery/delivery.c).
 *
 *   read -> claim (Redis, lease) -> POST -> 2xx -------------------------------------> settle D ----> offset
 *                                        -> not 2xx -> fail F(n) -> retry or letter -> settle S, X -> offset
 *                                -> no room: record for the same attempt, acked -----> defer -------> offset
 *
 * Checked: NO LOSS: when nothing is left to do, every event had a 2xx or lies in the dead-letter topic, in its newest replay epoch. FEW DOUBLES:
 * posts <= attempts + crashes + leases ended early + times Redis was away (+ a term for rollbacks). ONE FATE (with VERDICTS): a retry record and a
 * dead letter are never both published for one attempt, unless Redis forgot (rollback) or could not be asked. -DLIVE: everything settles at last.
 *
 * Two Worker processes are two delivery objects. Whether they live in one program or in two, they differ only in their tokens: each object has
 * its own. Programs that crash with both are two crashes, one right after the other.
 *
 * Budgets of faults and what else may happen, each a -D flag:
 *   A         attempts of the schedule
 *   CRASH     crashes, at any step and in mid-POST
 *   EARLY     leases that end while their owner still works (frozen, or slow)
 *   REVOKE    partitions taken from a live worker, which goes on as a zombie, or drops what is unsent
 *   ROLL      Redis goes back to an earlier state, or to nothing (failover, eviction, TTL)
 *   AMBIG     produces that are reported failed, durable or not, and repeated
 *   DUP       the same event is published once more
 *   DEFER     deferrals
 *   AWAY      times Redis is given up at some step (JOBHOOK_REDIS_DOWN=deliver, or 5 s after a POST): whether it carried the call out is unknown
 *   VERDICTS  1: attempts may also end for good (a final status), and events may die without a POST; else only the last attempt ends for good
 *   SHORTER   1: delivery object 1 has a schedule one attempt shorter (a rolling change of JOBHOOK_RETRY_DELAYS)
 *   EVENTS    2: a second, different event under the same id
 *   REPLAY    dead letters replayed, each letter once, as `dlq replay` does; RESEND: input records resent, at any time
 *
 * Left out: time (a lease ends whenever it may), several events of one partition (ledger.pml), events with nothing to send (they have no POST to
 * lose, and wait for Redis), malformed events (they go straight to a letter), careful mode (careful.pml), and libcurl's own resend.
 *
 * Mutations, each of which must be caught: -DM_... here and in record.pml; run.sh has the list.
 */
#ifndef A
#define A 2
#endif
#ifndef CRASH
#define CRASH 1
#endif
#ifndef EARLY
#define EARLY 0
#endif
#ifndef REVOKE
#define REVOKE 0
#endif
#ifndef ROLL
#define ROLL 0
#endif
#ifndef AMBIG
#define AMBIG 0
#endif
#ifndef DUP
#define DUP 0
#endif
#ifndef DEFER
#define DEFER 0
#endif
#ifndef AWAY
#define AWAY 0
#endif
#ifndef VERDICTS
#define VERDICTS 0
#endif
#ifndef SHORTER
#define SHORTER 0
#endif
#ifndef EVENTS
#define EVENTS 1
#endif
#ifndef REPLAY
#define REPLAY 0
#endif
#ifndef RESEND
#define RESEND 0
#endif

#include "record.pml"

#define SLOTS 6                              /* records in Kafka that are not finished, at most; asserted */
#define EPOCHS (1 + REPLAY + RESEND)

/* What follows a failed attempt. UNWRITTEN: a letter without a record in Redis (task_id_conflict). */
#define RETRY 0
#define DEAD 1
#define UNWRITTEN 2

#define FREE 0
#define AVAIL 1
#define HELD 2
byte at[SLOTS]; byte at_attempt[SLOTS]; byte at_deferral[SLOTS]; byte at_epoch[SLOTS]; byte at_event[SLOTS];
byte at_holder[SLOTS];                       /* worker + 1; 0 nobody, or somebody who lost the partition */
bool no_slot_left = false;

short old_rank = 0; byte old_deferral = 0, old_follows = 0, old_digest = 0, old_token = 0; bool old_running = false;

byte live[2];                                /* the token of the delivery object at work; 0: none */
byte crashes = 0, early = 0, revokes = 0, rolls = 0, ambiguous = 0, defers = 0, aways = 0, replays = 0, resends = 0;
byte posts = 0;
bool homed[EVENTS * EPOCHS];                 /* a 2xx, or a dead letter */
bool letter[EVENTS * EPOCHS];
byte newest[EVENTS];                         /* epoch */
#if VERDICTS
byte published[EVENTS * EPOCHS * A];         /* per attempt: 1 a retry record, 2 a dead letter */
#define PUBLISHED published[((g - 1) * EPOCHS + e) * A + n - 1]
#endif

#define FATE(g, e) ((g - 1) * EPOCHS + (e))
#ifdef M_SAME_EPOCH
#define IN(e) 0                              /* wrong: replays use the letter's epoch again */
#else
#define IN(e) (e)
#endif

/* After a rollback every copy that still lies in Kafka may make attempts again: one each, as long as there are two attempts in all; with more of
 * them (a longer schedule, replays) a lower one can be revived next to a higher one, and go all the way again. */
#ifndef BOUND
#define COPIES (1 + DUP + revokes + defers + ambiguous)
#define ATTEMPTS (A * (1 + replays + resends))
#define AGAIN (ATTEMPTS > 2 -> ATTEMPTS - 1 : 1)
#define BOUND (EVENTS * ATTEMPTS + crashes + early + aways + rolls * AGAIN * COPIES)
#endif
#define POSTED posts++; assert(posts <= BOUND)

#define MAYCRASH :: crashes < CRASH -> crashes++; goto crashed
#if REVOKE
#define MAYDROP :: at_holder[i] != w + 1 -> redis_release(tk, g); answer = 0; goto idle   /* revoked, unsent: released and dropped */
#else
#define MAYDROP
#endif

inline put(attempt, number, epoch, event) {
  if
  :: at[0] == FREE -> k = 0 :: else ->
     if
     :: at[1] == FREE -> k = 1 :: else ->
        if
        :: at[2] == FREE -> k = 2 :: else ->
           if
           :: at[3] == FREE -> k = 3 :: else ->
              if
              :: at[4] == FREE -> k = 4 :: else ->
                 if :: at[5] == FREE -> k = 5 :: else -> no_slot_left = true; assert(!no_slot_left) fi
              fi
           fi
        fi
     fi
  fi;
  at[k] = AVAIL; at_attempt[k] = attempt; at_deferral[k] = number; at_epoch[k] = epoch; at_event[k] = event; at_holder[k] = 0; k = 0
}

inline finish_record() {                     /* the offset goes, unless the partition is somebody else's: the broker refuses it */
  if
  :: at[i] == HELD && at_holder[i] == w + 1 ->
     at[i] = FREE; at_attempt[i] = 0; at_deferral[i] = 0; at_epoch[i] = 0; at_event[i] = 0; at_holder[i] = 0
  :: else
  fi
}

inline fresh_token() {                       /* never used before, as far as anybody could tell */
#ifdef M_TOKEN_WORKER
  tk = 1                                     /* wrong: one token for all that a program holds */
#else
  tk = 1;
  do
  :: tk == token || tk == old_token || tk == live[0] || tk == live[1] -> tk++
  :: else -> break
  od
#endif
}

#if SHORTER
#define LAST (w == 1 -> A - 1 : A)
#else
#define LAST A
#endif
#define VERDICT (n < LAST -> RETRY : DEAD)

proctype Worker(byte w) {
  byte i, k, n, d, e, g, tk, next, follows_now, answer;
end_idle:
  atomic {
    if
    :: at[0] == AVAIL -> i = 0 :: at[1] == AVAIL -> i = 1 :: at[2] == AVAIL -> i = 2
    :: at[3] == AVAIL -> i = 3 :: at[4] == AVAIL -> i = 4 :: at[5] == AVAIL -> i = 5
    fi;
    at[i] = HELD; at_holder[i] = w + 1; n = at_attempt[i]; d = at_deferral[i]; e = at_epoch[i]; g = at_event[i];
    fresh_token(); live[w] = tk
  }
claiming:
  atomic {
    if
    MAYCRASH
    MAYDROP
#if AWAY
    :: aways < AWAY -> aways++; goto posting                      /* unclaimed */
    :: aways < AWAY -> aways++; redis_claim(CN(IN(e), n), d, tk, g); answer = 0; follows_now = 0; goto posting
#endif
#ifdef M_DROP_BUSY
    :: true -> redis_claim(CN(IN(e), n), d, tk, g)
#else
    /* BUSY: asked again until it is something else. */
    :: !CLAIM_WAITS(CN(IN(e), n), d, tk, g) -> redis_claim(CN(IN(e), n), d, tk, g)
#endif
    fi;
    if
    :: answer == SKIP || answer == BUSY -> answer = 0; goto released
    :: answer == RESUME ->
       answer = 0; next = follows_now; follows_now = 0;
#ifdef M_RECOMPUTE
       next = VERDICT;                                            /* wrong: what follows is what this worker would say */
#endif
       goto publishing
    :: answer == CONFLICT -> answer = 0; next = UNWRITTEN; goto publishing
    :: answer == GRANT -> answer = 0
    fi
  }
#ifdef M_COMMIT_FIRST
  atomic { finish_record() }
#endif
posting:
  atomic {
    if
    MAYCRASH                                                      /* before any byte was sent */
    MAYDROP
#if DEFER
    :: defers < DEFER -> defers++; goto deferring                 /* no room: put back, no POST */
#endif
#if VERDICTS
    :: next = DEAD; goto failing                                  /* blocked, expired, endpoint down: no POST */
#endif
#ifndef LIVE
    :: goto claiming                                              /* the lease grew short, or the fault was ours: nothing was sent */
#endif
    :: POSTED; homed[FATE(g, e)] = true; goto delivered
    :: POSTED; next = VERDICT                                     /* not a 2xx, or it got lost */
#if VERDICTS
    :: POSTED; next = DEAD                                        /* a final status */
#endif
    :: crashes < CRASH -> crashes++; POSTED; goto crashed
    fi
  }
failing:
  atomic {
    if
    MAYCRASH
#if AWAY
#ifdef M_DROP_AWAY
    :: aways < AWAY -> aways++; goto released                     /* wrong: F(n) is not needed, the next home is */
#else
    :: aways < AWAY -> aways++; answer = OK; follows_now = next
#endif
    :: aways < AWAY && !FAIL_WAITS(CN(IN(e), n), tk, g) -> aways++; redis_fail(CN(IN(e), n), tk, g, next); answer = OK; follows_now = next
#endif
#ifdef M_DROP_LOST
    :: rank == CN(IN(e), n) && token != tk -> goto released       /* wrong: the lease was lost, the duty was not */
#endif
    :: !FAIL_WAITS(CN(IN(e), n), tk, g) -> redis_fail(CN(IN(e), n), tk, g, next)
    fi;
    if
    :: answer == SKIP -> answer = 0; goto released
    :: answer == FOREIGN -> answer = 0
#ifdef M_FAIL_OWN_NEXT
    :: answer == OK -> answer = 0; follows_now = 0                /* wrong: what another copy recorded is what was published */
#else
    :: answer == OK -> answer = 0; next = follows_now; follows_now = 0
#endif
    fi
  }
publishing:
#if SHORTER && !defined(M_RECOMPUTE)
  atomic { if :: next == RETRY && n >= LAST -> next = DEAD :: else fi }   /* no delay for it in this schedule: exhausted */
#endif
#ifdef M_SCHED_FIRST
  atomic { if MAYCRASH :: next == RETRY -> redis_settle(SN(IN(e), n), g); answer = 0 :: next == DEAD -> redis_settle(RX(IN(e)), g); answer = 0 fi }
#endif
  atomic {
    if
    MAYCRASH
    :: next == RETRY ->
       put(n + 1, 0, e, g);
#if VERDICTS
       PUBLISHED = PUBLISHED | 1
#endif
    :: next != RETRY ->
       homed[FATE(g, e)] = true; letter[FATE(g, e)] = true;
#if VERDICTS
       if :: next == DEAD -> PUBLISHED = PUBLISHED | 2 :: else fi
#endif
    :: ambiguous < AMBIG && next == RETRY -> ambiguous++; put(n + 1, 0, e, g); goto publishing   /* stored, but reported failed */
    :: ambiguous < AMBIG -> ambiguous++; goto publishing
    fi;
#if VERDICTS
    assert(rolls > 0 || aways > 0 || EVENTS > 1 || SHORTER || PUBLISHED != 3);                   /* ONE FATE */
#endif
    if :: next == UNWRITTEN -> goto released :: else fi
  }
recording:
  atomic {
    if
    MAYCRASH
#if AWAY
    :: aways < AWAY -> aways++
#endif
    :: next == RETRY -> redis_settle(SN(IN(e), n), g)
    :: next == DEAD -> redis_settle(RX(IN(e)), g)
    fi;
    answer = 0
  }
  goto released;
deferring:
#ifdef M_DEFER_FIRST
  atomic { finish_record() }
#endif
  atomic {
    if
    MAYCRASH
    :: put(n, d + 1, e, g)
    :: ambiguous < AMBIG -> ambiguous++; put(n, d + 1, e, g); goto deferring
    :: ambiguous < AMBIG -> ambiguous++; goto deferring
    fi
  }
  atomic {
    if
    MAYCRASH
#if AWAY
    :: aways < AWAY -> aways++
#endif
#ifdef M_DEFER_SCHED
    :: redis_settle(SN(IN(e), n), g)                              /* wrong: no record for attempt n + 1 exists */
#else
    :: redis_defer(CN(IN(e), n), d + 1, tk, g)
#endif
    fi;
    answer = 0
  }
  goto released;
delivered:
  atomic {
    if
    MAYCRASH
#if AWAY
    :: aways < AWAY -> aways++
#endif
    :: redis_settle(RD(IN(e)), g)
    fi;
    answer = 0
  }
released:
  atomic {
    if
    MAYCRASH                                                      /* settled, but the offset was never committed */
    :: finish_record()
    fi
  }
idle:
  atomic { i = 0; n = 0; d = 0; e = 0; g = 0; tk = 0; next = 0; live[w] = 0; goto end_idle }
crashed:
  atomic {
    if :: at[i] == HELD && at_holder[i] == w + 1 -> at[i] = AVAIL; at_holder[i] = 0 :: else fi;
    i = 0; n = 0; d = 0; e = 0; g = 0; tk = 0; next = 0; live[w] = 0; goto end_idle
  }
}

#define OWNER_LIVES (token != 0 && (token == live[0] || token == live[1]))

proctype Env() {
  byte k, j;
end_env:
  do
  :: atomic { running && !OWNER_LIVES -> running = false; token = 0 }         /* a dead owner's lease ends, sooner or later */
#if EARLY
  :: atomic { running && OWNER_LIVES && early < EARLY -> early++; running = false }
#endif
#if REVOKE
  :: atomic {
       if
       :: revokes < REVOKE && at[0] == HELD -> j = 0 :: revokes < REVOKE && at[1] == HELD -> j = 1
       :: revokes < REVOKE && at[2] == HELD -> j = 2 :: revokes < REVOKE && at[3] == HELD -> j = 3
       :: revokes < REVOKE && at[4] == HELD -> j = 4 :: revokes < REVOKE && at[5] == HELD -> j = 5
       fi;
       revokes++; at[j] = AVAIL; at_holder[j] = 0; j = 0
     }
#endif
#if ROLL
  :: atomic {                                                                 /* a replica has got this far */
       rolls < ROLL && (rank != old_rank || deferral != old_deferral || token != old_token || running != old_running) ->
       old_rank = rank; old_deferral = deferral; old_follows = follows; old_digest = digest; old_token = token; old_running = running
     }
  :: atomic {                                                                 /* and becomes the master; at first it is empty */
       rolls < ROLL && (rank != old_rank || deferral != old_deferral || token != old_token || running != old_running) ->
       rolls++;
       rank = old_rank; deferral = old_deferral; follows = old_follows; digest = old_digest; token = old_token; running = old_running;
       if
       :: rolls == ROLL -> old_rank = 0; old_deferral = 0; old_follows = 0; old_digest = 0; old_token = 0; old_running = false
       :: else
       fi
     }
#endif
#if REPLAY
  :: atomic {
       replays < REPLAY && letter[FATE(1, newest[0])] -> replays++; newest[0]++; put(1, 0, newest[0], 1)
     }
#if EVENTS > 1
  :: atomic {
       replays < REPLAY && letter[FATE(2, newest[1])] -> replays++; newest[1]++; put(1, 0, newest[1], 2)
     }
#endif
#endif
#if RESEND
  :: atomic {                                                                 /* the stored epoch + 1 */
       resends < RESEND ->
       resends++; j = EPOCH_OF(rank) + 1;
       if :: j > newest[0] -> newest[0] = j :: else fi;
       put(1, 0, j, 1); j = 0
     }
#endif
  od
}

#define DONE(s) (at[s] == FREE)
#define quiescent (live[0] == 0 && live[1] == 0 && DONE(0) && DONE(1) && DONE(2) && DONE(3) && DONE(4) && DONE(5))
#if EVENTS > 1
#define SAFE (homed[FATE(1, newest[0])] && homed[FATE(2, newest[1])])
#else
#define SAFE homed[FATE(1, newest[0])]
#endif

init {
  byte k;
  atomic {
    put(1, 0, 0, 1);
#if DUP
    put(1, 0, 0, 1);
#endif
#if EVENTS > 1
    put(1, 0, 0, 2);
#endif
    run Worker(0); run Worker(1); run Env()
  }
}

#ifdef LIVE
ltl settles { <> (quiescent && SAFE) }
#else
active proctype Monitor() {
end_monitor:
  atomic { _nr_pr > 3 && quiescent && !SAFE -> assert(quiescent && SAFE) }   /* NO LOSS */
}
#endif
