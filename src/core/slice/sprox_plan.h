/*
 * The plan of a response: which slices to look at, which runs of missing
 * ones to fetch and when, how far ahead of what the client has taken.
 *
 *   start        pos                 ahead             pos + window    end
 *     |-----------|--------------------|--------------------|-----------|
 *       sent        looked at: cached,   to be looked at      not yet
 *                   in flight or         now
 *                   asked for
 *
 * Events come in by functions, actions go out of sprox_plan_next(): it asks
 * to look at a slice, to start a fill, or says that there is nothing to do
 * before the next event.  It knows nothing of files, sockets and workers.
 *
 * The window is read_ahead for a range whose end the client named: it is
 * going to take it.  Who asks for all that there is may leave after the
 * first bytes: for those the window is SPROX_PLAN_TRUST times what they have
 * taken, so that it opens within the first run of a reader that stays.
 *
 * A run that begins within the window may reach beyond it, so that runs are
 * of full length and requests few.  A client that takes nothing moves pos
 * nowhere, and the window with it: at most window + fill bytes are ahead.
 *
 * A range whose end the client named comes in parts, if the window holds it:
 * in up to SPROX_PLAN_SPLIT runs at once.  Many readers ask for a column at a
 * time and wait for it, and one connection brings it no sooner than without
 * a cache.  A part is no shorter than SPROX_PLAN_PART: what that takes is
 * mostly the wait for its first byte.
 */

#ifndef SPROX_PLAN_H
#define SPROX_PLAN_H


#include "sprox_slice.h"


/* The window, in units of what an unbounded reader has taken so far. */
#define SPROX_PLAN_TRUST    8

/* The runs that a range comes in, at the most, and the shortest, in bytes. */
#define SPROX_PLAN_SPLIT    4
#define SPROX_PLAN_PART     (512 * 1024)


/* What may be in flight more than what the client waits for at once. */

typedef enum {
    SPROX_PLAN_NONE = 0,        /* only the run that begins at pos */
    SPROX_PLAN_RUNS,            /* runs of full length */
    SPROX_PLAN_PARTS
} sprox_plan_spare_e;


typedef struct {
    uint64_t  slice;            /* bytes */
    uint64_t  fill;             /* bytes, a multiple of slice */
    uint64_t  part;             /* bytes, a multiple of slice, <= fill */
    uint64_t  read_ahead;       /* bytes; 0: none */
    uint64_t  start;            /* what is sent: half-open */
    uint64_t  end;
    uint64_t  pos;              /* taken up to here */
    uint64_t  coming;           /* in flight up to here from the start on */
    uint64_t  ahead;            /* index: the first slice not looked at */
    uint64_t  run;              /* index: the missing ones that are not */
    uint64_t  run_end;          /* asked for yet, half-open */
    unsigned  bounded:1;        /* the client named the end */
    unsigned  closed:1;         /* the run cannot grow */
} sprox_plan_t;


typedef enum {
    SPROX_PLAN_WAIT = 0,        /* nothing to do before the next event */
    SPROX_PLAN_LOOK,            /* look at slice `first`, then seen() */
    SPROX_PLAN_FILL             /* fetch slices first to last, one request */
} sprox_plan_action_e;


typedef struct {
    sprox_plan_action_e  kind;
    uint64_t             first;     /* indexes, inclusive */
    uint64_t             last;
} sprox_plan_action_t;


/* start < end; bounded: the client named the last byte. */
void sprox_plan_init(sprox_plan_t *plan, uint64_t slice, uint64_t fill,
    uint64_t read_ahead, uint64_t start, uint64_t end, int bounded);

/*
 * The next action.  With SPROX_PLAN_NONE only the slice at pos is looked at,
 * with the run that begins there, which is of full length: the next comes
 * after it.
 */
sprox_plan_action_t sprox_plan_next(sprox_plan_t *plan,
    sprox_plan_spare_e spare);

/*
 * What is before end is in flight already, by the first contact with the
 * object: it is looked at now, like a run that begins at pos.
 */
void sprox_plan_coming(sprox_plan_t *plan, uint64_t end);

/* The slice that LOOK named is missing, or it is not: cached or in flight. */
void sprox_plan_seen(sprox_plan_t *plan, int missing);

/* The client has taken what is before pos. */
void sprox_plan_sent(sprox_plan_t *plan, uint64_t pos);

/*
 * A slice that was looked at is not to be had: its fill failed, or its file
 * is gone.  It, and those behind it, will be looked at again.
 */
void sprox_plan_lost(sprox_plan_t *plan, uint64_t index);


/*
 * A fill that nobody reads any more: whether the slice at hand, of which so
 * many bytes are there, is finished (the greater part is), or given up.
 */
int sprox_plan_finish(uint64_t there, uint64_t length);


#endif /* SPROX_PLAN_H */
