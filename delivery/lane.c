#include "delivery/lane.h"

#include "consumer/base/clock.h"
#include "delivery/post_tls.h"
#include "delivery/socket_state.h"

#include <curl/curl.h>
#include <pthread.h>

enum { NO_LIMIT = 1000000 };

static void init_curl(void)
{
    CURLcode code = curl_global_init(CURL_GLOBAL_ALL);
    assert(code == CURLE_OK);
}

void lane_init_library(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, init_curl);
}

static void mark(struct list *list, struct link *link)
{
    if (link_is_free(link))
        list_append(list, link);
}

static void unmark(struct list *list, struct link *link)
{
    if (!link_is_free(link))
        list_remove(list, link);
}

/* libcurl's calls for the event loop */

static int on_curl_timer(CURLM *multi, long timeout_ms, void *context)
{
    struct lane *lane = context;
    struct lane_shared *shared = lane->shared;
    (void)multi;
    timers_stop(shared->timers, &lane->timer);
    unmark(&shared->kicked, &lane->kicked);
    if (timeout_ms == 0)
        mark(&shared->kicked, &lane->kicked);
    else if (timeout_ms > 0) /* by a clock that is never behind: were it a moment too early, libcurl would do nothing, and not look again */
        timers_start(shared->timers, &lane->timer, clock_monotonic_ms() + 1 + (uint64_t)timeout_ms);
    return 0;
}

static int on_curl_socket(CURL *easy, curl_socket_t fd, int what, void *context, void *unused)
{
    struct lane *lane = context;
    struct post *post = NULL;
    (void)unused;
    unsigned events = ((what & CURL_POLL_IN) != 0 ? WIRE_READ : 0U) | ((what & CURL_POLL_OUT) != 0 ? WIRE_WRITE : 0U);
    bool removed = what == CURL_POLL_REMOVE;
    wires_watch(lane->shared->wires, lane, fd, removed ? 0 : events);
    if (curl_easy_getinfo(easy, CURLINFO_PRIVATE, &post) != CURLE_OK || post == NULL)
        return 0;
    if (!removed || post->fd == fd)
        post->fd = removed ? -1 : fd;
    /* A TLS goodbye hides the end from libcurl 7.88, and what is there before the next request is sent, it would take for the answer to that. */
    if (removed)
        wires_suspect(lane->shared->wires, fd, post->saw.http2);
    return 0;
}

static void lane_act(struct lane *lane, int fd, int events)
{
    int running = 0;
    post_tls_lend(lane->shared->tls);
    curl_multi_socket_action(lane->multi, fd, events, &running);
    post_tls_lend(NULL);
    mark(&lane->shared->touched, &lane->touched);
}

/* What libuv has seen may be a long turn ago: told that it may write, and no more, libcurl writes, gives up when that fails, and has not read the answer
 * of a receiver that did not wait for the request. */
void lane_wire_ready(void *lane, int fd, unsigned events)
{
    if (events == WIRE_WRITE && socket_has_news(fd))
        events |= WIRE_READ;
    int flags = ((events & WIRE_READ) != 0 ? CURL_CSELECT_IN : 0) | ((events & WIRE_WRITE) != 0 ? CURL_CSELECT_OUT : 0) |
                ((events & WIRE_ERROR) != 0 ? CURL_CSELECT_ERR : 0);
    lane_act(lane, fd, flags);
}

void lane_kick(struct lane *lane)
{
    lane_act(lane, CURL_SOCKET_TIMEOUT, 0);
}

static void on_timer(struct timer *timer)
{
    struct lane *lane = container_of(timer, struct lane, timer);
    mark(&lane->shared->kicked, &lane->kicked);
}

/* The multi */

static bool lane_open(struct lane *lane)
{
    if (lane->multi != NULL)
        return true;
    lane->multi = curl_multi_init();
    if (lane->multi == NULL)
        return false;
    lane->room = 0;
    curl_multi_setopt(lane->multi, CURLMOPT_SOCKETFUNCTION, on_curl_socket);
    curl_multi_setopt(lane->multi, CURLMOPT_SOCKETDATA, lane);
    curl_multi_setopt(lane->multi, CURLMOPT_TIMERFUNCTION, on_curl_timer);
    curl_multi_setopt(lane->multi, CURLMOPT_TIMERDATA, lane);
    /* One request at a time on a connection, with HTTP/2, too: see README, "Sending". */
    curl_multi_setopt(lane->multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
    /* CURLMOPT_MAX_HOST_CONNECTIONS stays unlimited: who may be sent is the scheduler's decision, and a post that waited inside libcurl would
     * use up its deadline there. */
    return true;
}

void lane_close(struct lane *lane)
{
    if (lane->multi == NULL)
        return;
    curl_multi_cleanup(lane->multi);
    lane->multi = NULL;
    timers_stop(lane->shared->timers, &lane->timer);
    unmark(&lane->shared->kicked, &lane->kicked);
    unmark(&lane->shared->touched, &lane->touched);
}

bool lane_close_idle(struct lane *lane, uint64_t since_ms)
{
    bool idle = lane->multi != NULL && lane->in_flight == 0 && lane->used_ms <= since_ms;
    if (idle)
        lane_close(lane);
    return idle;
}

/* libcurl closes its oldest idle connection when a lane has more than `room`, those in use included: when one becomes idle, and before a new one
 * is made. As long as all lanes together keep no more idle ones than they may, nothing is closed; from then on a lane above its share grows no more,
 * and lanes_post ends the oldest when a quarter more are kept all the same. A post never waits for room: what its lane has in flight is always in it. */
static void lane_set_room(struct lane *lane)
{
    const struct lane_shared *shared = lane->shared;
    bool crowded = wires_open_count(shared->wires) > (size_t)shared->idle_connections + shared->in_flight;
    uint32_t share = shared->idle_connections / shared->lane_count;
    uint32_t room = crowded ? (share > 0 ? share : 1) + lane->in_flight : NO_LIMIT;
    if (room == lane->room)
        return;
    lane->room = room;
    curl_multi_setopt(lane->multi, CURLMOPT_MAXCONNECTS, (long)room);
    curl_multi_setopt(lane->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)room);
}

void lane_init(struct lane *lane, struct lane_shared *shared)
{
    lane->shared = shared;
    lane->timer.fire = on_timer;
    list_init(&lane->spare);
    lane->sessions = curl_share_init();
    if (lane->sessions != NULL)
        curl_share_setopt(lane->sessions, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
}

void lane_finish(struct lane *lane)
{
    struct link *link;
    while ((link = list_take(&lane->spare)) != NULL)
        post_destroy(container_of(link, struct post, link));
    lane_close(lane);
    curl_share_cleanup(lane->sessions);
}

bool lane_add(struct lane *lane, struct post *post)
{
    if (!lane_open(lane) || curl_multi_add_handle(lane->multi, post->easy) != CURLM_OK)
        return false;
    lane_set_room(lane);
    return true;
}

void lane_remove(struct lane *lane, struct post *post, bool over)
{
    if (!over)
        post_spoil(post);
    post->shared->cutting = !over && !post->saw.headers_done; /* else it was answered, and may still be read */
    curl_multi_remove_handle(lane->multi, post->easy);
    post->shared->cutting = false;
}

struct post *lane_take_ended(struct lane *lane, int *code)
{
    int left;
    CURLMsg *message;
    while ((message = curl_multi_info_read(lane->multi, &left)) != NULL) {
        struct post *post = NULL;
        *code = (int)message->data.result; /* gone once the handle is removed */
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &post);
        if (message->msg == CURLMSG_DONE)
            return post;
    }
    return NULL;
}
