/*
 * Events into the catalog.  They come late, twice and in any order, so each
 * is weighed against what is known of its key:
 *
 *   known                   decides                        else
 *   of an event that it     sequencers, unless the     the store is
 *     can be ordered with     store was asked since      asked
 *   the same GCS object     generations
 *   the same version        nothing is new
 *   another version, or     the event's time against       the store is
 *     none                    last-modified and proof        asked
 *   nothing                 how old the event is,      the store is
 *                             and the last crawl         asked
 *
 * Only who sends sequencers that order is believed without being asked
 * about: the rest say no more than that something has changed.  To ask costs
 * one request, to guess wrong costs the truth.
 */

#include "sprox_apply.h"


/* Two clocks of one store, in milliseconds; last-modified has seconds. */
#define CLOCKS       2000

/* The store's clock in seconds, in milliseconds. */
#define SECOND       1000


typedef enum {
    JUDGED_NEWER = 0,
    JUDGED_KNOWN,                    /* told before, and by another event */
    JUDGED_OLDER,
    JUDGED_UNKNOWN
} judged_t;


/* A sequencer as it is kept: behind a letter for who sent it. */

static const uint8_t  letters[SPROX_SENDERS] = {
    [SPROX_SENDER_OTHER]       = '?',
    [SPROX_SENDER_AWS]         = 'a',
    [SPROX_SENDER_EVENTBRIDGE] = 'e',
    [SPROX_SENDER_GCS]         = 'g',
    [SPROX_SENDER_MINIO]       = 'm',
    [SPROX_SENDER_VERSITYGW]   = 'v'
};


static sprox_sender_t
kept_sender(sprox_str_t kept)
{
    unsigned  i;

    for (i = 0; i < SPROX_SENDERS; i++) {
        if (kept.len != 0 && kept.data[0] == letters[i]) {
            return (sprox_sender_t) i;
        }
    }

    return SPROX_SENDER_OTHER;
}


/* Whether what the sender sends can be put into an order at all. */

static int
orders(const sprox_event_t *e)
{
    uint64_t  n;

    if (e->sender == SPROX_SENDER_GCS) {
        return sprox_str_u64(e->version, &n) == SPROX_OK;
    }

    return e->sequencer.len < SPROX_SEQUENCER_MAX
           && sprox_event_order(e->sender, e->sequencer, e->sender,
                                e->sequencer)
              == SPROX_ORDER_SAME;
}


/* By what sequencers or generations say; else SPROX_ORDER_UNKNOWN. */

static sprox_order_t
order_of(const sprox_event_t *e, const sprox_object_t *known)
{
    uint64_t  a, b;

    if (e->sender == SPROX_SENDER_GCS) {

        if (known->absent || sprox_str_u64(e->version, &a) != SPROX_OK
            || sprox_str_u64(known->version, &b) != SPROX_OK)
        {
            return SPROX_ORDER_UNKNOWN;
        }

        if (a != b) {
            return a > b ? SPROX_ORDER_NEWER : SPROX_ORDER_OLDER;
        }

        /* its end has the generation of its beginning */

        return e->kind == SPROX_EVENT_CREATED ? SPROX_ORDER_SAME
                                              : SPROX_ORDER_UNKNOWN;
    }

    return sprox_event_order(e->sender, e->sequencer,
                             kept_sender(known->sequencer),
                             sprox_str_from(known->sequencer, 1));
}


/* Whether the event tells of the state that is known. */

static int
same(const sprox_event_t *e, const sprox_object_t *known)
{
    if (e->kind == SPROX_EVENT_REMOVED || known->absent) {
        return e->kind == SPROX_EVENT_REMOVED && known->absent;
    }

    return e->has_size && e->size == known->size
           && sprox_etag_strong(e->etag)
           && sprox_str_eq(e->etag, known->etag)
           && (e->version.len == 0 || known->version.len == 0
               || sprox_str_eq(e->version, known->version));
}


/*
 * Of an object that is known by other means than events of this kind.  An
 * object may be older than its last-modified says (S3 counts from the
 * beginning of a multipart upload), so that the event must also be later
 * than the request that told of it.
 */

static judged_t
judge_time(const sprox_event_t *e, int64_t at, const sprox_object_t *known)
{
    if (at < 0 || !orders(e)) {
        return JUDGED_UNKNOWN;
    }

    if (!known->absent) {

        if (e->time < known->last_modified - known->last_modified % SECOND) {
            return JUDGED_OLDER;
        }

        if (e->time <= known->last_modified + CLOCKS) {
            return JUDGED_UNKNOWN;
        }
    }

    return at >= known->proved ? JUDGED_NEWER : JUDGED_UNKNOWN;
}


/*
 * The same version may have come back: what the store has told since the
 * event came about is later than its sequencer says.
 */

static int
proved_since(const sprox_event_t *e, int64_t at, const sprox_object_t *known)
{
    return e->sender != SPROX_SENDER_GCS && !known->told
           && known->proved - at > CLOCKS;
}


static judged_t
judge(const sprox_event_t *e, int64_t at, const sprox_object_t *known)
{
    switch (order_of(e, known)) {

    case SPROX_ORDER_OLDER:
    case SPROX_ORDER_SAME:
        return JUDGED_OLDER;

    case SPROX_ORDER_NEWER:
        return known->doubted || at < 0 || proved_since(e, at, known)
               ? JUDGED_UNKNOWN : JUDGED_NEWER;

    default:
        break;
    }

    /* somebody asks, or will: what it was does not matter any more */

    if (known->doubted) {
        return JUDGED_UNKNOWN;
    }

    return same(e, known) ? JUDGED_KNOWN : judge_time(e, at, known);
}


/*
 * Of a key of which nothing is known.  That is knowledge as well where a
 * crawl has told the whole: what came about before it was undone by then, or
 * it would be there.
 */

static judged_t
judge_unknown(sprox_catalog_t *cat, uint32_t space, const sprox_event_t *e,
    int64_t at, int64_t when)
{
    int64_t  crawled;

    if (!orders(e) || at < 0 || when - at > SPROX_EVENT_RECENT) {
        return JUDGED_UNKNOWN;
    }

    return e->kind == SPROX_EVENT_CREATED
           && sprox_catalog_covered_locked(cat, space, e->key, &crawled)
              == SPROX_OK
           && crawled > at
           ? JUDGED_UNKNOWN : JUDGED_NEWER;
}


/* What the event says of the object; sequencer: of SPROX_SEQUENCER_MAX. */

static void
object_of(const sprox_event_t *e, sprox_object_t *object, uint8_t *sequencer)
{
    memset(object, 0, sizeof(sprox_object_t));

    object->told = 1;
    object->last_modified = e->time < 0 ? 0 : e->time - e->time % SECOND;

    if (orders(e) && e->sequencer.len != 0) {
        sequencer[0] = letters[e->sender];
        memcpy(sequencer + 1, e->sequencer.data, e->sequencer.len);
        object->sequencer = sprox_str_make(sequencer, e->sequencer.len + 1);
    }

    if (e->kind == SPROX_EVENT_REMOVED) {
        object->absent = 1;
        return;
    }

    object->size = e->size;
    object->etag = e->etag;
    object->version = e->version;
}


/*
 * What is known is so at least since the event: events before it come too
 * late from now on.
 */

static void
order_from(sprox_catalog_t *cat, uint32_t space, const sprox_event_t *e,
    const sprox_object_t *known)
{
    uint8_t         sequencer[SPROX_SEQUENCER_MAX];
    sprox_object_t  object;

    object_of(e, &object, sequencer);

    if (object.sequencer.len == 0) {
        return;
    }

    object = *known;
    object.sequencer = sprox_str_make(sequencer, e->sequencer.len + 1);

    (void) sprox_catalog_put_locked(cat, space, e->key, &object);
}


/*
 * When it came about, by the clock of proofs; -1: nobody knows, for it does
 * not say, or it speaks of the future.
 */

static int64_t
time_of(const sprox_event_t *e, int64_t when, int64_t ahead)
{
    if (e->time < 0 || e->time > when - ahead + SPROX_EVENT_SKEW) {
        return -1;
    }

    return e->time + ahead;
}


sprox_rc_t
sprox_event_apply_locked(sprox_catalog_t *cat, uint32_t space,
    const sprox_event_t *e, int64_t when, int64_t ahead)
{
    int64_t         at;
    uint8_t         buf[SPROX_OBJECT_BUF], sequencer[SPROX_SEQUENCER_MAX];
    judged_t        judged;
    sprox_rc_t      rc;
    sprox_object_t  known, object;

    if (e->kind == SPROX_EVENT_IGNORED) {
        return SPROX_DONE;
    }

    at = time_of(e, when, ahead);
    rc = sprox_catalog_get_locked(cat, space, e->key, &known, buf);

    if (rc == SPROX_OK) {
        judged = judge(e, at, &known);

    } else {
        judged = judge_unknown(cat, space, e, at, when);
        memset(&known, 0, sizeof(sprox_object_t));
    }

    if (judged == JUDGED_OLDER) {
        return SPROX_DONE;
    }

    /* CREATED without what makes out a version is no more than a hint */

    if (judged == JUDGED_UNKNOWN || e->kind == SPROX_EVENT_CHECK
        || (e->kind == SPROX_EVENT_CREATED
            && (!e->has_size || !sprox_etag_strong(e->etag))))
    {
        (void) sprox_catalog_doubt_locked(cat, space, e->key, when);
        return SPROX_AGAIN;
    }

    if (judged == JUDGED_KNOWN) {
        order_from(cat, space, e, &known);
        return SPROX_DONE;
    }

    object_of(e, &object, sequencer);

    /*
     * It says what was so when it came about, however late it comes.  But
     * clocks differ, and put() goes by them: an answer to a request of before
     * it, which is still on its way, must not take its place.
     */

    object.proved = at + SPROX_EVENT_SKEW;

    if (object.proved > when) {
        object.proved = when;
    }

    if (object.proved < known.proved) {
        object.proved = known.proved;
    }

    rc = sprox_catalog_put_locked(cat, space, e->key, &object);

    return rc == SPROX_FULL || rc == SPROX_LIMIT ? SPROX_OK : rc;
}


sprox_rc_t
sprox_event_settle_locked(sprox_catalog_t *cat, uint32_t space,
    const sprox_event_t *e, int64_t when)
{
    uint8_t         buf[SPROX_OBJECT_BUF];
    sprox_rc_t      rc;
    sprox_object_t  known;

    rc = sprox_catalog_get_locked(cat, space, e->key, &known, buf);

    if (rc != SPROX_OK) {
        return rc;
    }

    if (known.doubted || known.proved < when) {
        return SPROX_AGAIN;
    }

    if (order_of(e, &known) != SPROX_ORDER_OLDER) {
        order_from(cat, space, e, &known);
    }

    return SPROX_OK;
}
