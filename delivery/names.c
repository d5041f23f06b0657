#include "delivery/names.h"

#include "consumer/base/memory.h"
#include "delivery/names_turns.h"

#include <ares.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
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
    TICK_MS = 50,
    TRIES = 3,
    TRIES_WEIGHT = 9,  /* c-ares doubles its patience at each try: 1 + 2 + 4. It gives up before us: it may have one kind of address by then */
    PORT_QUERIES = 32, /* asked from one port, before another makes answers hard to forge again */
    EVICTION_TRIES = 16,
};

struct names_query {
    struct link link; /* name->queries */
    struct name *name;
    names_done *done;
    void *context;
};

struct server_socket { /* of c-ares */
    uv_poll_t poll;
    struct link link;
    struct names *names;
    ares_socket_t fd;
};

struct names {
    struct uv_loop_s *loop;
    struct names_options options;
    ares_channel channel;
    struct list sockets;
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

/* Makes room for one more among the known names, if one of the least used may go. */
static void evict(struct names *names)
{
    int tries = 0;
    if (names->known.length < names->options.cache_max)
        return;
    LIST_EACH (&names->known, link) {
        struct name *name = container_of(link, struct name, link);
        if (!name->asked && !name->telling && list_is_empty(&name->queries)) {
            names_table_remove(&names->table, name);
            return;
        }
        if (++tries == EVICTION_TRIES)
            return;
    }
}

static void count(struct names *names)
{
    gauge_set(&names->stats.under_way, (int64_t)names_turns_under_way(&names->turns));
    gauge_set(&names->stats.waiting, (int64_t)names->turns.waiting);
}

/* Answers */

static void name_answered(struct name *name, uint64_t ttl_ms)
{
    struct names *names = name->names;
    name->until_ms = uv_now(names->loop) + ttl_ms;
    if (name->answer.result == NAMES_FAILED)
        counter_add(&names->stats.failures, 1);
    names_turns_end(&names->turns, name);
    name_move(name, &names->answered);
}

static void name_failed(struct name *name)
{
    name->answer = (struct names_answer){ .result = NAMES_FAILED };
    name_answered(name, FAILED_TTL_MS);
}

static bool take_address(struct names_answer *answer, const struct ares_addrinfo_node *node)
{
    struct guard_address *address = &answer->addresses[answer->count];
    if (node->ai_family == AF_INET) {
        memcpy(address->bytes, &((const struct sockaddr_in *)(const void *)node->ai_addr)->sin_addr, 4);
    } else if (node->ai_family == AF_INET6) {
        address->v6 = true;
        memcpy(address->bytes, &((const struct sockaddr_in6 *)(const void *)node->ai_addr)->sin6_addr, 16);
    } else {
        return false;
    }
    answer->count++;
    return true;
}

/* There are more addresses than we keep: whoever would refuse one of them must not miss it. */
static void take_refused(struct names_answer *answer, const struct guard *guard, const struct ares_addrinfo_node *node)
{
    for (; guard != NULL && node != NULL; node = node->ai_next) {
        struct names_answer one = { .count = 0 };
        if (!take_address(&one, node) || guard_judge_address(guard, &one.addresses[0]) == GUARD_OK)
            continue;
        answer->addresses[NAMES_ADDRESSES_MAX - 1] = one.addresses[0];
        return;
    }
}

/* The shortest TTL of addresses and aliases, in seconds. */
static uint32_t take_addresses(struct names_answer *answer, const struct ares_addrinfo *info, const struct names_options *options)
{
    int64_t ttl_s = options->ttl_max_s;
    const struct ares_addrinfo_node *node = info->nodes;
    *answer = (struct names_answer){ .result = NAMES_NOT_FOUND };
    for (; node != NULL && answer->count < NAMES_ADDRESSES_MAX; node = node->ai_next)
        if (take_address(answer, node) && node->ai_ttl < ttl_s)
            ttl_s = node->ai_ttl;
    take_refused(answer, options->guard, node);
    for (const struct ares_addrinfo_cname *alias = info->cnames; alias != NULL; alias = alias->next)
        if (alias->ttl < ttl_s)
            ttl_s = alias->ttl;
    if (answer->count > 0)
        answer->result = NAMES_FOUND;
    return ttl_s < 0 ? 0 : (uint32_t)ttl_s;
}

static bool is_no(int status)
{
    return status == ARES_ENOTFOUND || status == ARES_ENODATA || status == ARES_EBADNAME;
}

/* c-ares's callback; it may come from within ares_getaddrinfo. */
static void on_addresses(void *context, int status, int timeouts, struct ares_addrinfo *info)
{
    struct name *name = context;
    struct names *names = name->names;
    (void)timeouts;
    name->asked = false;
    if (names->destroyed || !names_turns_is_under_way(&names->turns, name)) { /* we gave up on it before */
        ares_freeaddrinfo(info);
        return;
    }
    if (status == ARES_SUCCESS) {
        uint32_t ttl_s = take_addresses(&name->answer, info, &names->options);
        uint64_t found_ms = (uint64_t)ttl_s * 1000 > TTL_MIN_MS ? (uint64_t)ttl_s * 1000 : TTL_MIN_MS;
        name_answered(name, name->answer.count > 0 ? found_ms : names->options.negative_ttl_s * UINT64_C(1000));
    } else if (is_no(status)) {
        name->answer = (struct names_answer){ .result = NAMES_NOT_FOUND };
        name_answered(name, names->options.negative_ttl_s * UINT64_C(1000));
    } else {
        name_failed(name);
    }
    ares_freeaddrinfo(info);
}

/* Questions */

static void on_tick(uv_timer_t *ticker);

static void ask(struct name *name)
{
    struct names *names = name->names;
    static const struct ares_addrinfo_hints hints = { .ai_flags = ARES_AI_NOSORT, .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
    if (!uv_is_active((uv_handle_t *)&names->ticker))
        uv_timer_start(&names->ticker, on_tick, TICK_MS, TICK_MS);
    if (name->asked) /* we gave up on it, c-ares has not yet */
        return;
    name->asked = true;
    counter_add(&names->stats.lookups, 1);
    ares_getaddrinfo(names->channel, name->text, NULL, &hints, on_addresses, name);
}

static void ask_waiting(struct names *names)
{
    struct name *name;
    while ((name = names_turns_take(&names->turns, uv_now(names->loop))) != NULL)
        ask(name);
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
    name_move(name, &names->known);
    name->telling = true;
    for (size_t left = name->queries.length; left > 0; left--) {
        struct link *link = list_take(&name->queries);
        if (link == NULL)
            break;
        struct names_query *query = container_of(link, struct names_query, link);
        names_done *done = query->done;
        void *context = query->context;
        free(query);
        done(context, &name->answer);
    }
    name->telling = false;
}

/* Never called within c-ares or names_find. */
static void names_turn(struct names *names)
{
    for (size_t left = names->answered.length; left > 0; left--)
        tell(container_of(list_first(&names->answered), struct name, link));
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

static void names_progress(struct names *names)
{
    give_up_on_overdue(names);
    names_turn(names);
    tell_soon(names);
}

static void on_tick(uv_timer_t *ticker)
{
    struct names *names = ticker->data;
    ares_process_fd(names->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    names_progress(names);
    if (names_turns_under_way(&names->turns) == 0 && list_is_empty(&names->sockets))
        uv_timer_stop(ticker);
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
    if (name->list == &names->known && name->until_ms > uv_now(names->loop))
        name_move(name, &names->answered);
    else if (name->list == NULL || name->list == &names->known)
        names_turns_wait(&names->turns, name);
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
    if (!list_is_empty(&name->queries) || !name->waiting || name->telling)
        return;
    names_turns_leave(&names->turns, name);
    if (name->asked)
        name_move(name, &names->known); /* c-ares still has it */
    else
        names_table_remove(&names->table, name);
    count(names);
}

bool names_cached(struct names *names, struct slice host, struct names_answer *answer)
{
    char lower[GUARD_HOST_MAX];
    struct name *name = names_table_find(&names->table, names_table_key(host, lower));
    if (name == NULL || name->list != &names->known || name->until_ms <= uv_now(names->loop))
        return false;
    name_move(name, &names->known);
    counter_add(&names->stats.cached, 1);
    *answer = name->answer;
    return true;
}

const struct names_stats *names_stats(const struct names *names)
{
    return &names->stats;
}

/* c-ares's sockets on the event loop */

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

static void on_socket_closed(uv_handle_t *handle)
{
    struct names *names = handle->data;
    free(container_of((uv_poll_t *)handle, struct server_socket, poll));
    names->handles_open--;
    free_when_over(names);
}

static void on_socket_ready(uv_poll_t *poll, int status, int events)
{
    struct server_socket *sock = container_of(poll, struct server_socket, poll);
    struct names *names = sock->names;
    ares_socket_t read_fd = status < 0 || (events & UV_READABLE) != 0 ? sock->fd : ARES_SOCKET_BAD;
    ares_socket_t write_fd = status < 0 || (events & UV_WRITABLE) != 0 ? sock->fd : ARES_SOCKET_BAD;
    ares_process_fd(names->channel, read_fd, write_fd); /* may close the socket */
    names_progress(names);
}

static struct server_socket *socket_find(struct names *names, ares_socket_t fd)
{
    LIST_EACH (&names->sockets, link) {
        struct server_socket *sock = container_of(link, struct server_socket, link);
        if (sock->fd == fd)
            return sock;
    }
    return NULL;
}

static struct server_socket *socket_create(struct names *names, ares_socket_t fd)
{
    struct server_socket *sock = memory_create(sizeof(*sock));
    if (uv_poll_init(names->loop, &sock->poll, fd) != 0) {
        free(sock); /* its queries time out */
        return NULL;
    }
    sock->names = names;
    sock->fd = fd;
    sock->poll.data = names;
    names->handles_open++;
    list_append(&names->sockets, &sock->link);
    return sock;
}

static void on_socket_state(void *context, ares_socket_t fd, int readable, int writable)
{
    struct names *names = context;
    struct server_socket *sock = socket_find(names, fd);
    int events = (readable ? UV_READABLE : 0) | (writable ? UV_WRITABLE : 0);
    if (events == 0 && sock != NULL) {
        list_remove(&names->sockets, &sock->link);
        uv_close((uv_handle_t *)&sock->poll, on_socket_closed);
    } else if (events != 0 && (sock != NULL || (sock = socket_create(names, fd)) != NULL)) {
        uv_poll_start(&sock->poll, events, on_socket_ready);
    }
}

/* Creation */

static void init_cares(void)
{
    assert(ares_library_init(ARES_LIB_INIT_ALL) == ARES_SUCCESS);
}

/* What Debian 12's c-ares does not have. */
static int set_newer_options(struct ares_options *options)
{
    int mask = 0;
    (void)options;
#ifdef ARES_OPT_UDP_MAX_QUERIES
    options->udp_max_queries = PORT_QUERIES;
    mask |= ARES_OPT_UDP_MAX_QUERIES;
#endif
#ifdef ARES_OPT_QUERY_CACHE
    options->qcache_max_ttl = 0; /* it would keep answers for up to an hour behind our own cache */
    mask |= ARES_OPT_QUERY_CACHE;
#endif
    return mask;
}

static uint64_t first_try_ms(const struct names_options *options)
{
    return options->timeout_ms / TRIES_WEIGHT + 1;
}

static bool open_channel(struct names *names, const char *servers)
{
    static char dns_only[] = "b"; /* not /etc/hosts: what a customer's name means is not for this machine to say */
    struct ares_options options = {
        .flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES,
        .timeout = (int)first_try_ms(&names->options),
        .tries = TRIES,
        .lookups = dns_only,
        .sock_state_cb = on_socket_state,
        .sock_state_cb_data = names,
    };
    int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_DOMAINS | ARES_OPT_LOOKUPS | ARES_OPT_SOCK_STATE_CB;
    mask |= set_newer_options(&options);
    if (ares_init_options(&names->channel, &options, mask) != ARES_SUCCESS)
        return false;
    if (servers == NULL || ares_set_servers_ports_csv(names->channel, servers) == ARES_SUCCESS)
        return true;
    ares_destroy(names->channel);
    return false;
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
    own->servers = NULL; /* used up */
}

struct names *names_create(struct uv_loop_s *loop, const struct names_options *options)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, init_cares);
    struct names *names = memory_create(sizeof(*names));
    names->loop = loop;
    set_options(names, options);
    list_init(&names->sockets);
    list_init(&names->answered);
    list_init(&names->known);
    names_turns_init(&names->turns, names->options.at_once_max, (struct names_patience){ first_try_ms(&names->options), names->options.timeout_ms });
    if (!open_channel(names, options->servers)) {
        free(names);
        return NULL;
    }
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
    ares_destroy(names->channel); /* calls back for what is under way, closes its sockets */
    names_table_finish(&names->table, drop_queries);
    uv_close((uv_handle_t *)&names->tell, on_handle_closed);
    uv_close((uv_handle_t *)&names->ticker, on_handle_closed);
}
