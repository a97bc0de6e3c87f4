/*
 * What is promoted, and the budget of promotions: a bucket of a second's
 * bytes that fills with time and may be overdrawn once.
 */

#include "sprox_tier.h"


int
sprox_tier_hot(unsigned uses, int64_t used, int64_t now)
{
    return uses >= 2 && now - used <= SPROX_TIER_HOT;
}


void
sprox_tier_budget_init(sprox_tier_budget_t *b, uint64_t now)
{
    b->room = SPROX_TIER_RATE;
    b->at = now;
    b->copies = 0;
}


int
sprox_tier_budget_take(sprox_tier_budget_t *b, uint64_t now, uint64_t bytes)
{
    uint64_t  ms, full;

    /* how long until the bucket is full: beyond that nothing is gained */

    ms = now - b->at;
    full = (uint64_t) (SPROX_TIER_RATE - b->room) * 1000 / SPROX_TIER_RATE + 1;

    b->at = now;
    b->room += (ms < full ? ms : full) * SPROX_TIER_RATE / 1000;

    if (b->room > SPROX_TIER_RATE) {
        b->room = SPROX_TIER_RATE;
    }

    if (b->room <= 0 || b->copies == SPROX_TIER_COPIES) {
        return 0;
    }

    b->room -= bytes;
    b->copies++;

    return 1;
}


void
sprox_tier_budget_done(sprox_tier_budget_t *b)
{
    b->copies--;
}


void
sprox_tier_budget_cancel(sprox_tier_budget_t *b, uint64_t bytes)
{
    b->room += bytes;
    b->copies--;
}
