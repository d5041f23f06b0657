/* The operator of the world: puts rules into the hold file and takes them out again. Every worker reads it within a second, as it does through
 * consumer/reload.c; from then on nothing may leave it for a URL that is held. */
#include "delivery/hold_list.h"
#include "tests/flow/world.h"

#include <string.h>

enum { READ_WITHIN_MS = 1000 };

static const char *const files[] = {
    "",
    "https://h1.example.com hold\n",
    "https://silent.example.com/x hold\n",
    "https://h1.example.com/x dead\n",
    "https://h1.example.com/x hold # the longer one counts\nhttps://h1.example.com dead\nhttps://silent.example.com dead\n",
};
enum { NOTHING = 0, SILENT_ONE = 2 };

static const char *file;
static struct hold_list *told[WORLD_WORKERS_MAX];

static struct hold_list *read_file(void)
{
    struct text problem;
    text_init(&problem, 200);
    struct hold_list *list = hold_list_parse(slice_of(file), world_now(), &problem);
    assert(list != NULL && problem.length == 0);
    text_finish(&problem);
    return list;
}

void hold_world_tell(struct world_worker *worker)
{
    struct hold_list **before = &told[world_number_of(worker)], *list = read_file();
    if (*before != NULL)
        hold_list_keep_ages(list, *before);
    hold_list_destroy(*before);
    *before = list;
    deliveries_hold(world_deliveries(worker), hold_list_copy(list));
    world_wake(worker);
}

static void look(void *context)
{
    hold_world_tell(context);
}

static void change(void *context)
{
    file = files[(uintptr_t)context];
    for (uint32_t number = 0; number < world_plan->workers; number++) {
        struct world_worker *worker = world_worker_number(number);
        if (world_deliveries(worker) != NULL) /* the others read it when they start */
            world_at(world_random(READ_WITHIN_MS), world_whose(worker), look, worker);
    }
}

static void change_at(uint64_t ms, uintptr_t which)
{
    world_at(ms, NOBODYS, change, (void *)which);
}

void hold_world_begin(uint64_t faults_until_ms)
{
    for (uint32_t i = 0; i < world_plan->holds; i++)
        change_at(world_random(faults_until_ms), world_random(sizeof files / sizeof files[0]));
    if (world_plan->holds > 0)
        change_at(faults_until_ms, NOTHING);
    if (world_plan->hold_silent_until_ms > 0) {
        change_at(world_plan->hold_silent_from_ms, SILENT_ONE);
        change_at(world_plan->hold_silent_until_ms, NOTHING);
    }
}

void hold_world_reset(void)
{
    file = files[NOTHING];
    for (uint32_t i = 0; i < WORLD_WORKERS_MAX; i++) {
        hold_list_destroy(told[i]);
        told[i] = NULL;
    }
}

void hold_world_note_post(const struct world_worker *worker, const struct url *url)
{
    if (hold_list_judge(told[world_number_of(worker)], url).action != HOLD_NOT)
        oracle_undone("a URL that is held was left alone");
}
