#include "consumer/commands/doctor_inside.h"

#include "dedupe/redis_exam.h"
#include "dedupe/redis_judge.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { ASK_MS = 6000, SLOW_US = 5000, CLOCK_OFF_MS = 1000, CLOCK_WRONG_MS = 60000, KEY_BYTES_MAX = 2000, FULL_PERCENT = 80 };

static const char subject[] = "redis";

static uint64_t number_of(const struct redis_exam *exam, const char *name)
{
    uint64_t number = 0;
    return slice_to_u64(redis_info_value(text_slice(&exam->info), name), UINT64_MAX, &number) ? number : 0;
}

/* Whether it is a server that can be used at all. */
static bool look_at_role(const struct redis_exam *exam, struct findings *findings)
{
    struct redis_info info = redis_judge_info(text_slice(&exam->info));
    const char *wrong = info.refused != NULL ? info.refused : info.gone;
    if (wrong != NULL) {
        findings_add(findings, FINDING_BROKEN, subject, info.cure, "%s (version " SLICE_FORMAT ")", wrong, SLICE_ARGS(info.version));
        return false;
    }
    findings_add(findings, FINDING_OK, subject, NULL, "answers, one server that takes writes, version " SLICE_FORMAT, SLICE_ARGS(info.version));
    if (slice_is(info.policy, "noeviction"))
        findings_add(findings, FINDING_OK, "redis policy", NULL, "noeviction");
    else if (info.policy.length > 0)
        findings_add(findings, FINDING_WARNING, "redis policy", "set maxmemory-policy to noeviction",
                     SLICE_FORMAT ": Redis may forget what was delivered, and events are delivered twice", SLICE_ARGS(info.policy));
    return true;
}

static void look_at_memory(const struct redis_exam *exam, struct findings *findings)
{
    uint64_t used = number_of(exam, "used_memory"), most = number_of(exam, "maxmemory");
    if (used == 0)
        return;
    if (most == 0)
        findings_add(findings, FINDING_OK, "redis memory", NULL, "%" PRIu64 " MiB used, no limit but the machine's", used >> 20);
    else
        findings_add(findings, used > most / 100 * FULL_PERCENT ? FINDING_WARNING : FINDING_OK, "redis memory",
                     used > most / 100 * FULL_PERCENT ? "raise maxmemory, or lower JOBHOOK_STATE_TTL: a full Redis takes no claims" : NULL,
                     "%" PRIu64 " of %" PRIu64 " MiB used", used >> 20, most >> 20);
}

static void look_at_speed(const struct redis_exam *exam, struct findings *findings)
{
    if (exam->pings == 0)
        return;
    uint64_t median_us = exam->ping_us[exam->pings / 2], worst_us = exam->ping_us[exam->pings - 1];
    findings_add(findings, median_us > SLOW_US ? FINDING_WARNING : FINDING_OK, "redis latency",
                 median_us > SLOW_US ? "bring Redis nearer: every event waits for it twice" : NULL,
                 "%" PRIu64 ".%03" PRIu64 " ms median, %" PRIu64 ".%03" PRIu64 " ms at worst of %zu", median_us / 1000, median_us % 1000,
                 worst_us / 1000, worst_us % 1000, exam->pings);
}

static void look_at_clock(const struct redis_exam *exam, struct findings *findings)
{
    if (!exam->has_clock)
        return;
    uint64_t off_ms = (uint64_t)llabs(exam->clock_ahead_ms);
    enum finding_state state = off_ms >= CLOCK_WRONG_MS ? FINDING_BROKEN : off_ms >= CLOCK_OFF_MS ? FINDING_WARNING : FINDING_OK;
    findings_add(findings, state, "clock and Redis",
                 state == FINDING_OK ? NULL : "set the clocks of both machines by NTP: receivers refuse signatures that are minutes off",
                 "Redis's clock is %" PRIu64 " ms %s ours", off_ms, exam->clock_ahead_ms < 0 ? "behind" : "ahead of");
}

static void look_at_scripts(const struct redis_exam *exam, struct findings *findings)
{
    if (exam->scripts_run)
        findings_add(findings, FINDING_OK, "redis scripts", NULL, "run, and may write below JOBHOOK_REDIS_PREFIX");
    else
        findings_add(findings, FINDING_BROKEN, "redis scripts", exam->cure, "do not run: %s", exam->why);
}

void doctor_look_at_redis(const struct settings *settings, struct findings *findings)
{
    struct redis_exam exam;
    struct text key;
    text_init(&key, KEY_BYTES_MAX);
    text_printf(&key,
                "%s\x01"
                "doctor",
                settings->redis_prefix);
    redis_examine(&settings->redis, text_slice(&key), ASK_MS, &exam);
    if (!exam.answered) {
        findings_add(findings, FINDING_BROKEN, subject, exam.cure != NULL ? exam.cure : "see that JOBHOOK_REDIS_URL is right, and that Redis runs",
                     "cannot be used: %s", exam.why);
    } else if (look_at_role(&exam, findings)) {
        look_at_memory(&exam, findings);
        look_at_speed(&exam, findings);
        look_at_clock(&exam, findings);
        look_at_scripts(&exam, findings);
    }
    redis_exam_finish(&exam);
    text_finish(&key);
}
