/*
 * Steps for a request.  Between two turns the request waits in the queue of
 * events that nginx posts for its next round, behind everybody who has sent
 * something meanwhile.
 *
 * While the work goes on it has a timer, which keeps a worker that is to
 * exit.
 */

#include "ngx_http_sprox_steps.h"
#include "ngx_http_sprox_glue.h"


/* In ms: a turn never takes that long. */
#define NGX_HTTP_SPROX_STEPS_GUARD  60000

/* Of a clock in milliseconds, and its next one. */
#define NGX_HTTP_SPROX_STEPS_PAST   2


typedef struct {
    ngx_http_request_t       *request;
    ngx_http_sprox_step_pt    step;
    void                     *data;
    ngx_event_t               event;
    int64_t                   past;
} ngx_http_sprox_steps_t;


static void ngx_http_sprox_steps_event(ngx_event_t *ev);
static void ngx_http_sprox_steps_cleanup(void *data);


ngx_int_t
ngx_http_sprox_steps(ngx_http_request_t *r, ngx_http_sprox_step_pt step,
    void *data, int64_t past)
{
    ngx_pool_cleanup_t      *cln;
    ngx_http_sprox_steps_t  *steps;

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_sprox_steps_t));
    if (cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    steps = cln->data;
    ngx_memzero(steps, sizeof(ngx_http_sprox_steps_t));

    steps->request = r;
    steps->step = step;
    steps->data = data;
    steps->past = past;

    steps->event.handler = ngx_http_sprox_steps_event;
    steps->event.data = steps;
    steps->event.log = r->connection->log;

    cln->handler = ngx_http_sprox_steps_cleanup;

    r->main->count++;

    ngx_add_timer(&steps->event, NGX_HTTP_SPROX_STEPS_GUARD);
    ngx_post_event(&steps->event, &ngx_posted_events);

    return NGX_DONE;
}


static void
ngx_http_sprox_steps_event(ngx_event_t *ev)
{
    uint64_t                 began;
    ngx_int_t                rc;
    ngx_uint_t               n;
    ngx_connection_t        *c;
    ngx_http_request_t      *r;
    ngx_http_sprox_steps_t  *steps;

    steps = ev->data;
    r = steps->request;
    c = r->connection;

    /* only once: a clock that was put back is not waited for */

    if (ngx_http_sprox_now() <= steps->past) {
        steps->past = 0;
        ngx_add_timer(ev, NGX_HTTP_SPROX_STEPS_PAST);
        return;
    }

    ngx_http_set_log_request(c->log, r);

    began = ngx_http_sprox_steps_clock();
    n = 0;

    do {
        rc = steps->step(r, steps->data);

        if (rc != NGX_AGAIN) {
            ngx_http_sprox_steps_cleanup(steps);

            ngx_http_finalize_request(r, rc);
            ngx_http_run_posted_requests(c);
            return;
        }

    } while (++n < NGX_HTTP_SPROX_STEPS
             && ngx_http_sprox_steps_clock() - began
                < NGX_HTTP_SPROX_STEPS_TURN);

    ngx_add_timer(ev, NGX_HTTP_SPROX_STEPS_GUARD);
    ngx_post_event(ev, &ngx_posted_next_events);
}


static void
ngx_http_sprox_steps_cleanup(void *data)
{
    ngx_http_sprox_steps_t *steps = data;

    if (steps->event.timer_set) {
        ngx_del_timer(&steps->event);
    }

    if (steps->event.posted) {
        ngx_delete_posted_event(&steps->event);
    }
}


uint64_t
ngx_http_sprox_steps_clock(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (uint64_t) ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}
