/* Redis in the world: the claim tables of dedupe/claims.h over records in memory, in place of dedupe/claims.c. Commands arrive and are answered
 * after a while; a reply may get lost, its command executed or not; the whole may go away, or fall back to an older copy. */
#include "consumer/base/memory.h"
#include "tests/flow/world.h"

#include <stdlib.h>
#include <string.h>

enum { LEASE_MS = 20000, TIMEOUT_MS = 2000, STRANGE_VERDICT = 200 };

struct entry {
    struct record record;
    bool exists;
};

static struct entry entries[WORLD_TASKS_MAX], snapshot[WORLD_TASKS_MAX];
static bool away;
static uint64_t away_since_ms;

struct claims {
    struct world_worker *worker;
};

enum operation { CLAIM, FAIL, SETTLE, DEFER, RELEASE };

struct command {
    enum operation operation;
    struct world_whose whose;
    struct claim claim; /* its task_id is not valid any more: `task` is */
    uint32_t task;
    uint8_t next;
    enum claims_fact fact;
    int64_t due_ms;
    claims_done *done;
    void *context;
    struct claims_answer answer;
};

void redis_world_reset(void)
{
    memset(entries, 0, sizeof(entries));
    memset(snapshot, 0, sizeof(snapshot));
    away = false;
}

void redis_world_snapshot(void)
{
    memcpy(snapshot, entries, sizeof(entries));
}

void redis_world_rollback(void)
{
    memcpy(entries, snapshot, sizeof(entries));
}

void redis_world_away(bool is_away)
{
    away = is_away;
    away_since_ms = world_now();
}

/* What is left of a lease is never more than its length, whatever the clock did meanwhile. */
static bool lease_of_other(struct record *record, const struct claim *claim)
{
    if (record->lease_end_ms > world_redis_ms() + LEASE_MS)
        record->lease_end_ms = world_redis_ms() + LEASE_MS;
    return record->leased && record->lease_end_ms > world_redis_ms() && memcmp(record->token, claim->token, TOKEN_BYTES) != 0;
}

static struct claims_answer answer(enum claims_result result)
{
    return (struct claims_answer){ .result = result };
}

static bool is_foreign(const struct entry *entry, const struct claim *claim)
{
    return entry->exists && entry->record.digest != claim->digest && rank_epoch(entry->record.rank) >= claim->epoch;
}

static void stamp(struct record *record, const struct command *command)
{
    record->digest = command->claim.digest;
    record->partition = command->claim.partition;
    record->offset = command->claim.offset;
}

static struct claims_answer do_claim(struct entry *entry, const struct command *command)
{
    const struct claim *claim = &command->claim;
    struct record *record = &entry->record;
    uint64_t c = rank_claimed(claim->epoch, claim->attempt);
    if (is_foreign(entry, claim))
        return answer(CLAIMS_CONFLICT);
    uint64_t r = entry->exists ? record->rank : 0;
    if (r >= rank_scheduled(claim->epoch, claim->attempt) || (r == c && record->deferral > claim->deferral))
        return answer(CLAIMS_SKIP);
    if (r == rank_failed(claim->epoch, claim->attempt))
        return (struct claims_answer){ .result = CLAIMS_RESUME,
                                       .next = world_chance(world_plan->strange_verdicts_percent) ? STRANGE_VERDICT : record->next };
    if (r == c && lease_of_other(record, claim))
        return (struct claims_answer){ .result = CLAIMS_BUSY, .busy_ms = (uint64_t)(record->lease_end_ms - world_redis_ms()) };
    if (r == c && record->leased && memcmp(record->token, claim->token, TOKEN_BYTES) != 0)
        oracle_excuse(command->task, 1); /* a lease that ended under its owner, dead or alive: one more POST is allowed */
    *record = (struct record){ .rank = c, .deferral = claim->deferral, .leased = true, .lease_end_ms = world_redis_ms() + LEASE_MS };
    memcpy(record->token, claim->token, TOKEN_BYTES);
    stamp(record, command);
    entry->exists = true;
    return answer(CLAIMS_GRANT);
}

static struct claims_answer do_fail(struct entry *entry, const struct command *command)
{
    const struct claim *claim = &command->claim;
    struct record *record = &entry->record;
    uint64_t r = entry->exists ? record->rank : 0;
    uint64_t f = rank_failed(claim->epoch, claim->attempt);
    if (is_foreign(entry, claim))
        return answer(CLAIMS_FOREIGN);
    if (r >= rank_scheduled(claim->epoch, claim->attempt))
        return answer(CLAIMS_SKIP);
    if (r == f)
        return (struct claims_answer){ .result = CLAIMS_OK, .next = record->next };
    if (r == f - 1 && lease_of_other(record, claim))
        return (struct claims_answer){ .result = CLAIMS_BUSY, .busy_ms = (uint64_t)(record->lease_end_ms - world_redis_ms()) };
    *record = (struct record){ .rank = f, .next = command->next };
    stamp(record, command);
    entry->exists = true;
    return (struct claims_answer){ .result = CLAIMS_OK, .next = command->next };
}

static struct claims_answer do_settle(struct entry *entry, const struct command *command)
{
    const struct claim *claim = &command->claim;
    uint64_t rank = command->fact == CLAIMS_DELIVERED ? rank_delivered(claim->epoch)
                    : command->fact == CLAIMS_DEAD    ? rank_dead(claim->epoch)
                                                      : rank_scheduled(claim->epoch, claim->attempt);
    if (is_foreign(entry, claim))
        return answer(CLAIMS_FOREIGN);
    if (command->fact == CLAIMS_DELIVERED)
        oracle_recorded(command->task);
    if (!entry->exists || entry->record.rank < rank) {
        entry->record = (struct record){ .rank = rank, .due_ms = command->due_ms };
        stamp(&entry->record, command);
        entry->exists = true;
    }
    return answer(CLAIMS_OK);
}

static struct claims_answer do_defer(struct entry *entry, const struct command *command)
{
    const struct claim *claim = &command->claim;
    struct record *record = &entry->record;
    uint64_t c = rank_claimed(claim->epoch, claim->attempt);
    uint64_t r = entry->exists ? record->rank : 0;
    if (is_foreign(entry, claim))
        return answer(CLAIMS_FOREIGN);
    if (r == c && record->leased && memcmp(record->token, claim->token, TOKEN_BYTES) == 0)
        record->leased = false;
    if (r < c || (r == c && record->deferral < claim->deferral + 1)) {
        bool kept = r == c && record->leased;
        if (!kept)
            *record = (struct record){ .rank = c, .due_ms = command->due_ms };
        record->deferral = claim->deferral + 1;
        stamp(record, command);
        entry->exists = true;
    }
    return answer(CLAIMS_OK);
}

static struct claims_answer do_release(struct entry *entry, const struct command *command)
{
    if (entry->exists && entry->record.leased && memcmp(entry->record.token, command->claim.token, TOKEN_BYTES) == 0)
        entry->record.leased = false;
    return answer(CLAIMS_OK);
}

static void replied(void *context)
{
    struct command *command = context;
    if (command->answer.result == CLAIMS_AWAY && command->operation != CLAIM)
        oracle_excuse(command->task, 1); /* nobody knows whether it was done: DESIGN's table allows one more */
    claims_done *done = command->done;
    void *whom = command->context;
    struct claims_answer what = command->answer;
    struct world_worker *worker = command->whose.worker;
    free(command);
    done(whom, &what);
    world_wake(worker);
}

static void arrived(void *context)
{
    struct command *command = context;
    bool lost = world_chance(world_plan->late_replies_percent);
    command->answer = answer(CLAIMS_AWAY);
    if (!away && !(lost && world_chance(50))) {
        static struct claims_answer (*const operations[])(struct entry *, const struct command *) = { do_claim, do_fail, do_settle, do_defer,
                                                                                                      do_release };
        struct claims_answer result = operations[command->operation](&entries[command->task], command);
        if (!lost)
            command->answer = result;
    }
    if (command->done == NULL)
        free(command);
    else
        world_at(command->answer.result == CLAIMS_AWAY && !away ? TIMEOUT_MS : world_random(4), command->whose, replied, command);
}

static void issue(struct claims *claims, const struct claim *claim, struct command command)
{
    struct command *kept = memory_create(sizeof(*kept));
    *kept = command;
    kept->whose = world_whose(claims->worker);
    kept->claim = *claim;
    kept->task = world_task_of(claim->task_id);
    world_at(world_random(4), NOBODYS, arrived, kept);
}

struct claims *claims_fake(struct world_worker *worker)
{
    struct claims *claims = memory_create(sizeof(*claims));
    claims->worker = worker;
    return claims;
}

void claims_destroy(struct claims *claims)
{
    free(claims);
}

struct world_worker *world_worker_of_claims(const struct claims *claims)
{
    return claims->worker;
}

void claims_claim(struct claims *claims, const struct claim *claim, claims_done *done, void *context)
{
    issue(claims, claim, (struct command){ .operation = CLAIM, .done = done, .context = context });
}

void claims_fail(struct claims *claims, const struct claim *claim, uint8_t next, claims_done *done, void *context)
{
    issue(claims, claim, (struct command){ .operation = FAIL, .next = next, .done = done, .context = context });
}

void claims_settle(struct claims *claims, const struct claim *claim, enum claims_fact fact, int64_t due_ms, claims_done *done, void *context)
{
    issue(claims, claim, (struct command){ .operation = SETTLE, .fact = fact, .due_ms = due_ms, .done = done, .context = context });
}

void claims_defer(struct claims *claims, const struct claim *claim, int64_t due_ms, claims_done *done, void *context)
{
    issue(claims, claim, (struct command){ .operation = DEFER, .due_ms = due_ms, .done = done, .context = context });
}

void claims_release(struct claims *claims, const struct claim *claim)
{
    issue(claims, claim, (struct command){ .operation = RELEASE });
}

int64_t claims_now_ms(const struct claims *claims)
{
    (void)claims;
    return world_redis_ms();
}

int64_t claims_earliest_now_ms(const struct claims *claims)
{
    (void)claims;
    return world_redis_ms();
}

int64_t claims_latest_now_ms(const struct claims *claims)
{
    (void)claims;
    return world_redis_ms();
}

bool claims_reached(const struct claims *claims)
{
    (void)claims;
    return true;
}

uint64_t claims_away_since_ms(const struct claims *claims)
{
    (void)claims;
    return away ? away_since_ms : 0;
}
