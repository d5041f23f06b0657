/* Delivering records again: what `dlq replay` and `resend` have in common. Finds the records, asks Redis about each task, judges them, gives out epochs,
 * writes the checkpoint, produces to the shortest retry topic, and says what it did. Bounded memory, however many there are. */
#ifndef JOBHOOK_CONSUMER_COMMANDS_AGAIN_H
#define JOBHOOK_CONSUMER_COMMANDS_AGAIN_H

#include "consumer/commands/again_plan.h"
#include "consumer/commands/search.h"

struct again_options {
    struct search search; /* initialised by the command; its options taken */
    struct again_rewrites rewrites;
    enum again_state state; /* resend only */
    bool force, dry_run, wait;
    uint64_t rate;               /* records in a second; 0: without limit */
    const char *checkpoint_path; /* NULL: one in the current folder, named by what is asked for */
};

/* The options that both commands take beside the search's, for getopt_long. */
enum {
    AGAIN_OPTION_FIRST = 2000,
    AGAIN_OPTION_DRY_RUN = AGAIN_OPTION_FIRST,
    AGAIN_OPTION_FORCE,
    AGAIN_OPTION_WAIT,
    AGAIN_OPTION_RATE,
    AGAIN_OPTION_REWRITE,
    AGAIN_OPTION_CHECKPOINT,
    AGAIN_OPTION_END
};
#define AGAIN_OPTIONS                                                                                                                                \
    { "dry-run", no_argument, NULL, AGAIN_OPTION_DRY_RUN }, { "force", no_argument, NULL, AGAIN_OPTION_FORCE },                                      \
        { "wait", no_argument, NULL, AGAIN_OPTION_WAIT }, { "rate", required_argument, NULL, AGAIN_OPTION_RATE },                                    \
        { "rewrite-url", required_argument, NULL, AGAIN_OPTION_REWRITE },                                                                            \
    {                                                                                                                                                \
        "checkpoint", required_argument, NULL, AGAIN_OPTION_CHECKPOINT                                                                               \
    }

#define AGAIN_OPTIONS_HELP                                                                                                                           \
    "how:\n"                                                                                                                                         \
    "  --dry-run              says what would go where, and why the rest would not; changes nothing\n"                                               \
    "  --rate N               at most N in a second\n"                                                                                               \
    "  --rewrite-url OLD=NEW  the beginning of URLs, for a receiver that has moved; up to 16 times\n"                                                \
    "  --wait                 until each of them is delivered, or dead again\n"                                                                      \
    "  --force                also what would be refused: replayed or delivered already, in conflict, under way\n"                                   \
    "  --checkpoint FILE      where to keep how far it is (default: a file in the current folder, removed at the end)\n"                             \
    "\n"                                                                                                                                             \
    "A run that was interrupted goes on when the same command is given again, and doubles nothing.\n"                                                \
    "Exit code 0: all that was asked for was done; 1: something was refused or failed, or with --wait is dead again.\n"

/* False: the value is wrong, and why was printed. */
MUST_USE bool again_take_option(struct again_options *options, int option, const char *value);
/* Returns the exit code. */
int again_run(struct again_options *options, const struct settings *settings);

#endif
