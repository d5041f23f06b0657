#include "delivery/names_servers.h"

#include "consumer/base/list.h"
#include "consumer/base/log.h"
#include "consumer/base/memory.h"
#include "delivery/names_addresses.h"
#include "delivery/names_cares.h"
#include "delivery/names_file.h"
#include "delivery/names_order.h"
#include "delivery/socket_state.h"

#include <ares.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum {
    ANSWER_MAX = 1232,     /* bytes, of UDP: fits through every network in one piece */
    SMALL_ONLY_ENOUGH = 3, /* names, to ask in small from then on */
    LARGE_EVERY = 256,     /* of those one is asked in large as well: slow names may have been all there was to it */
    FILE_LOOK_MS = 1000,
    OLD_CHANNELS_MAX = 32, /* of Debian 12's c-ares: a file that changes faster than their questions end has to wait */
};

/* What is known of the name servers of the newest reading. Not kept with a channel: learning takes longer than one may be the newest. */
struct sizes_known {
    bool large;           /* one was answered */
    unsigned small_only;  /* names of which the small question alone was answered */
    unsigned asked_small; /* names since those were enough */
};

struct names_servers {
    struct names_servers_options options;
    struct list channels; /* the newest is asked; of the others, questions are under way */
    unsigned reading;     /* of the configuration */
    struct names_order order;
    struct sizes_known known;
    struct names_file text;
    uint64_t looked_ms;
    bool fixed; /* they are not those of the file */
    unsigned handles_open;
    bool destroyed;
};

/* Whether a question says that its answer may be larger than 512 bytes (EDNS). Old name servers, and what stands before them, may not know what that
 * is: most then say that they did not understand, some say nothing. */
enum size { LARGE, SMALL, SIZES };

struct channel {
    struct link link;
    struct names_servers *servers;
    ares_channel ares[SIZES];
    struct list sockets;
    size_t asked;
    unsigned names; /* so far: an old c-ares's, since its sockets were opened */
    unsigned reading, order;
};

struct server_socket { /* of c-ares */
    uv_poll_t poll;
    struct link link;
    struct channel *channel;
    struct names_servers *servers; /* the channel may be gone when the handle is */
    ares_socket_t fd;
};

struct question {
    struct channel *channel;
    void *context; /* NULL: nobody's, it is asked to learn something */
    enum size size;
    char name[];
};

/* ---- answers ---- */

static bool is_no(int status)
{
    return status == ARES_ENOTFOUND || status == ARES_ENODATA || status == ARES_EBADNAME;
}

static void question_ask(struct question *question);

/* From a name server: a bad name is c-ares's own finding. */
static bool is_heard(int status)
{
    return status == ARES_SUCCESS || status == ARES_ENOTFOUND || status == ARES_ENODATA;
}

static bool is_of_newest_reading(const struct channel *channel)
{
    return channel->reading == channel->servers->reading;
}

/* As long as no large question was answered its size may be why. One that was not understood is one of many that were under way when c-ares, which asks
 * in small by itself then, found out: 1.18 forgets the others. */
static bool is_to_be_small(const struct question *question, int status)
{
    const struct channel *channel = question->channel;
    bool large_are_known = is_of_newest_reading(channel) && channel->servers->known.large && status != ARES_EFORMERR;
    return question->size == LARGE && !is_heard(status) && status != ARES_EDESTRUCTION && !large_are_known && question->context != NULL;
}

static void learn_size(const struct channel *channel, enum size size)
{
    struct sizes_known *known = &channel->servers->known;
    if (!is_of_newest_reading(channel))
        return;
    if (size == LARGE)
        known->large = true;
    else
        known->small_only++;
}

static void question_end(struct question *question, const struct names_answer *answer, uint32_t ttl_s)
{
    const struct names_servers_options *options = &question->channel->servers->options;
    question->channel->asked--;
    if (question->context != NULL)
        options->answered(question->context, answer, ttl_s);
    free(question);
}

/* c-ares calls it refused when it cannot open a socket. */
static enum names_result result_of(int status)
{
    if (is_no(status))
        return NAMES_NOT_FOUND;
    return status != ARES_EDESTRUCTION && sockets_are_used_up() ? NAMES_NOT_ASKED : NAMES_FAILED;
}

static void on_addresses(void *context, int status, int timeouts, struct ares_addrinfo *info)
{
    struct question *question = context;
    struct channel *channel = question->channel;
    const struct names_servers_options *options = &channel->servers->options;
    struct names_answer answer = { .count = 0 };
    uint32_t ttl_s = 0;
    if (status == ARES_SUCCESS)
        ttl_s = names_addresses_take(&answer, info, options->guard, options->ttl_max_s);
    else
        answer.result = result_of(status);
    ares_freeaddrinfo(info);
    if (is_heard(status)) {
        names_order_heard(&channel->servers->order, channel->order, timeouts > 0, uv_now(options->loop));
        learn_size(channel, question->size);
    }
    if (is_to_be_small(question, status)) {
        question->size = SMALL;
        question_ask(question);
    } else {
        question_end(question, &answer, ttl_s);
    }
}

/* ---- c-ares's sockets on the event loop ---- */

static void free_when_over(struct names_servers *servers)
{
    if (servers->destroyed && servers->handles_open == 0)
        free(servers);
}

static void on_socket_closed(uv_handle_t *handle)
{
    struct server_socket *sock = container_of((uv_poll_t *)handle, struct server_socket, poll);
    struct names_servers *servers = sock->servers;
    free(sock);
    servers->handles_open--;
    free_when_over(servers);
}

/* c-ares passes over a socket that is not this one's. */
static void process(struct channel *channel, ares_socket_t read_fd, ares_socket_t write_fd)
{
    for (enum size size = 0; size < SIZES; size++)
        if (channel->ares[size] != NULL)
            ares_process_fd(channel->ares[size], read_fd, write_fd);
}

static void on_socket_ready(uv_poll_t *poll, int status, int events)
{
    struct server_socket *sock = container_of(poll, struct server_socket, poll);
    struct names_servers *servers = sock->servers;
    ares_socket_t read_fd = status < 0 || (events & UV_READABLE) != 0 ? sock->fd : ARES_SOCKET_BAD;
    ares_socket_t write_fd = status < 0 || (events & UV_WRITABLE) != 0 ? sock->fd : ARES_SOCKET_BAD;
    process(sock->channel, read_fd, write_fd); /* may close the socket */
    servers->options.progressed(servers->options.owner);
}

static struct server_socket *socket_find(struct channel *channel, ares_socket_t fd)
{
    LIST_EACH (&channel->sockets, link) {
        struct server_socket *sock = container_of(link, struct server_socket, link);
        if (sock->fd == fd)
            return sock;
    }
    return NULL;
}

static struct server_socket *socket_create(struct channel *channel, ares_socket_t fd)
{
    struct server_socket *sock = memory_create(sizeof(*sock));
    struct names_servers *servers = channel->servers;
    if (uv_poll_init(servers->options.loop, &sock->poll, fd) != 0) {
        free(sock); /* its queries time out */
        return NULL;
    }
    sock->channel = channel;
    sock->servers = servers;
    sock->fd = fd;
    servers->handles_open++;
    list_append(&channel->sockets, &sock->link);
    return sock;
}

static void on_socket_state(void *context, ares_socket_t fd, int readable, int writable)
{
    struct channel *channel = context;
    struct server_socket *sock = socket_find(channel, fd);
    int events = (readable ? UV_READABLE : 0) | (writable ? UV_WRITABLE : 0);
    if (events == 0 && sock != NULL) {
        list_remove(&channel->sockets, &sock->link);
        uv_close((uv_handle_t *)&sock->poll, on_socket_closed);
        if (names_cares_is_old() && list_is_empty(&channel->sockets))
            channel->names = 0;
    } else if (events != 0 && (sock != NULL || (sock = socket_create(channel, fd)) != NULL)) {
        uv_poll_start(&sock->poll, events, on_socket_ready);
    }
}

/* ---- channels ---- */

/* Its callbacks come from within: it leaves the list when no more of them can. Takes one that was opened by half. */
static void channel_close(struct channel *channel)
{
    for (enum size size = 0; size < SIZES; size++)
        if (channel->ares[size] != NULL)
            ares_destroy(channel->ares[size]); /* calls back for what is under way, closes its sockets */
    list_remove(&channel->servers->channels, &channel->link);
    free(channel);
}

/* Never by TCP (IGNTC): when a name server closes such a connection, or refuses it, c-ares 1.18 charges a try to all questions that it has, and a
 * stranger's name of 64 KiB would take 40 ms to read. Of an answer that was too large there is what fitted, and that is all that is judged and dialled:
 * an address that was cut off can neither be refused, with the others, nor be called. */
static bool ares_open(struct channel *channel, enum size size)
{
    static char nothing[] = "/dev/null"; /* what the file says of name servers is in the list already, and of its options none is heeded */
    static char dns_only[] = "b";        /* not /etc/hosts: what a customer's name means is not for this machine to say */
    const struct names_servers_options *servers = &channel->servers->options;
    const struct names_tries tries = names_cares_tries(channel->servers->order.count, servers->timeout_ms);
    struct ares_options options = {
        .flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES | ARES_FLAG_IGNTC | (size == LARGE ? ARES_FLAG_EDNS : 0),
        .timeout = tries.first_ms,
        .tries = tries.count,
        .lookups = dns_only,
        .ednspsz = ANSWER_MAX,
        .sock_state_cb = on_socket_state,
        .sock_state_cb_data = channel,
        .resolvconf_path = nothing,
    };
    int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_DOMAINS | ARES_OPT_LOOKUPS | ARES_OPT_SOCK_STATE_CB;
    mask |= ARES_OPT_RESOLVCONF | ARES_OPT_EDNSPSZ | names_cares_set_newer_options(&options);
    ares_channel ares;
    if (ares_init_options(&ares, &options, mask) != ARES_SUCCESS)
        return false;
    if (ares_set_servers_ports_csv(ares, channel->servers->order.list.start) != ARES_SUCCESS) {
        ares_destroy(ares);
        return false;
    }
    channel->ares[size] = ares;
    return true;
}

/* What the configuration says, c-ares alone knows. */
static bool read_servers(struct names_servers *servers)
{
    struct ares_options options = { .resolvconf_path = (char *)(uintptr_t)servers->options.file }; /* c-ares copies it */
    ares_channel reader;
    struct text list;
    if (ares_init_options(&reader, &options, ARES_OPT_RESOLVCONF) != ARES_SUCCESS)
        return false;
    text_init(&list, NAMES_ORDER_LENGTH_MAX);
    bool fine = servers->options.servers == NULL || ares_set_servers_ports_csv(reader, servers->options.servers) == ARES_SUCCESS;
    fine = fine && names_cares_list_servers(reader, &list);
    ares_destroy(reader);
    if (fine)
        names_order_read(&servers->order, list);
    else
        text_finish(&list);
    return fine;
}

static bool channel_open(struct names_servers *servers)
{
    struct channel *channel = memory_create(sizeof(*channel));
    channel->servers = servers;
    channel->reading = servers->reading;
    channel->order = servers->order.number;
    list_init(&channel->sockets);
    list_append(&servers->channels, &channel->link);
    if (ares_open(channel, LARGE))
        return true;
    channel_close(channel);
    return false;
}

static struct channel *newest(const struct names_servers *servers)
{
    return container_of(servers->channels.head.previous, struct channel, link);
}

/* The channels of an old c-ares take too much memory for more. One of them is left for a file that changes: until an old one's last question ended the
 * newest goes on. */
static bool has_room_for_channels(const struct names_servers *servers, unsigned how_many)
{
    return !names_cares_is_old() || servers->channels.length + how_many <= OLD_CHANNELS_MAX;
}

/* Asked from now on is another channel, when this one has had its names (names_cares.h), or begins with a name server that is silent. */
static void leave_old_channel(struct names_servers *servers)
{
    unsigned names_max = names_cares_channel_names(servers->channels.length, servers->options.few_descriptors);
    if (has_room_for_channels(servers, 2) &&
        (names_order_heed_silence(&servers->order, uv_now(servers->options.loop)) || newest(servers)->names >= names_max))
        (void)channel_open(servers); /* else the newest goes on */
}

/* ---- the file ---- */

/* A file that names no server is one that is being written, or no better than what there is. */
static void heed_changes(struct names_servers *servers)
{
    struct names_file now;
    uint64_t now_ms = uv_now(servers->options.loop);
    if (servers->fixed || now_ms < servers->looked_ms + FILE_LOOK_MS || !has_room_for_channels(servers, 1))
        return;
    servers->looked_ms = now_ms;
    if (!names_file_read(servers->options.file, &now) || names_file_is_same(&now, &servers->text))
        return;
    if (!names_file_names_a_server(names_file_text(&now), !names_cares_is_old()) || !read_servers(servers))
        return;
    servers->text = now;
    servers->reading++;
    servers->known = (struct sizes_known){ .large = false };
    (void)channel_open(servers); /* else the next that is opened has them */
    log_info("name servers read again", LOG_STRING("file", servers->options.file));
}

/* ---- asking ---- */

static void question_ask(struct question *question)
{
    static const struct ares_addrinfo_hints hints = { .ai_flags = ARES_AI_NOSORT, .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
    struct channel *channel = question->channel;
    /* Most name servers know EDNS: the small one is opened when it is asked. */
    if (channel->ares[question->size] != NULL || ares_open(channel, question->size))
        ares_getaddrinfo(channel->ares[question->size], question->name, NULL, &hints, on_addresses, question);
    else
        question_end(question, &(struct names_answer){ .result = result_of(ARES_ENOMEM) }, 0);
}

static void ask(struct names_servers *servers, const char *name, void *context, enum size size)
{
    size_t bytes = strlen(name) + 1;
    struct question *question = memory_create(sizeof(*question) + bytes);
    question->channel = newest(servers);
    question->context = context;
    question->size = size;
    memcpy(question->name, name, bytes);
    question->channel->asked++;
    question->channel->names++;
    question_ask(question);
}

void names_servers_ask(struct names_servers *servers, const char *name, void *context)
{
    struct sizes_known *known = &servers->known;
    heed_changes(servers);
    leave_old_channel(servers);
    bool small = !known->large && known->small_only >= SMALL_ONLY_ENOUGH;
    if (small && ++known->asked_small % LARGE_EVERY == 0)
        ask(servers, name, NULL, LARGE);
    ask(servers, name, context, small ? SMALL : LARGE);
}

void names_servers_tick(struct names_servers *servers)
{
    LIST_EACH (&servers->channels, link) {
        struct channel *channel = container_of(link, struct channel, link);
        process(channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
        if (channel->asked == 0 && channel != newest(servers))
            channel_close(channel);
    }
    servers->options.progressed(servers->options.owner);
}

bool names_servers_is_busy(const struct names_servers *servers)
{
    return servers->channels.length > 1 || !list_is_empty(&newest(servers)->sockets);
}

/* ---- making ---- */

bool names_may_share_sockets(void)
{
    return !names_cares_is_old();
}

static void init_cares(void)
{
    assert(ares_library_init(ARES_LIB_INIT_ALL) == ARES_SUCCESS);
}

struct names_servers *names_servers_create(const struct names_servers_options *options)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, init_cares);
    struct names_servers *servers = memory_create(sizeof(*servers));
    servers->options = *options;
    if (options->file == NULL)
        servers->options.file = "/etc/resolv.conf";
    list_init(&servers->channels);
    servers->fixed = options->servers != NULL;
    servers->looked_ms = uv_now(options->loop);
    if (!servers->fixed && !names_file_read(servers->options.file, &servers->text)) /* before c-ares does: a change between is seen later */
        servers->text.length = 0;
    names_order_init(&servers->order);
    bool open = read_servers(servers) && channel_open(servers);
    servers->options.servers = NULL; /* used up */
    if (open)
        return servers;
    names_order_finish(&servers->order);
    free(servers);
    return NULL;
}

void names_servers_destroy(struct names_servers *servers)
{
    if (servers == NULL)
        return;
    servers->destroyed = true;
    LIST_EACH (&servers->channels, link)
        channel_close(container_of(link, struct channel, link));
    names_order_finish(&servers->order);
    free_when_over(servers);
}
