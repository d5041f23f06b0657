#include "tests/edge/redis_server.h"

#include <arpa/inet.h>
#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { START_TRIES = 500, START_PAUSE_MS = 20 };

int redis_server_free_port(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool bound = fd >= 0 && bind(fd, (struct sockaddr *)&address, length) == 0 && getsockname(fd, (struct sockaddr *)&address, &length) == 0;
    assert(bound);
    close(fd);
    return ntohs(address.sin_port);
}

static void run_server(const struct redis_server *server)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (freopen("/dev/null", "w", stdout) == NULL || chdir(server->folder) != 0)
        _exit(126);
    execvp(server->words[0], (char *const *)server->words);
    _exit(127);
}

static bool answers(const struct redis_server *server)
{
    struct redisContext *context = redisConnectUnix(server->socket);
    bool connected = context != NULL && context->err == 0;
    redisReply *reply = connected ? redisCommand(context, "PING") : NULL;
    bool answered = reply != NULL; /* an error is an answer, too */
    if (reply != NULL)
        freeReplyObject(reply);
    if (context != NULL)
        redisFree(context);
    return answered;
}

void redis_server_start_again(struct redis_server *server)
{
    server->pid = fork();
    assert(server->pid >= 0);
    if (server->pid == 0)
        run_server(server);
    const struct timespec pause = { .tv_nsec = START_PAUSE_MS * 1000000L };
    for (int i = 0; i < START_TRIES && !answers(server); i++)
        nanosleep(&pause, NULL);
    assert(answers(server));
}

void redis_server_start(struct redis_server *server, const char *const *settings)
{
    *server = (struct redis_server){ .port = redis_server_free_port() };
    snprintf(server->folder, sizeof server->folder, "/tmp/jobhook-redis-XXXXXX");
    const char *folder = mkdtemp(server->folder);
    assert(folder != NULL);
    snprintf(server->socket, sizeof server->socket, "%s/redis.sock", folder);
    snprintf(server->url, sizeof server->url, "unix://%s", server->socket);
    snprintf(server->port_word, sizeof server->port_word, "%d", server->port);
    const char *program = getenv("JOBHOOK_TEST_REDIS"); /* valkey-server, for one */
    const char *words[] = { program != NULL ? program : "redis-server",
                            "--port",
                            server->port_word,
                            "--bind",
                            "127.0.0.1",
                            "--unixsocket",
                            server->socket,
                            "--save",
                            "",
                            "--appendonly",
                            "no" };
    size_t count = COUNT_OF(words);
    memcpy(server->words, words, sizeof words);
    for (; settings != NULL && *settings != NULL; settings++) {
        assert(count + 1 < COUNT_OF(server->words));
        server->words[count++] = *settings;
    }
    redis_server_start_again(server);
}

void redis_server_kill(struct redis_server *server)
{
    if (server->pid == 0)
        return;
    kill(server->pid, SIGKILL);
    waitpid(server->pid, NULL, 0);
    server->pid = 0;
}

void redis_server_stop(struct redis_server *server)
{
    redis_server_kill(server);
    static const char *const leftovers[] = { "redis.sock", "nodes.conf", "dump.rdb" };
    for (size_t i = 0; i < COUNT_OF(leftovers) && server->folder[0] != '\0'; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s", server->folder, leftovers[i]);
        unlink(path);
    }
    rmdir(server->folder);
}

struct redisContext *redis_server_dial(const struct redis_server *server)
{
    struct redisContext *context = redisConnectUnix(server->socket);
    assert(context != NULL && context->err == 0);
    return context;
}
