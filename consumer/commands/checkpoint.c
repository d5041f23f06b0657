#include "consumer/commands/checkpoint.h"

#include "consumer/base/hash.h"
#include "consumer/base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEAD "jobhook-checkpoint 2\n"

/* ---- the text ---- */

/* Finds what was cut or mangled, not what was forged. */
static uint64_t sum_of(const char *bytes, size_t length)
{
    return hash_slice((struct hash_key){ 0 }, (struct slice){ bytes, length });
}

void checkpoint_write(const struct checkpoint *checkpoint, struct text *text)
{
    text_append_string(text, HEAD);
    text_printf(text, "run %s\n", checkpoint->identity);
    text_printf(text, "moments %" PRId64 " %" PRId64 "\n", checkpoint->since_ms, checkpoint->until_ms);
    text_printf(text, "counts %" PRIu64 " %" PRIu64 "\n", checkpoint->sent, checkpoint->refused);
    text_printf(text, "followed %" PRIu64 " %" PRIu64 "\n", checkpoint->followed, checkpoint->followed_bytes);
    for (size_t i = 0; i < checkpoint->partitions; i++)
        text_printf(text, "left %" PRId32 " %" PRId64 " %" PRId64 "\n", checkpoint->left[i].partition, checkpoint->left[i].from,
                    checkpoint->left[i].until);
    for (size_t i = 0; i < checkpoint->plan_count; i++)
        text_printf(text, "plan %" PRId32 " %" PRId64 " %" PRIu32 "\n", checkpoint->plans[i].partition, checkpoint->plans[i].offset,
                    checkpoint->plans[i].epoch);
    text_printf(text, "end %016" PRIx64 "\n", sum_of(text->start, text->length));
}

/* Takes the next line off `rest` and splits it: the word and up to three numbers. */
static bool take_line(struct slice *rest, struct slice *line)
{
    const char *end = rest->length == 0 ? NULL : memchr(rest->start, '\n', rest->length);
    if (end == NULL)
        return false;
    *line = (struct slice){ rest->start, (size_t)(end - rest->start) };
    rest->length -= line->length + 1;
    rest->start = end + 1;
    return true;
}

static bool read_numbers(struct slice line, const char *word, uint64_t *numbers, size_t count)
{
    size_t at = strlen(word);
    if (!slice_starts_with(line, word))
        return false;
    for (size_t i = 0; i < count; i++) {
        if (at >= line.length || line.start[at] != ' ')
            return false;
        size_t start = ++at;
        while (at < line.length && line.start[at] != ' ')
            at++;
        if (!slice_to_u64((struct slice){ line.start + start, at - start }, INT64_MAX, &numbers[i]))
            return false;
    }
    return at == line.length;
}

static bool is_whole(struct slice bytes)
{
    char end[32];
    size_t length = sizeof("end 0123456789abcdef\n") - 1;
    if (!slice_starts_with(bytes, HEAD) || bytes.length < length)
        return false;
    snprintf(end, sizeof(end), "end %016" PRIx64 "\n", sum_of(bytes.start, bytes.length - length));
    return memcmp(bytes.start + bytes.length - length, end, length) == 0;
}

static bool read_left(struct slice *rest, struct slice *line, struct checkpoint *checkpoint)
{
    uint64_t n[3];
    checkpoint->left = memory_create(CHECKPOINT_PARTITIONS_MAX * sizeof(*checkpoint->left));
    while (take_line(rest, line) && read_numbers(*line, "left", n, 3)) {
        if (checkpoint->partitions == CHECKPOINT_PARTITIONS_MAX || n[0] != checkpoint->partitions)
            return false;
        checkpoint->left[checkpoint->partitions++] = (struct search_range){ (int32_t)n[0], (int64_t)n[1], (int64_t)n[2] };
    }
    return checkpoint->partitions > 0;
}

static bool read_plans(struct slice *rest, struct slice *line, struct checkpoint *checkpoint)
{
    uint64_t n[3];
    checkpoint->plans = memory_create(CHECKPOINT_PLANS_MAX * sizeof(*checkpoint->plans));
    while (read_numbers(*line, "plan", n, 3)) {
        if (checkpoint->plan_count == CHECKPOINT_PLANS_MAX || n[0] > INT32_MAX || n[2] > UINT32_MAX)
            return false;
        checkpoint->plans[checkpoint->plan_count++] = (struct checkpoint_plan){ (int32_t)n[0], (int64_t)n[1], (uint32_t)n[2] };
        if (!take_line(rest, line))
            return false;
    }
    return slice_starts_with(*line, "end ") && rest->length == 0;
}

static bool read_lines(struct slice rest, struct checkpoint *checkpoint)
{
    struct slice line;
    uint64_t moments[2], counts[2], followed[2];
    if (!take_line(&rest, &line) || !take_line(&rest, &line) || !slice_starts_with(line, "run "))
        return false;
    checkpoint->identity = memory_copy(line.start + 4, line.length - 4);
    if (!take_line(&rest, &line) || !read_numbers(line, "moments", moments, 2) || !take_line(&rest, &line) ||
        !read_numbers(line, "counts", counts, 2) || !take_line(&rest, &line) || !read_numbers(line, "followed", followed, 2))
        return false;
    checkpoint->since_ms = (int64_t)moments[0];
    checkpoint->until_ms = (int64_t)moments[1];
    checkpoint->sent = counts[0];
    checkpoint->refused = counts[1];
    checkpoint->followed = followed[0];
    checkpoint->followed_bytes = followed[1];
    return read_left(&rest, &line, checkpoint) && read_plans(&rest, &line, checkpoint);
}

static int compare_plans(const void *a, const void *b)
{
    const struct checkpoint_plan *one = a, *other = b;
    if (one->partition != other->partition)
        return one->partition < other->partition ? -1 : 1;
    return one->offset < other->offset ? -1 : one->offset > other->offset;
}

bool checkpoint_read(struct slice bytes, struct checkpoint *checkpoint, const char **problem)
{
    *checkpoint = (struct checkpoint){ 0 };
    *problem = "is no checkpoint, or only a part of one";
    if (is_whole(bytes) && read_lines(bytes, checkpoint)) {
        if (checkpoint->plan_count > 0)
            qsort(checkpoint->plans, checkpoint->plan_count, sizeof(*checkpoint->plans), compare_plans);
        return true;
    }
    checkpoint_finish(checkpoint);
    return false;
}

const struct checkpoint_plan *checkpoint_find(const struct checkpoint *checkpoint, int32_t partition, int64_t offset)
{
    const struct checkpoint_plan asked = { .partition = partition, .offset = offset };
    if (checkpoint->plan_count == 0)
        return NULL;
    return bsearch(&asked, checkpoint->plans, checkpoint->plan_count, sizeof(asked), compare_plans);
}

void checkpoint_finish(struct checkpoint *checkpoint)
{
    free(checkpoint->identity);
    free(checkpoint->left);
    free(checkpoint->plans);
    *checkpoint = (struct checkpoint){ 0 };
}

/* ---- the file ---- */

static bool fail(struct text *problem, const char *path, const char *why)
{
    text_printf(problem, "%s: %s", path, why);
    return false;
}

static bool read_all(int descriptor, struct text *bytes)
{
    char part[65536];
    ssize_t got;
    while ((got = read(descriptor, part, sizeof(part))) > 0)
        text_append(bytes, (struct slice){ part, (size_t)got });
    return got == 0 && !bytes->overflowed;
}

/* Saving puts a file in its place: of /dev/null nothing would be left. */
static bool is_file(int descriptor)
{
    struct stat status;
    return fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode);
}

/* Whoever saves renames another file over this one: what was locked must still be what has the name. */
static bool is_current(int descriptor, const char *path)
{
    struct stat opened, named;
    return fstat(descriptor, &opened) == 0 && stat(path, &named) == 0 && opened.st_ino == named.st_ino && opened.st_dev == named.st_dev;
}

static bool open_locked(struct checkpoint_file *file, struct text *problem)
{
    file->descriptor = open(file->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (file->descriptor < 0)
        return fail(problem, file->path, strerror(errno));
    bool fits = is_file(file->descriptor);
    if (fits && flock(file->descriptor, LOCK_EX | LOCK_NB) == 0 && is_current(file->descriptor, file->path))
        return true;
    close(file->descriptor);
    file->descriptor = -1;
    return fail(problem, file->path, fits ? "another run is using this checkpoint" : "is no file");
}

static enum checkpoint_found understand(struct checkpoint_file *file, struct checkpoint *checkpoint, struct text *problem)
{
    struct text bytes;
    const char *why = "cannot be read";
    text_init(&bytes, CHECKPOINT_BYTES_MAX);
    bool fine = read_all(file->descriptor, &bytes), empty = fine && bytes.length == 0;
    fine = fine && !empty && checkpoint_read(text_slice(&bytes), checkpoint, &why);
    text_finish(&bytes);
    if (empty)
        return CHECKPOINT_FRESH; /* made, and nothing was planned yet */
    if (fine)
        return CHECKPOINT_GOES_ON;
    fail(problem, file->path, why);
    text_append_string(problem,
                       ". Remove it to begin anew: what was replayed already is then refused as such, but a resend or --force would send it again");
    checkpoint_close(file, false);
    return CHECKPOINT_FAILED;
}

enum checkpoint_found checkpoint_open(struct checkpoint_file *file, const char *path, struct checkpoint *checkpoint, struct text *problem)
{
    *file = (struct checkpoint_file){ .path = memory_copy(path, strlen(path)), .descriptor = -1 };
    *checkpoint = (struct checkpoint){ 0 };
    if (open_locked(file, problem))
        return understand(file, checkpoint, problem);
    checkpoint_close(file, false);
    return CHECKPOINT_FAILED;
}

static bool write_all(int descriptor, const struct text *text)
{
    for (size_t at = 0; at < text->length;) {
        ssize_t written = write(descriptor, text->start + at, text->length - at);
        if (written < 0)
            return false;
        at += (size_t)written;
    }
    return fsync(descriptor) == 0;
}

static void flush_folder(const char *path)
{
    char *copy = memory_copy(path, strlen(path));
    int folder = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder >= 0) {
        fsync(folder);
        close(folder);
    }
    free(copy);
}

static bool replace(struct checkpoint_file *file, const struct text *text)
{
    size_t size = strlen(file->path) + sizeof(".fresh");
    char *fresh = memory_create(size);
    snprintf(fresh, size, "%s.fresh", file->path);
    int descriptor = open(fresh, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    bool fine = descriptor >= 0 && flock(descriptor, LOCK_EX | LOCK_NB) == 0 && write_all(descriptor, text) && rename(fresh, file->path) == 0;
    int error = errno;
    free(fresh);
    if (!fine && descriptor >= 0)
        close(descriptor);
    errno = error;
    if (!fine)
        return false;
    close(file->descriptor);
    file->descriptor = descriptor;
    flush_folder(file->path);
    return true;
}

bool checkpoint_save(struct checkpoint_file *file, const struct checkpoint *checkpoint, struct text *problem)
{
    struct text text;
    text_init(&text, CHECKPOINT_BYTES_MAX);
    checkpoint_write(checkpoint, &text);
    assert(!text.overflowed);
    bool fine = replace(file, &text) || fail(problem, file->path, strerror(errno));
    text_finish(&text);
    return fine;
}

void checkpoint_close(struct checkpoint_file *file, bool finished)
{
    if (finished && file->descriptor >= 0)
        unlink(file->path);
    if (file->descriptor >= 0)
        close(file->descriptor);
    free(file->path);
    *file = (struct checkpoint_file){ .descriptor = -1 };
}
