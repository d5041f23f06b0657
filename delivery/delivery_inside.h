/* The inside of deliveries: what delivery.c (the steps of one), its helpers delivery_*.c and delivery_set.c (the set of all) share, and nobody else sees. */
#ifndef JOBHOOK_DELIVERY_DELIVERY_INSIDE_H
#define JOBHOOK_DELIVERY_DELIVERY_INSIDE_H

#include "delivery/delivery.h"
#include "delivery/report.h"
#include "delivery/request.h"
#include "delivery/troubles.h"

enum plan { PLAN_NEXT, PLAN_DEFER, PLAN_HOLD }; /* what PUBLISHING publishes: what `next` says, a deferral, or one that the operator asked for */

struct delivery {
    struct link link; /* on the list of its state */
    struct link home_link;
    struct deliveries *all;
    struct delivery_home *home;
    struct event *event;
    struct attempt attempt;
    struct url url; /* where it goes; its text is empty until it was judged, and when there is nothing to send */
    struct ticket ticket;
    struct timer timer; /* enters the state again */
    struct request *request;
    struct post *post;
    uint64_t slot;
    uint64_t digest;
    uint64_t asked_ms;         /* when the claim was asked for */
    uint64_t lease_end_ms;     /* on our own clock, counted from asking */
    uint64_t trouble_since_ms; /* since when Redis has not answered in this state; 0 it has */
    int64_t due_ms;            /* of the record that was published */
    struct report report;
    const char *detail; /* dead letters: what exactly was wrong */
    uint8_t token[TOKEN_BYTES];
    enum delivery_state state;
    enum settled settled;
    enum plan plan;
    uint32_t pause_ms; /* before the next claim */
    uint8_t next;
    bool from_input;
    bool busy;      /* another owner's lease runs */
    bool unclaimed; /* goes on without a claim: Redis has been away for too long */
    bool unwritten; /* no record in Redis: a corrected event must not be suppressed */
    bool dropped;   /* released unsent */
};

struct deliveries {
    struct deliveries_options options;
    struct delivery_stats stats;
    struct troubles *troubles;
    struct list states[DELIVERY_STATES];
    struct deliveries_held held;
    size_t busy;             /* of them with another owner's lease */
    struct hold_list *holds; /* NULL: none */
    struct request **spare_requests;
    size_t spare_request_count;
    struct list spares;
    bool draining;
};

/* ---- delivery.c: one delivery goes its way ---- */

void delivery_begin(struct delivery *delivery, const struct arrival *arrival);
void delivery_timer_fired(struct timer *timer);
void delivery_defer(struct delivery *delivery);                  /* it waited, and should not wait on */
void delivery_start(struct delivery *delivery, uint64_t now_ms); /* a slot is there */
void delivery_heed_holds(struct delivery *delivery);             /* it waits, and there are new ones */
/* What is unsent is given up. Claims that wait for Redis's answer go when it comes; what was sent, is being published or recorded, goes on. */
void delivery_drop_unsent(struct delivery *delivery);

/* ---- delivery_claim.c: what one delivery asks of Redis, and how long it has been without an answer ---- */

/* Its event is parsed: who it is to Redis and to the scheduler. */
void delivery_introduce(struct delivery *delivery);
struct claim delivery_claim(const struct delivery *delivery);
/* For an attempt and a margin. */
bool delivery_lease_suffices(const struct delivery *delivery, uint64_t now_ms);
uint32_t delivery_attempts_made(const struct delivery *delivery); /* once it is settled how, in this epoch */
void delivery_release_claim(struct delivery *delivery);
uint64_t delivery_trouble_ms(struct delivery *delivery);
bool delivery_gives_up_redis(const struct delivery *delivery);
/* Why it is dead, as `next` says; of what another version recorded there, the nearest that this one knows. */
enum dead_reason delivery_dead_reason(struct delivery *delivery);

/* ---- delivery_judge.c: what is to be thought of one delivery; nothing is done with it ---- */

/* Why this event is not to be POSTed at all; 0 when it is: then its URL is judged, once and for all. */
enum dead_reason delivery_reason_not_to_send(struct delivery *delivery);
enum hold_action delivery_hold_action(const struct delivery *delivery);
/* Its endpoint has been silent, and its attempt been put off, for too long. */
bool delivery_is_given_up(const struct delivery *delivery);
/* The same attempt, put off by `plan`, and the delay of its topic. */
struct attempt delivery_put_off(const struct delivery *delivery, uint64_t *delay_ms);

/* ---- delivery_post.c: what one attempt sends, and what came of it ---- */

struct request **deliveries_create_requests(void); /* room for those that are kept */
void deliveries_destroy_requests(struct deliveries *all);
/* For the attempt that is about to be made, whose span begins with it. To be given back. */
struct request *delivery_compose_request(struct delivery *delivery);
void deliveries_return_request(struct deliveries *all, struct request *request);
void deliveries_note_posting(struct delivery *delivery);
void deliveries_note_outcome(struct delivery *delivery, const struct outcome *outcome);
/* Gives the slot back and tells what follows: the verdict's action, or the same attempt again when the fault was ours. */
enum action deliveries_end_attempt(struct delivery *delivery, const struct outcome *outcome, const struct verdict *verdict);

/* While the way out is broken: whom the scheduler wants to be asked. */
void deliveries_ask(struct deliveries *all, uint64_t now_ms);

/* ---- delivery_set.c: what all have in common ---- */

/* What tells moves into the same state apart: what is recorded, and what was. "" for the others. */
const char *delivery_how(const struct delivery *delivery, enum delivery_state state);
/* Which attempt it is at, in a word (consumer/base/crash.h). */
const char *delivery_which(const struct delivery *delivery);

void delivery_note_busy(struct delivery *delivery, bool busy);
void delivery_note_step(struct delivery *delivery, enum delivery_state next);
void deliveries_note_released(struct delivery *delivery);

#endif
