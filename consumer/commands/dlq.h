/* The commands under `jobhook dlq`: one file each. */
#ifndef JOBHOOK_CONSUMER_COMMANDS_DLQ_H
#define JOBHOOK_CONSUMER_COMMANDS_DLQ_H

/* argv[0] is "list" and so on. Return the exit code. */
int dlq_list(int argc, char **argv);
int dlq_show(int argc, char **argv);
int dlq_replay(int argc, char **argv);
int dlq_purge(int argc, char **argv);

extern const char dlq_list_help[], dlq_show_help[], dlq_replay_help[], dlq_purge_help[];

#define DLQ_FILTERS_HELP                                                                                                                             \
    "which letters (several of one kind are alternatives, of different kinds must all hold):\n"                                                      \
    "  --reason REASON    exhausted, endpoint_down, final_status, expired … or unreadable\n"                                                       \
    "  --error CLASS      of the last failure: http_503, timeout …; http_5* for all that begin so\n"                                               \
    "  --type TYPE        task type\n"                                                                                                               \
    "  --origin ORIGIN    of the receiver: https://hooks.example.com\n"                                                                              \
    "  --task TASK_ID\n"                                                                                                                             \
    "  --since WHEN       died then or later: 2h (so long ago), 2026-03-01, 2026-03-01T12:00:00Z\n"                                                  \
    "  --until WHEN       died before that\n"                                                                                                        \
    "  --at PLACE         PARTITION/OFFSET in the dead-letter topic\n"                                                                               \
    "  --import FILE      those that `dlq list` exported\n"

#endif
