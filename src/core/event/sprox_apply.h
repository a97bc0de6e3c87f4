/*
 * Events into the catalog.
 */

#ifndef SPROX_APPLY_H
#define SPROX_APPLY_H


#include "sprox_catalog.h"
#include "sprox_event.h"


/*
 * Of a key of which nothing is known, an event up to so old (milliseconds)
 * is believed: one that made it void, and came before it, is remembered for
 * longer than that.  A creation from before the crawl that has told all of
 * the key's region is not.
 */
#define SPROX_EVENT_RECENT   (5 * 60 * 1000)


/*
 * By so much (milliseconds) a store's clock may differ from ours.  So an
 * event proves what it says for up to so long after it came about; and one
 * that came about later than that is of a time that nobody knows.
 */
#define SPROX_EVENT_SKEW     10000


/*
 * Applies an event to the space of its bucket; when: now, in milliseconds,
 * and not earlier than the event came; ahead: how far the clock of `when` and
 * of proofs is ahead of the world's, which stores go by.
 *
 * An event that came late proves what was so then, not what is now.
 *
 * SPROX_OK: what it says is known from now on; or, where there is no room,
 * nothing is.  SPROX_DONE: it told nothing new.  SPROX_AGAIN: it cannot be
 * ordered with what is known, which is doubted from now on: a request to the
 * store, sent at `when` or later, must tell.  SPROX_NOT_FOUND: no such space.
 */
sprox_rc_t sprox_event_apply_locked(sprox_catalog_t *cat, uint32_t space,
    const sprox_event_t *e, int64_t when, int64_t ahead);

/*
 * After SPROX_AGAIN, when the store's answer was put.  SPROX_OK: what is
 * known is so since the event, and events before it come too late.
 * SPROX_AGAIN: it was no answer to a request of `when` or later: ask again.
 * SPROX_NOT_FOUND: nothing is known of the object.
 */
sprox_rc_t sprox_event_settle_locked(sprox_catalog_t *cat, uint32_t space,
    const sprox_event_t *e, int64_t when);


#endif /* SPROX_APPLY_H */
