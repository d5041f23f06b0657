/* The rank arithmetic of DESIGN §5 for the model, attempt n of replay epoch e. The model's .pml files include this, and so does
 * tests/unit/test_model.c, which holds it against dedupe/record.h; tests/edge/test_model.py holds the model against the Lua scripts. */
#ifndef JOBHOOK_MODEL_RANKS_H
#define JOBHOOK_MODEL_RANKS_H

#define RANK_BLOCK  1000
#define CN(e, n)    (RANK_BLOCK * (e) + 3 * (n)-2) /* claimed */
#define FN(e, n)    (RANK_BLOCK * (e) + 3 * (n)-1) /* failed */
#define SN(e, n)    (RANK_BLOCK * (e) + 3 * (n))   /* scheduled */
#define RX(e)       (RANK_BLOCK * (e) + 998)       /* dead */
#define RD(e)       (RANK_BLOCK * (e) + 999)       /* delivered */
#define EPOCH_OF(r) ((r) / RANK_BLOCK)

#endif
