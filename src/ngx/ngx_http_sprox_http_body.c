
/*
 * The body of an origin's response: out of the socket, through one buffer
 * per worker, to the fetch's owner, who may stop the flow.
 */

#include "ngx_http_sprox_http_private.h"


/* What one connection may read before others have their turn. */
#define NGX_HTTP_SPROX_RECV_TURN      (1024 * 1024)

/* Bytes of chunks' lines and trailers between two bytes of the body. */
#define NGX_HTTP_SPROX_FRAMING_MAX    (16 * 1024)


static void ngx_http_sprox_http_wait(ngx_http_sprox_try_t *t);
static void ngx_http_sprox_http_pause(ngx_http_sprox_try_t *t);
static ngx_int_t ngx_http_sprox_http_take(ngx_http_sprox_try_t *t, u_char *p,
    size_t n);
static ngx_int_t ngx_http_sprox_http_chunks(ngx_http_sprox_try_t *t, u_char *p,
    size_t n);
static void ngx_http_sprox_http_rest(ngx_event_t *ev);
static void ngx_http_sprox_http_eof(ngx_http_sprox_try_t *t);


void
ngx_http_sprox_http_read_body(ngx_http_sprox_try_t *t)
{
    u_char                  *buf;
    size_t                   size, total;
    ssize_t                  n;
    ngx_int_t                rc;
    ngx_connection_t        *c;

    c = t->conn->connection;

    if (t->paused) {
        return;
    }

    buf = ngx_http_sprox_http_buffer(t->fetch->log);

    for (total = 0; total < NGX_HTTP_SPROX_RECV_TURN; total += n) {

        if (ngx_http_sprox_fetch_ready(t->fetch) != NGX_OK) {
            ngx_http_sprox_http_pause(t);
            return;
        }

        size = NGX_HTTP_SPROX_RECV_SIZE;

        if (t->left > 0) {
            size = ngx_min((off_t) size, t->left);
        }

        n = c->recv(c, buf, size);

        if (n == NGX_AGAIN) {
            ngx_http_sprox_http_wait(t);

            if (ngx_handle_read_event(c->read, 0) != NGX_OK) {
                ngx_http_sprox_http_fail(t, SPROX_ERR_INTERNAL_ERROR, 0,
                                         "no event could be set");
            }

            return;
        }

        if (n == NGX_ERROR) {
            ngx_http_sprox_http_fail(t, SPROX_ERR_BAD_GATEWAY,
                                     ngx_socket_errno,
                                     "reading the body failed");
            return;
        }

        if (n == 0) {
            ngx_http_sprox_http_eof(t);
            return;
        }

        rc = ngx_http_sprox_http_body(t, buf, n);

        if (rc == NGX_DONE) {
            ngx_http_sprox_http_end(t, NGX_OK);
            return;
        }

        if (rc != NGX_OK) {
            return;
        }
    }

    /* others' turn; the socket is read on without a new event */

    ngx_http_sprox_http_wait(t);
    ngx_post_event(c->read, &ngx_posted_next_events);
}


/*
 * The time-out begins anew with bytes for the owner only: what drips error
 * documents or trailers does not put it off.
 */

static void
ngx_http_sprox_http_wait(ngx_http_sprox_try_t *t)
{
    ngx_event_t  *ev;

    ev = t->conn->connection->read;

    if (t->moved || !ev->timer_set) {
        t->moved = 0;
        ngx_add_timer(ev, t->fetch->origin->read_timeout);
    }
}


/* Until resume(); the origin may take its time meanwhile, as we do. */

static void
ngx_http_sprox_http_pause(ngx_http_sprox_try_t *t)
{
    ngx_event_t  *ev;

    t->paused = 1;

    ev = t->conn->connection->read;

    if (ev->timer_set) {
        ngx_del_timer(ev);
    }
}


/* Bytes of the body to the owner; returns as he does. */

static ngx_int_t
ngx_http_sprox_http_take(ngx_http_sprox_try_t *t, u_char *p, size_t n)
{
    t->framing = 0;

    if (!t->fetch->reading_error) {
        t->moved = 1;
    }

    return ngx_http_sprox_fetch_body(t->fetch, p, n);
}


/*
 * Bytes off the wire.  NGX_OK: more is expected; NGX_DONE: that was the
 * end of the body; NGX_AGAIN: paused by the owner; NGX_ERROR: the try is
 * gone.
 */

ngx_int_t
ngx_http_sprox_http_body(ngx_http_sprox_try_t *t, u_char *p, size_t n)
{
    ngx_int_t  rc;

    if (t->fetch->resp.chunked) {
        return ngx_http_sprox_http_chunks(t, p, n);
    }

    if (t->left > 0) {

        if ((off_t) n > t->left) {
            n = t->left;
            t->keep = 0;
        }

        t->left -= n;
    }

    rc = ngx_http_sprox_http_take(t, p, n);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (t->left == 0) {
        return NGX_DONE;
    }

    if (rc == NGX_DONE) {
        t->keep = 0;
        return NGX_DONE;
    }

    if (rc == NGX_AGAIN) {
        ngx_http_sprox_http_pause(t);
    }

    return rc;
}


static ngx_int_t
ngx_http_sprox_http_chunks(ngx_http_sprox_try_t *t, u_char *p, size_t n)
{
    u_char                  *at;
    size_t                   size;
    ngx_int_t                rc;
    ngx_buf_t                b;
    ngx_http_sprox_fetch_t  *f;

    f = t->fetch;

    ngx_memzero(&b, sizeof(ngx_buf_t));

    b.pos = p;
    b.last = p + n;

    for ( ;; ) {

        at = b.pos;
        rc = ngx_http_sprox_parse_chunked(t->parser, &b, &t->chunked);
        t->framing += b.pos - at;

        if (t->framing > NGX_HTTP_SPROX_FRAMING_MAX) {
            ngx_http_sprox_http_fail(t, SPROX_ERR_BAD_GATEWAY, 0,
                                     "chunk extensions or trailers are larger "
                                     "than %d bytes",
                                     NGX_HTTP_SPROX_FRAMING_MAX);
            return NGX_ERROR;
        }

        if (rc == NGX_AGAIN) {
            return NGX_OK;
        }

        if (rc == NGX_DONE) {
            if (b.pos != b.last) {
                t->keep = 0;
            }

            return NGX_DONE;
        }

        if (rc == NGX_ERROR) {
            ngx_http_sprox_http_fail(t, SPROX_ERR_BAD_GATEWAY, 0,
                                     "the chunked body cannot be read");
            return NGX_ERROR;
        }

        size = ngx_min((off_t) (b.last - b.pos), t->chunked.size);

        if (size == 0) {
            if (b.pos == b.last) {
                return NGX_OK;
            }

            continue;
        }

        p = b.pos;
        b.pos += size;
        t->chunked.size -= size;

        rc = ngx_http_sprox_http_take(t, p, size);

        if (rc == NGX_ERROR) {
            return NGX_ERROR;
        }

        if (rc == NGX_DONE) {
            t->keep = 0;
            return NGX_DONE;
        }

        if (rc == NGX_AGAIN) {
            ngx_http_sprox_http_pause(t);

            size = b.last - b.pos;

            if (size) {

                /* the worker's buffer is used by others meanwhile */

                if (t->rest.start == NULL
                    || (size_t) (t->rest.end - t->rest.start) < size)
                {
                    t->rest.start = ngx_palloc(f->pool,
                                               NGX_HTTP_SPROX_RECV_SIZE);
                    if (t->rest.start == NULL) {
                        ngx_http_sprox_http_fail(t, SPROX_ERR_INTERNAL_ERROR,
                                                 0, "no memory");
                        return NGX_ERROR;
                    }

                    t->rest.end = t->rest.start + NGX_HTTP_SPROX_RECV_SIZE;
                }

                /* b may lie in rest itself */

                ngx_memmove(t->rest.start, b.pos, size);
                t->rest.pos = t->rest.start;
                t->rest.last = t->rest.start + size;
            }

            return NGX_AGAIN;
        }
    }
}


/* After a pause: first what was read but not handed over. */

static void
ngx_http_sprox_http_rest(ngx_event_t *ev)
{
    u_char                 *p;
    size_t                  n;
    ngx_int_t               rc;
    ngx_connection_t       *c;
    ngx_http_sprox_try_t   *t;
    ngx_http_sprox_conn_t  *conn;

    c = ev->data;
    conn = c->data;
    t = conn->user;

    c->read->handler = ngx_http_sprox_http_read;

    if (ngx_http_sprox_fetch_ready(t->fetch) != NGX_OK) {
        ngx_http_sprox_http_pause(t);
        return;
    }

    p = t->rest.pos;
    n = t->rest.last - p;
    t->rest.pos = t->rest.last;

    rc = ngx_http_sprox_http_chunks(t, p, n);

    if (rc == NGX_DONE) {
        ngx_http_sprox_http_end(t, NGX_OK);

    } else if (rc == NGX_OK) {
        ngx_http_sprox_http_read_body(t);
    }
}


static void
ngx_http_sprox_http_eof(ngx_http_sprox_try_t *t)
{
    sprox_origin_resp_t  *resp;

    resp = &t->fetch->resp;
    t->keep = 0;

    if (t->left == -1 && !resp->chunked) {
        ngx_http_sprox_http_end(t, NGX_OK);
        return;
    }

    if (resp->chunked) {
        ngx_http_sprox_http_fail(t, SPROX_ERR_BAD_GATEWAY, 0,
                                 "the connection was closed before the last "
                                 "chunk");
        return;
    }

    ngx_http_sprox_http_fail(t, SPROX_ERR_BAD_GATEWAY, 0,
                             "the connection was closed %O bytes before the "
                             "end of the body", t->left);
}


void
ngx_http_sprox_http_resume(ngx_http_sprox_fetch_t *f)
{
    ngx_connection_t      *c;
    ngx_http_sprox_try_t  *t;

    t = f->try;

    if (!t->paused) {
        return;
    }

    t->paused = 0;

    c = t->conn->connection;

    ngx_add_timer(c->read, f->origin->read_timeout);
    c->read->handler = ngx_http_sprox_http_read;

    if (t->rest.pos != t->rest.last) {
        c->read->handler = ngx_http_sprox_http_rest;
    }

    ngx_post_event(c->read, &ngx_posted_events);
}
