#include "consumer/commands/signing.h"

#include "consumer/commands/commands.h"
#include "consumer/content.h"
#include "delivery/guard.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { SENTENCE_BYTES_MAX = 4096, PROBLEM_BYTES_MAX = 128, SCOPE_BYTES_MAX = GUARD_URL_MAX + GUARD_ORIGIN_MAX };

static void begin(struct signing *signing, const char *command)
{
    *signing = (struct signing){ .command = command };
    text_init(&signing->receiver, SCOPE_BYTES_MAX);
}

void signing_finish(struct signing *signing)
{
    signature_keys_wipe(&signing->keys);
    text_finish(&signing->receiver);
}

/* Whoever asks may not be where jobhook runs, so that every address counts as allowed; what the URL looks like is judged as always. */
static bool name_receiver(struct signing *signing, const char *text)
{
    static struct guard_cidr everywhere[] = { { { false, { 0 } }, 0 }, { { true, { 0 } }, 0 } };
    const struct guard guard = { .allow_http = true, .allow = everywhere, .allow_count = COUNT_OF(everywhere) };
    struct url url;
    enum guard_rule rule = guard_judge_url(&guard, slice_of(text), &url);
    if (rule == GUARD_OK) {
        signature_scope_write(signing->scope, &url, &signing->receiver);
        return true;
    }
    char problem[PROBLEM_BYTES_MAX];
    snprintf(problem, sizeof(problem), "jobhook calls no such URL (rule: %s)", guard_rule_name(rule));
    return command_complain(signing->command, text, problem);
}

static bool take_settings(struct signing *signing, const struct settings *settings, const char *url)
{
    signing->keys = settings->signing_keys;
    signing->scope = settings->signing_scope;
    if (signing->keys.count == 0)
        fprintf(stderr, "jobhook %s: no key: set JOBHOOK_SIGNING_KEYS or JOBHOOK_SIGNING_KEYS_FILE\n", signing->command);
    else if (url == NULL && signing->scope != SIGNATURE_SHARED)
        fprintf(stderr, "jobhook %s: receivers have secrets of their own (JOBHOOK_SIGNING_SCOPE): name one with --url\n", signing->command);
    else
        return url == NULL || name_receiver(signing, url);
    return false;
}

bool signing_from_settings(struct signing *signing, const char *command, const char *url)
{
    struct settings settings;
    struct text mistakes;
    text_init(&mistakes, SENTENCE_BYTES_MAX);
    begin(signing, command);
    bool fine = settings_read_part(&settings, "JOBHOOK_SIGNING_", NULL, &mistakes);
    if (fine)
        fine = take_settings(signing, &settings, url);
    else
        fprintf(stderr, "jobhook %s: the settings hold mistakes:\n%s", command, mistakes.length > 0 ? mistakes.start : "");
    settings_finish(&settings);
    text_finish(&mistakes);
    return fine;
}

bool signing_from_file(struct signing *signing, const char *command, const char *path)
{
    struct text problem;
    text_init(&problem, SENTENCE_BYTES_MAX);
    begin(signing, command);
    char *content = content_read(path, &problem);
    bool fine = content != NULL && signature_keys_parse(slice_of(content), &signing->keys, &problem);
    if (!fine)
        command_complain(command, path, problem.start);
    content_destroy(content);
    text_finish(&problem);
    return fine;
}

bool signing_read_all(const char *command, const char *path, struct text *bytes)
{
    char buffer[65536];
    bool is_input = strcmp(path, "-") == 0;
    FILE *file = is_input ? stdin : fopen(path, "rb");
    text_init(bytes, SIGNING_BODY_BYTES_MAX);
    for (size_t count = 1; file != NULL && count > 0 && !bytes->overflowed;) {
        count = fread(buffer, 1, sizeof(buffer), file);
        text_append(bytes, (struct slice){ buffer, count });
    }
    bool fine = file != NULL && !ferror(file) && !bytes->overflowed;
    if (!fine)
        command_complain(command, is_input ? "standard input" : path, bytes->overflowed ? "is larger than 64 MiB" : strerror(errno));
    if (file != NULL && !is_input)
        fclose(file);
    return fine;
}
