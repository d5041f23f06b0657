#include "tests/edge/scripted_dns.h"

#include "consumer/base/check.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HEADER = 12, PLAIN_MAX = 512, PACKET_MAX = 1500, POLL_MS = 10, EDNS = 41, TRUNCATED = 0x02 };

/* The question's name in dots; returns the offset behind name, type and class, 0 when the packet is broken. */
static size_t read_question(const unsigned char *packet, size_t length, char name[256], int *type)
{
    size_t at = HEADER, out = 0;
    while (at < length && packet[at] != 0) {
        size_t label = packet[at++];
        if (label > 63 || at + label >= length || out + label + 1 >= 256)
            return 0;
        for (size_t i = 0; i < label; i++)
            name[out++] = (char)tolower(packet[at++]);
        name[out++] = '.';
    }
    name[out > 0 ? out - 1 : 0] = '\0';
    if (at + 5 > length)
        return 0;
    *type = packet[at + 1] << 8 | packet[at + 2];
    return at + 5;
}

static size_t put_record(unsigned char *packet, size_t at, int type, uint32_t ttl_s, const char *address)
{
    size_t bytes = type == DNS_A ? 4 : 16;
    const unsigned char head[] = { 0xc0,
                                   HEADER,
                                   0,
                                   (unsigned char)type,
                                   0,
                                   1,
                                   (unsigned char)(ttl_s >> 24),
                                   (unsigned char)(ttl_s >> 16),
                                   (unsigned char)(ttl_s >> 8),
                                   (unsigned char)ttl_s,
                                   0,
                                   (unsigned char)bytes };
    memcpy(packet + at, head, sizeof(head));
    assert(inet_pton(type == DNS_A ? AF_INET : AF_INET6, address, packet + at + sizeof(head)) == 1);
    return at + sizeof(head) + bytes;
}

/* RFC 6891: how large an answer may be stands in a record behind the question, in place of its class. */
static size_t read_bytes_max(const unsigned char *packet, size_t length, size_t question_end)
{
    const unsigned char *record = packet + question_end;
    if (question_end + 5 > length || record[0] != 0 || (record[1] << 8 | record[2]) != EDNS)
        return PLAIN_MAX;
    size_t bytes = (size_t)(record[3] << 8 | record[4]);
    return bytes < PACKET_MAX ? bytes : PACKET_MAX;
}

static size_t put_records(unsigned char *packet, size_t end, int type, const struct dns_answer *answer)
{
    const size_t bytes = type == DNS_A ? 16 : 28;
    for (int i = 0; i < answer->count; i++) {
        if (end + bytes > answer->bytes_max) {
            packet[2] |= TRUNCATED;
            break;
        }
        end = put_record(packet, end, type, answer->ttl_s, answer->addresses[i]);
        packet[7]++;
    }
    return end;
}

static void answer_query(struct dns_server *server, unsigned char *packet, size_t length, const struct sockaddr_in *from)
{
    char name[256];
    int type = 0;
    struct dns_answer answer = { .ttl_s = 60 };
    size_t end = read_question(packet, length, name, &type);
    if (end == 0)
        return;
    answer.bytes_max = read_bytes_max(packet, length, end);
    atomic_fetch_add(&server->queries, 1);
    atomic_fetch_add(&server->large_queries, answer.bytes_max > PLAIN_MAX);
    atomic_fetch_add(&server->ports, from->sin_port != server->last_port);
    server->last_port = from->sin_port;
    server->script(name, type, &answer);
    if (answer.silent)
        return;
    packet[2] = 0x81; /* a response, recursion desired */
    packet[3] = (unsigned char)(0x80 | answer.rcode);
    memset(packet + 4, 0, HEADER - 4);
    packet[5] = 1;
    end = put_records(packet, end, type, &answer);
    packet[7] = (unsigned char)(packet[7] + answer.malformed);
    sendto(server->fd, packet, end, 0, (const struct sockaddr *)from, sizeof(*from));
}

static void *serve(void *context)
{
    struct dns_server *server = context;
    unsigned char packet[PACKET_MAX];
    while (!atomic_load(&server->stopping)) {
        struct pollfd ready = { .fd = server->fd, .events = POLLIN };
        struct sockaddr_in from;
        socklen_t from_length = sizeof(from);
        if (poll(&ready, 1, POLL_MS) == 0)
            continue;
        ssize_t length = recvfrom(server->fd, packet, 512, 0, (struct sockaddr *)&from, &from_length);
        if (length > HEADER)
            answer_query(server, packet, (size_t)length, &from);
    }
    return NULL;
}

void dns_start(struct dns_server *server, dns_script *script)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof(address);
    int room = 4 * 1024 * 1024;
    memset(server, 0, sizeof(*server));
    server->script = script;
    server->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    setsockopt(server->fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
    assert(bind(server->fd, (struct sockaddr *)&address, length) == 0);
    getsockname(server->fd, (struct sockaddr *)&address, &length);
    server->port = ntohs(address.sin_port);
    snprintf(server->address, sizeof(server->address), "127.0.0.1:%u", (unsigned)server->port);
    pthread_create(&server->thread, NULL, serve, server);
}

void dns_stop(struct dns_server *server)
{
    atomic_store(&server->stopping, true);
    pthread_join(server->thread, NULL);
    close(server->fd);
}
