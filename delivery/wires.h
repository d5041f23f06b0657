/* The sockets of the lanes on the event loop; libuv's side of a connection. libcurl is unknown here.
 *
 * libcurl stops watching a connection at the end of a transfer and watches it again, for the same, when the next one uses it. Following that to
 * the letter costs two system calls per POST, so a wire stays registered with the kernel while nobody watches it. When something does happen on
 * it meanwhile, the peer has closed it or broken the protocol: then it is ended here, before another request is lost on it. */
#ifndef JOBHOOK_DELIVERY_WIRES_H
#define JOBHOOK_DELIVERY_WIRES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct uv_loop_s;
struct wires;

enum { WIRE_READ = 1, WIRE_WRITE = 2, WIRE_ERROR = 4 };

typedef void wires_ready(void *owner, int fd, unsigned events);

/* A peer that takes nothing of what was written for `patience_ms`, or a few bytes now and then, loses its connection, open or closed. */
struct wires *wires_create(struct uv_loop_s *loop, wires_ready *ready, uint64_t patience_ms);
/* What is still open is forgotten, not closed: whoever watched it has closed it. The memory goes when the loop has run once more. */
void wires_destroy(struct wires *wires);

/* As socket(2), non-blocking: −1 and errno on failure. */
int wires_open(struct wires *wires, int family, int type, int protocol);
/* What the peer has not taken yet the kernel goes on sending; `cut`, or when others have left 128 MiB within `patience_ms`: it is thrown away, and the peer
 * sees a reset. */
void wires_close(struct wires *wires, int fd, bool cut);
/* `ready` is called with `owner` for these events (WIRE_READ, WIRE_WRITE; 0: none), in turn (delivery/turns.h), whatever else the loop has to do in
 * between; of a wire that had something to read 256 times since it was idle, or could be written to as often or for nothing, every 10 ms, unless its peer is
 * taking what was written. Takes descriptors that wires_open did not open, too; those are forgotten, not closed, with 0. */
void wires_watch(struct wires *wires, void *owner, int fd, unsigned events);

/* A connection that has just become idle and may have been ended already, in a way that libcurl would not notice, or been answered before the request
 * was taken, behind which the next one would wait: wires_check_fresh looks, and is to be called before libcurl may use it again. (What happens later is
 * noticed by the event loop.) `chatty`: its protocol lets the peer speak between two requests (HTTP/2), so that only the end of the connection ends
 * it. */
void wires_suspect(struct wires *wires, int fd, bool chatty);
void wires_check_fresh(struct wires *wires);

/* Ends the connection that has been idle for longest, as wires_hang_up_idle does; NULL: none is. Else who watched it last. */
void *wires_hang_up_oldest(struct wires *wires);

size_t wires_open_count(const struct wires *wires);
size_t wires_idle_count(const struct wires *wires); /* of them */
/* Ends the connections that nobody has watched since `since_ms` or longer (uv_now's clock), and those that have more to read by now than small talk: the
 * peer sees the end at once, libcurl finds them dead and closes them when it looks at them the next time. */
void wires_hang_up_idle(struct wires *wires, uint64_t since_ms);

#endif
