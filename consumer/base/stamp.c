#include "consumer/base/stamp.h"

#include <sys/stat.h>

bool stamp_read(const char *path, struct stamp *stamp)
{
    struct stat status;
    *stamp = (struct stamp){ .mode = 0 };
    if (stat(path, &status) != 0)
        return false;
    *stamp = (struct stamp){ status.st_mode, status.st_dev, status.st_ino, status.st_size, status.st_mtim, status.st_ctim };
    return true;
}

static bool is_same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

bool stamp_is_same(const struct stamp *a, const struct stamp *b)
{
    return a->mode == b->mode && a->device == b->device && a->inode == b->inode && a->size == b->size && is_same_time(a->modified, b->modified) &&
           is_same_time(a->changed, b->changed);
}

bool stamp_is_regular(const struct stamp *stamp)
{
    return S_ISREG(stamp->mode);
}

bool stamp_may_wait(const char *path)
{
    struct stamp stamp;
    return stamp_read(path, &stamp) && !stamp_is_regular(&stamp);
}
