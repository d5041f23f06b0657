/* jobhook: the program's entry. Finds the command in a table and runs it. */
#include "consumer/base/memory.h"
#include "consumer/commands/commands.h"
#include "consumer/privileges.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct command commands[] = {
    { .name = "run",
      .summary = "deliver events until SIGTERM",
      .help = "usage: jobhook run\n\n"
              "Reads job-completed events from Kafka and POSTs each to its webhook URL. The settings are environment variables JOBHOOK_* and\n"
              "KAFKA_*; `jobhook check` shows them. Logs to standard output. SIGTERM: finish the attempts in flight, then end; a second one ends\n"
              "at once, and nothing is lost either way.\n",
      .run = command_run },
    { .name = "check",
      .summary = "show the effective settings, or all mistakes in them",
      .help = "usage: jobhook check\n\n"
              "Prints every setting with its value and where it came from, secrets masked; or all mistakes on standard error, then exit code 1:\n"
              "what librdkafka and OpenSSL would refuse when `run` starts is one, too. Connects to nothing.\n",
      .run = command_check },
    { .name = "doctor",
      .summary = "look at brokers, topics, Redis, clocks, names, certificates, and say what to do",
      .help = command_doctor_help,
      .run = command_doctor,
      .takes_arguments = true },
    { .name = "size", .summary = "say what a rate of events needs", .help = command_size_help, .run = command_size, .takes_arguments = true },
    { .name = "topics",
      .summary = "create the topics that jobhook needs, say which rights in Kafka it needs",
      .run = command_topics,
      .takes_arguments = true },
    { .name = "dlq", .summary = "list, show, replay and purge dead letters", .run = command_dlq, .takes_arguments = true },
    { .name = "resend",
      .summary = "deliver events again, whatever became of them",
      .help = command_resend_help,
      .run = command_resend,
      .takes_arguments = true },
    { .name = "reindex",
      .summary = "write again where events lie, after Redis was emptied",
      .help = command_reindex_help,
      .run = command_reindex,
      .takes_arguments = true },
    { .name = "publish",
      .summary = "write events from JSON lines to the input topic",
      .help = command_publish_help,
      .run = command_publish,
      .takes_arguments = true },
    { .name = "send", .summary = "send one test event, everything visible", .help = command_send_help, .run = command_send, .takes_arguments = true },
    { .name = "top", .summary = "watch one or many copies", .help = command_top_help, .run = command_top, .takes_arguments = true },
    { .name = "status", .summary = "show what is known of a task", .help = command_status_help, .run = command_status, .takes_arguments = true },
    { .name = "attempts", .summary = "read the log of attempts", .help = command_attempts_help, .run = command_attempts, .takes_arguments = true },
    { .name = "forget", .summary = "erase what Redis knows of a task", .help = command_forget_help, .run = command_forget, .takes_arguments = true },
    { .name = "sign", .summary = "print the headers that sign a body", .help = command_sign_help, .run = command_sign, .takes_arguments = true },
    { .name = "verify", .summary = "check the signature of a request", .help = command_verify_help, .run = command_verify, .takes_arguments = true },
    { .name = "secret",
      .summary = "print the secret to hand to a receiver",
      .help = command_secret_help,
      .run = command_secret,
      .takes_arguments = true },
    { .name = "version", .summary = "print the version", .help = "usage: jobhook version\n", .run = command_version },
};

static bool is_help(const char *argument)
{
    return strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0 || strcmp(argument, "help") == 0;
}

static void print_usage(FILE *file)
{
    fputs("usage: jobhook <command> [arguments]\n\n", file);
    for (size_t i = 0; i < COUNT_OF(commands); i++)
        fprintf(file, "  %-10s %s\n", commands[i].name, commands[i].summary);
    fputs("\n`jobhook <command> --help` says more. Exit codes: 0 fine, 1 failed, 2 wrong usage.\n", file);
}

static const struct command *find(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(commands); i++)
        if (strcmp(name, commands[i].name) == 0)
            return &commands[i];
    return NULL;
}

static int fail_usage(const char *problem, const char *subject)
{
    fprintf(stderr, "jobhook: %s%s\n\n", subject, problem);
    print_usage(stderr);
    return COMMAND_USAGE;
}

static int help_on(const struct command *command)
{
    if (command != NULL && command->help == NULL)
        return command->run(2, (char *[]){ (char *)command->name, "--help", NULL });
    if (command == NULL)
        print_usage(stdout);
    else
        fputs(command->help, stdout);
    return fflush(stdout) == 0 ? COMMAND_FINE : COMMAND_FAILED;
}

/* Where one of them is closed, what is opened next would take its place, and be written to. */
static void fill_standard_descriptors(void)
{
    int fd = 0;
    while (fd >= 0 && fd <= STDERR_FILENO)
        fd = open("/dev/null", O_RDWR);
    if (fd > STDERR_FILENO)
        close(fd);
}

int main(int argc, char **argv)
{
    fill_standard_descriptors();
    privileges_give_up();
    memory_init();
    if (argc < 2)
        return fail_usage("no command given", "");
    const char *name = strcmp(argv[1], "--version") == 0 ? "version" : argv[1];
    const struct command *command = find(name);
    if (is_help(name))
        return argc > 2 && find(argv[2]) == NULL ? fail_usage(": no such command", argv[2]) : help_on(argc > 2 ? find(argv[2]) : NULL);
    if (command == NULL)
        return fail_usage(": no such command", name);
    if (argc > 2 && is_help(argv[2]))
        return help_on(command);
    if (argc > 2 && !command->takes_arguments)
        return fail_usage(" takes no arguments", name);
    return command->run(argc - 1, argv + 1);
}
