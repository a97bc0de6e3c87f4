
/*
 * Warm: the job, of a bucket, that fetches what was cached again.
 *
 *   queue --> lane --> item --> place --> run --> fill
 *         |             ^        ^        ^       |
 *         +-> lane      |        |        +-------+
 *         +-> ...       +--------+--------+
 *
 * A lane has one object, and one fill of it, at a time.  It looks through
 * the places where slices may lie: what is cached of the old version there
 * and not of the new one is a run, as long as one request of that policy.
 * The lane holds the slices of its run, so that the fill has a reader; but it
 * only watches them, and the fill stays behind what clients wait for.
 *
 * An object leaves the queue when all places are done, so that whoever takes
 * the job over begins it anew; what is cached by then is passed by.
 */

#include "ngx_http_sprox_warm_private.h"
#include "ngx_http_sprox_metrics.h"
#include "ngx_http_sprox_reach.h"
#include "ngx_http_sprox_zone.h"


/* Fills of a worker at a time. */
#define NGX_HTTP_SPROX_WARM_LANES     4

/* Slices of one fill. */
#define NGX_HTTP_SPROX_WARM_RUN       64

/* Slices that are looked at in one turn of the event loop. */
#define NGX_HTTP_SPROX_WARM_STEP      64

/* How often an object is tried, and fills that fail in a row before a rest. */
#define NGX_HTTP_SPROX_WARM_TRIES     8
#define NGX_HTTP_SPROX_WARM_FAILURES  2


typedef struct ngx_http_sprox_warm_s  ngx_http_sprox_warm_t;


typedef struct {
    ngx_http_sprox_warm_t      *warm;
    ngx_http_sprox_waiter_t     waiter;    /* its event is the lane's */
    ngx_pool_t                 *pool;      /* NULL: idle */
    uint64_t                    id;        /* of its item */
    ngx_http_sprox_alias_t     *alias;
    ngx_http_sprox_spec_t       spec;
    sprox_mem_t                 mem;
    sprox_buf_t                 key;       /* scratch */
    sprox_object_t              was;
    sprox_object_t              object;
    ngx_uint_t                  place;
    uint64_t                    index;     /* the next to be looked at */

    /* the run: slices are at index % .._WARM_RUN */
    uint64_t                    at;
    uint64_t                    end;       /* half-open */
    ngx_http_sprox_slice_t     *slices[NGX_HTTP_SPROX_WARM_RUN];
    unsigned                    failed:1;
    unsigned                    lost:1;    /* there is no use in trying */
} ngx_http_sprox_warm_lane_t;


struct ngx_http_sprox_warm_s {
    ngx_http_sprox_job_t       *job;
    ngx_http_sprox_main_conf_t *mcf;
    uint64_t                    taken;     /* id of the last item */
    uint64_t                    objects;
    uint64_t                    slices;
    off_t                       bytes;
    ngx_uint_t                  failures;  /* in a row */
    ngx_http_sprox_warm_lane_t  lanes[NGX_HTTP_SPROX_WARM_LANES];
};


static ngx_int_t ngx_http_sprox_warm_run(ngx_http_sprox_job_t *job);
static void ngx_http_sprox_warm_stop(ngx_http_sprox_job_t *job);
static void ngx_http_sprox_warm_event(ngx_event_t *ev);
static ngx_int_t ngx_http_sprox_warm_take(ngx_http_sprox_warm_lane_t *lane);
static ngx_int_t ngx_http_sprox_warm_item(ngx_http_sprox_warm_lane_t *lane,
    ngx_http_sprox_warm_item_t *item);
static ngx_int_t ngx_http_sprox_warm_look(ngx_http_sprox_warm_lane_t *lane);
static ngx_uint_t ngx_http_sprox_warm_wanted(
    ngx_http_sprox_warm_lane_t *lane, uint64_t old, uint64_t count);
static ngx_int_t ngx_http_sprox_warm_follow(ngx_http_sprox_warm_lane_t *lane);
static ngx_int_t ngx_http_sprox_warm_failed(ngx_http_sprox_warm_lane_t *lane);
static void ngx_http_sprox_warm_drop(ngx_http_sprox_warm_lane_t *lane);
static void ngx_http_sprox_warm_over(ngx_http_sprox_warm_t *warm);


const ngx_http_sprox_job_kind_t  ngx_http_sprox_warm_kind = {
    ngx_string("warm"),
    NGX_HTTP_SPROX_JOB_WARM,
    1,
    ngx_http_sprox_warm_run,
    ngx_http_sprox_warm_stop,
    1
};


/* Of this worker; NULL: none runs. */
static ngx_http_sprox_warm_t  *ngx_http_sprox_warm_running;


void
ngx_http_sprox_warm_job_start(void)
{
    ngx_http_sprox_warm_running = NULL;
}


/* Lanes without an object look for one. */

void
ngx_http_sprox_warm_poke(void)
{
    ngx_uint_t              i;
    ngx_http_sprox_warm_t  *warm;

    warm = ngx_http_sprox_warm_running;

    for (i = 0; warm && i < NGX_HTTP_SPROX_WARM_LANES; i++) {
        if (warm->lanes[i].pool == NULL) {
            ngx_post_event(&warm->lanes[i].waiter.event, &ngx_posted_events);
        }
    }
}


static ngx_int_t
ngx_http_sprox_warm_run(ngx_http_sprox_job_t *job)
{
    ngx_uint_t                   i;
    ngx_event_t                 *ev;
    ngx_http_sprox_warm_t       *warm;
    ngx_http_sprox_warm_lane_t  *lane;

    warm = ngx_pcalloc(job->pool, sizeof(ngx_http_sprox_warm_t));
    if (warm == NULL) {
        return NGX_ERROR;
    }

    warm->job = job;
    warm->mcf = ngx_http_cycle_get_module_main_conf(ngx_cycle,
                                                    ngx_http_sprox_module);
    job->data = warm;

    (void) ngx_http_sprox_job_cursor(job, &warm->slices);

    for (i = 0; i < NGX_HTTP_SPROX_WARM_LANES; i++) {
        lane = &warm->lanes[i];
        lane->warm = warm;

        ev = &lane->waiter.event;
        ev->handler = ngx_http_sprox_warm_event;
        ev->data = lane;
        ev->log = job->log;
    }

    ngx_http_sprox_warm_running = warm;
    ngx_http_sprox_warm_poke();

    return NGX_OK;
}


static void
ngx_http_sprox_warm_stop(ngx_http_sprox_job_t *job)
{
    ngx_uint_t              i;
    ngx_http_sprox_warm_t  *warm;

    warm = job->data;

    for (i = 0; i < NGX_HTTP_SPROX_WARM_LANES; i++) {
        ngx_http_sprox_warm_drop(&warm->lanes[i]);
    }

    ngx_http_sprox_warm_running = NULL;
}


static void
ngx_http_sprox_warm_event(ngx_event_t *ev)
{
    ngx_int_t                    rc;
    ngx_http_sprox_warm_lane_t  *lane;

    lane = ev->data;

    if (lane->pool == NULL) {
        rc = ngx_http_sprox_warm_take(lane);

        if (rc == NGX_DONE) {
            ngx_http_sprox_warm_over(lane->warm);
            return;
        }

    } else {
        rc = ngx_http_sprox_warm_follow(lane);

        if (rc == NGX_OK) {
            rc = ngx_http_sprox_warm_look(lane);
        }
    }

    if (rc == NGX_ERROR) {
        ngx_http_sprox_job_again(lane->warm->job, "there is no memory");
        return;
    }

    if (rc == NGX_OK) {
        ngx_post_event(ev, &ngx_posted_next_events);
    }
}


/*
 * The next object that waits.  NGX_OK: come again; NGX_DONE: there is none;
 * NGX_ERROR (memory).
 */

static ngx_int_t
ngx_http_sprox_warm_take(ngx_http_sprox_warm_lane_t *lane)
{
    ngx_int_t                          rc;
    ngx_http_sprox_warm_t             *warm;
    static ngx_http_sprox_warm_item_t  item;

    warm = lane->warm;

    if (ngx_http_sprox_warm_queue_next(warm->job->origin, warm->job->bucket,
                                       warm->taken, &item)
        != NGX_OK)
    {
        return NGX_DONE;
    }

    rc = ngx_http_sprox_warm_item(lane, &item);

    if (rc == NGX_DECLINED) {
        ngx_http_sprox_warm_queue_remove(item.id);
        rc = NGX_OK;
    }

    if (rc == NGX_OK) {
        warm->taken = item.id;
    }

    return rc;
}


/* NGX_DECLINED: there is nothing to be fetched of it any more. */

static ngx_int_t
ngx_http_sprox_warm_item(ngx_http_sprox_warm_lane_t *lane,
    ngx_http_sprox_warm_item_t *item)
{
    sprox_object_t          object;
    ngx_http_sprox_job_t   *job;
    ngx_http_sprox_spec_t  *spec;
    static uint8_t          buf[SPROX_OBJECT_BUF];

    job = lane->warm->job;
    spec = &lane->spec;

    lane->alias = ngx_http_sprox_reach(job->origin, item->bucket, item->key,
                                       1);

    if (lane->alias == NULL
        || ngx_http_sprox_zone_get(job->origin, item->bucket, item->key,
                                   &object, buf)
           != SPROX_OK
        || object.doubted || !sprox_object_pinned(&object))
    {
        return NGX_DECLINED;
    }

    lane->pool = ngx_create_pool(4096, job->log);
    if (lane->pool == NULL) {
        return NGX_ERROR;
    }

    ngx_http_sprox_mem_pool(&lane->mem, lane->pool);
    sprox_buf_init(&lane->key, &lane->mem);

    spec->origin = job->origin;
    spec->bucket = sprox_str_dup(&lane->mem, item->bucket);
    spec->key = sprox_str_dup(&lane->mem, item->key);

    if (spec->bucket.data == NULL || spec->key.data == NULL
        || ngx_http_sprox_object_copy(lane->pool, &lane->was, &item->was)
           != NGX_OK
        || ngx_http_sprox_object_copy(lane->pool, &lane->object, &object)
           != NGX_OK)
    {
        ngx_http_sprox_warm_drop(lane);
        return NGX_ERROR;
    }

    lane->id = item->id;
    lane->place = 0;
    lane->index = 0;
    lane->at = 0;
    lane->end = 0;

    return NGX_OK;
}


/* Looks for the next run.  NGX_OK: come again; NGX_ERROR (memory). */

static ngx_int_t
ngx_http_sprox_warm_look(ngx_http_sprox_warm_lane_t *lane)
{
    uint64_t                 count, old, first;
    ngx_int_t                rc;
    ngx_uint_t               n, max;
    ngx_http_sprox_spec_t   *spec;
    ngx_http_sprox_slice_t  *s;

    spec = &lane->spec;

    if (lane->place == lane->warm->mcf->places.nelts) {
        lane->warm->objects++;

        ngx_http_sprox_warm_queue_remove(lane->id);
        ngx_http_sprox_warm_drop(lane);

        return NGX_OK;
    }

    count = 0;
    old = 0;

    if (ngx_http_sprox_warm_place(lane->warm->mcf, lane->place, spec)) {
        count = sprox_slice_count(spec->slice, lane->object.size);
        old = sprox_slice_count(spec->slice, lane->was.size);
    }

    max = ngx_min(spec->fill / spec->slice, NGX_HTTP_SPROX_WARM_RUN);
    first = 0;
    lane->at = 0;
    lane->end = 0;

    for (n = 0; n < NGX_HTTP_SPROX_WARM_STEP && lane->index < count; n++) {

        if (lane->index >= old && lane->index != count - 1) {

            /* the old version had nothing there; the last one is next */

            lane->index = count - 1;

            if (lane->at != lane->end) {
                break;
            }
        }

        rc = NGX_DECLINED;

        if (ngx_http_sprox_warm_wanted(lane, old, count)) {
            rc = ngx_http_sprox_slice_look(spec, &lane->object, lane->index, 1,
                                           &lane->key, &s);
        }

        if (rc == NGX_ERROR && lane->at == lane->end) {
            return NGX_ERROR;
        }

        if (rc == NGX_AGAIN) {

            if (lane->at == lane->end) {
                first = lane->index;
                lane->at = first;
            }

            lane->end = lane->index + 1;
            lane->slices[lane->index % NGX_HTTP_SPROX_WARM_RUN] = s;

        } else if (rc == NGX_OK) {
            ngx_http_sprox_slice_unref(s);
        }

        if (lane->at != lane->end
            && (rc != NGX_AGAIN || lane->end - first == max))
        {
            lane->index += (rc != NGX_ERROR);
            break;
        }

        lane->index++;
    }

    if (lane->at != lane->end) {
        ngx_http_sprox_fill_start(spec, &lane->object, lane->slices,
                                  NGX_HTTP_SPROX_WARM_RUN, first,
                                  lane->end - 1);

        /* it may have failed already */

        return NGX_OK;
    }

    if (lane->index >= count) {
        lane->place++;
        lane->index = 0;
    }

    return NGX_OK;
}


/*
 * Whether the slice at lane->index was cached of the old version, or is the
 * last one as was one that was cached: there are footers.  The versions have
 * so many slices.
 */

static ngx_uint_t
ngx_http_sprox_warm_wanted(ngx_http_sprox_warm_lane_t *lane, uint64_t old,
    uint64_t count)
{
    if (lane->index < old
        && ngx_http_sprox_warm_cached(&lane->spec, &lane->was, lane->index,
                                      &lane->key))
    {
        return 1;
    }

    return old && lane->index == count - 1
           && ngx_http_sprox_warm_cached(&lane->spec, &lane->was, old - 1,
                                         &lane->key);
}


/*
 * What became of the run.  NGX_OK: it is over, or there was none; NGX_AGAIN:
 * it is not, or the lane or the job are.
 */

static ngx_int_t
ngx_http_sprox_warm_follow(ngx_http_sprox_warm_lane_t *lane)
{
    ngx_http_sprox_warm_t    *warm;
    ngx_http_sprox_slice_t   *s, **place;

    warm = lane->warm;

    while (lane->at < lane->end) {

        place = &lane->slices[lane->at % NGX_HTTP_SPROX_WARM_RUN];
        s = *place;

        if (!s->done && !s->failed) {
            ngx_http_sprox_slice_watch(s, &lane->waiter);
            return NGX_AGAIN;
        }

        if (s->done) {
            warm->slices++;
            warm->bytes += s->length;
            warm->failures = 0;

            ngx_http_sprox_count_warm(lane->alias, s->length);
            ngx_http_sprox_job_save(warm->job, warm->slices, 0, NULL);

        } else {
            lane->failed = 1;
            lane->lost |= s->changed || s->unkept
                          || s->failure == SPROX_ERR_ACCESS_DENIED;
        }

        *place = NULL;
        lane->at++;

        ngx_http_sprox_slice_unref(s);
    }

    return lane->failed ? ngx_http_sprox_warm_failed(lane) : NGX_OK;
}


/*
 * A version that is gone is left to whoever learns of the next one; so is
 * what cannot be kept or read.  Else the origin had no answer.
 */

static ngx_int_t
ngx_http_sprox_warm_failed(ngx_http_sprox_warm_lane_t *lane)
{
    ngx_http_sprox_warm_t  *warm;

    warm = lane->warm;

    if (lane->lost) {
        ngx_http_sprox_warm_queue_remove(lane->id);
        ngx_http_sprox_count_unwarmed(lane->alias);

    } else {
        warm->failures++;

        if (ngx_http_sprox_warm_queue_again(lane->id,
                                            NGX_HTTP_SPROX_WARM_TRIES)
            != NGX_OK)
        {
            ngx_http_sprox_count_unwarmed(lane->alias);
        }
    }

    ngx_http_sprox_warm_drop(lane);

    if (warm->failures == NGX_HTTP_SPROX_WARM_FAILURES) {
        ngx_http_sprox_job_again(warm->job, "the origin gave no slices");
        return NGX_AGAIN;
    }

    ngx_post_event(&lane->waiter.event, &ngx_posted_next_events);

    return NGX_AGAIN;
}


/* Lets go of its object: a fill that is under way is broken off. */

static void
ngx_http_sprox_warm_drop(ngx_http_sprox_warm_lane_t *lane)
{
    ngx_http_sprox_slice_t  *s;

    ngx_http_sprox_waiter_unlink(&lane->waiter);

    for ( /* void */ ; lane->at < lane->end; lane->at++) {
        s = lane->slices[lane->at % NGX_HTTP_SPROX_WARM_RUN];
        ngx_http_sprox_slice_unref(s);
    }

    if (lane->pool) {
        ngx_destroy_pool(lane->pool);
        lane->pool = NULL;
    }

    lane->failed = 0;
    lane->lost = 0;
}


/* A lane has found no object: if no lane has one, that was all. */

static void
ngx_http_sprox_warm_over(ngx_http_sprox_warm_t *warm)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_SPROX_WARM_LANES; i++) {
        if (warm->lanes[i].pool) {
            return;
        }
    }

    ngx_http_sprox_job_end(warm->job, NGX_HTTP_SPROX_JOB_DONE, 0,
                           "%uL slices, %O bytes, of %uL objects",
                           warm->slices, warm->bytes, warm->objects);
}
