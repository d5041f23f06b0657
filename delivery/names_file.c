#include "delivery/names_file.h"

#include "consumer/base/stamp.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

enum { ADDRESS_MAX = INET6_ADDRSTRLEN + IF_NAMESIZE };

static const char blanks[] = " \t\r";

/* What stands before the first of these, which goes with it. */
static struct slice take_until(struct slice *rest, const char *ends)
{
    struct slice taken = { rest->start, 0 };
    while (taken.length < rest->length && strchr(ends, rest->start[taken.length]) == NULL)
        taken.length++;
    size_t gone = taken.length < rest->length ? taken.length + 1 : taken.length;
    *rest = (struct slice){ rest->start + gone, rest->length - gone };
    return taken;
}

static bool is_address(struct slice text, bool with_zones)
{
    char address[ADDRESS_MAX + 1] = "";
    unsigned char bytes[16];
    if (text.length > ADDRESS_MAX)
        return false;
    memcpy(address, text.start, text.length);
    char *zone = strchr(address, '%');
    if (zone == NULL)
        return inet_pton(AF_INET, address, bytes) == 1 || inet_pton(AF_INET6, address, bytes) == 1;
    *zone = '\0';
    return with_zones && if_nametoindex(zone + 1) != 0 && inet_pton(AF_INET6, address, bytes) == 1;
}

bool names_file_names_a_server(struct slice text, bool with_zones)
{
    while (text.length > 0) {
        struct slice line = take_until(&text, "\n");
        line = slice_trim(take_until(&line, "#;"), blanks);
        struct slice keyword = take_until(&line, blanks);
        line = slice_trim(line, blanks);
        if (slice_is(keyword, "nameserver") && is_address(take_until(&line, blanks), with_zones))
            return true;
    }
    return false;
}

bool names_file_read(const char *path, struct names_file *file)
{
    FILE *stream = stamp_may_wait(path) ? NULL : fopen(path, "re");
    if (stream == NULL)
        return false;
    file->length = fread(file->bytes, 1, sizeof(file->bytes), stream);
    bool fine = ferror(stream) == 0;
    fclose(stream);
    return fine;
}

bool names_file_is_same(const struct names_file *a, const struct names_file *b)
{
    return a->length == b->length && memcmp(a->bytes, b->bytes, a->length) == 0;
}

struct slice names_file_text(const struct names_file *file)
{
    return (struct slice){ file->bytes, file->length };
}
