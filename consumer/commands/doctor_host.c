#include "consumer/commands/doctor_inside.h"

#include "consumer/base/clock.h"
#include "consumer/certificates.h"
#include "consumer/service.h"
#include "delivery/post_tls.h"

#include <inttypes.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { DAY_S = 86400, PROBLEM_BYTES_MAX = 500 };

static void look_at_descriptors(const struct settings *settings, struct findings *findings)
{
    struct rlimit limit;
    uint64_t needed = service_descriptors_needed(settings);
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    bool enough = limit.rlim_max >= needed;
    findings_add(findings, enough ? FINDING_OK : FINDING_BROKEN, "file descriptors",
                 enough ? NULL : "raise the limit (ulimit -Hn) or lower JOBHOOK_MAX_IN_FLIGHT", "%" PRIu64 " allowed here, %" PRIu64 " needed",
                 (uint64_t)limit.rlim_max, needed);
}

static void look_at_certificate(const char *name, const char *path, struct findings *findings)
{
    int64_t expires_s = 0, now_s = clock_wall_ms() / 1000;
    struct text problem;
    text_init(&problem, PROBLEM_BYTES_MAX);
    if (!certificate_read(path, &expires_s, &problem))
        findings_add(findings, FINDING_BROKEN, name, "see that the file is there, readable, and in PEM", "%s %s", path, problem.start);
    else if (expires_s <= now_s)
        findings_add(findings, FINDING_BROKEN, name, "renew it", "%s: a certificate expired %" PRId64 " days ago", path, (now_s - expires_s) / DAY_S);
    else
        findings_add(findings, expires_s - now_s < (int64_t)CERTIFICATES_WARN_DAYS * DAY_S ? FINDING_WARNING : FINDING_OK, name,
                     expires_s - now_s < (int64_t)CERTIFICATES_WARN_DAYS * DAY_S ? "renew it" : NULL,
                     "%s: the first certificate expires in %" PRId64 " days", path, (expires_s - now_s) / DAY_S);
    text_finish(&problem);
}

/* What `run` would not start with; returns the setting, NULL when there is none. */
static const char *try_files(const struct settings *settings, struct findings *findings)
{
    struct post_tls_problem problem;
    if (post_tls_try(&(struct post_tls_files){ settings->ca_file, settings->client_cert, settings->client_key }, &problem))
        return NULL;
    findings_add(findings, FINDING_BROKEN, problem.setting, "see that certificates and key are in PEM, whole, and belong together", "%s %s",
                 problem.file, problem.sentence);
    return problem.setting;
}

static void look_at_certificates(const struct settings *settings, struct findings *findings)
{
    struct certificate_file files[CERTIFICATES_MAX];
    size_t count = certificates_list(settings, files);
    const char *system = post_tls_system_file(), *told = try_files(settings, findings);
    for (size_t i = 0; i < count; i++)
        if (told == NULL || strcmp(told, files[i].name) != 0)
            look_at_certificate(files[i].name, files[i].path, findings);
    if (settings->ca_file != NULL)
        return;
    findings_add(findings, system != NULL ? FINDING_OK : FINDING_BROKEN, "CA certificates",
                 system != NULL ? NULL : "install them (Debian: ca-certificates), or set JOBHOOK_CA_FILE", "%s",
                 system != NULL ? system : "there are none: no https receiver will be trusted");
}

static void look_at_signing(const struct settings *settings, struct findings *findings)
{
    if (settings->signing_keys.count == 0)
        findings_add(findings, FINDING_WARNING, "signing", "set JOBHOOK_SIGNING_KEYS",
                     "requests are not signed: receivers cannot tell them from forged ones");
    else if (settings->signing_scope == SIGNATURE_SHARED && signature_keys_have_symmetric(&settings->signing_keys))
        findings_add(findings, FINDING_WARNING, "signing", "set JOBHOOK_SIGNING_SCOPE to origin or url",
                     "every receiver knows the same whsec_ key, and could forge events for the others");
    else
        findings_add(findings, FINDING_OK, "signing", NULL, "%zu key%s", settings->signing_keys.count, settings->signing_keys.count == 1 ? "" : "s");
}

void doctor_look_at_host(const struct settings *settings, struct findings *findings)
{
    findings_add(findings, FINDING_OK, "jobhook", NULL, JOBHOOK_VERSION);
    if (geteuid() == 0)
        findings_add(findings, FINDING_WARNING, "user", "run it as any other user: it needs no privilege", "root");
    look_at_descriptors(settings, findings);
    look_at_certificates(settings, findings);
    look_at_signing(settings, findings);
    if (settings->guard.allow_count > 0)
        findings_add(findings, FINDING_WARNING, "JOBHOOK_EGRESS_ALLOW", "leave it unset where customers choose the URLs",
                     "%zu range%s opened that %s closed by default", settings->guard.allow_count, settings->guard.allow_count == 1 ? " is" : "s are",
                     settings->guard.allow_count == 1 ? "may be" : "may be");
}
