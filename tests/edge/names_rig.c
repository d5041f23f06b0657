#include "tests/edge/names_rig.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <unistd.h>

enum { PATIENCE_MS = 20000 };

uv_loop_t loop;
struct dns_server server;
struct names *names;
static uv_timer_t patience;

static void on_patience(uv_timer_t *timer)
{
    (void)timer;
    cr_assert_fail("nothing came for %d ms", PATIENCE_MS);
}

void names_rig_open(dns_script *script, struct names_options options)
{
    dns_start(&server, script);
    uv_loop_init(&loop);
    uv_timer_init(&loop, &patience);
    uv_timer_start(&patience, on_patience, PATIENCE_MS, 0);
    char servers[128];
    snprintf(servers, sizeof(servers), "%s%s%s", options.servers != NULL ? options.servers : "", options.servers != NULL ? "," : "", server.address);
    options.servers = servers;
    names = names_create(&loop, &options);
    cr_assert_not_null(names);
}

void names_rig_close(void)
{
    names_destroy(names);
    uv_close((uv_handle_t *)&patience, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert_eq(uv_loop_close(&loop), 0);
    dns_stop(&server);
}

void on_found(void *context, const struct names_answer *answer)
{
    struct found *found = context;
    found->calls++;
    found->answer = *answer;
}

struct names_query *find(const char *host, struct found *found)
{
    *found = (struct found){ .calls = 0 };
    struct names_query *query = names_find(names, slice_of(host), on_found, found);
    cr_assert_eq(found->calls, 0, "answered before names_find returned");
    return query;
}

void wait_for(const struct found *found)
{
    while (found->calls == 0)
        uv_run(&loop, UV_RUN_ONCE);
    cr_assert_eq(found->calls, 1);
}

struct found look_up(const char *host)
{
    struct found found;
    find(host, &found);
    wait_for(&found);
    return found;
}

void sleep_ms(uint64_t ms)
{
    uint64_t until = uv_hrtime() / 1000000 + ms;
    while (uv_hrtime() / 1000000 < until) {
        uv_run(&loop, UV_RUN_NOWAIT);
        usleep(2000);
    }
    uv_update_time(&loop);
}
