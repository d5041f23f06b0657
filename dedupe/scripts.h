/* The Lua scripts of dedupe/scripts/, embedded at build time by dedupe/scripts/embed.cmake: script_<name> for <name>.lua. */
#ifndef JOBHOOK_DEDUPE_SCRIPTS_H
#define JOBHOOK_DEDUPE_SCRIPTS_H

#include <stddef.h>

enum { SCRIPT_INDEX_MAX = 63 }; /* a connection remembers in one word which scripts it is loading */

struct redis_script {
    const char *name;
    const char *source;
    size_t length;
    const char *sha1; /* 40 hexadecimal digits, what EVALSHA wants */
    unsigned index;   /* among all scripts */
};

extern const struct redis_script script_claim, script_fail, script_settle, script_defer, script_release;
extern const struct redis_script script_hold;   /* holds.c's */
extern const struct redis_script script_look;   /* lookup.c's */
extern const struct redis_script script_forget; /* of the command */
extern const struct redis_script script_point;  /* pointers.c's */
extern const struct redis_script script_probe;  /* redis.c's own */

#endif
