
/*
 * The HTTP transport of fetches: a small HTTP/1.1 client over nginx's own
 * connections, TLS and timers (as in ngx_event_openssl_stapling.c, which
 * has no client either).
 *
 *   room -> resolve -> connect -> [TLS, verify] -> send -> header -> body
 *     \        \          \            \             \         \       |
 *      +--------+----------+------------+-------------+---------+--> end
 *
 * ngx_http_upstream is not used: it needs a client's request and connection
 * to write to, keeps its own tries without back-off, and buffers for one
 * reader.  Here a body goes from the socket through one buffer per worker
 * to the fetch's owner, who may stop the flow; nothing else is kept.
 *
 * A connection lives in ngx_http_sprox_conn_t, in its own pool, and is lent
 * to one try at a time; between tries it waits in origin->idle.  How many
 * there may be is _http_room.c's concern.
 */

#include "ngx_http_sprox_http_private.h"
#include "ngx_http_sprox_cred.h"


/* The most that an origin's response header may take. */
#define NGX_HTTP_SPROX_HEADER_MAX     (32 * 1024)


static ngx_int_t ngx_http_sprox_http_start(ngx_http_sprox_fetch_t *f);
static ngx_int_t ngx_http_sprox_http_create(ngx_http_sprox_fetch_t *f);
static void ngx_http_sprox_http_resolved(ngx_http_sprox_resolve_t *w,
    ngx_http_sprox_host_t *host);
static void ngx_http_sprox_http_read_header(ngx_http_sprox_try_t *t);
static void ngx_http_sprox_http_forget(ngx_http_sprox_try_t *t);
static ngx_int_t ngx_http_sprox_http_parse(ngx_http_sprox_try_t *t);
static ngx_int_t ngx_http_sprox_http_framing(ngx_http_sprox_try_t *t);
static void ngx_http_sprox_http_close(ngx_http_sprox_fetch_t *f);


const ngx_http_sprox_transport_t  ngx_http_sprox_http_transport = {
    ngx_http_sprox_http_start,
    ngx_http_sprox_http_resume,
    ngx_http_sprox_http_close,
    ngx_http_sprox_http_hurry
};


static u_char  *ngx_http_sprox_recv_buf;


u_char *
ngx_http_sprox_http_buffer(ngx_log_t *log)
{
    if (ngx_http_sprox_recv_buf == NULL) {
        ngx_http_sprox_recv_buf = ngx_alloc(NGX_HTTP_SPROX_RECV_SIZE, log);
    }

    return ngx_http_sprox_recv_buf;
}


static ngx_int_t
ngx_http_sprox_http_start(ngx_http_sprox_fetch_t *f)
{
    ngx_int_t  rc;

    rc = ngx_http_sprox_http_create(f);

    if (rc == NGX_OK) {
        rc = ngx_http_sprox_http_admit(f->try);
    }

    if (rc == NGX_OK) {
        rc = ngx_http_sprox_http_begin(f->try);
    }

    if (rc == NGX_ERROR) {

        /* a signed request is wiped whatever happens */

        ngx_http_sprox_http_close(f);
    }

    return rc == NGX_ERROR ? NGX_ERROR : NGX_OK;
}


static ngx_int_t
ngx_http_sprox_http_create(ngx_http_sprox_fetch_t *f)
{
    sprox_buf_t            host;
    ngx_http_sprox_try_t  *t;

    if (ngx_http_sprox_http_buffer(f->log) == NULL) {
        return NGX_ERROR;
    }

    t = ngx_pcalloc(f->pool, sizeof(ngx_http_sprox_try_t));
    if (t == NULL) {
        return NGX_ERROR;
    }

    t->fetch = f;
    f->try = t;

    sprox_buf_init(&host, &f->mem);
    sprox_buf_init(&t->request, &f->mem);

    if (f->origin->dialect->host(&host, &f->addr, f->req.bucket)
        != SPROX_OK)
    {
        ngx_http_sprox_fetch_log(f, NGX_LOG_ERR, 0,
                                 "no request can be made for this name");
        return NGX_ERROR;
    }

    t->host = ngx_http_sprox_to_ngx(sprox_buf_get(&host));

    return NGX_OK;
}


ngx_int_t
ngx_http_sprox_http_begin(ngx_http_sprox_try_t *t)
{
    ngx_connection_t        *c;
    ngx_http_sprox_host_t   *addrs;
    ngx_http_sprox_fetch_t  *f;

    f = t->fetch;

    if (f->origin->dialect->build(&t->request, &f->addr, &f->req,
                                  ngx_http_sprox_cred_get(f->origin, f->log),
                                  ngx_time())
        != SPROX_OK)
    {
        ngx_http_sprox_fetch_log(f, NGX_LOG_ERR, 0,
                                 "no request can be made for this name");
        return NGX_ERROR;
    }

    if (t->conn) {
        c = t->conn->connection;

        c->read->handler = ngx_http_sprox_http_read;
        c->write->handler = ngx_http_sprox_http_write;

        /* not now: the fetch may still be in its start() */

        ngx_post_event(c->write, &ngx_posted_events);

        return NGX_OK;
    }

    t->resolve.handler = ngx_http_sprox_http_resolved;
    t->resolve.data = t;

    switch (ngx_http_sprox_resolve(f->origin, &t->host,
                                   f->addr.endpoint.port, &t->resolve,
                                   &addrs))
    {
    case NGX_OK:
        return ngx_http_sprox_http_connect(t, addrs);

    case NGX_AGAIN:
        return NGX_OK;

    default:
        return NGX_ERROR;
    }
}


static void
ngx_http_sprox_http_resolved(ngx_http_sprox_resolve_t *w,
    ngx_http_sprox_host_t *host)
{
    ngx_http_sprox_try_t  *t = w->data;

    if (host == NULL) {

        /* the name may be one that a client chose */

        t->fetch->failure = SPROX_ERR_BAD_GATEWAY;
        t->fetch->blameless = 1;
        ngx_http_sprox_http_end(t, NGX_ERROR);
        return;
    }

    if (ngx_http_sprox_http_connect(t, host) != NGX_OK) {
        ngx_http_sprox_http_end(t, NGX_ERROR);
    }
}


void
ngx_http_sprox_http_write(ngx_event_t *ev)
{
    ssize_t                 n;
    sprox_str_t             request;
    ngx_connection_t       *c;
    ngx_http_sprox_try_t   *t;
    ngx_http_sprox_conn_t  *conn;

    c = ev->data;
    conn = c->data;
    t = conn->user;

    if (ev->timedout) {
        ngx_http_sprox_http_fail(t, SPROX_ERR_GATEWAY_TIMEOUT, NGX_ETIMEDOUT,
                                 "sending the request timed out");
        return;
    }

    if (c->close) {
        ngx_http_sprox_http_fail(t, SPROX_ERR_SERVICE_UNAVAILABLE, 0,
                                 "the worker has to end");
        return;
    }

    request = sprox_buf_get(&t->request);

    while (t->sent < request.len) {

        n = c->send(c, (u_char *) request.data + t->sent,
                    request.len - t->sent);

        if (n == NGX_AGAIN) {
            ngx_add_timer(c->write, t->fetch->origin->read_timeout);

            if (ngx_handle_write_event(c->write, 0) != NGX_OK) {
                ngx_http_sprox_http_fail(t, SPROX_ERR_INTERNAL_ERROR, 0,
                                         "no event could be set");
            }

            return;
        }

        if (n == NGX_ERROR) {

            if (t->reused) {
                ngx_http_sprox_http_end(t, NGX_DECLINED);
                return;
            }

            ngx_http_sprox_http_fail(t, SPROX_ERR_BAD_GATEWAY,
                                     ngx_socket_errno,
                                     "sending the request failed");
            return;
        }

        t->sent += n;
    }

    if (c->write->timer_set) {
        ngx_del_timer(c->write);
    }

    c->write->handler = ngx_http_sprox_http_dummy;

    if (ngx_handle_write_event(c->write, 0) != NGX_OK) {
        ngx_http_sprox_http_fail(t, SPROX_ERR_INTERNAL_ERROR, 0,
                                 "no event could be set");
        return;
    }

    ngx_add_timer(c->read, t->fetch->origin->read_timeout);

    if (c->read->ready) {
        ngx_http_sprox_http_read(c->read);
        return;
    }

    if (ngx_handle_read_event(c->read, 0) != NGX_OK) {
        ngx_http_sprox_http_fail(t, SPROX_ERR_INTERNAL_ERROR, 0,
                                 "no event could be set");
    }
}


void
ngx_http_sprox_http_dummy(ngx_event_t *ev)
{
    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, ev->log, 0, "sprox http dummy handler");
}


void
ngx_http_sprox_http_read(ngx_event_t *ev)
{
    ngx_connection_t       *c;
    ngx_http_sprox_try_t   *t;
    ngx_http_sprox_conn_t  *conn;

    c = ev->data;
    conn = c->data;
    t = conn->user;

    if (ev->timedout) {

        if (t->in_body && t->fetch->reading_error) {

            /* the status says enough */

            t->keep = 0;
            ngx_http_sprox_http_end(t, NGX_OK);
            return;
        }

        ngx_http_sprox_http_fail(t, SPROX_ERR_GATEWAY_TIMEOUT, NGX_ETIMEDOUT,
                                 t->in_body ? "the body stalled"
                                            : "no answer came in time");
        return;
    }

    /* worker_shutdown_timeout: nginx closes whatever there still is */

    if (c->close) {
        ngx_http_sprox_http_fail(t, SPROX_ERR_SERVICE_UNAVAILABLE, 0,
                                 "the worker has to end");
        return;
    }

    if (t->in_body) {
        ngx_http_sprox_http_read_body(t);
        return;
    }

    ngx_http_sprox_http_read_header(t);
}


static void
ngx_http_sprox_http_read_header(ngx_http_sprox_try_t *t)
{
    ssize_t                  n;
    ngx_int_t                rc;
    ngx_buf_t               *b;
    ngx_connection_t        *c;
    ngx_http_sprox_fetch_t  *f;

    f = t->fetch;
    c = t->conn->connection;

    if (t->header == NULL) {
        t->header = ngx_create_temp_buf(f->pool, NGX_HTTP_SPROX_HEADER_MAX);
        t->parser = ngx_pcalloc(f->pool, sizeof(ngx_http_request_t));

        if (t->header == NULL || t->parser == NULL) {
            ngx_http_sprox_http_fail(t, SPROX_ERR_INTERNAL_ERROR, 0,
                                     "no memory");
            return;
        }

        t->parser->connection = c;
    }

    b = t->header;

    for ( ;; ) {
        n = c->recv(c, b->last, b->end - b->last);

        if (n == NGX_AGAIN) {
            if (ngx_handle_read_event(c->read, 0) != NGX_OK) {
                ngx_http_sprox_http_fail(t, SPROX_ERR_INTERNAL_ERROR, 0,
                                         "no event could be set");
            }

            return;
        }

        if (n == NGX_ERROR || n == 0) {

            if (t->reused && !t->answered) {
                ngx_http_sprox_http_end(t, NGX_DECLINED);
                return;
            }

            ngx_http_sprox_http_fail(t, SPROX_ERR_BAD_GATEWAY,
                                     n ? ngx_socket_errno : 0,
                                     "the connection was closed before the "
                                     "whole response header came");
            return;
        }

        t->answered = 1;
        b->last += n;

        rc = ngx_http_sprox_http_parse(t);

        if (rc == NGX_OK) {
            break;
        }

        if (rc == NGX_ERROR) {
            return;
        }

        if (b->last == b->end) {
            ngx_http_sprox_http_fail(t, SPROX_ERR_BAD_GATEWAY, 0,
                                     "the response header is larger than %d "
                                     "bytes", NGX_HTTP_SPROX_HEADER_MAX);
            return;
        }
    }

    if (ngx_http_sprox_http_framing(t) != NGX_OK) {
        return;
    }

    t->in_body = 1;
    t->moved = 1;

    if (ngx_http_sprox_fetch_header(f) != NGX_OK) {
        return;
    }

    n = b->last - b->pos;

    if (n && t->left != 0) {
        rc = ngx_http_sprox_http_body(t, b->pos, n);

    } else {
        if (n) {
            t->keep = 0;
        }

        rc = t->left == 0 ? NGX_DONE : NGX_OK;
    }

    switch (rc) {

    case NGX_DONE:
        ngx_http_sprox_http_end(t, NGX_OK);
        return;

    case NGX_OK:
        ngx_http_sprox_http_forget(t);
        ngx_http_sprox_http_read_body(t);
        return;

    case NGX_AGAIN:
        ngx_http_sprox_http_forget(t);
        return;

    default:  /* NGX_ERROR: gone */
        return;
    }
}


/*
 * The header and what came with it are done with: a body may take long, and
 * there may be a thousand.  An error's header is needed at its end.
 */

static void
ngx_http_sprox_http_forget(ngx_http_sprox_try_t *t)
{
    ngx_http_sprox_fetch_t  *f;

    f = t->fetch;

    if (f->resp.status == NGX_HTTP_OK
        || f->resp.status == NGX_HTTP_PARTIAL_CONTENT)
    {
        (void) ngx_pfree(f->pool, t->header->start);
        t->header = NULL;
    }
}


/* NGX_OK: the header is whole; NGX_AGAIN; NGX_ERROR: failed and ended. */

static ngx_int_t
ngx_http_sprox_http_parse(ngx_http_sprox_try_t *t)
{
    ngx_int_t                rc;
    ngx_http_request_t      *r;
    ngx_http_sprox_fetch_t  *f;

    f = t->fetch;
    r = t->parser;

    for ( ;; ) {

        if (!t->status_read) {
            rc = ngx_http_parse_status_line(r, t->header, &t->status);

            if (rc == NGX_AGAIN) {
                return NGX_AGAIN;
            }

            if (rc == NGX_ERROR || t->status.code < 100
                || t->status.code > 599)
            {
                if (t->reused) {

                    /* the end of what was asked before, perhaps */

                    ngx_http_sprox_http_end(t, NGX_DECLINED);
                    return NGX_ERROR;
                }

                ngx_http_sprox_http_fail(t, SPROX_ERR_BAD_GATEWAY, 0,
                                         "what came back is no HTTP response");
                return NGX_ERROR;
            }

            t->status_read = 1;
            r->state = 0;
            f->resp.status = t->status.code;
        }

        rc = ngx_http_parse_header_line(r, t->header, 1);

        if (rc == NGX_OK) {
            f->origin->dialect->header(&f->resp,
                          sprox_str_make(r->header_name_start,
                                         r->header_name_end
                                         - r->header_name_start),
                          sprox_str_make(r->header_start,
                                         r->header_end - r->header_start));
            continue;
        }

        if (rc == NGX_AGAIN) {
            return NGX_AGAIN;
        }

        if (rc != NGX_HTTP_PARSE_HEADER_DONE) {
            ngx_http_sprox_http_fail(t, SPROX_ERR_BAD_GATEWAY, 0,
                                     "a response header line cannot be read");
            return NGX_ERROR;
        }

        if (f->resp.status >= 200) {
            return NGX_OK;
        }

        /* 1xx: the real answer is still to come */

        if (f->resp.status == 101) {
            ngx_http_sprox_http_fail(t, SPROX_ERR_BAD_GATEWAY, 0,
                                     "the origin switches protocols");
            return NGX_ERROR;
        }

        sprox_buf_free(&f->resp.keep);
        sprox_origin_resp_init(&f->resp, &f->mem);
        ngx_memzero(&t->status, sizeof(ngx_http_status_t));
        t->status_read = 0;
        r->state = 0;
    }
}


/* How long the body is (RFC 9112 section 6.3). */

static ngx_int_t
ngx_http_sprox_http_framing(ngx_http_sprox_try_t *t)
{
    sprox_origin_resp_t     *resp;
    ngx_http_sprox_fetch_t  *f;

    f = t->fetch;
    resp = &f->resp;

    if (sprox_buf_rc(&resp->keep) != SPROX_OK) {
        ngx_http_sprox_http_fail(t, SPROX_ERR_INTERNAL_ERROR, 0, "no memory");
        return NGX_ERROR;
    }

    if (resp->bad || resp->unknown_coding) {
        ngx_http_sprox_http_fail(t, SPROX_ERR_BAD_GATEWAY, 0,
                                 "the response's length or coding cannot be "
                                 "understood");
        return NGX_ERROR;
    }

    if (resp->keep_limit) {
        ngx_http_sprox_http_fail(t, SPROX_ERR_BAD_GATEWAY, 0,
                                 "the object's headers are larger than %d "
                                 "bytes", SPROX_HEADERS_MAX);
        return NGX_ERROR;
    }

    if (resp->stored_coding && resp->content_encoding.len == 0
        && (resp->status == 200 || resp->status == 206))
    {
        /* its length and ETag are of other bytes; so it will be each time */

        f->final = 1;
        ngx_http_sprox_http_fail(t, SPROX_ERR_BAD_GATEWAY, 0,
                                 "the store decoded the object on its way: "
                                 "what came is not what is stored");
        return NGX_ERROR;
    }

    t->keep = !resp->close && t->status.http_version >= NGX_HTTP_VERSION_11;

    if (f->req.op == SPROX_OP_HEAD_OBJECT || f->req.op == SPROX_OP_HEAD_BUCKET
        || resp->status == 204 || resp->status == 304)
    {
        t->left = 0;

    } else if (resp->chunked) {
        t->left = -1;

    } else if (resp->content_length >= 0) {
        t->left = resp->content_length;

    } else {
        t->left = -1;
        t->keep = 0;
    }

    return NGX_OK;
}


static void
ngx_http_sprox_http_close(ngx_http_sprox_fetch_t *f)
{
    ngx_http_sprox_try_t  *t;

    t = f->try;

    if (t == NULL) {
        return;
    }

    if (t->resolve.waiting) {
        ngx_http_sprox_resolve_cancel(&t->resolve);
    }

    if (t->conn) {
        ngx_http_sprox_http_disconnect(t->conn);
        t->conn = NULL;
    }

    ngx_http_sprox_http_leave(t);

    sprox_buf_wipe(&t->request);
    f->try = NULL;
}


/* Lets go of the try, keeps or closes its connection, tells the fetch. */

void
ngx_http_sprox_http_end(ngx_http_sprox_try_t *t, ngx_int_t rc)
{
    ngx_http_sprox_conn_t   *conn;
    ngx_http_sprox_fetch_t  *f;

    f = t->fetch;
    conn = t->conn;

    if (conn && rc == NGX_OK && t->keep) {
        t->conn = NULL;
        ngx_http_sprox_http_keep(conn);
    }

    ngx_http_sprox_http_close(f);
    ngx_http_sprox_fetch_end(f, rc);
}


void ngx_cdecl
ngx_http_sprox_http_fail(ngx_http_sprox_try_t *t, sprox_error_code_t failure,
    ngx_err_t err, const char *fmt, ...)
{
    u_char                  *p, text[512];
    va_list                  args;
    ngx_http_sprox_fetch_t  *f;

    f = t->fetch;

    va_start(args, fmt);
    p = ngx_vslprintf(text, text + sizeof(text), fmt, args);
    va_end(args);

    f->failure = failure;

    if (t->conn && t->conn->connection->close) {
        f->final = 1;
        f->origin->closing = 1;
    }

    ngx_http_sprox_fetch_log(f, NGX_LOG_ERR, err, "%*s, try %ui of %ui",
                             (size_t) (p - text), text, f->tries,
                             f->origin->retries + 1);

    ngx_http_sprox_http_end(t, NGX_ERROR);
}
