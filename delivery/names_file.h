/* Whether a text is a resolv.conf to go by. Private to names_servers.c; it looks up interfaces, and does nothing else. */
#ifndef JOBHOOK_DELIVERY_NAMES_FILE_H
#define JOBHOOK_DELIVERY_NAMES_FILE_H

#include "consumer/base/text.h"

/* Of a text without a server c-ares would make 127.0.0.1: one that is half written, or says in a comment that there is none. An address with a zone,
 * such as fe80::1%eth0, counts with_zones alone, and when there is that interface. */
bool names_file_names_a_server(struct slice text, bool with_zones);

#endif
