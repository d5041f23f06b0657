#include "consumer/http/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 1024 }; /* whoever finds no room in it tries again a second later */

static socklen_t socket_address(const struct listen_address *listen, struct sockaddr_storage *address)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)address;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)address;
    memset(address, 0, sizeof *address);
    if (inet_pton(AF_INET, listen->host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(listen->port);
        return sizeof *v4;
    }
    if (inet_pton(AF_INET6, listen->host, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(listen->port);
        return sizeof *v6;
    }
    return 0;
}

static bool bind_and_listen(int listener, struct sockaddr_storage *address, socklen_t length)
{
    int yes = 1;
    struct sockaddr *any = (struct sockaddr *)address;
    return setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) == 0 && bind(listener, any, length) == 0 &&
           listen(listener, BACKLOG) == 0 && getsockname(listener, any, &length) == 0;
}

int listener_open(const struct listen_address *listen, uint16_t *port)
{
    struct sockaddr_storage address;
    socklen_t length = socket_address(listen, &address);
    if (length == 0) {
        errno = EINVAL;
        return -1;
    }
    int listener = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener >= 0 && !bind_and_listen(listener, &address, length)) {
        int why = errno;
        close(listener);
        errno = why;
        return -1;
    }
    *port = ntohs(((struct sockaddr_in *)&address)->sin_port); /* it lies at the same place in both families */
    return listener;
}
