#include "consumer/admission.h"

#include "consumer/arrival.h"
#include "consumer/base/clock.h"
#include "consumer/base/log.h"
#include "consumer/base/memory.h"
#include "consumer/delay.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>

enum {
    NAME_BYTES_MAX = 512,
    HELD_PER_SLOT = 4, /* events held at once, per slot of JOBHOOK_MAX_IN_FLIGHT */
    SPARE_MS = 10000,  /* time alone beyond a dead holder's lease */
    COMPLAIN_EVERY_MS = 60000,
};

struct admission {
    struct intake_options options;
    struct holds *holds;
    struct list queue;      /* partitions whose head waits for the turn */
    struct partition *turn; /* whose turn it is; NULL none of ours */
    uint64_t charged_ms;    /* until when the turn's time was charged */
    size_t alone;           /* partitions that are read so */
    struct log_gate away;
};

/* Of the process, not of one worker, because a crash ends them all. */
static atomic_bool turn_is_taken;
static _Atomic uint64_t taken_up_freely_ms; /* when a partition was last, monotonic */

static void end_turn(struct admission *admission)
{
    admission->turn = NULL;
    atomic_store(&turn_is_taken, false);
}

static void tell(enum log_level level, const char *what, const struct partition *partition, int64_t offset)
{
    LOG_AT(level, what, LOG_STRING("topic", partition->topic), LOG_I("partition", partition->id), LOG_I("offset", offset), { .kind = LOG_END });
}

static void note_alone(struct admission *admission, bool more)
{
    admission->alone = more ? admission->alone + 1 : admission->alone - 1;
    gauge_set(&admission->options.stats->partitions_careful, (int64_t)admission->alone);
}

static void read_freely(struct admission *admission, struct partition *partition)
{
    partition->careful.mode = CAREFUL_FREE;
    note_alone(admission, false);
    tell(LOG_INFO, "the partition is read freely again", partition, partition->ledger.position);
}

static void go_on_without_redis(struct admission *admission, struct hold *hold)
{
    uint64_t suppressed;
    if (log_gate_opens(&admission->away, COMPLAIN_EVERY_MS, &suppressed))
        log_warn("redis is away: partitions are read freely, whether processes died there or not", LOG_I("suppressed", suppressed));
    hold_give_back(hold);
}

/* What a record spends alone is charged to all partitions that are read alone: they all wait for it. One whose time is over is read freely, and as it
 * is still suspected, nobody should have a turn at that moment. */
static void charge_turn(struct admission *admission, uint64_t now_ms)
{
    struct partition *turn = admission->turn;
    uint64_t spent_ms = now_ms - admission->charged_ms;
    admission->charged_ms = now_ms;
    LIST_EACH (&turn->set->all, link) {
        struct partition *partition = container_of(link, struct partition, link);
        if (partition->careful.mode != CAREFUL_ALONE)
            continue;
        careful_spend(&partition->careful, spent_ms, partition == turn ? partition->ledger.position : 0);
        if (partition->careful.mode == CAREFUL_ALONE)
            continue;
        read_freely(admission, partition);
        partition_mark_ready(partition);
        atomic_store(&taken_up_freely_ms, now_ms);
    }
}

/* ---- the head ---- */

static void head_due(struct timer *timer);

static void keep_head(struct partition *partition, const struct arrival *arrival)
{
    partition->due.fire = head_due;
    partition->head = *arrival;
    partition->set->head_bytes += arrival->event->bytes;
}

static struct arrival give_head(struct partition *partition)
{
    struct arrival head = partition->head;
    partition->set->head_bytes -= head.event->bytes;
    partition->head.event = NULL;
    return head;
}

static bool must_wait(const struct admission *admission, const struct partition *partition, const struct arrival *arrival, uint64_t *until_ms)
{
    if (partition->is_input || arrival->unreadable != NULL)
        return false;
    struct delay_clocks now = { clock_monotonic_ms(), claims_earliest_now_ms(admission->options.claims) };
    if (!claims_knows_time(admission->options.claims)) /* our wall clock may be hours ahead: the whole delay is safe, and Redis is away anyway */
        now.redis_ms = arrival->attempt.due_ms - (int64_t)partition->delay_ms;
    *until_ms = delay_until_ms(arrival->attempt.due_ms, partition->delay_ms, &now);
    return *until_ms > now.monotonic_ms;
}

/* Freely: what is due goes on. */
static void admit(struct admission *admission, struct partition *partition, struct arrival *arrival)
{
    uint64_t until_ms;
    arrival_understand(arrival);
    if (must_wait(admission, partition, arrival, &until_ms)) {
        keep_head(partition, arrival);
        timers_start(admission->options.timers, &partition->due, until_ms);
    } else {
        deliveries_take(admission->options.deliveries, arrival);
    }
}

static void admit_head(struct admission *admission, struct partition *partition)
{
    struct arrival head = give_head(partition);
    admit(admission, partition, &head);
    partition_mark_ready(partition);
}

static void head_due(struct timer *timer)
{
    struct partition *partition = container_of(timer, struct partition, due);
    struct admission *admission = partition->set->admission;
    if (partition->careful.mode == CAREFUL_ALONE) {
        partition->alone.waited = true;
        list_append(&admission->queue, &partition->alone.queue);
        return;
    }
    struct arrival head = give_head(partition);
    deliveries_take(admission->options.deliveries, &head);
    partition_mark_ready(partition);
}

/* ---- alone ---- */

static void go_alone(struct admission *admission, struct partition *partition)
{
    struct arrival head = give_head(partition);
    head.condemned = partition->alone.condemned;
    partition->alone.slot = head.slot;
    partition->alone.taken_ms = admission->charged_ms = clock_monotonic_ms();
    partition->alone.waited = false;
    deliveries_take(admission->options.deliveries, &head);
}

/* The record's own hold stands. Only now is anything of it looked at. */
static void look_alone(struct admission *admission, struct partition *partition)
{
    uint64_t until_ms;
    arrival_understand(&partition->head);
    if (!partition->alone.waited && must_wait(admission, partition, &partition->head, &until_ms)) {
        hold_give_back(&partition->alone.held);
        end_turn(admission);
        timers_start(admission->options.timers, &partition->due, until_ms);
    } else {
        go_alone(admission, partition);
    }
}

static void record_answered(struct hold *hold, const struct hold_answer *answer)
{
    struct partition *partition = container_of(hold, struct partition, alone.held);
    struct admission *admission = partition->set->admission;
    if (answer->away) {
        go_on_without_redis(admission, hold);
        end_turn(admission);
        read_freely(admission, partition);
        admit_head(admission, partition);
    } else if (careful_condemns(answer->dead)) {
        tell(LOG_ERROR, "processes died again and again with this record: it becomes a dead letter, unparsed", partition, hold->at);
        partition->alone.condemned = true;
        go_alone(admission, partition);
    } else {
        look_alone(admission, partition);
    }
}

static void name_record(struct text *name, const struct partition *partition)
{
    const struct arrival *head = &partition->head;
    /* The timestamp tells a record from one at the same offset of a topic that was made anew. */
    text_printf(name, "%s\x01%" PRId32 "\x01%" PRId64 "\x01%" PRId64, partition->topic, partition->id, partition->alone.offset,
                head->event->timestamp_ms);
}

static void let_through_the_free(struct admission *admission)
{
    LIST_EACH (&admission->queue, link) {
        struct partition *partition = container_of(link, struct partition, alone.queue);
        if (partition->careful.mode == CAREFUL_ALONE)
            continue;
        list_remove(&admission->queue, link);
        admit_head(admission, partition);
    }
}

void admission_turn(struct admission *admission)
{
    let_through_the_free(admission);
    struct link *first = list_first(&admission->queue);
    if (first == NULL || admission->turn != NULL || clock_monotonic_ms() < atomic_load(&taken_up_freely_ms) + CAREFUL_FRESH_MS)
        return;
    if (atomic_exchange(&turn_is_taken, true))
        return;
    struct partition *partition = container_of(first, struct partition, alone.queue);
    struct text name;
    list_remove(&admission->queue, first);
    admission->turn = partition;
    text_init(&name, NAME_BYTES_MAX);
    name_record(&name, partition);
    hold_take(&partition->alone.held, admission->holds,
              &(struct hold_terms){
                  .name = text_slice(&name), .at = partition->alone.offset, .weight = CAREFUL_FRESH_WEIGHT, .answered = record_answered });
    text_finish(&name);
}

void admission_watch(struct admission *admission, uint64_t now_ms)
{
    struct partition *partition = admission->turn;
    if (partition == NULL || partition->alone.taken_ms == 0)
        return;
    hold_weigh(&partition->alone.held, careful_weight(now_ms, partition->alone.taken_ms, partition->home.busy_until_ms));
    charge_turn(admission, now_ms);
    if (partition->careful.mode == CAREFUL_FREE)
        end_turn(admission);
}

bool admission_release(struct admission *admission, struct partition *partition, uint64_t slot, bool handled)
{
    struct partition_alone *alone = &partition->alone;
    if (alone->taken_ms == 0 || alone->slot != slot)
        return false;
    bool was_condemned = alone->condemned;
    if (handled && !was_condemned)
        hold_clear(&alone->held);
    else
        hold_give_back(&alone->held);
    if (admission->turn == partition) {
        charge_turn(admission, clock_monotonic_ms());
        end_turn(admission);
    }
    alone->taken_ms = 0;
    alone->condemned = false;
    partition_mark_ready(partition);
    return handled && was_condemned;
}

/* ---- a partition is taken up, and left ---- */

static void partition_answered(struct hold *hold, const struct hold_answer *answer)
{
    struct partition *partition = container_of(hold, struct partition, held);
    struct admission *admission = partition->set->admission;
    const struct settings *settings = admission->options.settings;
    const struct careful_note note = { .known = !answer->away, .deaths = answer->dead, .from = answer->from };
    partition->careful = careful_begin(&note, settings->attempt_timeout_ms + settings->lease_margin_ms + SPARE_MS);
    if (partition->careful.mode == CAREFUL_ALONE) {
        note_alone(admission, true);
        log_warn("processes died at this offset: the partition is read carefully, one record at a time", LOG_STRING("topic", partition->topic),
                 LOG_I("partition", partition->id), LOG_I("offset", hold->at), LOG_I("deaths", note.deaths));
        list_append(&admission->queue, &partition->alone.queue);
    } else {
        if (answer->away)
            go_on_without_redis(admission, hold);
        atomic_store(&taken_up_freely_ms, clock_monotonic_ms());
        admit_head(admission, partition);
    }
}

static void take_up(struct admission *admission, struct partition *partition)
{
    struct text name;
    text_init(&name, NAME_BYTES_MAX);
    text_printf(&name, "%s\x01%" PRId32, partition->topic, partition->id);
    hold_take(&partition->held, admission->holds,
              &(struct hold_terms){
                  .name = text_slice(&name), .at = partition->alone.offset, .range = CAREFUL_RANGE, .weight = 1, .answered = partition_answered });
    text_finish(&name);
}

void admission_take(struct admission *admission, struct partition *partition, struct arrival *arrival)
{
    if (partition->careful.mode == CAREFUL_FREE) {
        admit(admission, partition, arrival);
        return;
    }
    partition->alone.offset = arrival->attempt.origin.offset;
    keep_head(partition, arrival);
    if (partition->careful.mode == CAREFUL_UNKNOWN)
        take_up(admission, partition);
    else
        list_append(&admission->queue, &partition->alone.queue);
}

/* First attempts and retries may each hold three quarters, so neither can lock the other out. */
static bool has_room(const struct admission *admission, const struct partition *partition)
{
    const struct settings *settings = admission->options.settings;
    struct deliveries_held held = deliveries_held(admission->options.deliveries);
    size_t count = partition->is_input ? held.first_attempts : held.retries;
    uint64_t bytes = partition->is_input ? held.first_attempt_bytes : held.retry_bytes + partition->set->head_bytes;
    uint64_t count_max = settings->max_in_flight * HELD_PER_SLOT;
    return count < (count_max + 1) * 3 / 4 && bytes < settings->max_held_bytes / 4 * 3;
}

bool admission_may_read(const struct admission *admission, const struct partition *partition)
{
    return partition->head.event == NULL && careful_may_read(&partition->careful, partition->home.deliveries.length) &&
           has_room(admission, partition);
}

bool admission_reach_end(struct admission *admission, struct partition *partition)
{
    if (partition->careful.mode != CAREFUL_ALONE)
        return false;
    read_freely(admission, partition);
    return true;
}

void admission_forget_deaths(struct partition *partition)
{
    hold_clear(&partition->held);
}

void admission_leave(struct admission *admission, struct partition *partition)
{
    if (!link_is_free(&partition->alone.queue))
        list_remove(&admission->queue, &partition->alone.queue);
    if (admission->turn == partition)
        end_turn(admission);
    if (partition->careful.mode == CAREFUL_ALONE)
        read_freely(admission, partition);
    timers_stop(admission->options.timers, &partition->due);
    hold_give_back(&partition->alone.held);
    hold_give_back(&partition->held);
    partition->alone.taken_ms = 0;
}

/* ---- the module ---- */

bool admission_is_settled(const struct admission *admission)
{
    return holds_are_settled(admission->holds);
}

struct admission *admission_create(const struct intake_options *options)
{
    struct admission *admission = memory_create(sizeof(*admission));
    admission->options = *options;
    admission->holds = holds_create(options->redis, &(struct holds_options){ .prefix = options->settings->redis_prefix,
                                                                             .ttl_ms = options->settings->state_ttl_ms,
                                                                             .claims = options->claims,
                                                                             .timers = options->timers });
    list_init(&admission->queue);
    return admission;
}

void admission_destroy(struct admission *admission)
{
    if (admission == NULL)
        return;
    holds_destroy(admission->holds);
    free(admission);
}
