/* The operator's stop switch (JOBHOOK_HOLD_FILE): which URLs get nothing for now, or never. Pure.
 *
 * One rule in a line: PREFIX hold, or PREFIX dead; blank lines, and what begins with #, are left out. A prefix is a URL without query: it matches
 * that URL and everything below it,
 *
 *     https://a.example.com hold              the whole origin; not https://a.example.com.evil.org, nor :8443, nor http://
 *     https://b.example.com/customers/7 dead  /customers/7, /customers/7/x and /customers/7?y; not /customers/77
 *
 * Scheme, host and port must be the same, in whatever case and with the default port written or not; paths are compared byte by byte, as they are
 * written. The longest prefix that matches counts. A list never changes; judging costs the logarithm of its length. */
#ifndef JOBHOOK_DELIVERY_HOLD_LIST_H
#define JOBHOOK_DELIVERY_HOLD_LIST_H

#include "delivery/guard.h"

enum { HOLD_LIST_RULES_MAX = 10000 };

enum hold_action {
    HOLD_NOT,
    HOLD_DEFER, /* put off until lifted */
    HOLD_DEAD,  /* dead-lettered */
    HOLD_ACTIONS,
};
const char *hold_action_name(enum hold_action action); /* "hold", "dead" */

struct hold_rule {
    enum hold_action action;
    uint64_t since_ms; /* in force since then */
    struct slice origin;
    size_t line;
};

struct hold_list;

/* NULL when some line is no rule: `problem` says which and why, without the line's URL. */
struct hold_list *hold_list_parse(struct slice content, uint64_t now_ms, struct text *problem);
struct hold_list *hold_list_copy(const struct hold_list *list);
void hold_list_destroy(struct hold_list *list); /* takes NULL */
/* Rules that were there before with the same action are as old as they were. */
void hold_list_keep_ages(struct hold_list *list, const struct hold_list *before);

/* What counts for this URL; `action` HOLD_NOT when nothing does. NULL is a list without rules. The slice lives as long as the list. */
struct hold_rule hold_list_judge(const struct hold_list *list, const struct url *url);

bool hold_list_equal(const struct hold_list *a, const struct hold_list *b); /* the same rules, whatever their lines and ages */
size_t hold_list_count(const struct hold_list *list, enum hold_action action);
size_t hold_list_length(const struct hold_list *list);
struct hold_rule hold_list_rule(const struct hold_list *list, size_t index); /* in the order of their prefixes */

#endif
