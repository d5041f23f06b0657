/* JSON strings as they are written, quotes included (RFC 8259 §7). Pure.
 *
 * All but json_string_is_well_formed take only strings that a parser found well-formed, or that function. This module only looks at what they mean: yajl's own decoding puts "?" for one
 * half of a surrogate pair and bytes that are not UTF-8 for the other, so it cannot be trusted with anything that leaves the house. */
#ifndef JOBHOOK_DELIVERY_JSON_STRING_H
#define JOBHOOK_DELIVERY_JSON_STRING_H

#include "consumer/base/text.h"

#include <stdint.h>

/* Whether the bytes are one string, by RFC 8259's grammar; UTF-8 is another question. What no parser has looked at is asked this first. */
bool json_string_is_well_formed(struct slice raw);

/* What stands between the quotes, and whether it means exactly what it says: no escapes. */
struct slice json_string_inside(struct slice raw);
bool json_string_is_plain(struct slice raw);

/* Writes the first `most` decoded bytes; `*length` is how many there are in all, never more than the string has between its quotes. False: an
 * escape is half of a surrogate pair, which no UTF-8 text can hold. `decoded` may be NULL when `most` is 0. */
MUST_USE bool json_string_decode(struct slice raw, char *decoded, size_t most, size_t *length);

/* Whether two strings mean the same: "task_id" and "task\u005fid" do. */
bool json_string_equal(struct slice a, struct slice b);
bool json_string_is(struct slice raw, const char *meaning);
/* The same for strings that mean the same. Whoever chooses them can make others meet: to save comparisons, not to replace them. */
uint64_t json_string_hash(struct slice raw);

#endif
