/* When the certificates in the files of the settings end: read once a minute for /metrics, and a warning in the log before one does.
 *
 * Only files in PEM are looked at: of a chain or a bundle the certificate that ends first counts. The system's CA store is not watched. */
#ifndef JOBHOOK_CONSUMER_CERTIFICATES_H
#define JOBHOOK_CONSUMER_CERTIFICATES_H

#include "consumer/base/measure.h"
#include "consumer/settings.h"

struct uv_loop_s;
struct certificates;

enum { CERTIFICATES_MAX = 8, CERTIFICATES_EVERY_MS = 60000, CERTIFICATES_WARN_DAYS = 14 };

struct certificate_file {
    const char *name; /* the variable that names it */
    const char *path;
};

struct certificates_stats {
    size_t count;
    const char *names[CERTIFICATES_MAX];
    struct gauge expires_s[CERTIFICATES_MAX]; /* since 1970; 0: not known, because the file cannot be read */
};

/* The files that the settings name; returns how many, at most CERTIFICATES_MAX. */
size_t certificates_list(const struct settings *settings, struct certificate_file *files);
/* When the first certificate of the file ends, seconds since 1970. False: `problem` says why it is not known. */
MUST_USE bool certificate_read(const char *path, int64_t *expires_s, struct text *problem);

/* What OpenSSL's number of a verification error says, e.g. "certificate has expired"; a fixed string. */
const char *certificate_refusal(int x509_error);

/* Reads all files, then again on the loop, which a file system that hangs may hold up: not that of a worker. */
struct certificates *certificates_create(struct uv_loop_s *loop, const struct settings *settings);
void certificates_destroy(struct certificates *certificates); /* frees in a later turn of the loop; takes NULL */
const struct certificates_stats *certificates_stats(const struct certificates *certificates);

#endif
