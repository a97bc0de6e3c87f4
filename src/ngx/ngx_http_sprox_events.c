/*
 * A message's events into the catalog.
 *
 *   event -> origins whose aliases reach its key -> catalog
 *                                                     |
 *        applied, known                  <------------+
 *        in doubt at once, and a check   <------------+
 *
 *   check    waiting -> probe (HEAD) -> settled
 *               ^         |        `--> failed
 *               +---------+
 *          the answer is older than the event
 *
 * A message of many events is applied in steps: all such of a worker stand
 * in a line, and each turn of the event loop is one step of the first.
 *
 * A check is a probe like any other: who reads the object meanwhile joins
 * it, and one suffices for many events of a key.  How many are under way in
 * a worker is bounded, the others wait in the order in which they came.
 * After one that failed the object stays in doubt; who needs to know asks
 * for another.
 */

#include "ngx_http_sprox_events_private.h"
#include "ngx_http_sprox_conf.h"
#include "ngx_http_sprox_fill.h"
#include "ngx_http_sprox_metrics.h"
#include "ngx_http_sprox_reach.h"
#include "ngx_http_sprox_warm.h"
#include "ngx_http_sprox_zone.h"


#define NGX_HTTP_SPROX_CHECKS_MAX    32      /* under way, of a worker */

/*
 * A check begins so much later, in ms: a request that was sent in the
 * millisecond of the event may be older than it.
 */
#define NGX_HTTP_SPROX_CHECK_DELAY   2

/* Probes that others began before the event settle nothing. */
#define NGX_HTTP_SPROX_CHECK_TRIES   5

/* So many are applied at once, and so many in one turn of the event loop. */
#define NGX_HTTP_SPROX_EVENTS_FEW    8
#define NGX_HTTP_SPROX_EVENTS_STEP   64

/*
 * While messages are applied there is a timer, which keeps a worker that is
 * to exit; in ms.  A turn never takes that long.
 */
#define NGX_HTTP_SPROX_EVENTS_GUARD  60000

/*
 * Another check begins so much later, in ms: the answer to what its caller
 * asks the store for may settle it.
 */
#define NGX_HTTP_SPROX_RECHECK_DELAY 1000


typedef struct {
    ngx_queue_t                    queue;      /* of its message's */
    ngx_queue_t                    line;       /* waits for its turn */
    ngx_http_sprox_events_t       *events;
    const sprox_event_t           *event;
    ngx_http_sprox_origin_t       *origin;
    ngx_http_sprox_warm_was_t      was;
    ngx_uint_t                     tries;
    ngx_pool_t                    *pool;       /* of the probe's result */
    ngx_http_sprox_probe_waiter_t  waiter;
    unsigned                       waiting:1;
    unsigned                       running:1;
} ngx_http_sprox_check_t;


/* A check without a message. */

typedef struct {
    ngx_pool_t                    *pool;
    ngx_http_sprox_events_t        events;
    ngx_http_sprox_check_t         check;
    sprox_event_t                  event;
} ngx_http_sprox_recheck_t;


static ngx_int_t ngx_http_sprox_events_step(ngx_http_sprox_events_t *events,
    size_t n);
static void ngx_http_sprox_events_turn(ngx_event_t *ev);
static ngx_int_t ngx_http_sprox_events_event(ngx_http_sprox_events_t *events,
    const sprox_event_t *e);
static ngx_uint_t ngx_http_sprox_events_concerns(
    ngx_http_sprox_events_t *events, ngx_http_sprox_origin_t *origin,
    const sprox_event_t *e);
static sprox_rc_t ngx_http_sprox_events_put(ngx_http_sprox_events_t *events,
    ngx_http_sprox_origin_t *origin, const sprox_event_t *e);
static void ngx_http_sprox_check_begin(ngx_event_t *ev);
static void ngx_http_sprox_check_wait(ngx_http_sprox_check_t *check);
static void ngx_http_sprox_check_next(void);
static void ngx_http_sprox_check_turn(ngx_event_t *ev);
static ngx_int_t ngx_http_sprox_check_start(ngx_http_sprox_check_t *check);
static void ngx_http_sprox_check_probed(ngx_event_t *ev);
static void ngx_http_sprox_check_stop(ngx_http_sprox_check_t *check);
static void ngx_http_sprox_check_done(ngx_http_sprox_check_t *check,
    ngx_http_sprox_event_result_e result);
static void ngx_http_sprox_recheck_done(void *data);
static void ngx_http_sprox_events_count(ngx_http_sprox_events_t *events,
    const sprox_event_t *e, ngx_http_sprox_event_result_e result);


/* Of this worker. */
static ngx_queue_t                ngx_http_sprox_events_line;
static ngx_event_t                ngx_http_sprox_events_next;
static ngx_uint_t                 ngx_http_sprox_checks;
static ngx_queue_t                ngx_http_sprox_check_line;
static ngx_event_t                ngx_http_sprox_check_event;
static ngx_event_t                ngx_http_sprox_check_again;
static ngx_http_sprox_recheck_t  *ngx_http_sprox_recheck;  /* under way */


ngx_int_t
ngx_http_sprox_events_start(ngx_cycle_t *cycle,
    ngx_http_sprox_main_conf_t *mcf)
{
    ngx_http_sprox_checks = 0;
    ngx_http_sprox_recheck = NULL;
    ngx_queue_init(&ngx_http_sprox_check_line);
    ngx_queue_init(&ngx_http_sprox_events_line);

    ngx_http_sprox_check_event.handler = ngx_http_sprox_check_turn;
    ngx_http_sprox_check_event.log = cycle->log;

    ngx_http_sprox_check_again.handler = ngx_http_sprox_check_turn;
    ngx_http_sprox_check_again.data = &ngx_http_sprox_no_connection;
    ngx_http_sprox_check_again.log = cycle->log;

    ngx_http_sprox_events_next.handler = ngx_http_sprox_events_turn;
    ngx_http_sprox_events_next.data = &ngx_http_sprox_no_connection;
    ngx_http_sprox_events_next.log = cycle->log;

    ngx_http_sprox_sns_init();

    return ngx_http_sprox_queues_start(cycle, mcf);
}


ngx_int_t
ngx_http_sprox_events_apply(ngx_http_sprox_events_t *events)
{
    ngx_int_t  rc;

    events->spare = NULL;
    events->next = 0;
    events->waiting = 0;
    ngx_queue_init(&events->checks);
    ngx_memzero(events->n, sizeof(events->n));

    /*
     * not the time at which this turn of the event loop began: what was
     * asked for since, by another worker, may be older than the event
     */

    ngx_time_update();

    events->when = ngx_http_sprox_now() + 1;

    if (events->doc->nevents > NGX_HTTP_SPROX_EVENTS_FEW) {
        events->waiting = 1;
        ngx_queue_insert_tail(&ngx_http_sprox_events_line, &events->line);

        ngx_add_timer(&ngx_http_sprox_events_next,
                      NGX_HTTP_SPROX_EVENTS_GUARD);
        ngx_post_event(&ngx_http_sprox_events_next, &ngx_posted_next_events);

        return NGX_AGAIN;
    }

    rc = ngx_http_sprox_events_step(events, NGX_HTTP_SPROX_EVENTS_FEW);

    if (rc == NGX_ERROR) {
        ngx_http_sprox_events_cancel(events);
    }

    return rc;
}


/*
 * NGX_OK: that was all; NGX_BUSY: there are more; NGX_AGAIN: there are none,
 * but checks have begun; NGX_ERROR (memory).
 */

static ngx_int_t
ngx_http_sprox_events_step(ngx_http_sprox_events_t *events, size_t n)
{
    const sprox_event_doc_t  *doc;

    doc = events->doc;

    for ( /* void */ ; n && events->next < doc->nevents; n--) {
        if (ngx_http_sprox_events_event(events, &doc->events[events->next++])
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    if (events->next < doc->nevents) {
        return NGX_BUSY;
    }

    if (ngx_queue_empty(&events->checks)) {
        return NGX_OK;
    }

    events->event.handler = ngx_http_sprox_check_begin;
    events->event.data = events;
    events->event.log = ngx_cycle->log;

    ngx_add_timer(&events->event, NGX_HTTP_SPROX_CHECK_DELAY);

    return NGX_AGAIN;
}


/* A step of the message that has waited longest. */

static void
ngx_http_sprox_events_turn(ngx_event_t *ev)
{
    ngx_int_t                 rc;
    ngx_queue_t              *q;
    ngx_http_sprox_events_t  *events;

    if (ev->timer_set) {
        ngx_del_timer(ev);
    }

    if (ngx_queue_empty(&ngx_http_sprox_events_line)) {
        return;
    }

    q = ngx_queue_head(&ngx_http_sprox_events_line);
    events = ngx_queue_data(q, ngx_http_sprox_events_t, line);

    ngx_queue_remove(q);
    events->waiting = 0;

    rc = ngx_http_sprox_events_step(events, NGX_HTTP_SPROX_EVENTS_STEP);

    if (rc == NGX_BUSY) {
        events->waiting = 1;
        ngx_queue_insert_tail(&ngx_http_sprox_events_line, q);

    } else if (rc == NGX_ERROR) {

        /* who sent it is to send it again */

        ngx_http_sprox_events_cancel(events);
        ngx_http_sprox_events_count(events,
                                    &events->doc->events[events->next - 1],
                                    NGX_HTTP_SPROX_EVENT_FAILED);
    }

    if (rc == NGX_OK || rc == NGX_ERROR) {
        events->done(events->data);
    }

    if (!ngx_queue_empty(&ngx_http_sprox_events_line)) {
        ngx_add_timer(ev, NGX_HTTP_SPROX_EVENTS_GUARD);
        ngx_post_event(ev, &ngx_posted_next_events);
    }
}


static ngx_int_t
ngx_http_sprox_events_event(ngx_http_sprox_events_t *events,
    const sprox_event_t *e)
{
    ngx_uint_t                    i, n;
    ngx_http_sprox_origin_t     **origin;
    ngx_http_sprox_main_conf_t   *mcf;

    mcf = ngx_http_cycle_get_module_main_conf(ngx_cycle,
                                              ngx_http_sprox_module);
    origin = mcf->origins.elts;
    n = 0;

    for (i = 0; i < mcf->origins.nelts; i++) {

        if (e->kind == SPROX_EVENT_IGNORED
            || !ngx_http_sprox_events_concerns(events, origin[i], e))
        {
            continue;
        }

        n++;

        switch (ngx_http_sprox_events_put(events, origin[i], e)) {

        case SPROX_OK:
            ngx_http_sprox_events_count(events, e,
                                        NGX_HTTP_SPROX_EVENT_APPLIED);
            break;

        case SPROX_AGAIN:
            break;

        case SPROX_NOMEM:
            return NGX_ERROR;

        default:

            /* or there is no room: then nothing is known that is old */

            ngx_http_sprox_events_count(events, e,
                                        NGX_HTTP_SPROX_EVENT_KNOWN);
        }
    }

    if (n == 0) {
        ngx_http_sprox_events_count(events, e, NGX_HTTP_SPROX_EVENT_IGNORED);
    }

    return NGX_OK;
}


/*
 * Whether an event may be of this origin: what its aliases do not reach is
 * never served, and would only take room.  Two stores may have buckets of
 * one name: Google's events are of Google's store.
 */

static ngx_uint_t
ngx_http_sprox_events_concerns(ngx_http_sprox_events_t *events,
    ngx_http_sprox_origin_t *origin, const sprox_event_t *e)
{
    ngx_uint_t  gcs;

    if (events->origin) {

        if (events->origin != origin) {
            return 0;
        }

    } else if (e->sender != SPROX_SENDER_OTHER) {

        gcs = sprox_str_eq(origin->dialect->name, sprox_str_lit("gcs"));

        if (gcs != (e->sender == SPROX_SENDER_GCS)) {
            return 0;
        }
    }

    return ngx_http_sprox_reach(origin, e->bucket, e->key, 0)
           && origin->dialect->bucket_valid(e->bucket);
}


/* As zone_event(); SPROX_AGAIN: a check stands in the queue. */

static sprox_rc_t
ngx_http_sprox_events_put(ngx_http_sprox_events_t *events,
    ngx_http_sprox_origin_t *origin, const sprox_event_t *e)
{
    sprox_rc_t               rc;
    ngx_http_sprox_check_t  *check;

    if (events->spare == NULL) {
        events->spare = ngx_pcalloc(events->pool,
                                    sizeof(ngx_http_sprox_check_t));
        if (events->spare == NULL) {
            return SPROX_NOMEM;
        }
    }

    check = events->spare;

    ngx_http_sprox_told(origin, e->bucket, e->key, events->when);

    ngx_http_sprox_warm_before(&check->was, origin, e->bucket, e->key);

    rc = ngx_http_sprox_zone_event(origin, e->bucket, e, events->when);

    if (rc == SPROX_OK) {
        ngx_http_sprox_warm_after(&check->was, origin, e->bucket, e->key);
    }

    if (rc == SPROX_AGAIN) {
        events->spare = NULL;

        check->events = events;
        check->event = e;
        check->origin = origin;

        ngx_queue_insert_tail(&events->checks, &check->queue);
    }

    return rc;
}


static void
ngx_http_sprox_check_begin(ngx_event_t *ev)
{
    ngx_queue_t              *q;
    ngx_http_sprox_events_t  *events = ev->data;

    for (q = ngx_queue_head(&events->checks);
         q != ngx_queue_sentinel(&events->checks);
         q = ngx_queue_next(q))
    {
        ngx_http_sprox_check_wait(ngx_queue_data(q, ngx_http_sprox_check_t,
                                                 queue));
    }

    ngx_http_sprox_check_next();
}


static void
ngx_http_sprox_check_wait(ngx_http_sprox_check_t *check)
{
    check->waiting = 1;
    ngx_queue_insert_tail(&ngx_http_sprox_check_line, &check->line);
}


/*
 * Whatever ends, or stands in the line, calls it.  Not in its turn: what ends
 * tells others, who may end as well.
 */

static void
ngx_http_sprox_check_next(void)
{
    ngx_post_event(&ngx_http_sprox_check_event, &ngx_posted_events);
}


/* Begins what there is room for. */

static void
ngx_http_sprox_check_turn(ngx_event_t *ev)
{
    ngx_queue_t             *q;
    ngx_http_sprox_check_t  *check;

    while (ngx_http_sprox_checks < NGX_HTTP_SPROX_CHECKS_MAX
           && !ngx_queue_empty(&ngx_http_sprox_check_line))
    {
        q = ngx_queue_head(&ngx_http_sprox_check_line);
        check = ngx_queue_data(q, ngx_http_sprox_check_t, line);

        ngx_queue_remove(q);
        check->waiting = 0;

        /* another event of the object, or a reader, may have asked for it */

        if (ngx_http_sprox_zone_settle(check->origin, check->event->bucket,
                                       check->event, check->events->when)
            == SPROX_OK)
        {
            ngx_http_sprox_check_done(check, NGX_HTTP_SPROX_EVENT_CHECKED);
            continue;
        }

        if (ngx_http_sprox_check_start(check) != NGX_OK) {
            ngx_http_sprox_check_done(check, NGX_HTTP_SPROX_EVENT_FAILED);
        }
    }
}


static ngx_int_t
ngx_http_sprox_check_start(ngx_http_sprox_check_t *check)
{
    ngx_http_sprox_spec_t           spec;
    ngx_http_sprox_probe_waiter_t  *w;

    check->pool = ngx_create_pool(1024, ngx_cycle->log);
    if (check->pool == NULL) {
        return NGX_ERROR;
    }

    check->running = 1;
    ngx_http_sprox_checks++;

    ngx_memzero(&spec, sizeof(ngx_http_sprox_spec_t));
    spec.origin = check->origin;
    spec.bucket = check->event->bucket;
    spec.key = check->event->key;

    w = &check->waiter;
    ngx_memzero(w, sizeof(ngx_http_sprox_probe_waiter_t));

    w->pool = check->pool;
    w->waiter.event.handler = ngx_http_sprox_check_probed;
    w->waiter.event.data = check;
    w->waiter.event.log = ngx_cycle->log;

    return ngx_http_sprox_probe(&spec, NULL, NULL, w);
}


static void
ngx_http_sprox_check_probed(ngx_event_t *ev)
{
    sprox_rc_t                      rc;
    ngx_http_sprox_check_t         *check = ev->data;
    ngx_http_sprox_probe_result_e   result;

    result = check->waiter.result;

    ngx_http_sprox_check_stop(check);

    if (result == NGX_HTTP_SPROX_PROBE_ERROR
        || result == NGX_HTTP_SPROX_PROBE_FAILED)
    {
        ngx_http_sprox_check_done(check, NGX_HTTP_SPROX_EVENT_FAILED);
        return;
    }

    rc = ngx_http_sprox_zone_settle(check->origin, check->event->bucket,
                                    check->event, check->events->when);

    if (rc != SPROX_AGAIN) {
        ngx_http_sprox_check_done(check, NGX_HTTP_SPROX_EVENT_CHECKED);
        return;
    }

    if (++check->tries == NGX_HTTP_SPROX_CHECK_TRIES) {
        ngx_http_sprox_check_done(check, NGX_HTTP_SPROX_EVENT_FAILED);
        return;
    }

    ngx_http_sprox_check_wait(check);

    /* in the same millisecond it would be asked for nothing once more */

    if (!ngx_http_sprox_check_again.timer_set) {
        ngx_add_timer(&ngx_http_sprox_check_again,
                      NGX_HTTP_SPROX_CHECK_DELAY);
    }
}


/* It waits no more, for its turn or for a probe. */

static void
ngx_http_sprox_check_stop(ngx_http_sprox_check_t *check)
{
    if (check->waiting) {
        check->waiting = 0;
        ngx_queue_remove(&check->line);
    }

    if (check->running) {
        check->running = 0;
        ngx_http_sprox_checks--;
        ngx_http_sprox_waiter_unlink(&check->waiter.waiter);
    }

    if (check->pool) {
        ngx_destroy_pool(check->pool);
        check->pool = NULL;
    }
}


static void
ngx_http_sprox_check_done(ngx_http_sprox_check_t *check,
    ngx_http_sprox_event_result_e result)
{
    ngx_http_sprox_events_t  *events;

    events = check->events;

    ngx_http_sprox_check_stop(check);
    ngx_queue_remove(&check->queue);

    if (result == NGX_HTTP_SPROX_EVENT_CHECKED) {
        ngx_http_sprox_warm_after(&check->was, check->origin,
                                  check->event->bucket, check->event->key);
    }

    ngx_http_sprox_events_count(events, check->event, result);

    if (ngx_queue_empty(&events->checks)) {
        events->done(events->data);
    }

    ngx_http_sprox_check_next();
}


void
ngx_http_sprox_events_cancel(ngx_http_sprox_events_t *events)
{
    ngx_queue_t             *q;
    ngx_http_sprox_check_t  *check;

    if (events->waiting) {
        events->waiting = 0;
        ngx_queue_remove(&events->line);
    }

    if (events->event.timer_set) {
        ngx_del_timer(&events->event);
    }

    while (!ngx_queue_empty(&events->checks)) {
        q = ngx_queue_head(&events->checks);
        check = ngx_queue_data(q, ngx_http_sprox_check_t, queue);

        ngx_queue_remove(q);
        ngx_http_sprox_check_stop(check);
    }

    ngx_http_sprox_check_next();
}


/*
 * Without a bound on how old the answer may be: the doubt itself has it, and
 * is not to be put off to now.
 */

void
ngx_http_sprox_events_recheck(ngx_http_sprox_origin_t *origin,
    sprox_str_t bucket, sprox_str_t key)
{
    ngx_pool_t                *pool;
    sprox_mem_t                mem;
    ngx_event_t               *ev;
    ngx_http_sprox_recheck_t  *recheck;

    if (ngx_http_sprox_recheck || ngx_exiting) {
        return;
    }

    pool = ngx_create_pool(2048, ngx_cycle->log);
    if (pool == NULL) {
        return;
    }

    ngx_http_sprox_mem_pool(&mem, pool);

    recheck = ngx_pcalloc(pool, sizeof(ngx_http_sprox_recheck_t));

    if (recheck == NULL) {
        ngx_destroy_pool(pool);
        return;
    }

    recheck->pool = pool;

    recheck->event.kind = SPROX_EVENT_CHECK;
    recheck->event.time = -1;
    recheck->event.bucket = sprox_str_dup(&mem, bucket);
    recheck->event.key = sprox_str_dup(&mem, key);

    if (recheck->event.bucket.data == NULL
        || recheck->event.key.data == NULL)
    {
        ngx_destroy_pool(pool);
        return;
    }

    recheck->check.events = &recheck->events;
    recheck->check.event = &recheck->event;
    recheck->check.origin = origin;

    recheck->events.pool = pool;
    recheck->events.done = ngx_http_sprox_recheck_done;
    recheck->events.data = recheck;
    recheck->events.quiet = 1;

    ngx_queue_init(&recheck->events.checks);
    ngx_queue_insert_tail(&recheck->events.checks, &recheck->check.queue);

    ev = &recheck->events.event;
    ev->handler = ngx_http_sprox_check_begin;
    ev->data = &recheck->events;
    ev->log = ngx_cycle->log;
    ev->cancelable = 1;

    ngx_http_sprox_recheck = recheck;

    ngx_add_timer(ev, NGX_HTTP_SPROX_RECHECK_DELAY);
}


static void
ngx_http_sprox_recheck_done(void *data)
{
    ngx_http_sprox_recheck_t *recheck = data;

    ngx_http_sprox_recheck = NULL;
    ngx_destroy_pool(recheck->pool);
}


static void
ngx_http_sprox_events_count(ngx_http_sprox_events_t *events,
    const sprox_event_t *e, ngx_http_sprox_event_result_e result)
{
    events->n[result]++;

    if (!events->quiet) {
        ngx_http_sprox_count_event(e->sender, result);
    }
}
