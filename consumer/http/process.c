#include "consumer/http/process.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

struct usage {
    bool known; /* the five from /proc/self/stat and /proc/stat */
    uint64_t cpu_us;
    uint64_t resident_bytes, virtual_bytes;
    uint64_t threads;
    uint64_t start_ms;       /* since 1970 */
    uint64_t open_files;     /* 0 unknown */
    uint64_t open_files_max; /* 0 unknown */
};

/* The whole file, or its start; false when it cannot be read. */
static bool read_file(const char *path, char *bytes, size_t size)
{
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    size_t length = fread(bytes, 1, size - 1, file);
    fclose(file);
    bytes[length] = '\0';
    return length > 0;
}

/* Seconds since 1970 at which the machine was started (proc(5): btime). */
static uint64_t boot_s(void)
{
    static const char name[] = "btime ";
    char line[256];
    uint64_t seconds = 0;
    FILE *file = fopen("/proc/stat", "re");
    if (file == NULL)
        return 0;
    while (fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, name, sizeof name - 1) == 0 && sscanf(line + sizeof name - 1, "%" SCNu64, &seconds) == 1)
            break;
    fclose(file);
    return seconds;
}

/* proc(5), fields counted from 3 after the name in parentheses: 14 utime, 15 stime, 20 num_threads, 22 starttime, 23 vsize, 24 rss. */
static bool read_stat(struct usage *usage)
{
    char bytes[1024];
    uint64_t user, kernel, started, pages;
    uint64_t ticks = (uint64_t)sysconf(_SC_CLK_TCK), boot = boot_s();
    if (!read_file("/proc/self/stat", bytes, sizeof bytes) || ticks == 0 || boot == 0)
        return false;
    const char *fields = strrchr(bytes, ')');
    if (fields == NULL || sscanf(fields + 1,
                                 " %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %" SCNu64 " %" SCNu64 " %*s %*s %*s %*s %" SCNu64 " %*s %" SCNu64
                                 " %" SCNu64 " %" SCNu64,
                                 &user, &kernel, &usage->threads, &started, &usage->virtual_bytes, &pages) != 6)
        return false;
    usage->cpu_us = (user + kernel) * 1000000 / ticks;
    usage->resident_bytes = pages * (uint64_t)sysconf(_SC_PAGESIZE);
    usage->start_ms = boot * 1000 + started * 1000 / ticks;
    return true;
}

static uint64_t open_files(void)
{
    uint64_t count = 0;
    DIR *directory = opendir("/proc/self/fd");
    if (directory == NULL)
        return 0;
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;)
        count += entry->d_name[0] != '.';
    closedir(directory);
    return count - 1; /* the directory itself */
}

static void measure(struct usage *usage)
{
    struct rlimit limit;
    *usage = (struct usage){ 0 };
    usage->known = read_stat(usage);
    usage->open_files = open_files();
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        usage->open_files_max = limit.rlim_cur;
}

static void write_one(struct text *text, const char *name, const char *type, const char *help)
{
    text_printf(text, "# HELP process_%s %s\n# TYPE process_%s %s\nprocess_%s ", name, help, name, type, name);
}

static void write_number(struct text *text, const char *name, const char *help, uint64_t value)
{
    write_one(text, name, "gauge", help);
    text_printf(text, "%" PRIu64 "\n", value);
}

void process_write(struct text *text)
{
    struct usage usage;
    measure(&usage);
    if (usage.known) {
        write_one(text, "cpu_seconds_total", "counter", "User and system CPU time spent.");
        text_printf(text, "%" PRIu64 ".%06" PRIu64 "\n", usage.cpu_us / 1000000, usage.cpu_us % 1000000);
        write_one(text, "start_time_seconds", "gauge", "When the process was started, since 1970.");
        text_printf(text, "%" PRIu64 ".%03" PRIu64 "\n", usage.start_ms / 1000, usage.start_ms % 1000);
        write_number(text, "resident_memory_bytes", "Memory that is resident.", usage.resident_bytes);
        write_number(text, "virtual_memory_bytes", "Memory that is mapped.", usage.virtual_bytes);
        write_number(text, "threads", "Threads of the process.", usage.threads);
    }
    if (usage.open_files > 0)
        write_number(text, "open_fds", "Open file descriptors.", usage.open_files);
    if (usage.open_files_max > 0)
        write_number(text, "max_fds", "Largest number of open file descriptors.", usage.open_files_max);
}
