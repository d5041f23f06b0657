/* What sign, verify and secret have in common: keys, from the settings or a file, whose secret it is, and reading what is signed. */
#ifndef JOBHOOK_CONSUMER_COMMANDS_SIGNING_H
#define JOBHOOK_CONSUMER_COMMANDS_SIGNING_H

#include "consumer/base/text.h"
#include "delivery/signature_keys.h"

enum { SIGNING_BODY_BYTES_MAX = 64 * 1024 * 1024 };

struct signing {
    const char *command; /* for messages */
    struct signature_keys keys;
    enum signature_scope scope;
    struct text receiver; /* whose secret, as signature_scope_write has it; empty: shared */
};

/* The keys of JOBHOOK_SIGNING_KEYS with JOBHOOK_SIGNING_SCOPE; no other setting is needed. `url` is the receiver's, NULL when none is named, which
 * only the scope `shared` allows. On false the reason was printed. */
MUST_USE bool signing_from_settings(struct signing *signing, const char *command, const char *url);
/* The keys of a file, shared. */
MUST_USE bool signing_from_file(struct signing *signing, const char *command, const char *path);
void signing_finish(struct signing *signing); /* wipes; takes a zeroed one, too */

/* The whole file, "-" being standard input. On false the reason was printed. */
MUST_USE bool signing_read_all(const char *command, const char *path, struct text *bytes);

#endif
