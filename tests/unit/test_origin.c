/* Origins, the sightings of endpoints with few tasks, and the directory that holds both. */
#include "delivery/directory.h"
#include "delivery/scheduler.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct url make_url(char text[200], const char *host, const char *path)
{
    struct url url = { .https = true, .port = 443 };
    url.origin_length = (uint16_t)snprintf(url.origin, sizeof url.origin, "https://%s", host);
    int length = snprintf(text, 200, "https://%s%s", host, path);
    url.text = url.endpoint = (struct slice){ text, (size_t)length };
    return url;
}

static struct egress egress;

static struct directory *make_directory(uint32_t endpoints_max, uint32_t origins_max)
{
    struct directory_options options = { .hash_key = { 1, 2 },
                                         .window_max = 64,
                                         .remember_ms = 3600 * 1000,
                                         .egress = &egress,
                                         .endpoints_max = endpoints_max,
                                         .origins_max = origins_max };
    egress_init(&egress);
    return directory_create(&options);
}

static struct endpoint *meet(struct directory *directory, const char *host, const char *path, uint64_t task, uint64_t now_ms)
{
    char text[200];
    struct url url = make_url(text, host, path);
    return directory_meet(directory, &url, task, now_ms);
}

static struct endpoint *meet_ten(struct directory *directory, const char *host, const char *path, uint64_t now_ms)
{
    struct endpoint *endpoint = NULL;
    for (uint64_t task = 1; task <= 10; task++)
        endpoint = meet(directory, host, path, task, now_ms);
    return endpoint;
}

Test(origin, hears_who_is_to_blame_for_the_way)
{
    static const struct {
        struct attempt_end end;
        enum origin_word word;
    } cases[] = {
        { { .blame = BLAME_NOBODY, .answered = true, .connected = true }, ORIGIN_CONNECTED },
        { { .blame = BLAME_EVENT, .answered = true, .connected = true }, ORIGIN_CONNECTED },
        { { .blame = BLAME_ENDPOINT, .answered = true, .connected = true }, ORIGIN_CONNECTED },
        { { .blame = BLAME_EVENT, .connected = true }, ORIGIN_CONNECTED },                          /* connection lost */
        { { .blame = BLAME_ENDPOINT, .connected = true, .timed_out = true }, ORIGIN_SAYS_NOTHING }, /* an old connection, perhaps */
        { { .blame = BLAME_ORIGIN }, ORIGIN_FAILED },                                               /* refused */
        { { .blame = BLAME_ORIGIN, .timed_out = true }, ORIGIN_FAILED },                            /* black hole */
        { { .blame = BLAME_EVENT }, ORIGIN_SAYS_NOTHING },                                          /* a blocked address */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_expect_eq(origin_hear(&cases[i].end), cases[i].word, "case %zu", i);
}

Test(origin, a_free_connection_is_for_who_waited_longest)
{
    struct origin *origin = origin_create(1, 64);
    struct endpoint a, b;
    endpoint_init(&a, origin, 64);
    endpoint_init(&b, origin, 64);
    origin_take_connection(origin);
    origin_take_connection(origin);
    cr_assert(origin_has_room(origin, 3));
    cr_assert_not(origin_has_room(origin, 2));
    cr_assert(origin_is_next(origin, &a));
    list_append(&origin->blocked, &a.blocked);
    list_append(&origin->blocked, &b.blocked);
    cr_assert(origin_is_next(origin, &a));
    cr_assert_not(origin_is_next(origin, &b));
    origin_give_connection(origin);
    cr_assert(origin_has_room(origin, 2));
    origin_destroy(origin);
}

Test(sightings, the_tenth_task_makes_an_endpoint)
{
    struct sightings *sightings = sightings_create();
    for (uint64_t task = 1; task <= 9; task++) {
        cr_assert_not(sightings_add(sightings, 77, task));
        cr_assert_not(sightings_add(sightings, 77, task), "a task tried often is one task");
    }
    cr_assert_not(sightings_add(sightings, 78, 10));
    cr_assert(sightings_add(sightings, 77, 10));
    cr_assert_not(sightings_add(sightings, 77, 11), "it starts again");
    sightings_destroy(sightings);
}

Test(sightings, a_flood_of_endpoints_seen_once_does_not_push_out_what_comes_again)
{
    struct sightings *sightings = sightings_create();
    uint64_t flood = 1000000;
    int made = 0;
    for (uint64_t round = 1; round <= 30; round++) {
        for (uint64_t endpoint = 1; endpoint <= 1000; endpoint++)
            made += sightings_add(sightings, endpoint, round);
        for (int i = 0; i < 20000; i++)
            cr_assert_not(sightings_add(sightings, flood++, 1));
    }
    cr_assert_gt(made, 2500, "%d", made);
    sightings_destroy(sightings);
}

Test(directory, endpoints_with_few_tasks_share_their_origins_record)
{
    struct directory *directory = make_directory(0, 0);
    struct endpoint *a = meet(directory, "a.example", "/1", 1, 0), *b = meet(directory, "a.example", "/2", 2, 0);
    cr_assert_eq(a, b);
    cr_assert(a->shared);
    cr_assert_neq(a, meet(directory, "b.example", "/1", 1, 0));
    struct endpoint *own = meet_ten(directory, "a.example", "/1", 0);
    cr_assert_neq(own, a);
    cr_assert_not(own->shared);
    cr_assert_eq(own->origin, a->origin);
    cr_assert_eq(own, meet(directory, "a.example", "/1", 5, 0));
    cr_assert_eq(a, meet(directory, "a.example", "/2", 5, 0));
    cr_assert_eq(directory_endpoints(directory), 1);
    cr_assert_eq(directory_origins(directory), 2);
    directory_destroy(directory);
}

Test(directory, a_path_per_task_never_grows_it)
{
    struct directory *directory = make_directory(0, 0);
    char path[40];
    for (uint64_t task = 0; task < 200000; task++) {
        snprintf(path, sizeof path, "/%llu", (unsigned long long)task);
        for (int attempt = 0; attempt < 3; attempt++)
            cr_assert(meet(directory, "a.example", path, task, task)->shared);
    }
    cr_assert_eq(directory_endpoints(directory), 0);
    cr_assert_eq(directory_origins(directory), 1);
    directory_destroy(directory);
}

Test(directory, an_endpoint_of_its_own_inherits_what_was_learnt)
{
    struct directory *directory = make_directory(0, 0);
    struct endpoint *shared = meet(directory, "a.example", "/1", 1, 0);
    shared->record.window.size = 7;
    shared->record.rest = ENDPOINT_PROBING;
    shared->record.rest_until_ms = 5;
    shared->record.without_2xx = true;
    directory_count_resting(directory, 1);
    struct endpoint *own = meet_ten(directory, "a.example", "/1", 0);
    cr_assert_eq(own->record.window.size, 7);
    cr_assert_eq(own->record.rest, ENDPOINT_RESTING, "the probe is not its own");
    cr_assert_eq(own->record.rest_until_ms, 5);
    cr_assert(own->record.without_2xx);
    cr_assert_eq(directory_resting(directory), 2);
    directory_destroy(directory);
}

Test(directory, finds_without_making)
{
    struct directory *directory = make_directory(0, 0);
    char text[200];
    struct url url = make_url(text, "a.example", "/1");
    cr_assert_null(directory_find(directory, &url));
    struct endpoint *shared = meet(directory, "a.example", "/other", 1, 0);
    cr_assert_eq(directory_find(directory, &url), shared);
    struct endpoint *own = meet_ten(directory, "a.example", "/1", 0);
    cr_assert_eq(directory_find(directory, &url), own);
    cr_assert_eq(directory_origins(directory), 1);
    directory_destroy(directory);
}

Test(directory, forgets_idle_endpoints_after_ten_minutes_and_idle_origins_after_an_hour)
{
    struct directory *directory = make_directory(0, 0);
    (void)meet_ten(directory, "a.example", "/1", 0);
    (void)meet(directory, "b.example", "/1", 1, DIRECTORY_KEEP_MS - 1);
    cr_assert_eq(directory_endpoints(directory), 1);
    (void)meet(directory, "b.example", "/1", 1, DIRECTORY_KEEP_MS);
    cr_assert_eq(directory_endpoints(directory), 0);
    cr_assert_eq(directory_origins(directory), 2);
    (void)meet(directory, "b.example", "/1", 1, 3600 * 1000);
    cr_assert_eq(directory_origins(directory), 1);
    directory_destroy(directory);
}

Test(directory, remembers_silent_and_resting_endpoints_for_longer)
{
    struct directory *directory = make_directory(0, 0);
    struct endpoint *silent = meet_ten(directory, "a.example", "/silent", 0);
    struct endpoint *resting = meet_ten(directory, "a.example", "/resting", 0);
    silent->record.without_2xx = true;
    resting->record.rest = ENDPOINT_RESTING;
    directory_count_resting(directory, 1);
    (void)meet(directory, "a.example", "/silent", 1, 1); /* that puts them in line again */
    (void)meet(directory, "a.example", "/resting", 1, 1);
    (void)meet(directory, "b.example", "/", 1, 2 * DIRECTORY_KEEP_MS);
    cr_assert_eq(directory_endpoints(directory), 2);
    cr_assert_eq(directory_resting(directory), 1);
    for (int i = 0; i < 4; i++)
        (void)meet(directory, "b.example", "/", 1, 3600 * 1000 + 1);
    cr_assert_eq(directory_endpoints(directory), 0);
    cr_assert_eq(directory_resting(directory), 0);
    directory_destroy(directory);
}

Test(directory, keeps_what_holds_tickets)
{
    struct directory *directory = make_directory(0, 0);
    struct endpoint *busy = meet_ten(directory, "a.example", "/1", 0);
    busy->in_flight[0] = 1;
    directory_keep(directory, busy, 0);
    for (uint64_t day = 1; day < 10; day++)
        (void)meet(directory, "b.example", "/", 1, day * 24 * 3600 * 1000);
    cr_assert_eq(directory_endpoints(directory), 1);
    cr_assert_eq(directory_origins(directory), 2, "an origin stays with its members");
    directory_destroy(directory);
}

Test(directory, makes_room_at_its_caps_with_the_longest_idle)
{
    struct directory *directory = make_directory(3, 5);
    char host[40];
    for (int i = 0; i < 100; i++) {
        snprintf(host, sizeof host, "h%d.example", i);
        cr_assert_not_null(meet(directory, host, "/", 1, (uint64_t)i));
        cr_assert_leq(directory_origins(directory), 5);
    }
    for (int i = 0; i < 100; i++) {
        snprintf(host, sizeof host, "/%d", i);
        cr_assert_not(meet_ten(directory, "h99.example", host, 100)->shared);
        cr_assert_leq(directory_endpoints(directory), 3);
    }
    directory_destroy(directory);
}

Test(directory, says_so_when_it_is_full_of_busy_ones)
{
    struct directory *directory = make_directory(1, 2);
    char host[40];
    for (int i = 0; i < 2; i++) {
        snprintf(host, sizeof host, "h%d.example", i);
        struct endpoint *endpoint = meet(directory, host, "/", 1, 0);
        endpoint->in_flight[0] = 1;
        directory_keep(directory, endpoint, 0);
    }
    cr_assert_null(meet(directory, "other.example", "/", 1, 0));
    struct endpoint *own = meet_ten(directory, "h0.example", "/", 0);
    own->in_flight[0] = 1;
    directory_keep(directory, own, 0);
    cr_assert(meet_ten(directory, "h1.example", "/", 0)->shared, "no room for one of its own: it goes on sharing");
    directory_destroy(directory);
}
