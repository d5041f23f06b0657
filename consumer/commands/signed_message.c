#include "consumer/commands/signed_message.h"

#include <string.h>
#include <strings.h>

static bool refuse(const char **problem, const char *sentence)
{
    *problem = sentence;
    return false;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool is_named(struct slice name, const char *wanted)
{
    return name.length == strlen(wanted) && strncasecmp(name.start, wanted, name.length) == 0;
}

/* ---- Headers ---- */

static bool keep(struct signed_message *message, enum signed_field field, struct slice value, const char **problem)
{
    if (message->given[field])
        return refuse(problem, "a webhook header stands there twice");
    if (value.length > SIGNED_VALUE_MAX || memchr(value.start, '\0', value.length) != NULL)
        return refuse(problem, "a webhook header is too long or holds a NUL byte");
    message->given[field] = true;
    memcpy(message->values[field], value.start, value.length);
    message->values[field][value.length] = '\0';
    return true;
}

/* Two that differ would be two bodies (RFC 9112 §6.3). */
static bool keep_length(struct signed_message *message, struct slice value, const char **problem)
{
    uint64_t length;
    if (!slice_to_u64(value, UINT32_MAX, &length))
        return refuse(problem, "Content-Length is not a number");
    if (message->has_length && message->length != length)
        return refuse(problem, "Content-Length stands there twice and differs");
    message->has_length = true;
    message->length = length;
    return true;
}

bool signed_message_add(struct signed_message *message, struct slice line, const char **problem)
{
    static const char *const names[SIGNED_FIELDS] = { "webhook-id", "webhook-timestamp", "webhook-signature" };
    const char *colon = line.length == 0 ? NULL : memchr(line.start, ':', line.length);
    if (colon == NULL || colon == line.start || is_blank(line.start[0]) || is_blank(colon[-1]))
        return refuse(problem, "a header line is not \"name: value\"");
    struct slice name = { line.start, (size_t)(colon - line.start) };
    struct slice value = slice_trim((struct slice){ colon + 1, line.length - name.length - 1 }, " \t");
    for (int field = 0; field < SIGNED_FIELDS; field++)
        if (is_named(name, names[field]))
            return keep(message, (enum signed_field)field, value, problem);
    if (is_named(name, "transfer-encoding"))
        return refuse(problem, "the body is in Transfer-Encoding: what was signed is what comes out of it");
    return !is_named(name, "content-length") || keep_length(message, value, problem);
}

/* ---- The whole ---- */

/* Cuts the next line off `rest`, without its end. False when there is no end. */
static bool cut_line(struct slice *rest, struct slice *line)
{
    const char *end = rest->length == 0 ? NULL : memchr(rest->start, '\n', rest->length);
    if (end == NULL)
        return false;
    *line = (struct slice){ rest->start, (size_t)(end - rest->start) };
    *rest = (struct slice){ end + 1, rest->length - line->length - 1 };
    if (line->length > 0 && line->start[line->length - 1] == '\r')
        line->length--;
    return true;
}

/* "POST /path HTTP/1.1", and no header whose value reads like that. */
static bool is_request_line(struct slice line)
{
    static const char version[] = " HTTP/";
    const char *blank = memchr(line.start, ' ', line.length);
    return blank != NULL && memchr(line.start, ':', (size_t)(blank - line.start)) == NULL &&
           memmem(blank, (size_t)(line.start + line.length - blank), version, sizeof(version) - 1) != NULL;
}

bool signed_message_parse(struct signed_message *message, struct slice bytes, const char **problem)
{
    struct slice rest = bytes, line;
    *message = (struct signed_message){ 0 };
    for (bool first = true;; first = false) {
        if (!cut_line(&rest, &line))
            return refuse(problem, "there is no empty line between headers and body");
        if (line.length == 0)
            break;
        if (!(first && is_request_line(line)) && !signed_message_add(message, line, problem))
            return false;
    }
    if (message->has_length && message->length > rest.length)
        return refuse(problem, "the body is shorter than Content-Length says");
    message->body = (struct slice){ rest.start, message->has_length ? (size_t)message->length : rest.length };
    return true;
}
