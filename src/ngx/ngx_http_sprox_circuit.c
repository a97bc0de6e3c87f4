
/*
 * Circuits, in the shared memory of the metrics and without a lock: `until`
 * is the state, and whoever swaps it has made the change.
 *
 *   0           closed
 *   to come     open: nobody tries; or half-open: until the lease of the one
 *               who tries ends
 *   over        whoever swaps it for the end of a lease tries
 */

#include "ngx_http_sprox_circuit.h"
#include "ngx_http_sprox_metrics.h"


static ngx_http_sprox_circuit_t *ngx_http_sprox_circuit(
    ngx_http_sprox_origin_t *origin);
static ngx_uint_t ngx_http_sprox_circuit_orphaned(ngx_uint_t pid);
static ngx_atomic_uint_t ngx_http_sprox_circuit_in(ngx_msec_t time);


/*
 * A worker that shuts down may belong to an older configuration, with
 * another address: it counts for itself.
 */

static ngx_http_sprox_circuit_t *
ngx_http_sprox_circuit(ngx_http_sprox_origin_t *origin)
{
    ngx_http_sprox_circuit_t  *c;

    c = ngx_exiting ? NULL : ngx_http_sprox_metrics_circuit(origin);

    return c ? c : &origin->circuit;
}


ngx_int_t
ngx_http_sprox_circuit_admit(ngx_http_sprox_fetch_t *f)
{
    ngx_msec_t                 lease;
    ngx_atomic_uint_t          until;
    ngx_http_sprox_origin_t   *origin;
    ngx_http_sprox_circuit_t  *c;

    origin = f->origin;

    if (origin->max_fails == 0 || f->probing) {
        return NGX_OK;
    }

    c = ngx_http_sprox_circuit(origin);
    until = c->until;

    if (until == 0) {
        return NGX_OK;
    }

    /* longer than a try can take: who was killed in one lets go of it */

    lease = 2 * origin->connect_timeout + 3 * origin->read_timeout;

    if (((ngx_msec_int_t) (until - ngx_current_msec) <= 0
         || ngx_http_sprox_circuit_orphaned(c->prober))
        && ngx_atomic_cmp_set(&c->until, until,
                              ngx_http_sprox_circuit_in(lease)))
    {
        c->prober = ngx_pid;
        f->probing = 1;
        return NGX_OK;
    }

    f->failure = SPROX_ERR_SERVICE_UNAVAILABLE;
    f->refused = 1;
    f->final = 1;

    return NGX_DECLINED;
}


static ngx_uint_t
ngx_http_sprox_circuit_orphaned(ngx_uint_t pid)
{
    return pid != 0 && pid != (ngx_uint_t) ngx_pid
           && kill((ngx_pid_t) pid, 0) == -1 && ngx_errno == NGX_ESRCH;
}


/* A point in time, one ms before or at it, which is never 0. */

static ngx_atomic_uint_t
ngx_http_sprox_circuit_in(ngx_msec_t time)
{
    return (ngx_current_msec + time - 1) | 1;
}


void
ngx_http_sprox_circuit_answered(ngx_http_sprox_fetch_t *f)
{
    ngx_atomic_uint_t          until;
    ngx_http_sprox_circuit_t  *c;

    if (f->origin->max_fails == 0) {
        return;
    }

    c = ngx_http_sprox_circuit(f->origin);

    if (c->fails) {
        c->fails = 0;
    }

    if (f->probing) {
        f->probing = 0;
        c->prober = 0;
    }

    until = c->until;

    if (until != 0 && ngx_atomic_cmp_set(&c->until, until, 0)) {
        ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                      "sprox: the origin \"%V\" answers again",
                      &f->origin->name);
    }
}


void
ngx_http_sprox_circuit_failed(ngx_http_sprox_fetch_t *f)
{
    ngx_atomic_uint_t          until, fails;
    ngx_http_sprox_origin_t   *origin;
    ngx_http_sprox_circuit_t  *c;

    origin = f->origin;

    if (origin->max_fails == 0) {
        return;
    }

    c = ngx_http_sprox_circuit(origin);
    fails = ngx_atomic_fetch_add(&c->fails, 1) + 1;
    until = c->until;

    if (f->probing) {
        f->probing = 0;
        c->prober = 0;

        if (until != 0) {
            (void) ngx_atomic_cmp_set(&c->until, until,
                             ngx_http_sprox_circuit_in(origin->fail_timeout));
            return;
        }
    }

    if (fails >= origin->max_fails && until == 0
        && ngx_atomic_cmp_set(&c->until, 0,
                             ngx_http_sprox_circuit_in(origin->fail_timeout)))
    {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "sprox: the origin \"%V\" failed %ui times in a row: "
                      "one try at a time, %M ms apart, until it answers",
                      &origin->name, (ngx_uint_t) fails,
                      origin->fail_timeout);
    }
}


void
ngx_http_sprox_circuit_released(ngx_http_sprox_fetch_t *f)
{
    ngx_atomic_uint_t          until;
    ngx_http_sprox_circuit_t  *c;

    if (!f->probing) {
        return;
    }

    f->probing = 0;

    /* the next one may try at once */

    c = ngx_http_sprox_circuit(f->origin);
    c->prober = 0;
    until = c->until;

    if (until != 0) {
        (void) ngx_atomic_cmp_set(&c->until, until,
                                  ngx_http_sprox_circuit_in(0));
    }
}
