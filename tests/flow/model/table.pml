/*
 * table.pml: prints what every operation of record.pml does to every small record, one line each; spin simulates it without a choice to make.
 * tests/edge/test_model.py asks the Lua scripts in a real Redis the same questions.
 *
 *   before: rank deferral follows digest token running | operation epoch attempt deferral | answer follows | after: as before
 *
 * It is always event 1 with token 1 that asks, and what follows an attempt that fails is 3.
 */
#include "record.pml"

#define ATTEMPTS 2
#define EPOCHS 2

short was_rank; byte was_deferral, was_follows, was_digest, was_token; bool was_running;
byte answer, follows_now, e, n, d;

inline restore() {
  rank = was_rank; deferral = was_deferral; follows = was_follows; digest = was_digest; token = was_token; running = was_running;
  answer = 0; follows_now = 0
}

inline tell(operation) {
  printf("case %d %d %d %d %d %d | %d %d %d %d | %d %d |", was_rank, was_deferral, was_follows, was_digest, was_token, was_running, operation, e, n, d,
         answer, follows_now);
  printf(" %d %d %d %d %d %d\n", rank, deferral, follows, digest, token, running)
}

inline ask_everything() {
  for (e : 0 .. EPOCHS - 1) {
    for (n : 1 .. ATTEMPTS) {
      for (d : 0 .. 1) {
        restore(); redis_claim(CN(e, n), d, 1, 1); tell(0);
        restore(); redis_fail(CN(e, n), 1, 1, 3); tell(1);
        restore(); redis_settle(SN(e, n), 1); tell(2);
        restore(); redis_settle(RX(e), 1); tell(3);
        restore(); redis_settle(RD(e), 1); tell(4);
        restore(); redis_defer(CN(e, n), d + 1, 1, 1); tell(5);
        restore(); redis_release(1, 1); tell(6)
      }
    }
  }
}

/* What may be stored at a rank: deferrals and leases at C(n), what follows at F(n). */
inline with_every_rest() {
  was_deferral = 0; was_follows = 0; was_token = 0; was_running = false;
  if
  :: claimed ->
     for (was_deferral : 0 .. 2) {
       for (was_token : 0 .. 2) {
         was_running = false; ask_everything();
         if :: was_token != 0 -> was_running = true; ask_everything() :: else fi
       }
     }
  :: failed -> was_follows = 0; ask_everything(); was_follows = 5; ask_everything()
  :: else -> ask_everything()
  fi
}

active proctype Table() {
  byte block, attempt, i;
  bool claimed, failed;
  was_digest = 1; was_rank = 0; claimed = false; failed = false; with_every_rest();
  for (was_digest : 1 .. 2) {
    for (block : 0 .. EPOCHS - 1) {
      for (i : 0 .. 3 * ATTEMPTS + 1) {
        attempt = i / 3 + 1; claimed = false; failed = false;
        if
        :: i == 3 * ATTEMPTS -> was_rank = RX(block)
        :: i == 3 * ATTEMPTS + 1 -> was_rank = RD(block)
        :: i < 3 * ATTEMPTS && i % 3 == 0 -> was_rank = CN(block, attempt); claimed = true
        :: i < 3 * ATTEMPTS && i % 3 == 1 -> was_rank = FN(block, attempt); failed = true
        :: i < 3 * ATTEMPTS && i % 3 == 2 -> was_rank = SN(block, attempt)
        fi;
        with_every_rest()
      }
    }
  }
}
