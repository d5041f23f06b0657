/* jobhook doctor: looks at everything that jobhook needs, and says what is wrong and what to do. Sends no webhook and changes nothing. */
#include "consumer/commands/commands.h"
#include "consumer/commands/doctor_inside.h"

#include <getopt.h>
#include <stdio.h>

enum { OUTPUT_BYTES_MAX = 1024 * 1024 };

const char command_doctor_help[] =
    "usage: jobhook doctor [--json] [URL]...\n"
    "\n"
    "Looks at what jobhook needs, with the settings of `jobhook run`: brokers and the Kafka they speak as, rights and topics; Redis; clocks;\n"
    "name servers; certificates; file descriptors. Of each webhook URL given it says what the egress policy thinks of it, which addresses it\n"
    "has, and whether these can be connected to. It sends no request and changes nothing (Redis gets one key that lasts a millisecond).\n"
    "\n"
    "Each line is ok, warning (works, but not as it should) or broken, with what to do. Takes up to half a minute when nothing answers.\n"
    "\n"
    "  --json   one JSON object instead\n"
    "\n"
    "Exit code: 0 nothing is broken, 1 something is, 2 wrong usage.\n";

static bool read_arguments(int argc, char **argv, bool *json)
{
    static const struct option options[] = { { "json", no_argument, NULL, 'j' }, { 0 } };
    bool fine = true;
    optind = 0; /* glibc: start anew, whatever read options before */
    opterr = 0;
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        fine = fine && option == 'j';
        *json = true;
    }
    return fine;
}

static int print(const struct findings *findings, bool json)
{
    struct text text;
    text_init(&text, OUTPUT_BYTES_MAX);
    if (json)
        findings_write_json(findings, &text);
    else
        findings_write(findings, &text);
    fwrite(text.start, 1, text.length, stdout);
    text_finish(&text);
    return fflush(stdout) != 0 || findings_count(findings, FINDING_BROKEN) > 0 ? COMMAND_FAILED : COMMAND_FINE;
}

int command_doctor(int argc, char **argv)
{
    struct settings settings;
    struct findings findings = { 0 };
    bool json = false;
    if (!read_arguments(argc, argv, &json)) {
        fputs(command_doctor_help, stderr);
        return COMMAND_USAGE;
    }
    if (!command_settings(&settings))
        return COMMAND_FAILED;
    log_set(LOG_ERROR, settings.log_format); /* what the libraries complain about becomes findings */
    doctor_look_at_host(&settings, &findings);
    doctor_look_at_kafka(&settings, &findings);
    doctor_look_at_redis(&settings, &findings);
    doctor_look_at_names(&findings);
    for (int i = optind; i < argc; i++)
        doctor_look_at_url(&settings, argv[i], &findings);
    int code = print(&findings, json);
    findings_finish(&findings);
    settings_finish(&settings);
    return code;
}
