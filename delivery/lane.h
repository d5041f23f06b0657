/* One lane: a libcurl multi with its sockets, its timer and its TLS sessions. Private to lanes.c and lane.c; libcurl stays inside lane.c.
 *
 * libcurl's callbacks may not call libcurl: they only put the lane on a list (`kicked`: libcurl wants to run; `touched`: transfers may have ended),
 * and lanes.c works the lists off. */
#ifndef JOBHOOK_DELIVERY_LANE_H
#define JOBHOOK_DELIVERY_LANE_H

#include "consumer/base/list.h"
#include "consumer/base/timers.h"
#include "delivery/post.h"

/* What all lanes of one loop share; inside struct lanes. */
struct lane_shared {
    struct uv_loop_s *loop;
    struct timers *timers;
    struct wires *wires;
    const struct post_tls *tls;
    struct list kicked, touched;
    uint32_t lane_count;
    uint32_t idle_connections; /* kept open in all lanes together */
    uint32_t in_flight;        /* posts in all lanes together */
};

struct lane {
    struct lane_shared *shared;
    void *multi;         /* CURLM; exists while there is or recently was something to do: an idle lane costs nothing */
    void *sessions;      /* CURLSH: TLS sessions, for resumption */
    struct timer timer;  /* libcurl's */
    struct link kicked;  /* on shared->kicked */
    struct link touched; /* on shared->touched */
    struct list spare;   /* posts for the next time */
    uint32_t in_flight;
    uint32_t room; /* CURLMOPT_MAXCONNECTS as last set */
    uint64_t used_ms;
};

/* Once per process, before anything else of libcurl; from any thread. */
void lane_init_library(void);

void lane_init(struct lane *lane, struct lane_shared *shared);
void lane_finish(struct lane *lane); /* no transfer may be under way */
/* Closes the connections; the next transfer opens the lane again. */
void lane_close(struct lane *lane);
/* Does so if nobody has used it since then; false: it was in use, or closed before. */
bool lane_close_idle(struct lane *lane, uint64_t since_ms);

/* Hands the post to libcurl; nothing is sent before the lane is kicked. False: libcurl does not take it. */
MUST_USE bool lane_add(struct lane *lane, struct post *post);
/* Takes the post away from libcurl; when it is not over its connection is closed, and, unless it was answered, what the receiver has not taken of the
 * request thrown away. */
void lane_remove(struct lane *lane, struct post *post, bool over);

void lane_kick(struct lane *lane);
void lane_wire_ready(void *lane, int fd, unsigned events); /* wires_ready */
/* One transfer that is over, or NULL; `*code` is the CURLcode. */
struct post *lane_take_ended(struct lane *lane, int *code);

#endif
