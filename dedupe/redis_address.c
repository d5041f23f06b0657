#include "consumer/base/memory.h"
#include "dedupe/redis.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

enum { REDIS_PORT = 6379, PORT_MAX = 65535, DATABASE_MAX = 65535 };

/* The part before the first (or last) `c` goes to `*head` and what follows it stays; false, and nothing changes, when there is no `c`. */
static bool split(struct slice *rest, struct slice *head, const char *at)
{
    if (at == NULL)
        return false;
    size_t length = (size_t)(at - rest->start);
    *head = (struct slice){ rest->start, length };
    *rest = (struct slice){ at + 1, rest->length - length - 1 };
    return true;
}

static bool split_first(struct slice *rest, char c, struct slice *head)
{
    return split(rest, head, rest->length == 0 ? NULL : memchr(rest->start, c, rest->length));
}

static bool split_last(struct slice *rest, char c, struct slice *head)
{
    return split(rest, head, rest->length == 0 ? NULL : memrchr(rest->start, c, rest->length));
}

static char *percent_decode(struct slice coded)
{
    char *decoded = memory_create(coded.length + 1);
    size_t length = 0;
    for (size_t at = 0; at < coded.length;) {
        int byte = slice_take_decoded(coded, &at);
        if (byte <= 0) {
            free(decoded);
            return NULL;
        }
        decoded[length++] = (char)byte;
    }
    return decoded;
}

static bool is_clean(struct slice a)
{
    for (size_t i = 0; i < a.length; i++)
        if ((unsigned char)a.start[i] <= ' ' || a.start[i] == 0x7f)
            return false;
    return true;
}

/* user:password, :password, or nothing at all. */
static const char *read_user(struct slice given, struct redis_address *address)
{
    struct slice user;
    if (!split_first(&given, ':', &user))
        return "a user without a password: write user:password@, or :password@ for a password alone";
    if (user.length > 0)
        address->user = percent_decode(user);
    if (user.length > 0 || given.length > 0)
        address->password = percent_decode(given);
    bool broken = (user.length > 0 && address->user == NULL) || ((user.length > 0 || given.length > 0) && address->password == NULL);
    return broken ? "user or password has a broken percent escape: % is written %25" : NULL;
}

static const char *read_database(struct slice given, struct redis_address *address)
{
    uint64_t database = 0;
    if (given.length > 0 && !slice_to_u64(given, DATABASE_MAX, &database))
        return "the database must be a number from 0 to 65535";
    address->database = (int)database;
    return NULL;
}

static const char *read_port(struct slice given, struct redis_address *address)
{
    uint64_t port = 0;
    if (!slice_to_u64(given, PORT_MAX, &port) || port == 0)
        return "the port must be a number from 1 to 65535";
    address->port = (int)port;
    return NULL;
}

/* With a zone, perhaps: fe80::1%eth0. */
static bool is_ipv6(struct slice host)
{
    struct in6_addr address;
    char text[INET6_ADDRSTRLEN];
    struct slice zone = host, bare = host;
    bool zoned = split_first(&zone, '%', &bare);
    if (bare.length >= sizeof(text) || (zoned && zone.length == 0))
        return false;
    memcpy(text, bare.start, bare.length);
    text[bare.length] = '\0';
    return inet_pton(AF_INET6, text, &address) == 1;
}

static const char *read_host(struct slice given, struct redis_address *address)
{
    struct slice host = given, port = SLICE("");
    if (given.length > 0 && given.start[0] == '[') {
        host = (struct slice){ given.start + 1, given.length - 1 };
        struct slice rest = host;
        if (!split_first(&rest, ']', &host) || (rest.length > 0 && rest.start[0] != ':') || (host.length > 0 && !is_ipv6(host)))
            return "an IPv6 address is written in brackets: [::1]:6379";
        port = rest;
    } else if (memchr(given.start, ':', given.length) != NULL) {
        struct slice rest = given;
        (void)split_first(&rest, ':', &host);
        if (memchr(rest.start, ':', rest.length) != NULL)
            return "an IPv6 address is written in brackets: [::1]:6379";
        port = (struct slice){ rest.start - 1, rest.length + 1 };
    }
    if (host.length == 0)
        return "the host is missing";
    address->host = memory_copy(host.start, host.length);
    address->port = REDIS_PORT;
    return port.length == 0 ? NULL : read_port((struct slice){ port.start + 1, port.length - 1 }, address);
}

static const char *read_server(struct slice rest, struct redis_address *address)
{
    struct slice authority = rest, database = SLICE(""), user;
    if (memchr(rest.start, '?', rest.length) != NULL || memchr(rest.start, '#', rest.length) != NULL)
        return "nothing may follow the database; ?, # and / in a password are written %3F, %23 and %2F";
    if (split_first(&rest, '/', &authority))
        database = rest;
    const char *problem = split_last(&authority, '@', &user) ? read_user(user, address) : NULL;
    if (problem == NULL)
        problem = read_host(authority, address);
    return problem != NULL ? problem : read_database(database, address);
}

static const char *read_socket(struct slice rest, struct redis_address *address)
{
    struct slice user, path, database = SLICE("");
    const char *problem = NULL;
    if (rest.length > 0 && rest.start[0] != '/' && split_first(&rest, '@', &user))
        problem = read_user(user, address);
    if (problem != NULL)
        return problem;
    path = rest;
    if (split_first(&rest, '?', &path)) {
        if (!slice_starts_with(rest, "db="))
            return "after the path only ?db=number may follow";
        database = (struct slice){ rest.start + 3, rest.length - 3 };
    }
    if (path.length == 0 || path.start[0] != '/')
        return "the path of the socket must be absolute: unix:///run/redis/redis.sock";
    if (path.length >= sizeof((struct sockaddr_un *)0)->sun_path)
        return "the path of the socket is too long: at most 107 bytes";
    address->path = memory_copy(path.start, path.length);
    return read_database(database, address);
}

static const struct scheme {
    const char *prefix;
    bool tls;
    const char *(*read)(struct slice rest, struct redis_address *address);
} schemes[] = {
    { "redis://", false, read_server },
    { "rediss://", true, read_server },
    { "unix://", false, read_socket },
};

static const char *parse(struct slice url, struct redis_address *address)
{
    if (!is_clean(url))
        return "white space and control characters are written as percent escapes";
    for (size_t i = 0; i < COUNT_OF(schemes); i++) {
        const struct scheme *scheme = &schemes[i];
        size_t length = strlen(scheme->prefix);
        if (!slice_starts_with(url, scheme->prefix))
            continue;
        if (scheme->tls && !redis_has_tls())
            return "rediss:// needs a hiredis with TLS (1.0 or later), which this build has not: use redis://";
        address->tls = scheme->tls;
        return scheme->read((struct slice){ url.start + length, url.length - length }, address);
    }
    return "must begin with redis://, rediss:// or unix://";
}

bool redis_address_parse(struct slice url, struct redis_address *address, const char **problem)
{
    *address = (struct redis_address){ 0 };
    *problem = parse(url, address);
    if (*problem == NULL)
        return true;
    redis_address_finish(address);
    return false;
}

void redis_address_finish(struct redis_address *address)
{
    if (address->password != NULL)
        explicit_bzero(address->password, strlen(address->password));
    free(address->host);
    free(address->path);
    free(address->user);
    free(address->password);
    *address = (struct redis_address){ 0 };
}
