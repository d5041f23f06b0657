/* A receiver of jobhook's webhooks in C. Copy it together with delivery/verifier.[hc]; was_asked_for and work are yours to replace.
 *
 *     cc -std=c11 -D_GNU_SOURCE -I. -o receiver deploy/receivers/receiver.c delivery/verifier.c -lmicrohttpd -lyajl -lcrypto -lpthread
 *     WEBHOOK_SECRETS="whsec_… whpk_…" ./receiver HOST:PORT FOLDER
 *
 * FOLDER/asked.txt names the tasks that were asked for, one a line. FOLDER/inbox/ID is the event with that webhook-id, FOLDER/done/ID says that its
 * work is done. README.md beside this file says why it does what it does. */
#include "delivery/verifier.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <microhttpd.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <yajl/yajl_tree.h>

enum { BODY_BYTES_MAX = 16 << 20, SILENCE_S = 10, REQUEST_S = 10, CONNECTIONS_MAX = 1000, ID_MAX = 64 };

struct job {
    struct job *next;
    char id[ID_MAX + 1];
};

struct upload { /* one request */
    char *body;
    size_t length, capacity;
    time_t began;
    bool too_large;
};

static const char *folder;
static struct verifier *verifier;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t more = PTHREAD_COND_INITIALIZER;
static struct job *first_job, **last_job = &first_job;

/* ---- yours ---- */

/* The id that the API gave you when you asked for the job. */
static bool was_asked_for(const char *task_id)
{
    char path[PATH_MAX], *line = NULL;
    size_t size = 0;
    bool found = false;
    snprintf(path, sizeof(path), "%s/asked.txt", folder);
    FILE *file = fopen(path, "r");
    while (file != NULL && !found && getline(&line, &size, file) > 0) {
        line[strcspn(line, "\n")] = '\0';
        found = line[0] != '\0' && strcmp(line, task_id) == 0;
    }
    free(line);
    if (file != NULL)
        fclose(file);
    return found;
}

/* Runs after the answer, in the order of arrival; once more if the process dies in the middle of it. */
static void work(const char *task_id, const char *status)
{
    printf("done %s %s\n", task_id, status);
    fflush(stdout);
}

/* ---- JSON ---- */

static const char *member(yajl_val event, const char *name)
{
    const char *path[] = { name, NULL };
    return YAJL_GET_STRING(yajl_tree_get(event, path, yajl_t_string));
}

/* ---- once per webhook-id, and kept before the answer ---- */

static bool write_whole(int file, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t count = write(file, bytes, length);
        if (count <= 0)
            return false;
        bytes += count;
        length -= (size_t)count;
    }
    return fsync(file) == 0;
}

static bool sync_folder(const char *path)
{
    int file = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool synced = file >= 0 && fsync(file) == 0;
    if (file >= 0)
        close(file);
    return synced;
}

static void enqueue(const char *id)
{
    struct job *job = calloc(1, sizeof(*job));
    if (job == NULL)
        abort(); /* it is in the inbox: the next start finds it */
    snprintf(job->id, sizeof(job->id), "%s", id);
    pthread_mutex_lock(&lock);
    *last_job = job;
    last_job = &job->next;
    pthread_cond_signal(&more);
    pthread_mutex_unlock(&lock);
}

/* To be worked on, unless it is there already because it was sent before. True: either is safe on the disk. */
static bool keep(const char *id, const struct upload *upload)
{
    char fresh[PATH_MAX], inbox[PATH_MAX], place[PATH_MAX + ID_MAX + 2];
    snprintf(fresh, sizeof(fresh), "%s/.%s.XXXXXX", folder, id);
    snprintf(inbox, sizeof(inbox), "%s/inbox", folder);
    snprintf(place, sizeof(place), "%s/%s", inbox, id);
    int file = mkstemp(fresh);
    if (file < 0)
        return false;
    bool kept = write_whole(file, upload->body, upload->length);
    if (kept && link(fresh, place) == 0) /* the whole file or none, and for one of two at the same time only */
        enqueue(id);                     /* at once: if what follows fails, it comes again and is found there */
    else
        kept = kept && errno == EEXIST;
    close(file);
    unlink(fresh);
    return kept && sync_folder(inbox);
}

static struct job *take_job(void)
{
    pthread_mutex_lock(&lock);
    while (first_job == NULL)
        pthread_cond_wait(&more, &lock);
    struct job *job = first_job;
    first_job = job->next;
    if (first_job == NULL)
        last_job = &first_job;
    pthread_mutex_unlock(&lock);
    return job;
}

static char *read_event(const char *id)
{
    char path[PATH_MAX];
    char *bytes = calloc(1, BODY_BYTES_MAX + 1);
    snprintf(path, sizeof(path), "%s/inbox/%s", folder, id);
    FILE *file = fopen(path, "rb");
    if (bytes == NULL || file == NULL)
        abort();
    size_t length = fread(bytes, 1, BODY_BYTES_MAX, file);
    bytes[length] = '\0';
    fclose(file);
    return bytes;
}

static void *work_off(void *unused)
{
    char path[PATH_MAX];
    (void)unused;
    for (;;) {
        struct job *job = take_job();
        char *bytes = read_event(job->id);
        yajl_val event = yajl_tree_parse(bytes, NULL, 0);
        const char *status = member(event, "status");
        work(member(event, "task_id"), status == NULL ? "" : status);
        yajl_tree_free(event);
        free(bytes);
        snprintf(path, sizeof(path), "%s/done/%s", folder, job->id);
        int file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        if (file < 0)
            abort();
        close(file);
        free(job);
    }
    return NULL;
}

static bool is_undone(const struct dirent *entry)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/done/%s", folder, entry->d_name);
    return entry->d_name[0] != '.' && access(path, F_OK) != 0;
}

static bool begin(void)
{
    char inbox[PATH_MAX], done[PATH_MAX];
    pthread_t thread;
    snprintf(inbox, sizeof(inbox), "%s/inbox", folder);
    snprintf(done, sizeof(done), "%s/done", folder);
    mkdir(inbox, 0700);
    mkdir(done, 0700);
    DIR *waiting = opendir(inbox);
    for (struct dirent *entry; waiting != NULL && (entry = readdir(waiting)) != NULL;)
        if (is_undone(entry))
            enqueue(entry->d_name);
    if (waiting != NULL)
        closedir(waiting);
    return waiting != NULL && pthread_create(&thread, NULL, work_off, NULL) == 0;
}

/* ---- HTTP ---- */

struct headers {
    const char *names[3], *values[3];
    bool twice;
};

static enum MHD_Result see_header(void *context, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct headers *headers = context;
    (void)kind;
    for (int i = 0; i < 3; i++) {
        if (strcasecmp(name, headers->names[i]) != 0)
            continue;
        headers->twice |= headers->values[i] != NULL;
        headers->values[i] = value;
    }
    return MHD_YES;
}

static bool is_plain_id(const char *id)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
    size_t length = strspn(id, plain);
    return length >= 1 && length <= ID_MAX && id[length] == '\0';
}

static unsigned judge_event(const char *id, const struct upload *upload)
{
    yajl_val event = yajl_tree_parse(upload->length == 0 ? "" : upload->body, NULL, 0);
    const char *task_id = event == NULL ? NULL : member(event, "task_id");
    unsigned status = MHD_HTTP_NO_CONTENT;
    if (task_id == NULL)
        status = MHD_HTTP_BAD_REQUEST;
    else if (!was_asked_for(task_id))
        status = MHD_HTTP_NOT_FOUND;
    yajl_tree_free(event);
    if (status != MHD_HTTP_NO_CONTENT)
        return status;
    return keep(id, upload) ? MHD_HTTP_NO_CONTENT : MHD_HTTP_SERVICE_UNAVAILABLE; /* 503: jobhook comes again */
}

static unsigned judge(struct MHD_Connection *connection, const struct upload *upload)
{
    struct headers headers = { .names = { "webhook-id", "webhook-timestamp", "webhook-signature" } };
    MHD_get_connection_values(connection, MHD_HEADER_KIND, see_header, &headers);
    if (headers.twice || headers.values[0] == NULL || headers.values[1] == NULL || headers.values[2] == NULL || !is_plain_id(headers.values[0]))
        return MHD_HTTP_BAD_REQUEST;
    const struct verifier_message message = { headers.values[0], headers.values[1], headers.values[2], upload->body, upload->length };
    if (verifier_check(verifier, &message, time(NULL), VERIFIER_TOLERANCE_S) != VERIFIER_VALID)
        return MHD_HTTP_UNAUTHORIZED;
    return judge_event(headers.values[0], upload);
}

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned status)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(0, "", MHD_RESPMEM_PERSISTENT);
    enum MHD_Result queued = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return queued;
}

/* One byte more than the body, for a NUL behind it. */
static void add(struct upload *upload, const char *bytes, size_t count)
{
    if (upload->too_large || count > BODY_BYTES_MAX - upload->length) {
        upload->too_large = true;
        return;
    }
    if (upload->length + count + 1 > upload->capacity) {
        upload->capacity = (upload->length + count + 1) * 2;
        upload->body = realloc(upload->body, upload->capacity);
        if (upload->body == NULL)
            abort();
    }
    memcpy(upload->body + upload->length, bytes, count);
    upload->length += count;
    upload->body[upload->length] = '\0';
}

static struct upload *begin_upload(void)
{
    struct upload *upload = calloc(1, sizeof(*upload));
    if (upload != NULL)
        upload->began = time(NULL);
    return upload;
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *url, const char *method, const char *version,
                                  const char *bytes, size_t *count, void **memory)
{
    struct upload *upload = *memory;
    (void)context;
    (void)url;
    (void)version;
    if (upload == NULL && strcmp(method, MHD_HTTP_METHOD_POST) != 0)
        return answer(connection, MHD_HTTP_METHOD_NOT_ALLOWED);
    if (upload == NULL)
        return (*memory = begin_upload()) != NULL ? MHD_YES : MHD_NO;
    if (time(NULL) - upload->began > REQUEST_S)
        return MHD_NO; /* closes: the body drips */
    if (*count > 0) {
        add(upload, bytes, *count);
        *count = 0;
        return MHD_YES;
    }
    return answer(connection, upload->too_large ? MHD_HTTP_CONTENT_TOO_LARGE : judge(connection, upload));
}

static void on_end(void *context, struct MHD_Connection *connection, void **memory, enum MHD_RequestTerminationCode code)
{
    struct upload *upload = *memory;
    (void)context;
    (void)connection;
    (void)code;
    if (upload != NULL)
        free(upload->body);
    free(upload);
    *memory = NULL;
}

static struct MHD_Daemon *listen_at(const char *text)
{
    struct sockaddr_in address = { .sin_family = AF_INET };
    const char *colon = strrchr(text, ':');
    char host[INET_ADDRSTRLEN] = "";
    if (colon == NULL || (size_t)(colon - text) >= sizeof(host))
        return NULL;
    memcpy(host, text, (size_t)(colon - text));
    address.sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1)
        return NULL;
    return MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL, 0, NULL, NULL, on_request, NULL, MHD_OPTION_SOCK_ADDR, &address,
                            MHD_OPTION_NOTIFY_COMPLETED, on_end, NULL, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
                            MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)SILENCE_S, MHD_OPTION_END);
}

int main(int count, char **words)
{
    const char *problem = NULL;
    if (count != 3) {
        fputs("usage: WEBHOOK_SECRETS=… receiver HOST:PORT FOLDER\n", stderr);
        return 2;
    }
    sigset_t signals; /* blocked before there are threads, so that none of them takes one */
    int number;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    folder = words[2];
    verifier = verifier_create(getenv("WEBHOOK_SECRETS"), &problem);
    struct MHD_Daemon *daemon = verifier != NULL && begin() ? listen_at(words[1]) : NULL;
    if (daemon == NULL) {
        fprintf(stderr, "cannot start: %s\n", problem != NULL ? problem : "folder or address");
        return 1;
    }
    printf("listening on port %u\n", MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT)->port);
    fflush(stdout);
    sigwait(&signals, &number);
    MHD_stop_daemon(daemon);
    verifier_destroy(verifier);
    return 0;
}
