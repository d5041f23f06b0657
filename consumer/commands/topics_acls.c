/* jobhook topics acls: which rights in Kafka each kind of login needs, and no more. Connects to nothing. */
#include "consumer/commands/topics_acls.h"

#include "consumer/base/json.h"
#include "consumer/commands/commands.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

enum { OPERATIONS_MAX = 4, OUTPUT_BYTES_MAX = 256 * 1024, NAME_WIDTH = 36, OPERATIONS_WIDTH = 34 };
enum role { RUN, CREATE, OPERATE, ROLES };
enum place { INPUT, RETRIES, LETTERS, ATTEMPTS, GROUP };
enum form { READABLE, AS_JSON, AS_COMMANDS };

const char topics_acls_usage[] = "usage: jobhook topics acls [--role ROLE] [--principal NAME] [--json | --kafka-acls]\n"
                                 "\n"
                                 "Prints the rights in Kafka that jobhook needs with these settings, and no more. Connects to nothing.\n"
                                 "\n"
                                 "  --role ROLE       of one kind of login only: run, create or operate\n"
                                 "  --principal NAME  whom they are for (default: User:jobhook)\n"
                                 "  --kafka-acls      as lines for Kafka's kafka-acls.sh\n"
                                 "  --json            as one JSON object\n"
                                 "\n"
                                 "example: jobhook topics acls --role run --principal User:jobhook --kafka-acls | sh\n";

static const struct {
    const char *name, *meaning;
} roles[ROLES] = {
    [RUN] = { "run", "the service" },
    [CREATE] = { "create", "jobhook topics create" },
    [OPERATE] = { "operate", "the other commands, beside what the service has: doctor's look at limits, dlq, resend, attempts, status, publish" },
};

/* Read, Write and Delete include Describe (Kafka's documentation, "Operations in Kafka"), which is therefore not asked for beside them. */
static const struct right {
    enum role role;
    enum place place;
    const char *operations[OPERATIONS_MAX + 1];
    const char *why;
} rights[] = {
    { RUN, INPUT, { "Read" }, "takes events, and shows them at /job-status" },
    { RUN, RETRIES, { "Read", "Write" }, "retries and deferrals, those of earlier schedules included" },
    { RUN, LETTERS, { "Write" }, "dead letters" },
    { RUN, ATTEMPTS, { "Write" }, "JOBHOOK_ATTEMPTS_TOPIC" },
    { RUN, GROUP, { "Read" }, "joins the consumer group and commits offsets" },
    { CREATE, INPUT, { "Create", "Describe", "DescribeConfigs" }, "creates it, or compares the one that exists" },
    { CREATE, RETRIES, { "Create", "Describe", "DescribeConfigs" }, "the same for each delay" },
    { CREATE, LETTERS, { "Create", "Describe", "DescribeConfigs" }, "the same" },
    { CREATE, ATTEMPTS, { "Create", "Describe", "DescribeConfigs" }, "the same" },
    { OPERATE, INPUT, { "DescribeConfigs", "Write" }, "doctor's look at limits; publish, send --through-kafka" },
    { OPERATE, RETRIES, { "DescribeConfigs" }, "doctor's look at limits" },
    { OPERATE, LETTERS, { "DescribeConfigs", "Read", "Delete" }, "doctor's look at limits; dlq list, show and replay; dlq purge" },
    { OPERATE, ATTEMPTS, { "DescribeConfigs", "Read" }, "doctor's look at limits; attempts, status" },
};

struct asked {
    const struct settings *settings;
    const char *principal;
    int role; /* -1: all */
    enum form form;
};

/* False: these settings have no such thing. */
static bool name_place(const struct settings *settings, enum place place, struct text *name)
{
    text_clear(name);
    if (place == ATTEMPTS && settings->attempts_topic == NULL)
        return false;
    text_append_string(name, place == ATTEMPTS ? settings->attempts_topic : place == GROUP ? settings->group : settings->topic);
    text_append_string(name, place == RETRIES ? ".retry." : place == LETTERS ? ".dlq" : "");
    return true;
}

static const char *kind_of(enum place place)
{
    return place == GROUP ? "group" : "topic";
}

static void join(const struct right *right, const char *before, const char *between, struct text *text)
{
    for (const char *const *operation = right->operations; *operation != NULL; operation++)
        text_printf(text, "%s%s%s", operation == right->operations ? "" : between, before, *operation);
}

/* ---- one right, in each form ---- */

static void write_readable(const struct asked *asked, const struct right *right, struct slice name, struct text *out)
{
    struct text operations, shown;
    (void)asked;
    text_init(&operations, OUTPUT_BYTES_MAX);
    text_init(&shown, OUTPUT_BYTES_MAX);
    join(right, "", ", ", &operations);
    text_append(&shown, name);
    text_append_string(&shown, right->place == RETRIES ? "*" : "");
    text_printf(out, "  %s  %-*s  %-*s  %s\n", kind_of(right->place), NAME_WIDTH, shown.start, OPERATIONS_WIDTH, operations.start, right->why);
    text_finish(&operations);
    text_finish(&shown);
}

static void append_quoted(struct text *out, struct slice word)
{
    text_append_char(out, '\'');
    for (size_t i = 0; i < word.length; i++)
        if (word.start[i] == '\'')
            text_append_string(out, "'\\''");
        else
            text_append_char(out, word.start[i]);
    text_append_char(out, '\'');
}

static void write_command(const struct asked *asked, const struct right *right, struct slice name, struct text *out)
{
    text_append_string(out, "kafka-acls.sh --bootstrap-server ");
    append_quoted(out, slice_of(asked->settings->kafka_brokers));
    text_append_string(out, " --command-config admin.properties --add --allow-principal ");
    append_quoted(out, slice_of(asked->principal));
    text_append_char(out, ' ');
    join(right, "--operation ", " ", out);
    text_printf(out, " --resource-pattern-type %s --%s ", right->place == RETRIES ? "prefixed" : "literal", kind_of(right->place));
    append_quoted(out, name);
    text_append_char(out, '\n');
}

static void write_object(struct json *json, const struct right *right, struct slice name)
{
    json_open_object(json, NULL);
    json_string(json, "resource", slice_of(kind_of(right->place)));
    json_string(json, "name", name);
    json_string(json, "pattern", right->place == RETRIES ? SLICE("prefixed") : SLICE("literal"));
    json_open_array(json, "operations");
    for (const char *const *operation = right->operations; *operation != NULL; operation++)
        json_string(json, NULL, slice_of(*operation));
    json_close_array(json);
    json_string(json, "why", slice_of(right->why));
    json_close_object(json);
}

/* ---- all of them ---- */

static void write_lines(const struct asked *asked, enum role role, struct text *out)
{
    struct text name;
    text_init(&name, OUTPUT_BYTES_MAX);
    text_printf(out, "%s%s: %s\n", asked->form == AS_COMMANDS ? "# " : "", roles[role].name, roles[role].meaning);
    for (size_t i = 0; i < COUNT_OF(rights); i++) {
        if (rights[i].role != role || !name_place(asked->settings, rights[i].place, &name))
            continue;
        if (asked->form == AS_COMMANDS)
            write_command(asked, &rights[i], text_slice(&name), out);
        else
            write_readable(asked, &rights[i], text_slice(&name), out);
    }
    text_finish(&name);
}

static void write_role(struct json *json, const struct asked *asked, enum role role)
{
    struct text name;
    text_init(&name, OUTPUT_BYTES_MAX);
    json_open_object(json, NULL);
    json_string(json, "role", slice_of(roles[role].name));
    json_string(json, "principal", slice_of(asked->principal));
    json_open_array(json, "acls");
    for (size_t i = 0; i < COUNT_OF(rights); i++)
        if (rights[i].role == role && name_place(asked->settings, rights[i].place, &name))
            write_object(json, &rights[i], text_slice(&name));
    json_close_array(json);
    json_close_object(json);
    text_finish(&name);
}

static void write_all(const struct asked *asked, struct text *out)
{
    struct json json;
    if (asked->form == AS_JSON) {
        json_open(&json, out);
        json_open_array(&json, "roles");
    }
    for (int role = 0; role < ROLES; role++) {
        if (asked->role >= 0 && asked->role != role)
            continue;
        if (asked->form == AS_JSON)
            write_role(&json, asked, (enum role)role);
        else
            write_lines(asked, (enum role)role, out);
    }
    if (asked->form == AS_JSON) {
        json_close_array(&json);
        json_close(&json);
        text_append_char(out, '\n');
    }
}

/* ---- arguments ---- */

static bool read_role(struct asked *asked, const char *name)
{
    for (int role = 0; role < ROLES; role++)
        if (strcmp(name, roles[role].name) == 0) {
            asked->role = role;
            return true;
        }
    fprintf(stderr, "jobhook topics acls: --role %s: wants run, create or operate\n", name);
    return false;
}

static bool read_principal(struct asked *asked, const char *name)
{
    asked->principal = name;
    if (strchr(name, ':') != NULL && strpbrk(name, "\n\r") == NULL)
        return true;
    fprintf(stderr, "jobhook topics acls: --principal %s: wants a kind and a name, such as User:jobhook\n", name);
    return false;
}

static bool read_form(struct asked *asked, enum form form)
{
    bool again = asked->form != READABLE && asked->form != form;
    asked->form = form;
    if (again)
        fprintf(stderr, "jobhook topics acls: --json and --kafka-acls exclude each other\n");
    return !again;
}

static bool read_arguments(struct asked *asked, int count, char **arguments)
{
    enum { ROLE, PRINCIPAL, JSON, KAFKA_ACLS };
    static const struct option options[] = { { "role", required_argument, NULL, ROLE },
                                             { "principal", required_argument, NULL, PRINCIPAL },
                                             { "json", no_argument, NULL, JSON },
                                             { "kafka-acls", no_argument, NULL, KAFKA_ACLS },
                                             { 0 } };
    bool fine = true;
    optind = 0; /* glibc: start anew, whatever read options before */
    opterr = 0;
    for (int option; fine && (option = getopt_long(count, arguments, "", options, NULL)) != -1;) {
        if (option == ROLE)
            fine = read_role(asked, optarg);
        else if (option == PRINCIPAL)
            fine = read_principal(asked, optarg);
        else if (option == JSON || option == KAFKA_ACLS)
            fine = read_form(asked, option == JSON ? AS_JSON : AS_COMMANDS);
        else
            fine = false;
    }
    return fine && optind == count;
}

int topics_acls(int argc, char **argv)
{
    struct settings settings = { 0 };
    struct asked asked = { .settings = &settings, .principal = "User:jobhook", .role = -1 };
    struct text out;
    if (!read_arguments(&asked, argc, argv)) {
        fputs(topics_acls_usage, stderr);
        return COMMAND_USAGE;
    }
    if (!command_settings(&settings))
        return COMMAND_FAILED;
    text_init(&out, OUTPUT_BYTES_MAX);
    write_all(&asked, &out);
    fputs(out.start, stdout);
    text_finish(&out);
    settings_finish(&settings);
    return fflush(stdout) == 0 ? COMMAND_FINE : COMMAND_FAILED;
}
