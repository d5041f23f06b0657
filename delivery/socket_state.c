#include "delivery/socket_state.h"

#include <errno.h>
#include <linux/sock_diag.h>
#include <linux/sockios.h>
#include <linux/tcp.h> /* glibc's struct tcp_info knows less */
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

bool socket_is_connected(int fd)
{
    struct sockaddr_storage peer;
    socklen_t length = sizeof(peer);
    return getpeername(fd, (struct sockaddr *)&peer, &length) == 0;
}

bool socket_has_hung_up(int fd)
{
    struct pollfd end = { .fd = fd, .events = POLLRDHUP };
    return poll(&end, 1, 0) != 0;
}

bool socket_has_stirred(int fd)
{
    char byte;
    return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 || errno != EAGAIN;
}

bool socket_has_news(int fd)
{
    struct pollfd news = { .fd = fd, .events = POLLIN };
    return poll(&news, 1, 0) > 0;
}

/* All 0 when it is none of TCP. */
static struct tcp_info tcp_info_of(int fd)
{
    struct tcp_info info = { 0 };
    socklen_t length = sizeof(info);
    (void)getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length);
    return info;
}

bool socket_is_quiet(int fd, uint32_t ms)
{
    return tcp_info_of(fd).tcpi_last_data_sent >= ms;
}

uint64_t socket_bytes_taken(int fd)
{
    return tcp_info_of(fd).tcpi_bytes_acked;
}

uint64_t socket_bytes_received(int fd)
{
    return tcp_info_of(fd).tcpi_bytes_received;
}

size_t socket_unsent(int fd)
{
    int bytes = 0;
    return ioctl(fd, SIOCOUTQNSD, &bytes) == 0 && bytes > 0 ? (size_t)bytes : 0;
}

uint32_t socket_unread_memory(int fd)
{
    uint32_t memory[SK_MEMINFO_VARS] = { 0 };
    socklen_t length = sizeof(memory);
    (void)getsockopt(fd, SOL_SOCKET, SO_MEMINFO, memory, &length);
    return memory[SK_MEMINFO_RMEM_ALLOC];
}

bool sockets_are_used_up(void)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM;
    close(fd);
    return false;
}
