
/*
 * Room: how many connections an origin may have in this worker
 * (max_connections), and the tries that wait for one.
 *
 *              kept connection to the host, or room
 *   admit ------------------------------------------------> begin
 *     |                                                       ^
 *     v          a connection is closed: room                 |
 *   waiting ------------------------------------------> turn -+
 *     |   \----- one to its host was used: lent ------/
 *     |
 *     +--------- read_timeout -----------------------> SlowDown
 *
 * There are two lines.  Read-ahead waits in its own, and its turn comes when
 * the other is empty; whoever waits for it lets it change over.  As long as
 * anybody waits, no connection is kept idle: who comes first is served first.
 */

#include "ngx_http_sprox_circuit.h"
#include "ngx_http_sprox_http_private.h"


/* How far down the line somebody is looked for who wants the same host. */
#define NGX_HTTP_SPROX_LINE_LOOK     64

/* How often who stands in front may be passed over by such. */
#define NGX_HTTP_SPROX_LINE_PASSED   8


static ngx_http_sprox_try_t *ngx_http_sprox_http_next(
    ngx_http_sprox_origin_t *origin);
static void ngx_http_sprox_http_line_up(ngx_http_sprox_try_t *t);
static void ngx_http_sprox_http_call(ngx_http_sprox_try_t *t);
static void ngx_http_sprox_http_turn(ngx_event_t *ev);
static void ngx_http_sprox_http_late(ngx_http_sprox_try_t *t);


ngx_int_t
ngx_http_sprox_http_admit(ngx_http_sprox_try_t *t)
{
    ngx_uint_t                max;
    ngx_http_sprox_origin_t  *origin;

    if (ngx_http_sprox_http_reuse(t) == NGX_OK) {
        return NGX_OK;
    }

    origin = t->fetch->origin;
    max = origin->max_connections;

    if (max && origin->nconns >= max && origin->nidle) {

        /* one to another host */

        ngx_http_sprox_http_discard(origin);
    }

    if (max == 0 || origin->nconns < max) {
        origin->nconns++;
        t->room = 1;
        return NGX_OK;
    }

    t->turn.handler = ngx_http_sprox_http_turn;
    t->turn.data = t;
    t->turn.log = t->fetch->log;

    ngx_http_sprox_http_line_up(t);

    return NGX_AGAIN;
}


static void
ngx_http_sprox_http_line_up(ngx_http_sprox_try_t *t)
{
    ngx_http_sprox_origin_t  *origin;

    origin = t->fetch->origin;

    ngx_queue_insert_tail(t->fetch->ahead ? &origin->waiting_ahead
                                          : &origin->waiting,
                          &t->queue);
    origin->nwaiting++;

    t->waiting = 1;
    t->passed = 0;

    ngx_add_timer(&t->turn, origin->read_timeout);
}


void
ngx_http_sprox_http_leave(ngx_http_sprox_try_t *t)
{
    if (t->waiting) {
        t->waiting = 0;
        ngx_queue_remove(&t->queue);
        t->fetch->origin->nwaiting--;
    }

    if (t->turn.timer_set) {
        ngx_del_timer(&t->turn);
    }

    if (t->turn.posted) {
        ngx_delete_posted_event(&t->turn);
    }

    if (t->room) {
        t->room = 0;
        ngx_http_sprox_http_freed(t->fetch->origin);
    }
}


void
ngx_http_sprox_http_hurry(ngx_http_sprox_fetch_t *f)
{
    ngx_http_sprox_try_t  *t;

    t = f->try;

    if (t && t->waiting) {
        ngx_http_sprox_http_leave(t);
        ngx_http_sprox_http_line_up(t);
    }
}


void
ngx_http_sprox_http_freed(ngx_http_sprox_origin_t *origin)
{
    ngx_http_sprox_try_t  *t;

    origin->nconns--;

    if (origin->nwaiting == 0) {
        return;
    }

    t = ngx_http_sprox_http_next(origin);

    origin->nconns++;
    t->room = 1;

    ngx_http_sprox_http_call(t);
}


ngx_int_t
ngx_http_sprox_http_pass_on(ngx_http_sprox_conn_t *conn)
{
    ngx_uint_t             i;
    ngx_queue_t           *q;
    ngx_http_sprox_try_t  *t, *first;

    first = ngx_http_sprox_http_next(conn->origin);
    q = &first->queue;

    /* the heads of both lines are in the origin, not in a try */

    for (i = 0; i < NGX_HTTP_SPROX_LINE_LOOK; i++) {
        t = ngx_queue_data(q, ngx_http_sprox_try_t, queue);

        if (ngx_http_sprox_http_fits(conn, t)) {

            if (t != first) {
                first->passed++;
            }

            ngx_http_sprox_http_lend(conn, t);
            ngx_http_sprox_http_call(t);

            return NGX_OK;
        }

        if (first->passed == NGX_HTTP_SPROX_LINE_PASSED) {
            break;
        }

        q = ngx_queue_next(q);

        if (q == &conn->origin->waiting || q == &conn->origin->waiting_ahead) {
            break;
        }
    }

    return NGX_DECLINED;
}


/* Who is in front; somebody is. */

static ngx_http_sprox_try_t *
ngx_http_sprox_http_next(ngx_http_sprox_origin_t *origin)
{
    ngx_queue_t  *line;

    line = ngx_queue_empty(&origin->waiting) ? &origin->waiting_ahead
                                             : &origin->waiting;

    return ngx_queue_data(ngx_queue_head(line), ngx_http_sprox_try_t, queue);
}


/* Whoever frees a connection is in the middle of something: later, then. */

static void
ngx_http_sprox_http_call(ngx_http_sprox_try_t *t)
{
    t->waiting = 0;
    ngx_queue_remove(&t->queue);
    t->fetch->origin->nwaiting--;

    ngx_del_timer(&t->turn);
    ngx_post_event(&t->turn, &ngx_posted_events);
}


static void
ngx_http_sprox_http_turn(ngx_event_t *ev)
{
    ngx_http_sprox_try_t    *t;
    ngx_http_sprox_fetch_t  *f;

    t = ev->data;
    f = t->fetch;

    if (ev->timedout) {
        ngx_http_sprox_http_late(t);
        return;
    }

    if (f->origin->closing) {
        f->refused = 1;
        f->final = 1;
        ngx_http_sprox_http_fail(t, SPROX_ERR_SERVICE_UNAVAILABLE, 0,
                                 "the worker has to end");
        return;
    }

    f->sent = ngx_http_sprox_now();

    /* the origin may have failed all those before */

    if (ngx_http_sprox_circuit_admit(f) != NGX_OK
        || ngx_http_sprox_http_begin(t) != NGX_OK)
    {
        ngx_http_sprox_http_end(t, NGX_ERROR);
    }
}


static void
ngx_http_sprox_http_late(ngx_http_sprox_try_t *t)
{
    ngx_http_sprox_fetch_t   *f;
    ngx_http_sprox_origin_t  *origin;

    f = t->fetch;
    origin = f->origin;

    f->failure = SPROX_ERR_SLOW_DOWN;
    f->refused = 1;
    f->final = 1;

    if (ngx_http_sprox_http_tell(origin)) {
        ngx_http_sprox_fetch_log(f, NGX_LOG_ERR, 0,
                                 "no connection was free for %M ms: "
                                 "max_connections is %ui, %ui requests wait",
                                 origin->read_timeout,
                                 origin->max_connections, origin->nwaiting);
    }

    ngx_http_sprox_http_end(t, NGX_ERROR);
}


ngx_uint_t
ngx_http_sprox_http_tell(ngx_http_sprox_origin_t *origin)
{
    if (origin->told == ngx_time()) {
        return 0;
    }

    origin->told = ngx_time();

    return 1;
}
