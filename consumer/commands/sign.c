/* jobhook sign: the headers that a request with this body would have. For tests of receivers, and for other languages' first steps. */
#include "consumer/base/clock.h"
#include "consumer/commands/commands.h"
#include "consumer/commands/signing.h"
#include "delivery/request.h"
#include "delivery/signature.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const char command_sign_help[] =
    "usage: jobhook sign --id ID [--timestamp SECONDS] [--url URL] [--key-file FILE]\n"
    "\n"
    "Signs the body that standard input holds, byte for byte, and prints webhook-id, webhook-timestamp and webhook-signature.\n"
    "The keys are those of JOBHOOK_SIGNING_KEYS (or _FILE); no other setting is needed.\n"
    "\n"
    "  --id ID              webhook-id: 1 to 64 of A-Z a-z 0-9 _ -\n"
    "  --timestamp SECONDS  webhook-timestamp, seconds since 1970 (default: now)\n"
    "  --url URL            the receiver, when JOBHOOK_SIGNING_SCOPE gives each its own secret\n"
    "  --key-file FILE      whsec_ and whsk_ keys to use as they are, instead of the settings'\n"
    "\n"
    "examples:\n"
    "  printf '%s' '{\"task_id\":\"t1\"}' | jobhook sign --id t1 --key-file key.txt\n"
    "  jobhook sign --id t1 --url https://hooks.example.com/in <body.json\n"
    "  jobhook sign --id t1 <body.json | curl -sS -H @- --data-binary @body.json http://127.0.0.1:8000/\n";

struct arguments {
    const char *id, *url, *key_file;
    uint64_t timestamp_s;
};

static bool read_arguments(struct arguments *arguments, int argc, char **argv)
{
    enum { ID, TIMESTAMP, URL, KEY_FILE };
    static const struct option options[] = { { "id", required_argument, NULL, ID },
                                             { "timestamp", required_argument, NULL, TIMESTAMP },
                                             { "url", required_argument, NULL, URL },
                                             { "key-file", required_argument, NULL, KEY_FILE },
                                             { 0 } };
    bool fine = true;
    *arguments = (struct arguments){ .timestamp_s = (uint64_t)(clock_wall_ms() / 1000) };
    optind = 0; /* glibc: start anew */
    opterr = 0;
    for (int option; fine && (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == ID)
            arguments->id = optarg;
        else if (option == TIMESTAMP)
            fine = slice_to_u64(slice_of(optarg), INT32_MAX * UINT64_C(1000), &arguments->timestamp_s);
        else if (option == URL)
            arguments->url = optarg;
        else if (option == KEY_FILE)
            arguments->key_file = optarg;
        else
            fine = false;
    }
    return fine && optind == argc && arguments->id != NULL && (arguments->url == NULL || arguments->key_file == NULL);
}

static bool is_sent_as_it_is(const char *id)
{
    char sent[REQUEST_ID_MAX + 1];
    request_webhook_id(slice_of(id), sent);
    if (strcmp(id, sent) == 0)
        return true;
    char problem[REQUEST_ID_MAX + 64];
    snprintf(problem, sizeof(problem), "no webhook-id: a task of this name has %s", sent);
    return command_complain("sign", id, problem);
}

static int print_signed(const struct signing *signing, const struct arguments *arguments, struct slice body)
{
    const struct signature_options options = { .keys = &signing->keys, .scope = signing->scope };
    const struct signed_request request = {
        .scope = text_slice(&signing->receiver), .id = slice_of(arguments->id), .timestamp_s = (int64_t)arguments->timestamp_s, .body = body
    };
    struct signature *signature = signature_create(&options);
    struct text value;
    text_init(&value, SIGNATURE_HEADER_MAX);
    signature_append(signature, &request, &value);
    signature_destroy(signature);
    printf("webhook-id: %s\nwebhook-timestamp: %" PRIu64 "\nwebhook-signature: %s\n", arguments->id, arguments->timestamp_s, value.start);
    text_finish(&value);
    return fflush(stdout) == 0 ? COMMAND_FINE : COMMAND_FAILED;
}

int command_sign(int argc, char **argv)
{
    struct arguments arguments;
    struct signing signing = { 0 };
    struct text body = { 0 };
    if (!read_arguments(&arguments, argc, argv)) {
        fputs(command_sign_help, stderr);
        return COMMAND_USAGE;
    }
    bool fine = is_sent_as_it_is(arguments.id) &&
                (arguments.key_file != NULL ? signing_from_file(&signing, "sign", arguments.key_file)
                                            : signing_from_settings(&signing, "sign", arguments.url)) &&
                signing_read_all("sign", "-", &body);
    int code = fine ? print_signed(&signing, &arguments, text_slice(&body)) : COMMAND_FAILED;
    text_finish(&body);
    signing_finish(&signing);
    return code;
}
