/* A real redis-server of the test's own: in a new folder, on a unix socket and a free port of 127.0.0.1, without persistence. It dies with the
 * test. Everything waits at most some seconds. */
#ifndef JOBHOOK_TESTS_EDGE_REDIS_SERVER_H
#define JOBHOOK_TESTS_EDGE_REDIS_SERVER_H

#include "consumer/base/text.h"

#include <sys/types.h>

struct redis_server {
    pid_t pid; /* 0: not running */
    int port;
    char folder[64];
    char socket[96];
    char url[112];         /* unix:// */
    const char *words[40]; /* what it is started with */
    char port_word[8];
};

/* `settings`: further words of its command line, NULL-terminated; NULL: none. They are not copied. */
void redis_server_start(struct redis_server *server, const char *const *settings);
void redis_server_start_again(struct redis_server *server); /* after redis_server_kill, at the same places */
void redis_server_kill(struct redis_server *server);
void redis_server_stop(struct redis_server *server); /* kills, and removes the folder; takes one that never ran */

int redis_server_free_port(void); /* of 127.0.0.1 */

/* For blocking commands on the side, over the unix socket; freed with redisFree. */
struct redisContext;
struct redisContext *redis_server_dial(const struct redis_server *server);

#endif
