#include "delivery/lanes.h"

#include "consumer/base/clock.h"
#include "consumer/base/hash.h"
#include "consumer/base/memory.h"
#include "consumer/base/random.h"
#include "delivery/lane.h"
#include "delivery/post.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum {
    LANES_DEFAULT = 128,
    IDLE_MS_DEFAULT = 60 * 1000,
    SPARE_POSTS_MAX = 1024, /* handles kept for the next posts, all lanes together; about 10 KB each */
    SWEEP_MS_MAX = 5000,
    CLOSE_EVERY_MS = 20,
    KICK_US_MAX = 20000, /* in a turn of the loop */
};

/* New certificates begin a new generation: connections and TLS sessions of the one before are not used again. It goes once its last post is over. */
struct generation {
    struct link link; /* on lanes->former */
    struct lane lanes[];
};

struct lanes {
    struct lane_shared shared;
    struct post_shared for_posts;
    struct names *names;
    uint64_t idle_ms;
    struct hash_key hash_key;
    struct generation *generation;
    struct list former;
    struct list busy;  /* posts: the name is being looked up, or libcurl has it */
    struct list ended; /* posts whose `done` is to be called */
    uint32_t spare_posts;
    bool telling; /* a `done` is being called */

    struct timer sweep;
    uint64_t armed_ms; /* when the clock rings; UINT64_MAX: it is not set */
    uv_timer_t clock;
    uv_prepare_t prepare;
    uv_check_t check;
    uv_idle_t again; /* active: there is more to do, do not sleep */
    unsigned handles_open;
};

static struct lanes *lanes_of(const struct post *post)
{
    return container_of(post->lane->shared, struct lanes, shared);
}

/* Posts are used again */

static void on_deadline(struct timer *timer);

static struct post *post_take(struct lanes *lanes, struct lane *lane)
{
    /* The one used last: its memory is warm, and chances are that it was for the same URL. */
    struct link *link = lane->spare.head.previous;
    if (link != &lane->spare.head) {
        list_remove(&lane->spare, link);
        lanes->spare_posts--;
        return container_of(link, struct post, link);
    }
    struct post *post = post_create(&lanes->for_posts);
    assert(post != NULL); /* out of memory: see consumer/base/memory.h */
    post->lane = lane;
    post->deadline.fire = on_deadline;
    post_share_sessions(post, lane->sessions);
    return post;
}

static void post_give_back(struct post *post)
{
    struct lanes *lanes = lanes_of(post);
    timers_stop(lanes->shared.timers, &post->deadline);
    post->lane->in_flight--;
    lanes->shared.in_flight--;
    gauge_set(&lanes->for_posts.stats.in_flight, lanes->shared.in_flight);
    if (post->large || lanes->spare_posts >= SPARE_POSTS_MAX) {
        post_destroy(post);
        return;
    }
    lanes->spare_posts++;
    list_append(&post->lane->spare, &post->link);
}

/* The life of a post */

/* The outcome is there; `done` is called from on_check. */
static void post_end(struct post *post)
{
    struct lanes *lanes = lanes_of(post);
    list_remove(&lanes->busy, &post->link);
    post->step = POST_ENDED;
    list_append(&lanes->ended, &post->link);
}

static void post_end_early(struct post *post, enum outcome_kind kind, const char *detail)
{
    post_conclude_early(post, kind, detail);
    post_end(post);
}

static void post_begin_transfer(struct post *post)
{
    post->start_us = clock_monotonic_us();
    if (lane_add(post->lane, post))
        post->step = POST_UNDER_WAY;
    else
        post_end_early(post, OUTCOME_LOCAL, "libcurl did not take the request");
}

static void post_take_name(struct post *post, const struct names_answer *answer)
{
    post->named_us = clock_monotonic_us();
    if (post_pin(post, answer))
        post_begin_transfer(post);
    else
        post_end(post);
}

static void on_name(void *context, const struct names_answer *answer)
{
    struct post *post = context;
    post->query = NULL;
    post_take_name(post, answer);
}

static void post_begin(struct post *post, const struct url *url)
{
    struct lanes *lanes = lanes_of(post);
    struct names_answer answer;
    if (lanes->for_posts.proxy != NULL || url->host_kind != GUARD_HOST_IS_NAME) {
        post_begin_transfer(post);
    } else if (names_cached(lanes->names, url->host, &answer)) {
        post_take_name(post, &answer);
    } else {
        post->step = POST_NAMING;
        post->query = names_find(lanes->names, url->host, on_name, post);
    }
}

/* Each lane keeps to its share when it is used; one that is not used for a while gives way here, and whole. */
static void make_room(struct lanes *lanes)
{
    const struct lane_shared *shared = &lanes->shared;
    if (wires_idle_count(shared->wires) < (size_t)shared->idle_connections / 4 * 5 + 1)
        return;
    struct lane *oldest = wires_hang_up_oldest(shared->wires);
    if (oldest != NULL && oldest->in_flight == 0)
        lane_close(oldest);
}

struct post *lanes_post(struct lanes *lanes, const struct url *url, const struct request *request, post_done *done, void *context)
{
    uint64_t origin_hash = hash_slice(lanes->hash_key, (struct slice){ url->origin, url->origin_length });
    struct lane *lane = &lanes->generation->lanes[origin_hash % lanes->shared.lane_count];
    struct post *post = post_take(lanes, lane);
    post->origin_hash = origin_hash;
    post->step = POST_BEGINNING;
    list_append(&lanes->busy, &post->link);
    post->done = done;
    post->context = context;
    post->begin_us = clock_monotonic_us();
    post->named_us = post->start_us = 0;
    lane->used_ms = uv_now(lanes->shared.loop);
    lane->in_flight++;
    lanes->shared.in_flight++;
    gauge_set(&lanes->for_posts.stats.in_flight, lanes->shared.in_flight);
    counter_add(&lanes->for_posts.stats.posts, request != NULL);
    uint64_t time_ms = lanes->for_posts.attempt_timeout_ms;
    if (request == NULL && time_ms > LANES_ASK_MS)
        time_ms = LANES_ASK_MS;
    timers_start(lanes->shared.timers, &post->deadline, post->begin_us / 1000 + time_ms); /* the loop's clock may be a long turn behind */
    make_room(lanes);
    if (post_address(post, url, request))
        post_begin(post, url);
    else
        post_end(post);
    return post;
}

void lanes_cancel(struct post *post)
{
    struct lanes *lanes = lanes_of(post);
    assert(post->step != POST_SPARE); /* it is over */
    list_remove(post->step == POST_ENDED ? &lanes->ended : &lanes->busy, &post->link);
    if (post->step == POST_NAMING)
        names_cancel(post->query);
    else if (post->step == POST_UNDER_WAY)
        lane_remove(post->lane, post, false);
    post->query = NULL;
    post->step = POST_SPARE;
    post_give_back(post);
}

static void on_deadline(struct timer *timer)
{
    struct post *post = container_of(timer, struct post, deadline);
    if (post->step == POST_NAMING) {
        names_cancel(post->query);
        post->query = NULL;
        post_end_early(post, OUTCOME_NAME_FAILED, "the name servers did not answer in time");
    } else if (post->step == POST_UNDER_WAY) {
        post_conclude_overdue(post);
        lane_remove(post->lane, post, false);
        post_end(post);
    }
}

/* Of what is left of the deadline it may take no more than this. */
static void on_hasten(struct post *post, uint64_t most_ms)
{
    struct lanes *lanes = lanes_of(post);
    uint64_t latest_ms = clock_monotonic_ms() + most_ms;
    if (post->deadline.deadline_ms > latest_ms)
        timers_start(lanes->shared.timers, &post->deadline, latest_ms);
}

/* What may not be done inside libcurl's callbacks, and what the caller must not hear while it is calling */

static void kick_lanes(struct lanes *lanes)
{
    struct list *kicked = &lanes->shared.kicked;
    if (list_is_empty(kicked))
        return;
    wires_check_fresh(lanes->shared.wires);
    uint64_t until_us = clock_monotonic_us() + KICK_US_MAX;
    for (size_t left = kicked->length; left > 0 && !list_is_empty(kicked) && clock_monotonic_us() < until_us; left--)
        lane_kick(container_of(list_take(kicked), struct lane, kicked));
}

static void collect_ended(struct lanes *lanes)
{
    struct link *link;
    while ((link = list_take(&lanes->shared.touched)) != NULL) {
        struct lane *lane = container_of(link, struct lane, touched);
        struct post *post;
        int code;
        while ((post = lane_take_ended(lane, &code)) != NULL) {
            post_conclude(post, code);
            lane_remove(lane, post, true);
            post_end(post);
        }
    }
}

static void tell_ended(struct lanes *lanes)
{
    lanes->telling = true;
    for (size_t left = lanes->ended.length; left > 0; left--) {
        struct link *link = list_take(&lanes->ended);
        if (link == NULL)
            break;
        struct post *post = container_of(link, struct post, link);
        post->step = POST_SPARE; /* from now on it cannot be cancelled */
        post->done(post->context, &post->outcome);
        post_give_back(post);
    }
    lanes->telling = false;
}

static bool has_work(const struct lanes *lanes)
{
    return !list_is_empty(&lanes->shared.kicked) || !list_is_empty(&lanes->shared.touched) || !list_is_empty(&lanes->ended);
}

/* Just after the loop looked at the sockets. */
static void on_check(uv_check_t *check)
{
    struct lanes *lanes = check->data;
    collect_ended(lanes);
    tell_ended(lanes);
}

static void on_again(uv_idle_t *again)
{
    (void)again; /* its being active is what counts */
}

static void on_clock(uv_timer_t *clock)
{
    struct lanes *lanes = clock->data;
    lanes->armed_ms = UINT64_MAX;
    timers_run(lanes->shared.timers, uv_now(lanes->shared.loop));
}

/* A clock that rings too early only turns the wheel, so it is never set back. */
static void set_clock(struct lanes *lanes)
{
    uint64_t next_ms = timers_next_ms(lanes->shared.timers), now_ms = uv_now(lanes->shared.loop);
    if (next_ms >= lanes->armed_ms)
        return;
    lanes->armed_ms = next_ms;
    uv_timer_start(&lanes->clock, on_clock, next_ms > now_ms ? next_ms - now_ms : 0, 0);
}

/* The last thing before the loop sleeps. What ends here is told after the loop has looked at the sockets without waiting, so that whatever the
 * callers have set up to run before the loop sleeps gets its turn. */
static void on_prepare(uv_prepare_t *prepare)
{
    struct lanes *lanes = prepare->data;
    kick_lanes(lanes);
    collect_ended(lanes);
    set_clock(lanes);
    if (has_work(lanes))
        uv_idle_start(&lanes->again, on_again);
    else
        uv_idle_stop(&lanes->again);
}

/* Generations */

static struct generation *generation_create(struct lanes *lanes)
{
    struct generation *generation = memory_create(sizeof(*generation) + lanes->shared.lane_count * sizeof(struct lane));
    for (uint32_t i = 0; i < lanes->shared.lane_count; i++)
        lane_init(&generation->lanes[i], &lanes->shared);
    return generation;
}

static void generation_destroy(struct lanes *lanes, struct generation *generation)
{
    for (uint32_t i = 0; i < lanes->shared.lane_count; i++) {
        lanes->spare_posts -= (uint32_t)generation->lanes[i].spare.length;
        lane_finish(&generation->lanes[i]);
    }
    free(generation);
}

static bool generation_is_over(const struct lanes *lanes, const struct generation *generation)
{
    for (uint32_t i = 0; i < lanes->shared.lane_count; i++)
        if (generation->lanes[i].in_flight > 0)
            return false;
    return true;
}

/* Closing a lane closes all its connections, by TLS an eighth of a millisecond each: with ten thousand in all lanes nothing else would happen for more
 * than a second. So one lane is closed at a time; false: there was none to close. */
static bool close_lane(struct lanes *lanes, struct generation *generation, uint64_t since_ms)
{
    for (uint32_t i = 0; i < lanes->shared.lane_count; i++)
        if (lane_close_idle(&generation->lanes[i], since_ms))
            return true;
    return false;
}

static bool close_former_lane(struct lanes *lanes)
{
    LIST_EACH (&lanes->former, link) {
        struct generation *generation = container_of(link, struct generation, link);
        if (close_lane(lanes, generation, UINT64_MAX))
            return true;
        if (!generation_is_over(lanes, generation))
            continue;
        list_remove(&lanes->former, link);
        generation_destroy(lanes, generation);
    }
    return false;
}

static void refresh_certificates(struct lanes *lanes)
{
    struct post_shared *posts = &lanes->for_posts;
    if (post_tls_refresh(posts->tls)) {
        list_append(&lanes->former, &lanes->generation->link);
        lanes->generation = generation_create(lanes);
    }
    gauge_set(&posts->stats.files_current, post_tls_is_current(posts->tls));
}

/* A lane that nobody used for the idle time goes whole; in the others the idle connections are ended one by one. */
static uint64_t sweep(struct lanes *lanes, uint64_t now_ms)
{
    uint64_t since_ms = now_ms >= lanes->idle_ms ? now_ms - lanes->idle_ms : 0;
    if (close_former_lane(lanes) || close_lane(lanes, lanes->generation, since_ms))
        return CLOSE_EVERY_MS;
    wires_hang_up_idle(lanes->shared.wires, since_ms);
    refresh_certificates(lanes);
    return lanes->idle_ms / 8 < SWEEP_MS_MAX ? lanes->idle_ms / 8 + 1 : SWEEP_MS_MAX;
}

static void on_sweep(struct timer *timer)
{
    struct lanes *lanes = container_of(timer, struct lanes, sweep);
    uint64_t now_ms = uv_now(lanes->shared.loop);
    timers_start(lanes->shared.timers, &lanes->sweep, now_ms + sweep(lanes, now_ms));
}

/* Creation */

static void init_handles(struct lanes *lanes)
{
    struct uv_loop_s *loop = lanes->shared.loop;
    uv_timer_init(loop, &lanes->clock);
    uv_prepare_init(loop, &lanes->prepare);
    uv_check_init(loop, &lanes->check);
    uv_idle_init(loop, &lanes->again);
    lanes->clock.data = lanes->prepare.data = lanes->check.data = lanes->again.data = lanes;
    lanes->handles_open = 4;
    lanes->armed_ms = UINT64_MAX;
    uv_prepare_start(&lanes->prepare, on_prepare);
    uv_check_start(&lanes->check, on_check);
}

static uint32_t or_default(uint32_t given, uint32_t otherwise)
{
    return given > 0 ? given : otherwise;
}

static void init_lanes(struct lanes *lanes, struct uv_loop_s *loop, const struct lanes_options *options)
{
    struct lane_shared *shared = &lanes->shared;
    shared->loop = loop;
    shared->timers = timers_create(uv_now(loop));
    shared->wires = wires_create(loop, lane_wire_ready, options->attempt_timeout_ms);
    shared->tls = lanes->for_posts.tls;
    list_init(&shared->kicked);
    list_init(&shared->touched);
    shared->lane_count = or_default(options->lane_count, LANES_DEFAULT);
    shared->idle_connections = or_default(options->idle_connections, LANES_IDLE_CONNECTIONS);
    random_bytes(&lanes->hash_key, sizeof(lanes->hash_key));
    list_init(&lanes->former);
    lanes->generation = generation_create(lanes);
}

struct lanes *lanes_create(struct uv_loop_s *loop, const struct lanes_options *options)
{
    lane_init_library();
    struct lanes *lanes = memory_create(sizeof(*lanes));
    if (!post_shared_init(&lanes->for_posts, options)) {
        free(lanes);
        return NULL;
    }
    init_lanes(lanes, loop, options);
    lanes->for_posts.wires = lanes->shared.wires;
    lanes->for_posts.hasten = on_hasten;
    lanes->names = options->names;
    lanes->idle_ms = options->idle_ms > 0 ? options->idle_ms : IDLE_MS_DEFAULT;
    list_init(&lanes->busy);
    list_init(&lanes->ended);
    init_handles(lanes);
    lanes->sweep.fire = on_sweep;
    on_sweep(&lanes->sweep);
    return lanes;
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct lanes *lanes = handle->data;
    if (--lanes->handles_open == 0)
        free(lanes);
}

static void close_handles(struct lanes *lanes)
{
    uv_close((uv_handle_t *)&lanes->clock, on_handle_closed);
    uv_close((uv_handle_t *)&lanes->prepare, on_handle_closed);
    uv_close((uv_handle_t *)&lanes->check, on_handle_closed);
    uv_close((uv_handle_t *)&lanes->again, on_handle_closed);
}

static void cancel_all(struct lanes *lanes)
{
    LIST_EACH (&lanes->busy, link)
        lanes_cancel(container_of(link, struct post, link));
    LIST_EACH (&lanes->ended, link)
        lanes_cancel(container_of(link, struct post, link));
}

void lanes_destroy(struct lanes *lanes)
{
    if (lanes == NULL)
        return;
    assert(!lanes->telling);
    cancel_all(lanes);
    while (close_former_lane(lanes))
        ;
    generation_destroy(lanes, lanes->generation);
    wires_destroy(lanes->shared.wires);
    timers_destroy(lanes->shared.timers);
    post_shared_finish(&lanes->for_posts);
    close_handles(lanes); /* the rest goes when the loop has let go of them */
}

const struct lanes_stats *lanes_stats(const struct lanes *lanes)
{
    return &lanes->for_posts.stats;
}
