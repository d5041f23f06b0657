/* What the kernel knows of a socket that neither libuv nor libcurl asks it. `fd`: of TCP, connected or not. */
#ifndef JOBHOOK_DELIVERY_SOCKET_STATE_H
#define JOBHOOK_DELIVERY_SOCKET_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool socket_is_connected(int fd);
/* Whether the peer has closed its side, whatever there is still to read. */
bool socket_has_hung_up(int fd);
/* Whether the peer has said or ended anything. A reset shows as an error, once: libcurl 7.88 would see nothing wrong any more. */
bool socket_has_stirred(int fd);
/* Whether there is something to read, an end or an error among it, which stays to be seen. */
bool socket_has_news(int fd);
/* Whether nothing was sent for so long, ms. */
bool socket_is_quiet(int fd, uint32_t ms);
/* Bytes that wait, as the peer has no room for them, or the network: those on their way do not count. */
size_t socket_unsent(int fd);
/* Bytes that the peer's kernel has taken, since it was connected. */
uint64_t socket_bytes_taken(int fd);
/* Bytes that came from the peer, since it was connected. */
uint64_t socket_bytes_received(int fd);
/* Bytes of the kernel's memory in which lies what nobody has read: most of them are not the bytes themselves. */
uint32_t socket_unread_memory(int fd);
/* Whether none can be opened any more, for lack of descriptors or memory. */
bool sockets_are_used_up(void);

#endif
