/* Turns: who is told in one turn of the event loop that something happened, and who has to wait for the next.
 *
 * A thousand receivers that shake hands, or send nonsense, at the same time would take the loop a second and more, and everybody's deadlines with it.
 * Who is not told now is told in the next turn, and before those who were told in this one. A handshake costs as much as fifty requests, so those who
 * use a connection again have as much time of their own, and wait for no crowd that begins. */
#ifndef JOBHOOK_DELIVERY_TURNS_H
#define JOBHOOK_DELIVERY_TURNS_H

#include <stdbool.h>
#include <stdint.h>

enum { TURN_US_MAX = 40000 }; /* of each kind */
enum turn_kind { TURN_OF_NEW, TURN_OF_KEPT, TURN_KINDS };

struct turns {
    uint64_t now_us; /* when somebody was told last in this turn; 0: nobody was */
    struct turn_share {
        uint64_t spent_us;
        uint32_t round; /* ends with a turn that was long enough for all who had something to hear and had not heard it in this round */
        bool cut_short; /* the turn */
    } shares[TURN_KINDS];
};

struct turn_place { /* of one of them; all zero at first */
    enum turn_kind kind;
    uint32_t round; /* of its kind, in which it was told last */
};

void turns_init(struct turns *turns);
/* A turn of the loop begins. */
void turns_begin(struct turns *turns);
/* It may be told now: then turns_spend is called behind that. False: in the next turn. */
bool turns_has(struct turns *turns, struct turn_place *place);
void turns_spend(struct turns *turns, enum turn_kind kind);

#endif
