#include "consumer/span_headers.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char blanks[] = " \t\r";

/* What says where the request goes, how it is framed and what its body is: libcurl and we write these. */
static const char *const own_names[] = { "host", "connection", "content-length", "content-type", "content-encoding", "transfer-encoding",
                                         "te",   "trailer",    "upgrade",        "expect",       "keep-alive",       "proxy-connection" };

/* RFC 9110 §5.6.2. */
static bool is_token_byte(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static struct slice next_item(struct slice *rest)
{
    struct slice item = { rest->start, 0 };
    while (item.length < rest->length && item.start[item.length] != ',' && item.start[item.length] != '\n')
        item.length++;
    size_t used = item.length < rest->length ? item.length + 1 : item.length;
    *rest = (struct slice){ rest->start + used, rest->length - used };
    return slice_trim(item, blanks);
}

static bool is_own(struct slice name)
{
    for (size_t i = 0; i < COUNT_OF(own_names); i++)
        if (strlen(own_names[i]) == name.length && strncasecmp(own_names[i], name.start, name.length) == 0)
            return true;
    return false;
}

static const char *append_value(char *line, size_t length, struct slice value)
{
    for (size_t at = 0; at < value.length;) {
        int byte = slice_take_decoded(value, &at);
        if (byte < ' ' || byte > '~')
            return "a value may hold printable ASCII only, and a % is written %25";
        if (length == SPAN_HEADER_BYTES_MAX)
            return "is longer than 2048 bytes";
        line[length++] = (char)byte;
    }
    line[length] = '\0';
    return NULL;
}

static const char *take(struct slice item, struct span_headers *headers)
{
    const char *equals = memchr(item.start, '=', item.length);
    struct slice name = { item.start, equals == NULL ? 0 : (size_t)(equals - item.start) };
    if (equals == NULL)
        return "must be name=value";
    struct slice value = slice_trim((struct slice){ equals + 1, item.length - name.length - 1 }, blanks);
    name = slice_trim(name, blanks);
    for (size_t i = 0; i < name.length; i++)
        if (!is_token_byte(name.start[i]))
            return "its name holds a character that no header's name may hold";
    if (name.length == 0 || value.length == 0)
        return "must have a name and a value";
    if (is_own(name))
        return "its name is one of those that jobhook sends itself, by which the request would be misread";
    if (headers->count == SPAN_HEADERS_MAX)
        return "there may be at most 8 headers";
    if (name.length + 2 > SPAN_HEADER_BYTES_MAX)
        return "is longer than 2048 bytes";
    char *line = headers->lines[headers->count++];
    memcpy(line, name.start, name.length);
    memcpy(line + name.length, ": ", 2);
    return append_value(line, name.length + 2, value);
}

bool span_headers_parse(struct slice text, struct span_headers *headers, struct text *problem)
{
    size_t number = 0;
    *headers = (struct span_headers){ 0 };
    while (text.length > 0) {
        struct slice item = next_item(&text);
        number++;
        const char *why = item.length == 0 ? NULL : take(item, headers);
        if (why != NULL) {
            text_printf(problem, "header %zu: %s", number, why);
            span_headers_wipe(headers);
            return false;
        }
    }
    return true;
}

void span_headers_wipe(struct span_headers *headers)
{
    explicit_bzero(headers, sizeof(*headers));
}
