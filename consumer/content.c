#include "consumer/content.h"

#include "consumer/base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Reads up to `room` bytes; what was read, or -1 with errno. */
static ssize_t read_up_to(const char *path, char *bytes, size_t room)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t length = 0;
    ssize_t count = fd < 0 ? -1 : 1;
    while (count > 0 && length < room) {
        count = read(fd, bytes + length, room - length);
        if (count > 0)
            length += (size_t)count;
    }
    int reason = errno;
    if (fd >= 0)
        close(fd);
    errno = reason;
    return count < 0 ? -1 : (ssize_t)length;
}

char *content_read(const char *path, struct text *problem)
{
    char *bytes = memory_create(CONTENT_BYTES_MAX + 1), *content = NULL;
    ssize_t count = read_up_to(path, bytes, CONTENT_BYTES_MAX + 1);
    size_t length = count < 0 ? 0 : (size_t)count;
    if (count < 0) {
        text_printf(problem, "cannot be read: %s", strerror(errno));
    } else if (length > CONTENT_BYTES_MAX) {
        text_append_string(problem, "is larger than 1 MiB");
    } else if (memchr(bytes, '\0', length) != NULL) {
        text_append_string(problem, "holds a NUL byte");
    } else {
        bool newline = length > 0 && bytes[length - 1] == '\n';
        bool return_too = newline && length > 1 && bytes[length - 2] == '\r';
        content = memory_copy(bytes, length - newline - return_too);
    }
    explicit_bzero(bytes, length);
    free(bytes);
    return content;
}

void content_destroy(char *content)
{
    if (content != NULL)
        explicit_bzero(content, strlen(content));
    free(content);
}
