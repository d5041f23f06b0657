#include "delivery/names.h"

#include "consumer/base/memory.h"
#include "delivery/names_servers.h"
#include "delivery/names_turns.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum {
    AT_ONCE_DEFAULT = 256,
    CACHE_DEFAULT = 10000,
    TTL_DEFAULT_S = 60,
    NEGATIVE_TTL_DEFAULT_S = 5,
    TIMEOUT_DEFAULT_MS = 5000,
    FAILED_TTL_MS = 1000, /* a failure is not an answer: the next retry asks again, a burst does not */
    TTL_MIN_MS = 1000,    /* a TTL of 0 would mean one lookup for each POST */
    RENEW_PART = 5,       /* a name in use is asked for anew in the last fifth of its TTL … */
    RENEW_MIN_MS = 1000,  /* … but this long before its end, as a lookup may have to wait for its turn for most of that … */
    RENEW_PART_MAX = 2,   /* … though not before the half, which would be more than twice the questions */
    SLOW_PART = 9,        /* of the time for a query, after which it gives its place to another */
    TICK_MS = 50,
    EVICTION_TRIES = 16,
};

struct names_query {
    struct link link; /* name->queries */
    struct name *name;
    names_done *done;
    void *context;
};

struct names {
    struct uv_loop_s *loop;
    struct names_options options;
    struct names_servers *servers;
    struct names_table table;
    struct names_turns turns;
    struct list answered; /* to be told */
    struct list known;    /* least used first */
    struct names_stats stats;
    uv_idle_t tell;    /* active: somebody is to be told, and not from within names_find */
    uv_timer_t ticker; /* runs while queries are under way */
    unsigned handles_open;
    bool destroyed;
};

/* False: somebody waits for it, or the name servers have it. It may wait itself, to be asked for anew. */
static bool forget(struct name *name)
{
    if (name->asked || name->telling || !list_is_empty(&name->queries))
        return false;
    if (names_turns_is_waiting(&name->names->turns, name))
        names_turns_leave(&name->names->turns, name);
    names_table_remove(&name->names->table, name);
    return true;
}

/* Makes room for one more among the known names, if one of the least used may go. */
static void evict(struct names *names)
{
    int tries = 0;
    if (names->known.length < names->options.cache_max)
        return;
    LIST_EACH (&names->known, link) {
        if (forget(container_of(link, struct name, shelf_link)) || ++tries == EVICTION_TRIES)
            return;
    }
}

static void count(struct names *names)
{
    gauge_set(&names->stats.under_way, (int64_t)names_turns_under_way(&names->turns));
    gauge_set(&names->stats.waiting, (int64_t)names->turns.waiting);
}

/* Answers */

static bool holds(const struct name *name)
{
    return name->until_ms > uv_now(name->names->loop);
}

static uint64_t renew_within(uint64_t ttl_ms)
{
    uint64_t most = ttl_ms / RENEW_PART_MAX;
    uint64_t least = most < RENEW_MIN_MS ? most : RENEW_MIN_MS;
    return ttl_ms / RENEW_PART > least ? ttl_ms / RENEW_PART : least;
}

static void name_answered(struct name *name, const struct names_answer *answer, uint64_t ttl_ms)
{
    struct names *names = name->names;
    bool failed = answer->result == NAMES_FAILED || answer->result == NAMES_NOT_ASKED;
    counter_add(&names->stats.failures, failed);
    names_turns_end(&names->turns, name);
    if (failed && name->since_ms < name->until_ms) { /* asked anew in vain: what is known stays so to its end */
        if (!list_is_empty(&name->queries) && !holds(name))
            names_turns_wait(&names->turns, name, true); /* who came since then has his own patience */
        return;
    }
    name->answer = *answer;
    name->until_ms = uv_now(names->loop) + ttl_ms;
    name->renew_ms = name->until_ms - (answer->result == NAMES_FOUND ? renew_within(ttl_ms) : 0);
    name_shelve(name, &names->answered);
}

static void name_failed(struct name *name)
{
    name_answered(name, &(struct names_answer){ .result = NAMES_FAILED }, FAILED_TTL_MS);
}

static void on_answered(void *context, const struct names_answer *answer, uint32_t ttl_s)
{
    struct name *name = context;
    struct names *names = name->names;
    name->asked = false;
    if (names->destroyed || !names_turns_is_under_way(&names->turns, name)) /* we gave up on it before */
        return;
    uint64_t ttl_ms = (uint64_t)ttl_s * 1000 > TTL_MIN_MS ? (uint64_t)ttl_s * 1000 : TTL_MIN_MS;
    if (answer->result == NAMES_NOT_FOUND)
        ttl_ms = names->options.negative_ttl_s * UINT64_C(1000);
    else if (answer->result != NAMES_FOUND)
        ttl_ms = FAILED_TTL_MS;
    name_answered(name, answer, ttl_ms);
}

/* Questions */

static void on_tick(uv_timer_t *ticker);

static void ask(struct name *name)
{
    struct names *names = name->names;
    if (!uv_is_active((uv_handle_t *)&names->ticker))
        uv_timer_start(&names->ticker, on_tick, TICK_MS, TICK_MS);
    if (name->asked) /* we gave up on it, the servers have not yet */
        return;
    name->asked = true;
    counter_add(&names->stats.lookups, 1);
    names_servers_ask(names->servers, name->text, name);
}

static void ask_waiting(struct names *names)
{
    struct name *name;
    while ((name = names_turns_take(&names->turns, uv_now(names->loop))) != NULL)
        if (holds(name) || !list_is_empty(&name->queries))
            ask(name);
        else
            names_turns_end(&names->turns, name); /* it was to be asked for anew, and nobody has wanted it since */
    count(names);
}

static void give_up_on_overdue(struct names *names)
{
    struct name *name;
    while ((name = names_turns_overdue(&names->turns, uv_now(names->loop))) != NULL)
        name_failed(name);
}

static void tell(struct name *name)
{
    struct names *names = name->names;
    const struct names_answer answer = name->answer; /* whoever is told may have it asked for anew */
    name_shelve(name, &names->known);
    name->telling = true;
    for (size_t left = name->queries.length; left > 0; left--) {
        struct link *link = list_take(&name->queries);
        if (link == NULL)
            break;
        struct names_query *query = container_of(link, struct names_query, link);
        names_done *done = query->done;
        void *context = query->context;
        free(query);
        done(context, &answer);
    }
    name->telling = false;
}

/* Never called within names_find, or by an answer. */
static void names_turn(struct names *names)
{
    for (size_t left = names->answered.length; left > 0; left--)
        tell(container_of(list_first(&names->answered), struct name, shelf_link));
    ask_waiting(names);
    if (!list_is_empty(&names->answered))
        return; /* the idle handle comes back to them */
    uv_idle_stop(&names->tell);
}

static void on_tell(uv_idle_t *idle)
{
    names_turn(idle->data);
}

/* Whoever was answered outside of a turn is told by the next one. */
static void tell_soon(struct names *names)
{
    if (!list_is_empty(&names->answered))
        uv_idle_start(&names->tell, on_tell);
}

static void on_progressed(void *owner)
{
    struct names *names = owner;
    give_up_on_overdue(names);
    names_turn(names);
    tell_soon(names);
}

static void on_tick(uv_timer_t *ticker)
{
    struct names *names = ticker->data;
    names_servers_tick(names->servers);
    if (names_turns_under_way(&names->turns) == 0 && !names_servers_is_busy(names->servers))
        uv_timer_stop(ticker);
}

/* Once for each answer. */
static void renew_in_time(struct name *name)
{
    struct names *names = name->names;
    if (uv_now(names->loop) < name->renew_ms)
        return;
    name->renew_ms = name->until_ms;
    names_turns_wait(&names->turns, name, false);
    ask_waiting(names);
    tell_soon(names);
}

static void want(struct name *name)
{
    struct names *names = name->names;
    if (name->shelf == &names->answered)
        return;
    if (holds(name)) {
        name_shelve(name, &names->answered);
        renew_in_time(name);
        return;
    }
    if (name->shelf != NULL)
        name_shelve(name, &names->known); /* used */
    names_turns_wait(&names->turns, name, true);
}

struct names_query *names_find(struct names *names, struct slice host, names_done *done, void *context)
{
    char lower[GUARD_HOST_MAX];
    struct slice key = names_table_key(host, lower);
    struct name *name = names_table_find(&names->table, key);
    if (name == NULL) {
        evict(names);
        name = names_table_add(&names->table, key);
        name->names = names;
    }
    struct names_query *query = memory_create(sizeof(*query));
    *query = (struct names_query){ .name = name, .done = done, .context = context };
    list_append(&name->queries, &query->link);
    want(name);
    ask_waiting(names);
    tell_soon(names);
    return query;
}

void names_cancel(struct names_query *query)
{
    struct name *name = query->name;
    struct names *names = name->names;
    list_remove(&name->queries, &query->link);
    free(query);
    if (!list_is_empty(&name->queries) || !names_turns_is_waiting(&names->turns, name) || holds(name))
        return;
    names_turns_leave(&names->turns, name);
    if (name->shelf == NULL)
        names_table_remove(&names->table, name);
    count(names);
}

bool names_cached(struct names *names, struct slice host, struct names_answer *answer)
{
    char lower[GUARD_HOST_MAX];
    struct name *name = names_table_find(&names->table, names_table_key(host, lower));
    if (name == NULL || !holds(name))
        return false;
    if (name->shelf == &names->known)
        name_shelve(name, &names->known); /* used */
    counter_add(&names->stats.cached, 1);
    *answer = name->answer;
    renew_in_time(name);
    return true;
}

const struct names_stats *names_stats(const struct names *names)
{
    return &names->stats;
}

/* Creation */

static void free_when_over(struct names *names)
{
    if (names->destroyed && names->handles_open == 0)
        free(names);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct names *names = handle->data;
    names->handles_open--;
    free_when_over(names);
}

static void set_options(struct names *names, const struct names_options *options)
{
    struct names_options *own = &names->options;
    *own = *options;
    own->at_once_max = options->at_once_max > 0 ? options->at_once_max : AT_ONCE_DEFAULT;
    own->cache_max = options->cache_max > 0 ? options->cache_max : CACHE_DEFAULT;
    own->ttl_max_s = options->ttl_max_s > 0 ? options->ttl_max_s : TTL_DEFAULT_S;
    own->negative_ttl_s = options->negative_ttl_s > 0 ? options->negative_ttl_s : NEGATIVE_TTL_DEFAULT_S;
    own->timeout_ms = options->timeout_ms > 0 ? options->timeout_ms : TIMEOUT_DEFAULT_MS;
}

static bool open_servers(struct names *names)
{
    const struct names_options *options = &names->options;
    names->servers = names_servers_create(&(struct names_servers_options){
        .loop = names->loop,
        .servers = options->servers,
        .file = options->servers_file,
        .timeout_ms = options->timeout_ms,
        .few_descriptors = options->few_descriptors,
        .ttl_max_s = options->ttl_max_s,
        .guard = options->guard,
        .answered = on_answered,
        .progressed = on_progressed,
        .owner = names,
    });
    return names->servers != NULL;
}

struct names *names_create(struct uv_loop_s *loop, const struct names_options *options)
{
    struct names *names = memory_create(sizeof(*names));
    names->loop = loop;
    set_options(names, options);
    const uint64_t slow_ms = names->options.timeout_ms / SLOW_PART + 1;
    if (!open_servers(names)) {
        free(names);
        return NULL;
    }
    list_init(&names->answered);
    list_init(&names->known);
    names_turns_init(&names->turns, names->options.at_once_max, (struct names_patience){ slow_ms, names->options.timeout_ms });
    names_table_init(&names->table, names->options.cache_max);
    uv_idle_init(loop, &names->tell);
    uv_timer_init(loop, &names->ticker);
    names->tell.data = names->ticker.data = names;
    names->handles_open = 2;
    return names;
}

static void drop_queries(struct name *name)
{
    struct link *link;
    while ((link = list_take(&name->queries)) != NULL)
        free(container_of(link, struct names_query, link));
}

void names_destroy(struct names *names)
{
    if (names == NULL)
        return;
    names->destroyed = true;
    names_servers_destroy(names->servers); /* answers what is under way */
    names_table_finish(&names->table, drop_queries);
    names_turns_finish(&names->turns);
    uv_close((uv_handle_t *)&names->tell, on_handle_closed);
    uv_close((uv_handle_t *)&names->ticker, on_handle_closed);
}
