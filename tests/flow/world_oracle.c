/* The oracle of the world: what was published, what every receiver saw, what became of it; and which extra POSTs are excused, and by what. */
#include "consumer/base/memory.h"
#include "tests/flow/world.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EPOCHS_MAX = 2 };

static struct account {
    uint32_t posts[EPOCHS_MAX][WORLD_ATTEMPTS_MAX + 2];
    uint64_t first_ms[EPOCHS_MAX][WORLD_ATTEMPTS_MAX + 2]; /* when that attempt was first made */
    uint32_t published, epoch;                             /* the highest that was published: it supersedes what an earlier one still had to do */
    uint32_t answered[EPOCHS_MAX], dead[EPOCHS_MAX];
    uint32_t total_posts, recorded, excused;
    const struct world_worker *sending[WORLD_WORKERS_MAX * 4]; /* who has POSTed it and not settled it yet */
} accounts[WORLD_TASKS_MAX * 2];

static struct world_verdict verdict;
static const struct world_plan *plan;

void oracle_reset(const struct world_plan *new_plan)
{
    memset(accounts, 0, sizeof(accounts));
    memset(&verdict, 0, sizeof(verdict));
    plan = new_plan;
}

uint32_t world_task_of(struct slice task_id)
{
    uint64_t number;
    struct slice digits = { task_id.start + 1, task_id.length - 1 };
    if (!slice_to_u64(digits, WORLD_TASKS_MAX - 1, &number))
        abort();
    return (uint32_t)number;
}

uint32_t world_account_of(struct slice value)
{
    const char *id = memmem(value.start, value.length, "\"t", 2);
    const char *other = memmem(value.start, value.length, "\"c\":1", 5);
    id = memmem(id + 2, value.length - (size_t)(id + 2 - value.start), "\"t", 2);
    return (uint32_t)strtoul(id + 2, NULL, 10) * 2 + (other != NULL);
}

void oracle_published(uint32_t account, uint32_t epoch)
{
    accounts[account].published++;
    if (epoch > accounts[account].epoch)
        accounts[account].epoch = epoch;
}

static void crime(uint32_t *counter, uint32_t task, const char *what)
{
    if (verdict.first[0] == '\0')
        snprintf(verdict.first, sizeof(verdict.first),
                 "event %" PRIu32 " %s (posts %" PRIu32 ", excused %" PRIu32 ", 2xx %" PRIu32 ", dead %" PRIu32 ") at %" PRIu64 " ms", task, what,
                 accounts[task].total_posts, accounts[task].excused, accounts[task].answered[accounts[task].epoch],
                 accounts[task].dead[accounts[task].epoch], world_now());
    ++*counter;
}

void oracle_post(uint32_t number, uint32_t epoch, uint32_t attempt, const struct world_worker *worker)
{
    struct account *account = &accounts[number];
    if (epoch >= EPOCHS_MAX || attempt == 0 || attempt > WORLD_ATTEMPTS_MAX) {
        crime(&verdict.altered, number, "was POSTed as an attempt that does not exist");
        return;
    }
    if (account->posts[epoch][attempt] == 0)
        account->first_ms[epoch][attempt] = world_now();
    uint64_t before_ms = account->first_ms[epoch][attempt - 1];
    if (before_ms != 0 && plan->redis_clock_steps == 0 && world_now() < before_ms + world_retry_delay_ms(attempt))
        crime(&verdict.early, number, "was tried again too early");
    verdict.posts++;
    account->total_posts++;
    account->posts[epoch][attempt]++;
    for (size_t i = 0; i < sizeof account->sending / sizeof account->sending[0]; i++) {
        if (account->sending[i] != NULL)
            continue;
        account->sending[i] = worker;
        return;
    }
}

void oracle_answered_2xx(uint32_t account, uint32_t epoch)
{
    accounts[account].answered[epoch]++;
}

void oracle_released(uint32_t number, const struct world_worker *worker)
{
    for (size_t i = 0; i < sizeof accounts[number].sending / sizeof accounts[number].sending[0]; i++) {
        if (accounts[number].sending[i] != worker)
            continue;
        accounts[number].sending[i] = NULL;
        return;
    }
}

/* A crash between the POST and its settlement allows one more. */
void oracle_crash(const struct world_worker *worker)
{
    for (uint32_t number = 0; number < WORLD_TASKS_MAX * 2; number++)
        for (size_t i = 0; i < sizeof accounts[number].sending / sizeof accounts[number].sending[0]; i++)
            if (accounts[number].sending[i] == worker) {
                accounts[number].sending[i] = NULL;
                accounts[number].excused++;
            }
}

void oracle_excuse(uint32_t task, uint32_t posts)
{
    accounts[task * 2].excused += posts;
    accounts[task * 2 + 1].excused += posts;
}

void oracle_excuse_all(uint32_t posts)
{
    for (uint32_t number = 0; number < WORLD_TASKS_MAX * 2; number++)
        accounts[number].excused += posts;
}

void oracle_dead(uint32_t number, uint32_t epoch, struct slice value)
{
    if (world_account_of(value) != number)
        crime(&verdict.altered, number, "changed on its way to the dead letters");
    accounts[number].dead[epoch]++;
}

void oracle_given_up(uint64_t after_ms)
{
    if (verdict.given_up_ms == 0)
        verdict.given_up_ms = after_ms;
}

void oracle_recorded(uint32_t task)
{
    accounts[task * 2].recorded++;
    accounts[task * 2 + 1].recorded++;
}

void oracle_undone(const char *what)
{
    if (verdict.first[0] == '\0')
        snprintf(verdict.first, sizeof(verdict.first), "not done after all that time: %s", what);
    verdict.undone++;
}

static uint32_t doubles(const struct account *account)
{
    uint32_t count = 0;
    for (uint32_t epoch = 0; epoch < EPOCHS_MAX; epoch++)
        for (uint32_t attempt = 1; attempt <= WORLD_ATTEMPTS_MAX; attempt++)
            if (account->posts[epoch][attempt] > 1)
                count += account->posts[epoch][attempt] - 1;
    return count;
}

static bool is_lost(const struct account *account)
{
    bool nothing_to_send = account->total_posts == 0 && account->recorded > 0;
    return account->published > 0 && account->answered[account->epoch] == 0 && account->dead[account->epoch] == 0 && !nothing_to_send;
}

struct world_verdict oracle_judge(void)
{
    for (uint32_t number = 0; number < plan->tasks * 2; number++) {
        const struct account *account = &accounts[number];
        verdict.delivered += account->answered[0] > 0;
        verdict.dead += account->dead[0];
        verdict.excused += account->excused;
        if (is_lost(account))
            crime(&verdict.lost, number, "is lost");
        if (doubles(account) > account->excused)
            crime(&verdict.doubled, number, "was POSTed more often than anything excuses");
    }
    return verdict;
}
