/* Places at which a test can end the process (or the simulated worker) as abruptly as SIGKILL would: around every change of a delivery's state, and
 * at the steps of reading, committing and leaving (DESIGN §5, "What a fault leaves behind"). Only builds with JOBHOOK_TEST_FAULTS have them; in
 * every other build CRASH_POINT is nothing.
 *
 * A place has a name of up to three words: when, what, and how: "before posting", "issued recording delivered", "consumed". Where it is passed for one
 * attempt, `which` says which: "first", "retry", "last", "deferral" or "replay"; else it is "". */
#ifndef JOBHOOK_BASE_CRASH_H
#define JOBHOOK_BASE_CRASH_H

#ifdef JOBHOOK_TEST_FAULTS
/* CRASH_AT="before posting:3" in the environment ends the process at the third passing. Tests may put a function of their own in its place. */
void crash_point(const char *when, const char *what, const char *how, const char *which);
#define CRASH_POINT(when, what, how)           crash_point((when), (what), (how), "")
#define CRASH_POINT_OF(when, what, how, which) crash_point((when), (what), (how), (which))
#else
#define CRASH_POINT(when, what, how)           ((void)0)
#define CRASH_POINT_OF(when, what, how, which) ((void)0)
#endif

#endif
