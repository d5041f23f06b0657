/* jobhook check: the effective settings, or all mistakes in them. Connects to nothing. */
#include "consumer/commands/commands.h"
#include "consumer/kafka.h"
#include "delivery/post_tls.h"

#include <stdio.h>

/* What only shows when things are made of the settings, so that `run` would end at once. */
static bool can_be_used(const struct settings *settings)
{
    char kafka_problem[512];
    struct post_tls_problem tls_problem;
    bool tls = post_tls_try(&(struct post_tls_files){ settings->ca_file, settings->client_cert, settings->client_key }, &tls_problem);
    bool kafka = kafka_try(settings, kafka_problem, sizeof(kafka_problem));
    if (!tls || !kafka)
        fputs("jobhook: the settings cannot be used:\n", stderr);
    if (!tls)
        fprintf(stderr, "%s=%s: %s\n", tls_problem.setting, tls_problem.file, tls_problem.sentence);
    if (!kafka)
        fprintf(stderr, "%s\n", kafka_problem);
    return tls && kafka;
}

int command_check(int argc, char **argv)
{
    struct settings settings;
    (void)argc;
    (void)argv;
    if (!command_settings(&settings))
        return COMMAND_FAILED;
    bool usable = can_be_used(&settings);
    if (usable)
        settings_print(&settings, stdout);
    settings_finish(&settings);
    if (!usable)
        return COMMAND_FAILED;
    if (fflush(stdout) == 0)
        return COMMAND_FINE;
    perror("jobhook check: standard output");
    return COMMAND_FAILED;
}
