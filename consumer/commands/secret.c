/* jobhook secret: what the receiver at a URL has to be given, so that it can check signatures. */
#include "consumer/commands/commands.h"
#include "consumer/commands/signing.h"

#include <stdio.h>
#include <string.h>

const char command_secret_help[] =
    "usage: jobhook secret URL [--public]\n"
    "\n"
    "Prints what the receiver at URL checks signatures with, one line for each active key, newest first: its whsec_ secrets (its own\n"
    "ones with JOBHOOK_SIGNING_SCOPE=origin or url), or with --public the whpk_ keys, which are no secrets.\n"
    "The keys are those of JOBHOOK_SIGNING_KEYS (or _FILE); no other setting is needed.\n"
    "\n"
    "examples:\n"
    "  jobhook secret https://hooks.example.com/in >secret.txt   # hand it over like a password\n"
    "  jobhook secret https://hooks.example.com/in --public\n";

/* How many keys there are of that kind. */
static size_t print_secrets(const struct signing *signing, bool public)
{
    char secret[SIGNATURE_SECRET_MAX + 1];
    size_t count = 0;
    for (size_t i = 0; i < signing->keys.count; i++) {
        const struct signature_key *key = &signing->keys.keys[i];
        if (key->asymmetric != public)
            continue;
        signature_key_write_secret(key, text_slice(&signing->receiver), secret);
        printf("%s\n", secret);
        count++;
    }
    explicit_bzero(secret, sizeof(secret));
    return count;
}

static int print(const struct signing *signing, bool public)
{
    if (print_secrets(signing, public) == 0) {
        fprintf(stderr, "jobhook secret: there is no %s key%s\n", public ? "whsk_" : "whsec_",
                public ? "" : "; the receiver checks with a public one: --public");
        return COMMAND_FAILED;
    }
    if (!public && signing->scope == SIGNATURE_SHARED)
        fputs("jobhook secret: every receiver has this secret: with JOBHOOK_SIGNING_SCOPE=origin or url each has its own\n", stderr);
    return fflush(stdout) == 0 ? COMMAND_FINE : COMMAND_FAILED;
}

int command_secret(int argc, char **argv)
{
    struct signing signing = { 0 };
    const char *url = NULL;
    bool public = false, fine = true;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--public") == 0)
        public = true;
        else if (url == NULL && argv[i][0] != '-') url = argv[i];
        else fine = false;
    }
    if (!fine || url == NULL) {
        fputs(command_secret_help, stderr);
        return COMMAND_USAGE;
    }
    int code = signing_from_settings(&signing, "secret", url) ? print(&signing, public) : COMMAND_FAILED;
    signing_finish(&signing);
    return code;
}
