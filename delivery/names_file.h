/* A resolv.conf, and whether it is one to go by. Private to names_servers.c. */
#ifndef JOBHOOK_DELIVERY_NAMES_FILE_H
#define JOBHOOK_DELIVERY_NAMES_FILE_H

#include "consumer/base/text.h"

struct names_file {
    size_t length;
    char bytes[8192]; /* what is behind them does not count */
};

/* false: it cannot be read. */
bool names_file_read(const char *path, struct names_file *file);
bool names_file_is_same(const struct names_file *a, const struct names_file *b);
struct slice names_file_text(const struct names_file *file);

/* Of a text without a server c-ares would make 127.0.0.1: one that is half written, or says in a comment that there is none. An address with a zone,
 * such as fe80::1%eth0, counts with_zones alone, and when there is that interface now. */
bool names_file_names_a_server(struct slice text, bool with_zones);

#endif
