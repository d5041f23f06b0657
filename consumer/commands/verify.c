/* jobhook verify: whether a request that somebody captured was signed with one of the keys. */
#include "consumer/base/clock.h"
#include "consumer/base/memory.h"
#include "consumer/commands/commands.h"
#include "consumer/commands/signed_message.h"
#include "consumer/commands/signing.h"
#include "consumer/content.h"
#include "delivery/verifier.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char command_verify_help[] =
    "usage: jobhook verify [--key-file FILE | --url URL] [--tolerance SECONDS|any] [FILE]\n"
    "       jobhook verify [--key-file FILE | --url URL] [--tolerance SECONDS|any] --header 'NAME: VALUE'... [--body FILE]\n"
    "\n"
    "Checks the signature of a request: FILE, or standard input, holds it with its headers, an empty line and the body, byte for byte as it came;\n"
    "or its headers are given one by one, and FILE, or standard input, holds the body. Exit code 0: valid, 1: not.\n"
    "The keys are those of JOBHOOK_SIGNING_KEYS (or _FILE); no other setting is needed.\n"
    "\n"
    "  --key-file FILE          what the receiver was given, whsec_ and whpk_, instead of the settings' keys\n"
    "  --url URL                the receiver, when JOBHOOK_SIGNING_SCOPE gives each its own secret\n"
    "  --tolerance SECONDS|any  how far the timestamp may be from now (default: 300)\n"
    "  --header 'NAME: VALUE'   webhook-id, webhook-timestamp, webhook-signature; others are left out\n"
    "  --body FILE              the body that goes with --header (default: standard input)\n"
    "\n"
    "examples:\n"
    "  jobhook verify --key-file secret.txt request.txt\n"
    "  jobhook verify --key-file secret.txt --tolerance any --header 'webhook-id: t1' \\\n"
    "      --header 'webhook-timestamp: 1700000000' --header 'webhook-signature: v1,y8/x…' <body.json\n";

enum { SECRETS_BYTES_MAX = SIGNATURE_KEYS_MAX * (SIGNATURE_SECRET_MAX + 1) + 1 };

struct run {
    const char *url, *key_file, *body_file, *request_file;
    int64_t tolerance_s;
    bool has_headers;
    struct signed_message message;
    struct text bytes; /* the request, or the body */
    struct verifier *verifier;
};

/* ---- arguments ---- */

static bool read_tolerance(struct run *run, const char *text)
{
    uint64_t seconds = 0;
    if (strcmp(text, "any") == 0)
        run->tolerance_s = VERIFIER_ANY_TIME;
    else if (slice_to_u64(slice_of(text), INT32_MAX, &seconds))
        run->tolerance_s = (int64_t)seconds;
    else
        return command_complain("verify", text, "--tolerance wants a number of seconds, or any");
    return true;
}

static bool add_header(struct run *run, const char *line)
{
    const char *problem;
    run->has_headers = true;
    return signed_message_add(&run->message, slice_of(line), &problem) || command_complain("verify", line, problem);
}

static bool take_option(struct run *run, int option)
{
    switch (option) {
    case 'u':
        run->url = optarg;
        return true;
    case 'k':
        run->key_file = optarg;
        return true;
    case 't':
        return read_tolerance(run, optarg);
    case 'h':
        return add_header(run, optarg);
    case 'b':
        run->body_file = optarg;
        return true;
    default:
        return false;
    }
}

static bool read_arguments(struct run *run, int argc, char **argv)
{
    static const struct option options[] = { { "url", required_argument, NULL, 'u' },       { "key-file", required_argument, NULL, 'k' },
                                             { "tolerance", required_argument, NULL, 't' }, { "header", required_argument, NULL, 'h' },
                                             { "body", required_argument, NULL, 'b' },      { 0 } };
    run->tolerance_s = VERIFIER_TOLERANCE_S;
    optind = 0; /* glibc: start anew */
    opterr = 0;
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;)
        if (!take_option(run, option))
            return false;
    if (optind < argc)
        run->request_file = argv[optind++];
    bool whole = run->body_file == NULL && !run->has_headers, in_parts = run->request_file == NULL && run->has_headers;
    return optind == argc && (whole || in_parts) && (run->url == NULL || run->key_file == NULL);
}

/* ---- secrets ---- */

static bool trust(struct run *run, const char *secrets)
{
    const char *problem;
    run->verifier = verifier_create(secrets, &problem);
    return run->verifier != NULL || command_complain("verify", run->key_file == NULL ? "" : run->key_file, problem);
}

static bool trust_file(struct run *run)
{
    struct text problem;
    text_init(&problem, SIGNED_VALUE_MAX);
    char *content = content_read(run->key_file, &problem);
    bool fine = content == NULL ? command_complain("verify", run->key_file, problem.start) : trust(run, content);
    content_destroy(content);
    text_finish(&problem);
    return fine;
}

/* The receiver's side of the sender's keys. */
static bool trust_settings(struct run *run)
{
    struct signing signing;
    char secrets[SECRETS_BYTES_MAX] = "";
    bool fine = signing_from_settings(&signing, "verify", run->url);
    for (size_t i = 0, used = 0; fine && i < signing.keys.count; i++) {
        signature_key_write_secret(&signing.keys.keys[i], text_slice(&signing.receiver), secrets + used);
        used += strlen(secrets + used);
        secrets[used++] = ' ';
        secrets[used] = '\0';
    }
    fine = fine && trust(run, secrets);
    explicit_bzero(secrets, sizeof(secrets));
    signing_finish(&signing);
    return fine;
}

/* ---- the request ---- */

static bool read_message(struct run *run)
{
    const char *problem, *file = run->has_headers ? run->body_file : run->request_file;
    if (!signing_read_all("verify", file == NULL ? "-" : file, &run->bytes))
        return false;
    if (!run->has_headers)
        return signed_message_parse(&run->message, text_slice(&run->bytes), &problem) ||
               command_complain("verify", file == NULL ? "" : file, problem);
    run->message.body = text_slice(&run->bytes);
    return true;
}

static int judge(const struct run *run)
{
    const char *values[SIGNED_FIELDS];
    for (int field = 0; field < SIGNED_FIELDS; field++)
        values[field] = run->message.given[field] ? run->message.values[field] : NULL;
    const struct verifier_message message = { .id = values[SIGNED_ID],
                                              .timestamp = values[SIGNED_TIMESTAMP],
                                              .signature = values[SIGNED_SIGNATURE],
                                              .body = run->message.body.start,
                                              .body_bytes = run->message.body.length };
    enum verifier_result result = verifier_check(run->verifier, &message, clock_wall_ms() / 1000, run->tolerance_s);
    if (result != VERIFIER_VALID) {
        command_complain("verify", "", verifier_result_sentence(result));
        return COMMAND_FAILED;
    }
    puts(verifier_result_sentence(result));
    return fflush(stdout) == 0 ? COMMAND_FINE : COMMAND_FAILED;
}

int command_verify(int argc, char **argv)
{
    struct run *run = memory_create(sizeof(*run));
    int code = COMMAND_USAGE;
    if (!read_arguments(run, argc, argv))
        fputs(command_verify_help, stderr);
    else
        code = (run->key_file != NULL ? trust_file(run) : trust_settings(run)) && read_message(run) ? judge(run) : COMMAND_FAILED;
    verifier_destroy(run->verifier);
    text_finish(&run->bytes);
    free(run);
    return code;
}
