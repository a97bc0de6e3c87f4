
/*
 * The body of a response, out of slices: those in the cache, those in
 * flight, and new fills for those that are neither.
 *
 * One slice at a time is the source.  Its bytes go out in one buffer, of its
 * file or lent by its fill before they are written to it, which is used again
 * when it was sent, so that a response takes the same memory whatever the
 * size of its object.  The two reasons to wait are kept apart: `busy`, the
 * client must take what was given (write event); and the link to the slice,
 * whose fill must bring more (the waiter's event).
 */

#include "ngx_http_sprox_object_private.h"
#include "ngx_http_sprox_tier.h"
#include "ngx_http_sprox_zone.h"


static void ngx_http_sprox_object_count(ngx_http_sprox_object_t *o, off_t n);
static off_t ngx_http_sprox_object_available(ngx_http_sprox_object_t *o,
    ngx_uint_t *lent);
static ngx_uint_t ngx_http_sprox_object_borrows(ngx_http_sprox_object_t *o);
static void ngx_http_sprox_object_in_file(ngx_http_sprox_object_t *o,
    const ngx_file_t *file, off_t pos, off_t n);
static void ngx_http_sprox_object_recall(ngx_http_sprox_loan_t *loan,
    ngx_uint_t written);
static ngx_int_t ngx_http_sprox_object_wait(ngx_http_sprox_object_t *o);
static ngx_int_t ngx_http_sprox_object_failed(ngx_http_sprox_object_t *o);
static ngx_int_t ngx_http_sprox_object_learn(ngx_http_sprox_object_t *o);
static void ngx_http_sprox_object_wake(ngx_event_t *ev);
static void ngx_http_sprox_object_writable(ngx_http_request_t *r);


void
ngx_http_sprox_object_send(ngx_http_sprox_object_t *o)
{
    off_t                n;
    ngx_int_t            rc;
    ngx_uint_t           last, lent;
    ngx_http_request_t  *r;

    r = o->request;

    r->write_event_handler = ngx_http_sprox_object_writable;

    for ( ;; ) {

        rc = ngx_http_sprox_object_source(o);

        if (rc == NGX_AGAIN) {
            return;
        }

        if (rc != NGX_OK) {

            /* the zone of keys is full, say, or a file cannot be opened */

            ngx_http_sprox_object_drop_all(o);
            ngx_http_sprox_object_pass_rest(o);
            return;
        }

        /* who cannot read ahead for want of memory goes on without */

        (void) ngx_http_sprox_object_ahead(o);

        n = ngx_http_sprox_object_available(o, &lent);

        if (n <= 0) {

            if (ngx_http_sprox_object_wait(o) == NGX_OK) {
                continue;
            }

            return;
        }

        if (!o->sending) {

            if (!o->object.headed) {
                rc = ngx_http_sprox_object_learn(o);

                if (rc == NGX_DECLINED) {
                    ngx_http_sprox_object_unheaded(o);
                    return;
                }

                if (rc != NGX_OK) {
                    ngx_http_sprox_object_fail(o, SPROX_ERR_INTERNAL_ERROR,
                                               NULL);
                    return;
                }
            }

            if (ngx_http_sprox_object_header(o) != NGX_OK) {
                return;
            }

            /* filters said by now what they need */

            continue;
        }

        n = ngx_min(n, (off_t) (o->end - o->pos));

        ngx_memzero(&o->buf, sizeof(ngx_buf_t));

        if (lent) {
            o->loan.recall = ngx_http_sprox_object_recall;
            (void) ngx_http_sprox_slice_lend(o->slice,
                                             o->pos - o->slice->start,
                                             &o->loan);
            o->buf.memory = 1;
            o->buf.pos = o->loan.p;
            o->buf.last = o->loan.p + n;

        } else if (o->slice) {
            ngx_http_sprox_object_in_file(o, &o->slice->writer.temp_file.file,
                                          o->slice->writer.base + o->pos
                                          - o->slice->start, n);

        } else {
            ngx_http_sprox_object_in_file(o, &o->entry.file, o->entry.base
                                          + (o->pos & (o->spec.slice - 1)),
                                          n);
        }

        ngx_http_sprox_object_count(o, n);

        o->pos += n;
        last = (o->pos == o->end);

        o->buf.last_buf = last && r == r->main;
        o->buf.last_in_chain = last;
        o->buf.flush = !last;

        rc = ngx_http_sprox_object_output(o);

        if (last || rc == NGX_ERROR) {

            /* what is still to be sent is nginx's to send */

            ngx_http_sprox_object_finalize(o, rc);
            return;
        }

        if (rc == NGX_AGAIN) {
            ngx_http_sprox_object_block(o);
            return;
        }
    }
}


/*
 * n bytes at pos are sent: of a hit, or of a fill.  That of this very read may
 * be whole, and in the cache, before it was read; another's that was whole when
 * this read looked at it is as good as in the cache, though not all is written.
 */

static void
ngx_http_sprox_object_count(ngx_http_sprox_object_t *o, off_t n)
{
    ngx_uint_t  hit;

    if (o->slice) {
        o->slice->used = 1;
        hit = o->there;

    } else {
        hit = !ngx_http_sprox_object_own(o);
    }

    if (!hit) {
        o->ctx->bytes_fill += n;
        return;
    }

    o->ctx->bytes_hit += n;

    ngx_http_sprox_tier_count(&o->spec, o->slice
                                        ? ngx_http_sprox_tiers(&o->spec) - 1
                                        : o->tier, n);
}


/* lent: they are not in the file yet. */

static off_t
ngx_http_sprox_object_available(ngx_http_sprox_object_t *o, ngx_uint_t *lent)
{
    off_t  n, offset;

    *lent = 0;

    if (o->slice) {
        offset = o->pos - o->slice->start;
        n = ngx_http_sprox_slice_available(o->slice, offset);

        if (n > 0 || !ngx_http_sprox_object_borrows(o)) {
            return n;
        }

        n = ngx_http_sprox_slice_lend(o->slice, offset, NULL);
        *lent = 1;

        /*
         * Who has read slices to their end finds them in the cache: the last
         * bytes that come, which may be those before `from`, are not lent.
         */

        if ((o->end == o->object.size || o->end % o->spec.slice == 0)
            && o->slice->came == o->slice->length
            && (offset + n == o->slice->length
                || offset + n == o->slice->from))
        {
            return 0;
        }

        return n;
    }

    offset = o->pos & (o->spec.slice - 1);

    return o->entry.length - offset;
}


/*
 * What is lent is called back while it stands in r->out: it must get there as
 * it is, and sendfile be as good for what goes out of there.
 */

static ngx_uint_t
ngx_http_sprox_object_borrows(ngx_http_sprox_object_t *o)
{
    ngx_http_request_t  *r;

    r = o->request;

    return r == r->main && r->http_version < NGX_HTTP_VERSION_20
           && r->connection->sendfile && r->connection->ssl == NULL
           && !r->filter_need_in_memory && !r->main_filter_need_in_memory
           && !r->filter_need_temporary;
}


static void
ngx_http_sprox_object_in_file(ngx_http_sprox_object_t *o,
    const ngx_file_t *file, off_t pos, off_t n)
{
    /* no more than these: thread_task stays, and is made once a request */

    o->file.fd = file->fd;
    o->file.name = file->name;
    o->file.log = o->request->connection->log;

    o->buf.in_file = 1;
    o->buf.file = &o->file;
    o->buf.file_pos = pos;
    o->buf.file_last = pos + n;
}


static void
ngx_http_sprox_object_recall(ngx_http_sprox_loan_t *loan, ngx_uint_t written)
{
    off_t                           n;
    u_char                         *p;
    ngx_buf_t                      *b;
    ngx_http_request_t             *r;
    ngx_http_sprox_object_t        *o;
    ngx_http_sprox_cache_writer_t  *w;

    o = (ngx_http_sprox_object_t *)
            ((u_char *) loan - offsetof(ngx_http_sprox_object_t, loan));
    r = o->request;
    b = &o->buf;
    n = b->last - b->pos;

    if (written) {
        w = &o->slice->writer;
        ngx_http_sprox_object_in_file(o, &w->temp_file.file,
                                      w->base + loan->offset
                                      + (b->pos - loan->p), n);
        b->memory = 0;
        return;
    }

    p = ngx_pnalloc(r->pool, n);

    if (p == NULL) {
        r->connection->error = 1;
        b->pos = b->last;
        return;
    }

    ngx_memcpy(p, b->pos, n);
    b->pos = p;
    b->last = p + n;
}


/* NGX_OK: try again now; NGX_AGAIN: woken later; NGX_DONE: finalised. */

static ngx_int_t
ngx_http_sprox_object_wait(ngx_http_sprox_object_t *o)
{
    ngx_event_t             *wev;
    ngx_http_sprox_slice_t  *s;

    s = o->slice;

    if (s == NULL || (s->done && !s->remote)) {
        ngx_http_sprox_object_fail(o, SPROX_ERR_INTERNAL_ERROR, NULL);
        return NGX_DONE;
    }

    if (s->done) {

        /* another worker had it: it is in the cache, or missing again */

        ngx_http_sprox_object_lost(o);
        return NGX_OK;
    }

    if (!s->failed) {
        wev = o->request->connection->write;

        if (wev->timer_set && !wev->delayed) {
            ngx_del_timer(wev);
        }

        o->waiter.event.handler = ngx_http_sprox_object_wake;
        o->waiter.event.data = o;
        o->waiter.event.log = o->request->connection->log;

        o->waiter.borrows = ngx_http_sprox_object_borrows(o);
        o->waited = 1;
        ngx_http_sprox_slice_wait(s, &o->waiter);

        return NGX_AGAIN;
    }

    return ngx_http_sprox_object_failed(o);
}


/* The slice at pos has failed: as above. */

static ngx_int_t
ngx_http_sprox_object_failed(ngx_http_sprox_object_t *o)
{
    ngx_http_sprox_slice_t  *s;

    s = o->slice;

    if (s->changed) {

        if (!o->sending && o->restarts++ < NGX_HTTP_SPROX_RESTARTS) {
            ngx_http_sprox_object_again(o);
            return NGX_DONE;
        }

        ngx_http_sprox_object_fail(o, SPROX_ERR_SERVICE_UNAVAILABLE,
                                   "The object is being replaced");
        return NGX_DONE;
    }

    if (s->unkept) {

        /* the disk is full, say: that must not fail reads */

        ngx_http_sprox_object_drop_all(o);
        ngx_http_sprox_object_pass_rest(o);
        return NGX_DONE;
    }

    /*
     * A fill that broke off in its middle, or failed before anybody waited
     * for this part of it: the same version may be asked for again.
     */

    if (((s->begun && s->failure == SPROX_ERR_BAD_GATEWAY) || !o->waited)
        && o->refills++ < NGX_HTTP_SPROX_REFILLS)
    {
        ngx_http_sprox_object_lost(o);
        return NGX_OK;
    }

    ngx_http_sprox_object_fail(o, s->failure, NULL);

    return NGX_DONE;
}


/*
 * The headers of an object that only a listing told of, out of the slice.
 * NGX_DECLINED: its file was written for another last-modified.
 */

static ngx_int_t
ngx_http_sprox_object_learn(ngx_http_sprox_object_t *o)
{
    int64_t             proved;
    ngx_uint_t          settled;
    sprox_object_t     *told;
    sprox_slice_meta_t  meta;

    if (o->slice) {
        told = &o->slice->object;

    } else {

        if (sprox_slice_meta_read(o->entry.block, &meta) != SPROX_OK) {
            return NGX_DECLINED;
        }

        told = &meta.object;
    }

    if (!told->headed || !sprox_object_same(told, &o->object)) {
        return NGX_DECLINED;
    }

    proved = ngx_max(told->proved, o->object.proved);
    settled = o->object.settled;

    if (ngx_http_sprox_object_copy(o->request->pool, &o->object, told)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    o->object.proved = proved;
    o->object.settled = settled;

    (void) ngx_http_sprox_zone_put(o->spec.origin, o->spec.bucket,
                                   o->spec.key, &o->object);

    return NGX_OK;
}


static void
ngx_http_sprox_object_wake(ngx_event_t *ev)
{
    ngx_connection_t         *c;
    ngx_http_request_t       *r;
    ngx_http_sprox_object_t  *o;

    o = ev->data;
    r = o->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    ngx_http_sprox_object_send(o);

    ngx_http_run_posted_requests(c);
}


ngx_int_t
ngx_http_sprox_object_output(ngx_http_sprox_object_t *o)
{
    ngx_int_t            rc;
    ngx_http_request_t  *r;

    r = o->request;

    o->out.buf = &o->buf;
    o->out.next = NULL;

    rc = ngx_http_output_filter(r, &o->out);

    if (rc == NGX_ERROR || rc > NGX_OK) {
        return NGX_ERROR;
    }

    if (rc == NGX_AGAIN || r->buffered || r->connection->buffered
        || ngx_buf_size(&o->buf) > 0)
    {
        return NGX_AGAIN;
    }

    ngx_http_sprox_loan_return(&o->loan);

    return NGX_OK;
}


void
ngx_http_sprox_object_block(ngx_http_sprox_object_t *o)
{
    ngx_event_t               *wev;
    ngx_http_request_t        *r;
    ngx_http_core_loc_conf_t  *clcf;

    r = o->request;
    wev = r->connection->write;
    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    o->busy = 1;
    r->write_event_handler = ngx_http_sprox_object_writable;

    if (!wev->delayed) {
        ngx_add_timer(wev, clcf->send_timeout);
    }

    if (ngx_handle_write_event(wev, clcf->send_lowat) != NGX_OK) {
        ngx_http_sprox_object_finalize(o, NGX_ERROR);
    }
}


ngx_int_t
ngx_http_sprox_object_flush(ngx_http_sprox_object_t *o)
{
    ngx_int_t            rc;
    ngx_event_t         *wev;
    ngx_http_request_t  *r;

    r = o->request;
    wev = r->connection->write;

    rc = ngx_http_output_filter(r, NULL);

    if (rc == NGX_ERROR || rc > NGX_OK) {
        return NGX_ERROR;
    }

    if (rc == NGX_AGAIN || r->buffered || r->connection->buffered
        || ngx_buf_size(&o->buf) > 0)
    {
        return NGX_AGAIN;
    }

    ngx_http_sprox_loan_return(&o->loan);
    o->busy = 0;

    if (wev->timer_set && !wev->delayed) {
        ngx_del_timer(wev);
    }

    return NGX_OK;
}


static void
ngx_http_sprox_object_writable(ngx_http_request_t *r)
{
    ngx_int_t                 rc;
    ngx_event_t              *wev;
    ngx_http_sprox_ctx_t     *ctx;
    ngx_http_sprox_object_t  *o;

    ctx = ngx_http_get_module_ctx(r, ngx_http_sprox_module);
    o = ctx->object;
    wev = r->connection->write;

    if (r->aio) {
        return;
    }

    if (wev->timedout) {
        ngx_log_error(NGX_LOG_INFO, r->connection->log, NGX_ETIMEDOUT,
                      "client timed out");
        r->connection->timedout = 1;
        ngx_http_sprox_object_finalize(o, NGX_HTTP_REQUEST_TIME_OUT);
        return;
    }

    if (o->busy) {

        if (wev->delayed) {
            return;
        }

        rc = ngx_http_sprox_object_flush(o);

        if (rc == NGX_ERROR) {
            ngx_http_sprox_object_finalize(o, NGX_ERROR);
            return;
        }

        if (rc == NGX_AGAIN) {
            ngx_http_sprox_object_block(o);
            return;
        }
    }

    if (o->passing) {

        if (o->pass_ended) {
            ngx_http_sprox_object_finalize(o, NGX_OK);

        } else if (o->fetch) {
            ngx_http_sprox_fetch_resume(o->fetch);
        }

        return;
    }

    /* asks where a part lies, of a version that came meanwhile */

    if (o->fetch) {
        return;
    }

    if (o->waiter.linked || o->waiter.event.posted) {
        return;
    }

    if (o->probe.waiter.linked || o->probe.waiter.event.posted) {
        return;
    }

    ngx_http_sprox_object_send(o);
}
