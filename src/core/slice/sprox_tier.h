/*
 * Tiers: which slices are copied into the tier above the one that they were
 * read from, and at what cost.
 *
 * The rule: a slice that was read from a lower tier before, and was used
 * within the last SPROX_TIER_HOT seconds, is hot.  What was read once, by a
 * scan of everything say, stays where it is.
 *
 * The cost: no more than SPROX_TIER_COPIES copies at a time and
 * SPROX_TIER_RATE bytes a second, in each worker.  What is over that is not
 * copied now; if it stays hot, it will be.
 */

#ifndef SPROX_TIER_H
#define SPROX_TIER_H


#include "sprox_base.h"


#define SPROX_TIER_HOT      60                      /* seconds */
#define SPROX_TIER_COPIES   4
#define SPROX_TIER_RATE     (64 * 1024 * 1024)      /* bytes a second */


typedef struct {
    int64_t   room;         /* bytes; below 0: in debt */
    uint64_t  at;           /* ms, of some clock that never goes back */
    unsigned  copies;       /* in flight */
} sprox_tier_budget_t;


/*
 * Whether a slice that is read now is hot.  uses: how often it was used
 * before, of which its being written is one; used: when last; seconds.
 */
int sprox_tier_hot(unsigned uses, int64_t used, int64_t now);

void sprox_tier_budget_init(sprox_tier_budget_t *b, uint64_t now);

/*
 * Whether so many bytes may be copied now: one copy begins then, and ends
 * with done().  A copy is let in while there is room at all, however little,
 * so that the largest slice has its turn; those after it pay for it.
 */
int sprox_tier_budget_take(sprox_tier_budget_t *b, uint64_t now,
    uint64_t bytes);

void sprox_tier_budget_done(sprox_tier_budget_t *b);

/* Nothing is copied after all: as if it had not been taken. */
void sprox_tier_budget_cancel(sprox_tier_budget_t *b, uint64_t bytes);


#endif /* SPROX_TIER_H */
