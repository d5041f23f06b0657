/*
 * record.pml: the record of one task in Redis and the five operations on it, branch by branch as dedupe/scripts/*.lua. Each operation is one
 * atomic step, leaves its result in `answer` (and `follows_now`, where the result carries what follows), and is exact: tests/edge/test_model.py
 * runs table.pml, which prints what every operation does to every small record, and asks the scripts in a real Redis the same.
 *
 * Left out: where the event lies, when the next attempt is due, TTL (an expired record is a rollback to nothing), records that cannot be read
 * (the same), and the length of a lease: it runs or it is over.
 *
 * Mutations of an operation (-DM_...) are wrong on purpose; run.sh says which and what they lose.
 */
#include "ranks.h"

#define GRANT 1
#define SKIP 2
#define RESUME 3
#define BUSY 4
#define CONFLICT 5
#define OK 6
#define FOREIGN 7

short rank = 0;        /* 0: no record */
byte deferral = 0;     /* of C(n) */
byte follows = 0;      /* of F(n): 0 retry, else a reason to die */
byte digest = 0;       /* which event */
byte token = 0;        /* the owner of the lease; 0: there is no lease */
bool running = false;  /* the lease is not over */

#define IS_FOREIGN(my_rank, my_digest) (rank > 0 && digest != (my_digest) && EPOCH_OF(rank) >= EPOCH_OF(my_rank))
#define BUSY_FOR(my_rank, my_token) (rank == (my_rank) && token != 0 && token != (my_token) && running)

/* Who is asked to wait. A mutation that forgets the digest waits for the other event, too. */
#ifdef M_CLAIM_UNCHECKED
#define CLAIM_WAITS(my_rank, my_deferral, my_token, my_digest) (BUSY_FOR(my_rank, my_token) && deferral <= (my_deferral))
#else
#define CLAIM_WAITS(my_rank, my_deferral, my_token, my_digest) \
  (BUSY_FOR(my_rank, my_token) && deferral <= (my_deferral) && !IS_FOREIGN(my_rank, my_digest))
#endif
#ifdef M_FAIL_UNCHECKED
#define FAIL_WAITS(my_rank, my_token, my_digest) BUSY_FOR(my_rank, my_token)
#else
#define FAIL_WAITS(my_rank, my_token, my_digest) (BUSY_FOR(my_rank, my_token) && !IS_FOREIGN(my_rank, my_digest))
#endif

inline write_settled(new_rank, new_deferral, new_follows, my_digest) {
  rank = new_rank; follows = new_follows; digest = my_digest; token = 0; running = false;
#ifdef M_DEFER_STALE
  if :: new_deferral > 0 -> deferral = new_deferral :: else fi
#else
  deferral = new_deferral
#endif
}

inline write_leased(my_rank, new_deferral, owner, my_digest) {
#ifdef M_DEFER_STALE
  if :: rank == (my_rank) -> deferral = new_deferral :: else fi;
#else
  deferral = new_deferral;
#endif
  rank = my_rank; follows = 0; digest = my_digest; token = owner; running = true
}

inline redis_claim(my_rank, my_deferral, my_token, my_digest) {
  if
#ifndef M_CLAIM_UNCHECKED
  :: IS_FOREIGN(my_rank, my_digest) -> answer = CONFLICT
#endif
  :: else ->
     if
     :: rank >= (my_rank) + 2 || (rank == (my_rank) && deferral > (my_deferral)) -> answer = SKIP
     :: rank == (my_rank) + 1 -> answer = RESUME; follows_now = follows
     :: CLAIM_WAITS(my_rank, my_deferral, my_token, my_digest) -> answer = BUSY
     :: else -> write_leased(my_rank, my_deferral, my_token, my_digest); answer = GRANT
     fi
  fi
}

inline redis_fail(my_rank, my_token, my_digest, my_follows) {
  if
#ifndef M_FAIL_UNCHECKED
  :: IS_FOREIGN(my_rank, my_digest) -> answer = FOREIGN
#endif
  :: else ->
     if
     :: rank >= (my_rank) + 2 -> answer = SKIP
     :: rank == (my_rank) + 1 -> answer = OK; follows_now = follows
     :: FAIL_WAITS(my_rank, my_token, my_digest) -> answer = BUSY
     :: else -> write_settled((my_rank) + 1, 0, my_follows, my_digest); answer = OK; follows_now = my_follows
     fi
  fi
}

inline redis_settle(my_rank, my_digest) {
  if
#ifdef M_SETTLE_UNCHECKED
  :: IS_FOREIGN(my_rank, my_digest) ->
     if :: (my_rank) > rank -> write_settled(my_rank, 0, 0, digest) :: else fi; answer = OK
#else
  :: IS_FOREIGN(my_rank, my_digest) -> answer = FOREIGN
#endif
  :: else ->
#ifdef M_SETTLE_SETS
     write_settled(my_rank, 0, 0, my_digest);
#else
     if :: (my_rank) > rank -> write_settled(my_rank, 0, 0, my_digest) :: else fi;
#endif
     answer = OK
  fi
}

/* my_deferral: the one that is durable now. */
inline redis_defer(my_rank, my_deferral, my_token, my_digest) {
  if
#ifdef M_DEFER_UNCHECKED
  :: IS_FOREIGN(my_rank, my_digest) ->
     if :: rank == (my_rank) && deferral < (my_deferral) -> deferral = my_deferral :: else fi; answer = OK
#else
  :: IS_FOREIGN(my_rank, my_digest) -> answer = FOREIGN
#endif
  :: else ->
     if
     :: rank < (my_rank) || (rank == (my_rank) && deferral < (my_deferral)) ->
        if
        :: BUSY_FOR(my_rank, my_token) -> deferral = my_deferral; digest = my_digest
        :: else -> write_settled(my_rank, my_deferral, 0, my_digest)
        fi
     :: rank == (my_rank) && deferral >= (my_deferral) && token == (my_token) -> write_settled(my_rank, deferral, 0, my_digest)
     :: else
     fi;
     answer = OK
  fi
}

inline redis_release(my_token, my_digest) {
  if :: token == (my_token) -> write_settled(rank, deferral, 0, my_digest) :: else fi;
  answer = OK
}
