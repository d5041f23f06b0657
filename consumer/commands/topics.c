/* jobhook topics: `create` makes the topics that are missing, and says in what the existing ones differ. Changes no existing topic. */
#include "consumer/base/memory.h"
#include "consumer/commands/commands.h"
#include "consumer/commands/topics_acls.h"
#include "consumer/commands/topics_admin.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PARTITIONS_MAX = 100000, REPLICATION_MAX = 32, LINES_BYTES_MAX = 1024 * 1024 };

static const char commands_usage[] = "usage: jobhook topics COMMAND [options]\n"
                                     "\n"
                                     "  create  creates the topics that are missing, says in what the others differ\n"
                                     "  acls    prints the rights in Kafka that jobhook needs\n"
                                     "\n"
                                     "jobhook topics COMMAND --help says more.\n"
                                     "\n"
                                     "example: jobhook topics create --replication 3\n";

static const char usage[] = "usage: jobhook topics create [--partitions N] [--replication N] [--dry-run]\n"
                            "\n"
                            "Creates the input topic, one topic for each delay, the dead-letter topic, and JOBHOOK_ATTEMPTS_TOPIC\n"
                            "when it is set, as far as they are missing.\n"
                            "Topics that exist are never changed; what differs is said. The settings are those of `jobhook run`.\n"
                            "\n"
                            "  --partitions N   of new topics (default: as the input topic has, else 12)\n"
                            "  --replication N  of new topics (default: 3)\n"
                            "  --dry-run        asks the cluster whether it would, and creates nothing\n";

struct run {
    struct settings settings;
    struct topics_asked asked;
    bool dry_run;
    struct topics_admin *admin;
    int brokers;
    struct topics_plan plan;
    struct topic_found found[TOPICS_MAX];
    bool existed[TOPICS_MAX];
};

static int complain(const char *sentence)
{
    fprintf(stderr, "jobhook topics create: %s\n", sentence);
    return COMMAND_FAILED;
}

/* ---- arguments and settings ---- */

static bool read_number(const char *name, const char *value, int32_t most, int32_t *number)
{
    uint64_t read;
    if (slice_to_u64(slice_of(value), (uint64_t)most, &read) && read > 0) {
        *number = (int32_t)read;
        return true;
    }
    fprintf(stderr, "jobhook topics create: --%s %s: wants a number from 1 to %" PRId32 "\n", name, value, most);
    return false;
}

static bool read_arguments(struct run *run, int count, char **arguments)
{
    enum { PARTITIONS, REPLICATION, DRY_RUN };
    static const struct option options[] = { { "partitions", required_argument, NULL, PARTITIONS },
                                             { "replication", required_argument, NULL, REPLICATION },
                                             { "dry-run", no_argument, NULL, DRY_RUN },
                                             { 0 } };
    bool fine = true;
    optind = 0; /* glibc: start anew, whatever read options before */
    opterr = 0;
    for (int option; fine && (option = getopt_long(count, arguments, "", options, NULL)) != -1;) {
        if (option == PARTITIONS)
            fine = read_number("partitions", optarg, PARTITIONS_MAX, &run->asked.partitions);
        else if (option == REPLICATION)
            fine = read_number("replication", optarg, REPLICATION_MAX, &run->asked.replication);
        else if (option == DRY_RUN)
            run->dry_run = true;
        else
            fine = false;
    }
    return fine && optind == count;
}

static bool read_settings(struct run *run)
{
    if (!command_settings(&run->settings))
        return false;
    run->asked.topic = run->settings.topic;
    run->asked.attempts_topic = run->settings.attempts_topic;
    run->asked.schedule = &run->settings.schedule;
    run->asked.max_event_bytes = run->settings.max_event_bytes;
    return true;
}

/* ---- the topics ---- */

static bool misses_some(const struct run *run)
{
    for (size_t i = 0; i < run->plan.count; i++)
        if (!run->found[i].exists)
            return true;
    return false;
}

static int look(struct run *run)
{
    struct text problem;
    text_init(&problem, LINES_BYTES_MAX);
    bool fine = topics_admin_look(run->admin, &run->plan, run->found, &run->brokers, &problem);
    if (!fine)
        fprintf(stderr, "jobhook topics create: %s: %s\n", run->settings.kafka_brokers, problem.start);
    text_finish(&problem);
    if (!fine)
        return COMMAND_FAILED;
    topics_plan_shape(&run->plan, &run->asked, &run->found[0]);
    for (size_t i = 0; i < run->plan.count; i++)
        run->existed[i] = run->found[i].exists;
    return COMMAND_FINE;
}

static int make(struct run *run)
{
    struct text problem;
    int replication = run->plan.topics[0].shape.replication;
    text_init(&problem, LINES_BYTES_MAX);
    if (misses_some(run) && replication > run->brokers)
        text_printf(&problem, "replication %d is impossible, the cluster has %d broker%s: use --replication %d", replication, run->brokers,
                    run->brokers == 1 ? "" : "s", run->brokers);
    else if (!topics_admin_make(run->admin, &run->plan, run->found, run->dry_run, &problem) && problem.length == 0)
        text_append_string(&problem, "the topics could not be created");
    int code = problem.length > 0 ? complain(problem.start) : COMMAND_FINE;
    text_finish(&problem);
    return code;
}

/* ---- what is said ---- */

static void print_lines(struct text *lines)
{
    char *rest = lines->start;
    for (char *line; rest != NULL && (line = strsep(&rest, "\n")) != NULL;)
        if (line[0] != '\0')
            printf("    %s\n", line);
    text_clear(lines);
}

static int print_existing(const struct topic_wanted *wanted, const struct topic_found *found)
{
    struct text lines;
    text_init(&lines, LINES_BYTES_MAX);
    enum topic_judgement judgement = topics_plan_compare(wanted, found, &lines);
    printf("%-40s exists: %" PRId32 " partitions, replication %" PRId32 "%s\n", wanted->name, found->shape.partitions, found->shape.replication,
           judgement == TOPIC_WRONG     ? "  WRONG"
           : judgement == TOPIC_DIFFERS ? "  differs"
                                        : "");
    print_lines(&lines);
    text_finish(&lines);
    return judgement == TOPIC_WRONG ? COMMAND_FAILED : COMMAND_FINE;
}

static int print_new(const struct run *run, size_t i)
{
    const struct topic_wanted *wanted = &run->plan.topics[i];
    if (!run->found[i].exists) {
        printf("%-40s not created: %s\n", wanted->name, run->found[i].problem[0] != '\0' ? run->found[i].problem : "the cluster left it out");
        return COMMAND_FAILED;
    }
    printf("%-40s %s: %" PRId32 " partitions, replication %" PRId32 "\n", wanted->name, run->dry_run ? "would be created" : "created",
           wanted->shape.partitions, wanted->shape.replication);
    return COMMAND_FINE;
}

static int print_all(const struct run *run)
{
    int worst = COMMAND_FINE;
    struct text lines;
    for (size_t i = 0; i < run->plan.count; i++) {
        int code = run->existed[i] ? print_existing(&run->plan.topics[i], &run->found[i]) : print_new(run, i);
        if (code != COMMAND_FINE)
            worst = code;
    }
    text_init(&lines, LINES_BYTES_MAX);
    topics_admin_left_over(run->admin, &run->plan, &lines);
    if (lines.length > 0)
        printf("left over from another schedule, still read until empty:\n");
    print_lines(&lines);
    text_finish(&lines);
    return worst;
}

static int create(struct run *run)
{
    char problem[512];
    if (!topics_plan_name(&run->plan, &run->asked))
        return complain("a topic's name would be longer than the 249 bytes that Kafka allows");
    run->admin = topics_admin_create(&run->settings, problem, sizeof problem);
    if (run->admin == NULL)
        return complain(problem);
    int code = look(run);
    if (code == COMMAND_FINE)
        code = make(run);
    if (code == COMMAND_FINE)
        code = print_all(run);
    return fflush(stdout) == 0 ? code : COMMAND_FAILED;
}

static int command_create(int argc, char **argv)
{
    struct run *run = memory_create(sizeof *run);
    int code = COMMAND_USAGE;
    if (!read_arguments(run, argc, argv))
        fputs(usage, stderr);
    else
        code = read_settings(run) ? create(run) : COMMAND_FAILED;
    topics_admin_destroy(run->admin);
    settings_finish(&run->settings);
    free(run);
    return code;
}

int command_topics(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "", *last = argc > 1 ? argv[argc - 1] : "";
    bool creates = strcmp(name, "create") == 0, rights = strcmp(name, "acls") == 0;
    const char *help = creates ? usage : rights ? topics_acls_usage : commands_usage;
    if (strcmp(last, "--help") == 0 || strcmp(last, "-h") == 0)
        return fputs(help, stdout) < 0 || fflush(stdout) != 0 ? COMMAND_FAILED : COMMAND_FINE;
    if (creates)
        return command_create(argc - 1, argv + 1);
    if (rights)
        return topics_acls(argc - 1, argv + 1);
    fputs(commands_usage, stderr);
    return COMMAND_USAGE;
}
