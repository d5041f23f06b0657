#include "consumer/commands/signed_message.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *bytes;
    const char *values[SIGNED_FIELDS]; /* NULL: absent */
    const char *body;                  /* NULL: refused */
} cases[] = {
    { "POST /in HTTP/1.1\r\nHost: a\r\nwebhook-id: a\r\nWebhook-Timestamp:5\r\nWEBHOOK-SIGNATURE: \t v1,x v1,y \t\r\n\r\nbody",
      { "a", "5", "v1,x v1,y" },
      "body" },
    { "webhook-id: a\n\nbody\n", { "a", NULL, NULL }, "body\n" },
    { "webhook-id:\n\n", { "", NULL, NULL }, "" },
    { "\n", { NULL, NULL, NULL }, "" },
    { "\r\n\r\nx", { NULL, NULL, NULL }, "\r\nx" },
    { "x-webhook-id: a\nwebhook-ids: b\n\n", { NULL, NULL, NULL }, "" },
    { "content-length: 4\n\nbody and what a tool put behind it", { NULL, NULL, NULL }, "body" },
    { "Content-Length: 0\n\nbody", { NULL, NULL, NULL }, "" },
    { "content-length: 4\nContent-Length:4\n\nbody and more", { NULL, NULL, NULL }, "body" },
    { "POST / HTTP/1.1\nwebhook-id: a: b\n\n", { "a: b", NULL, NULL }, "" },
    { "", { NULL, NULL, NULL }, NULL },
    { "webhook-id: a\n", { NULL, NULL, NULL }, NULL },
    { "webhook-id: a\n\r", { NULL, NULL, NULL }, NULL },
    { "webhook-id: a\nwebhook-id: b\n\n", { NULL, NULL, NULL }, NULL },
    { "webhook-id: a\nWebhook-Id: a\n\n", { NULL, NULL, NULL }, NULL },
    { "webhook-id : a\n\n", { NULL, NULL, NULL }, NULL },
    { ": a\n\n", { NULL, NULL, NULL }, NULL },
    { "no colon\n\n", { NULL, NULL, NULL }, NULL },
    { "webhook-id: a\n folded\n\n", { NULL, NULL, NULL }, NULL },
    { "webhook-id: a\n : folded\n\n", { NULL, NULL, NULL }, NULL },
    { "webhook-id: a\nPOST / HTTP/1.1\n\n", { NULL, NULL, NULL }, NULL },
    { "Transfer-Encoding: chunked\n\n4\r\nbody\r\n0\r\n\r\n", { NULL, NULL, NULL }, NULL },
    { "webhook-id: x HTTP/1.1\nwebhook-id: a\n\n", { NULL, NULL, NULL }, NULL },
    { "Transfer-Encoding: chunked, HTTP/1.1\n\n", { NULL, NULL, NULL }, NULL },
    { "content-length: 4\ncontent-length: 3\n\nbody", { NULL, NULL, NULL }, NULL },
    { "content-length: 4\ncontent-length: 4x\n\nbody", { NULL, NULL, NULL }, NULL },
    { "content-length: 4, 4\n\nbody", { NULL, NULL, NULL }, NULL },
    { "content-length: 5\n\nbody", { NULL, NULL, NULL }, NULL },
    { "content-length: -1\n\nbody", { NULL, NULL, NULL }, NULL },
    { "content-length: 99999999999999999999\n\nbody", { NULL, NULL, NULL }, NULL },
};

static void expect_values(const struct signed_message *message, const char *const *values)
{
    for (int field = 0; field < SIGNED_FIELDS; field++) {
        cr_expect_eq(message->given[field], values[field] != NULL);
        cr_expect(values[field] == NULL || strcmp(message->values[field], values[field]) == 0, "%s", message->values[field]);
    }
}

Test(signed_message, is_read_as_it_was_captured)
{
    struct signed_message *message = malloc(sizeof(*message));
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const char *problem = NULL;
        bool fine = signed_message_parse(message, slice_of(cases[i].bytes), &problem);
        cr_expect_eq(fine, cases[i].body != NULL, "%s", cases[i].bytes);
        cr_expect_eq(problem != NULL, cases[i].body == NULL, "%s", cases[i].bytes);
        if (fine) {
            cr_expect(slice_is(message->body, cases[i].body), "%s", cases[i].bytes);
            expect_values(message, cases[i].values);
        }
    }
    free(message);
}

Test(signed_message, values_have_a_limit_and_no_nul)
{
    struct signed_message *message = malloc(sizeof(*message));
    char line[SIGNED_VALUE_MAX + 100];
    const char *problem;
    int start = snprintf(line, sizeof(line), "webhook-id: ");
    memset(line + start, 'x', SIGNED_VALUE_MAX + 1);
    *message = (struct signed_message){ 0 };
    cr_expect(signed_message_add(message, (struct slice){ line, (size_t)start + SIGNED_VALUE_MAX }, &problem));
    *message = (struct signed_message){ 0 };
    cr_expect_not(signed_message_add(message, (struct slice){ line, (size_t)start + SIGNED_VALUE_MAX + 1 }, &problem));
    cr_expect_not(signed_message_add(message, SLICE("webhook-id: a\0b"), &problem));
    free(message);
}
