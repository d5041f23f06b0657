/* Any bytes as JOBHOOK_REDIS_URL: what is read is an address that can be dialled, and is read the same when its parts are put together again. */
#include "dedupe/redis.h"

#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

bool redis_has_tls(void) /* the answer of dedupe/redis_tls.c depends on the machine */
{
    return true;
}

static void append_coded(struct text *url, const char *part)
{
    for (; part != NULL && *part != '\0'; part++)
        text_printf(url, "%%%02x", (unsigned)(unsigned char)*part);
}

static void write_url(const struct redis_address *address, struct text *url)
{
    text_append_string(url, address->path != NULL ? "unix://" : address->tls ? "rediss://" : "redis://");
    if (address->password != NULL) {
        append_coded(url, address->user);
        text_append_char(url, ':');
        append_coded(url, address->password);
        text_append_char(url, '@');
    }
    if (address->path != NULL)
        text_printf(url, "%s?db=%d", address->path, address->database);
    else
        text_printf(url, strchr(address->host, ':') != NULL ? "[%s]:%d/%d" : "%s:%d/%d", address->host, address->port, address->database);
}

static bool same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static void expect_same_again(const struct redis_address *address)
{
    struct redis_address again;
    struct text url;
    const char *problem;
    text_init(&url, SIZE_MAX / 2);
    write_url(address, &url);
    bool read = redis_address_parse(text_slice(&url), &again, &problem);
    assert(read && again.tls == address->tls && again.port == address->port && again.database == address->database);
    assert(same(again.host, address->host) && same(again.path, address->path));
    assert(same(again.user, address->user) && same(again.password, address->password));
    redis_address_finish(&again);
    text_finish(&url);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct redis_address address;
    const char *problem = NULL;
    if (!redis_address_parse((struct slice){ (const char *)data, size }, &address, &problem)) {
        assert(problem != NULL && address.host == NULL && address.path == NULL && address.password == NULL);
        return 0;
    }
    assert((address.host == NULL) != (address.path == NULL));
    assert(address.host == NULL ? strlen(address.path) < sizeof((struct sockaddr_un *)0)->sun_path : address.port >= 1 && address.port <= 65535);
    assert(address.user == NULL || address.password != NULL);
    assert(address.database >= 0 && address.database <= 65535);
    expect_same_again(&address);
    redis_address_finish(&address);
    return 0;
}
