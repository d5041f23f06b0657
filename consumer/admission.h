/* Admission: what happens between reading a record and handing it to the deliveries. Three things can make it wait as its partition's head:
 *
 *   - it is the first of its partition: Redis is asked first whether processes died at it (consumer/careful.h). One script for each assignment;
 *   - its partition is read alone: it waits for its turn, one record at a time in the whole process, because a crash takes the whole process with
 *     it and must tell who it was. For the same reason nobody has a turn within CAREFUL_FRESH_MS of a partition being taken up freely;
 *   - it came by a retry topic and is not due.
 *
 * Without Redis every record is admitted, once HOLD_PATIENCE_MS are over. A record whose partition is read freely passes at once. */
#ifndef JOBHOOK_CONSUMER_ADMISSION_H
#define JOBHOOK_CONSUMER_ADMISSION_H

#include "consumer/intake.h"
#include "consumer/partitions.h"

struct admission;

struct admission *admission_create(const struct intake_options *options);
void admission_destroy(struct admission *admission); /* after admission_leave for every partition */

/* `arrival` as arrival_read left it, home and slot set; taken over. When it has to wait it becomes the partition's head. */
void admission_take(struct admission *admission, struct partition *partition, struct arrival *arrival);
/* May the partition's next record be read? There must be room for it in memory, too. */
bool admission_may_read(const struct admission *admission, const struct partition *partition);
/* The partition's end was read: one that is read alone has nothing in hand then, is read freely from now on, and should be committed at once. */
bool admission_reach_end(struct admission *admission, struct partition *partition);
/* That was committed: nobody died in vain there. */
void admission_forget_deaths(struct partition *partition);
/* The delivery exit `release`. True: the record was condemned, and its offset should be committed at once. */
bool admission_release(struct admission *admission, struct partition *partition, uint64_t slot, bool handled);
/* The partition goes to somebody else, or the process ends in order: gives back what it holds. Its head stays. May be called twice. */
void admission_leave(struct admission *admission, struct partition *partition);

/* Once per turn of the loop, and now and then: gives the turn to the next. */
void admission_turn(struct admission *admission);
void admission_watch(struct admission *admission, uint64_t now_ms);
/* What was given back is so in Redis, too. */
bool admission_is_settled(const struct admission *admission);

#endif
