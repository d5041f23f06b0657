#include "tests/edge/redis_fake.h"

#include "consumer/base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { UNREAD_MAX = 1 << 20 };

static void on_client_closed(uv_handle_t *handle)
{
    struct redis_fake_client *client = handle->data;
    text_finish(&client->unread);
    free(client);
}

static void close_client(struct redis_fake_client *client)
{
    for (size_t i = 0; i < REDIS_FAKE_CLIENTS_MAX; i++)
        if (client->fake->clients[i] == client)
            client->fake->clients[i] = NULL;
    if (!uv_is_closing((uv_handle_t *)&client->tcp))
        uv_close((uv_handle_t *)&client->tcp, on_client_closed);
}

static void send_bytes(struct redis_fake_client *client, struct slice bytes)
{
    while (bytes.length > 0) {
        uv_buf_t buffer = uv_buf_init((char *)(uintptr_t)bytes.start, (unsigned)bytes.length);
        int written = uv_try_write((uv_stream_t *)&client->tcp, &buffer, 1);
        if (written <= 0)
            return; /* gone, or not reading: neither matters to a fake */
        bytes.start += written;
        bytes.length -= (size_t)written;
    }
}

/* The number after the sign at `*at`, which moves behind its line end; -1 when the line is not complete. */
static long take_count(const struct text *text, size_t *at)
{
    const char *end = *at >= text->length ? NULL : memchr(text->start + *at, '\n', text->length - *at);
    if (end == NULL)
        return -1;
    long count = strtol(text->start + *at + 1, NULL, 10);
    *at = (size_t)(end - text->start) + 1;
    return count;
}

/* Takes one whole command off the text; false when there is none yet. */
static bool take_command(struct text *text, char word[32])
{
    size_t at = 0;
    long words = take_count(text, &at);
    for (long i = 0; i < words; i++) {
        long length = take_count(text, &at);
        if (length < 0 || at + (size_t)length + 2 > text->length)
            return false;
        if (i == 0)
            snprintf(word, 32, "%.*s", (int)length, text->start + at);
        at += (size_t)length + 2;
    }
    if (words < 0)
        return false;
    memmove(text->start, text->start + at, text->length - at);
    text->length -= at;
    return true;
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer)
{
    struct redis_fake_client *client = stream->data;
    if (count > 0) {
        client->fake->reads++;
        text_append(&client->unread, (struct slice){ buffer->base, (size_t)count });
    }
    free(buffer->base);
    char word[32];
    while (count > 0 && !uv_is_closing((uv_handle_t *)stream) && take_command(&client->unread, word)) {
        client->fake->commands++;
        send_bytes(client, client->fake->answer(client->fake, slice_of(word)));
    }
    if (count < 0)
        close_client(client);
}

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    (void)handle;
    *buffer = uv_buf_init(memory_create(suggested), (unsigned)suggested);
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct redis_fake *fake = listener->data;
    size_t free_place = 0;
    while (free_place < REDIS_FAKE_CLIENTS_MAX && fake->clients[free_place] != NULL)
        free_place++;
    assert(status == 0 && free_place < REDIS_FAKE_CLIENTS_MAX);
    struct redis_fake_client *client = memory_create(sizeof *client);
    client->fake = fake;
    text_init(&client->unread, UNREAD_MAX);
    uv_tcp_init(listener->loop, &client->tcp);
    client->tcp.data = client;
    fake->clients[free_place] = client;
    fake->connections++;
    uv_accept(listener, (uv_stream_t *)&client->tcp);
    uv_read_start((uv_stream_t *)&client->tcp, on_room, on_read);
}

void redis_fake_start(struct redis_fake *fake, uv_loop_t *loop)
{
    struct sockaddr_in address;
    int length = sizeof address;
    uv_ip4_addr("127.0.0.1", 0, &address);
    uv_tcp_init(loop, &fake->listener);
    fake->listener.data = fake;
    int failed = uv_tcp_bind(&fake->listener, (const struct sockaddr *)&address, 0);
    failed = failed != 0 ? failed : uv_listen((uv_stream_t *)&fake->listener, 16, on_connection);
    failed = failed != 0 ? failed : uv_tcp_getsockname(&fake->listener, (struct sockaddr *)&address, &length);
    assert(failed == 0);
    fake->port = ntohs(address.sin_port);
    snprintf(fake->url, sizeof fake->url, "redis://127.0.0.1:%d", fake->port);
}

void redis_fake_send(struct redis_fake *fake, struct slice bytes)
{
    for (size_t i = 0; i < REDIS_FAKE_CLIENTS_MAX; i++)
        if (fake->clients[i] != NULL)
            send_bytes(fake->clients[i], bytes);
}

void redis_fake_hang_up(struct redis_fake *fake)
{
    for (size_t i = 0; i < REDIS_FAKE_CLIENTS_MAX; i++)
        if (fake->clients[i] != NULL)
            close_client(fake->clients[i]);
}

void redis_fake_stop(struct redis_fake *fake)
{
    redis_fake_hang_up(fake);
    uv_close((uv_handle_t *)&fake->listener, NULL);
}
