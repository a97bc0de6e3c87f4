
/*
 * The HTTP transport of fetches: a small HTTP/1.1 client over nginx's own
 * connections, TLS and timers (as in ngx_event_openssl_stapling.c, which
 * has no client either).
 *
 *   resolve -> connect -> [TLS handshake, verify] -> send -> header -> body
 *      \          \              \                    \         \       |
 *       +----------+--------------+--------------------+---------+--> end
 *
 * ngx_http_upstream is not used: it needs a client's request and connection
 * to write to, keeps its own tries without back-off, and buffers for one
 * reader.  Here a body goes from the socket through one buffer per worker
 * to the fetch's owner, who may stop the flow; nothing else is kept.
 *
 * A connection lives in ngx_http_sprox_conn_t, in its own pool, and is lent
 * to one try at a time; between tries it waits in origin->idle.
 */

#include "ngx_http_sprox_fetch.h"
#include "ngx_http_sprox_cred.h"
#include "ngx_http_sprox_resolve.h"


/* The most that an origin's response header may take. */
#define NGX_HTTP_SPROX_HEADER_MAX     (32 * 1024)

/* One buffer a worker: what is read from a socket at once. */
#define NGX_HTTP_SPROX_RECV_SIZE      (128 * 1024)

/* What one connection may read before others have their turn. */
#define NGX_HTTP_SPROX_RECV_TURN      (1024 * 1024)

/* A kept connection is closed after this time without use, in ms. */
#define NGX_HTTP_SPROX_IDLE_TIMEOUT   60000

/* An address that failed is passed over for this time, in ms. */
#define NGX_HTTP_SPROX_ADDR_FAILED    10000


typedef struct ngx_http_sprox_try_s  ngx_http_sprox_try_t;


typedef struct {
    ngx_queue_t                queue;       /* in origin->idle */
    ngx_connection_t          *connection;
    ngx_peer_connection_t      peer;
    ngx_http_sprox_origin_t   *origin;
    ngx_str_t                  host;
    in_port_t                  port;
    struct sockaddr_storage    sockaddr;
    ngx_http_sprox_try_t      *user;        /* NULL: idle */
    ngx_uint_t                 requests;
} ngx_http_sprox_conn_t;


struct ngx_http_sprox_try_s {
    ngx_http_sprox_fetch_t    *fetch;
    ngx_http_sprox_resolve_t   resolve;
    ngx_http_sprox_conn_t     *conn;
    ngx_str_t                  host;        /* to connect to and to verify */
    sprox_buf_t                request;
    size_t                     sent;
    ngx_buf_t                 *header;
    ngx_buf_t                  rest;        /* chunked bytes kept by a pause */
    ngx_http_request_t        *parser;      /* state of nginx's parsers only */
    ngx_http_status_t          status;
    ngx_http_chunked_t         chunked;
    off_t                      left;        /* of the body; -1: until close */
    unsigned                   status_read:1;
    unsigned                   in_body:1;
    unsigned                   paused:1;
    unsigned                   reused:1;
    unsigned                   answered:1;  /* a byte came back */
    unsigned                   keep:1;
};


static ngx_int_t ngx_http_sprox_http_start(ngx_http_sprox_fetch_t *f);
static void ngx_http_sprox_http_resume(ngx_http_sprox_fetch_t *f);
static void ngx_http_sprox_http_close(ngx_http_sprox_fetch_t *f);

static void ngx_http_sprox_http_resolved(ngx_http_sprox_resolve_t *w,
    ngx_http_sprox_host_t *host);
static ngx_int_t ngx_http_sprox_http_connect(ngx_http_sprox_try_t *t,
    ngx_http_sprox_host_t *host);
static ngx_http_sprox_addr_t *ngx_http_sprox_http_address(
    ngx_http_sprox_host_t *host);
static ngx_int_t ngx_http_sprox_http_reuse(ngx_http_sprox_try_t *t);
static void ngx_http_sprox_http_connected(ngx_event_t *ev);
static void ngx_http_sprox_http_good(ngx_http_sprox_conn_t *conn);
static ngx_int_t ngx_http_sprox_http_test_connect(ngx_connection_t *c);
static void ngx_http_sprox_http_tls(ngx_http_sprox_try_t *t);
static void ngx_http_sprox_http_handshaked(ngx_connection_t *c);
static ngx_int_t ngx_http_sprox_http_verify(ngx_http_sprox_try_t *t);
static void ngx_http_sprox_http_write(ngx_event_t *ev);
static void ngx_http_sprox_http_dummy(ngx_event_t *ev);
static void ngx_http_sprox_http_read(ngx_event_t *ev);
static void ngx_http_sprox_http_read_header(ngx_http_sprox_try_t *t);
static ngx_int_t ngx_http_sprox_http_parse(ngx_http_sprox_try_t *t);
static ngx_int_t ngx_http_sprox_http_framing(ngx_http_sprox_try_t *t);
static void ngx_http_sprox_http_read_body(ngx_http_sprox_try_t *t);
static ngx_int_t ngx_http_sprox_http_body(ngx_http_sprox_try_t *t, u_char *p,
    size_t n);
static ngx_int_t ngx_http_sprox_http_chunks(ngx_http_sprox_try_t *t,
    u_char *p, size_t n);
static void ngx_http_sprox_http_rest(ngx_event_t *ev);
static void ngx_http_sprox_http_eof(ngx_http_sprox_try_t *t);
static void ngx_http_sprox_http_end(ngx_http_sprox_try_t *t, ngx_int_t rc);
static void ngx_cdecl ngx_http_sprox_http_fail(ngx_http_sprox_try_t *t,
    sprox_error_code_t failure, ngx_err_t err, const char *fmt, ...);
static void ngx_http_sprox_http_keep(ngx_http_sprox_conn_t *conn);
static void ngx_http_sprox_http_idle(ngx_event_t *ev);
static void ngx_http_sprox_http_disconnect(ngx_http_sprox_conn_t *conn);


const ngx_http_sprox_transport_t  ngx_http_sprox_http_transport = {
    ngx_http_sprox_http_start,
    ngx_http_sprox_http_resume,
    ngx_http_sprox_http_close
};


static u_char  *ngx_http_sprox_recv_buf;


static ngx_int_t
ngx_http_sprox_http_start(ngx_http_sprox_fetch_t *f)
{
    sprox_rc_t              rc;
    sprox_buf_t             host;
    ngx_http_sprox_try_t   *t;
    ngx_http_sprox_host_t  *addrs;

    if (ngx_http_sprox_recv_buf == NULL) {
        ngx_http_sprox_recv_buf = ngx_alloc(NGX_HTTP_SPROX_RECV_SIZE, f->log);
        if (ngx_http_sprox_recv_buf == NULL) {
            return NGX_ERROR;
        }
    }

    t = ngx_pcalloc(f->pool, sizeof(ngx_http_sprox_try_t));
    if (t == NULL) {
        return NGX_ERROR;
    }

    t->fetch = f;
    f->try = t;

    sprox_buf_init(&host, &f->mem);
    sprox_buf_init(&t->request, &f->mem);

    rc = f->origin->dialect->host(&host, &f->addr, f->req.bucket);

    if (rc == SPROX_OK) {
        rc = f->origin->dialect->build(&t->request, &f->addr, &f->req,
                                 ngx_http_sprox_cred_get(f->origin, f->log),
                                 f->sent / 1000);
    }

    if (rc != SPROX_OK) {
        ngx_http_sprox_fetch_log(f, NGX_LOG_ERR, 0,
                                 "no request can be made for this name");
        return NGX_ERROR;
    }

    t->host = ngx_http_sprox_to_ngx(sprox_buf_get(&host));

    if (ngx_http_sprox_http_reuse(t) == NGX_OK) {
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
        t->fetch->failure = SPROX_ERR_BAD_GATEWAY;
        ngx_http_sprox_http_end(t, NGX_ERROR);
        return;
    }

    if (ngx_http_sprox_http_connect(t, host) != NGX_OK) {
        ngx_http_sprox_http_end(t, NGX_ERROR);
    }
}


/* A kept connection to the same host, the one used last. */

static ngx_int_t
ngx_http_sprox_http_reuse(ngx_http_sprox_try_t *t)
{
    ngx_queue_t              *q;
    ngx_connection_t         *c;
    ngx_http_sprox_conn_t    *conn;
    ngx_http_sprox_fetch_t   *f;
    ngx_http_sprox_origin_t  *origin;

    f = t->fetch;
    origin = f->origin;

    for (q = ngx_queue_head(&origin->idle);
         q != ngx_queue_sentinel(&origin->idle);
         q = ngx_queue_next(q))
    {
        conn = ngx_queue_data(q, ngx_http_sprox_conn_t, queue);

        if (conn->port != f->addr.endpoint.port
            || conn->host.len != t->host.len
            || ngx_memcmp(conn->host.data, t->host.data, t->host.len) != 0)
        {
            continue;
        }

        ngx_queue_remove(q);
        origin->nidle--;

        c = conn->connection;

        conn->user = t;
        t->conn = conn;
        t->reused = 1;

        c->idle = 0;
        c->sent = 0;

        if (c->read->timer_set) {
            ngx_del_timer(c->read);
        }

        c->read->handler = ngx_http_sprox_http_read;
        c->write->handler = ngx_http_sprox_http_write;

        /* not now: the fetch is still in its start() */

        ngx_post_event(c->write, &ngx_posted_events);

        return NGX_OK;
    }

    return NGX_DECLINED;
}


static ngx_int_t
ngx_http_sprox_http_connect(ngx_http_sprox_try_t *t,
    ngx_http_sprox_host_t *host)
{
    ngx_int_t                rc;
    ngx_pool_t              *pool;
    ngx_connection_t        *c;
    ngx_http_sprox_addr_t   *addr;
    ngx_http_sprox_conn_t   *conn;
    ngx_http_sprox_fetch_t  *f;

    f = t->fetch;

    pool = ngx_create_pool(512, f->log);
    if (pool == NULL) {
        return NGX_ERROR;
    }

    conn = ngx_pcalloc(pool, sizeof(ngx_http_sprox_conn_t));
    if (conn == NULL) {
        ngx_destroy_pool(pool);
        return NGX_ERROR;
    }

    conn->origin = f->origin;
    conn->port = f->addr.endpoint.port;
    conn->host.len = t->host.len;
    conn->host.data = ngx_pnalloc(pool, t->host.len + 1);

    if (conn->host.data == NULL) {
        ngx_destroy_pool(pool);
        return NGX_ERROR;
    }

    ngx_cpystrn(conn->host.data, t->host.data, t->host.len + 1);

    addr = ngx_http_sprox_http_address(host);

    ngx_memcpy(&conn->sockaddr, &addr->sockaddr, addr->socklen);

    conn->peer.sockaddr = (struct sockaddr *) &conn->sockaddr;
    conn->peer.socklen = addr->socklen;
    conn->peer.name = &conn->host;
    conn->peer.get = ngx_event_get_peer;
    conn->peer.log = f->log;
    conn->peer.log_error = NGX_ERROR_ERR;

    rc = ngx_event_connect_peer(&conn->peer);

    if (rc == NGX_ERROR || rc == NGX_BUSY || rc == NGX_DECLINED) {

        if (conn->peer.connection) {
            ngx_close_connection(conn->peer.connection);
        }

        ngx_destroy_pool(pool);

        addr->failed = ngx_current_msec;
        f->failure = SPROX_ERR_BAD_GATEWAY;
        ngx_http_sprox_fetch_log(f, NGX_LOG_ERR, 0,
                                 "connecting to %V port %d failed, "
                                 "try %ui of %ui", &t->host,
                                 (int) f->addr.endpoint.port, f->tries,
                                 f->origin->retries + 1);
        return NGX_ERROR;
    }

    c = conn->peer.connection;

    c->pool = pool;
    c->data = conn;
    c->log = f->log;
    c->read->log = f->log;
    c->write->log = f->log;
    c->sendfile = 0;
    c->log_error = NGX_ERROR_INFO;

    conn->connection = c;
    conn->user = t;
    t->conn = conn;

    /* until the connection stands the address counts as failed */

    addr->failed = ngx_current_msec ? ngx_current_msec : 1;

    c->read->handler = ngx_http_sprox_http_connected;
    c->write->handler = ngx_http_sprox_http_connected;

    if (rc == NGX_AGAIN) {
        ngx_add_timer(c->write, f->origin->connect_timeout);

    } else {
        ngx_post_event(c->write, &ngx_posted_events);
    }

    return NGX_OK;
}


/* Round robin over the addresses that did not fail lately. */

static ngx_http_sprox_addr_t *
ngx_http_sprox_http_address(ngx_http_sprox_host_t *host)
{
    ngx_uint_t              i;
    ngx_http_sprox_addr_t  *addr;

    for (i = 0; i < host->naddrs; i++) {
        addr = &host->addrs[(host->next + i) % host->naddrs];

        if (addr->failed == 0
            || ngx_current_msec - addr->failed > NGX_HTTP_SPROX_ADDR_FAILED)
        {
            host->next = (host->next + i + 1) % host->naddrs;
            return addr;
        }
    }

    addr = &host->addrs[host->next % host->naddrs];
    host->next = (host->next + 1) % host->naddrs;

    return addr;
}


static void
ngx_http_sprox_http_connected(ngx_event_t *ev)
{
    ngx_connection_t       *c;
    ngx_http_sprox_try_t   *t;
    ngx_http_sprox_conn_t  *conn;

    c = ev->data;
    conn = c->data;
    t = conn->user;

    if (ev->timedout) {
        ngx_http_sprox_http_fail(t, SPROX_ERR_GATEWAY_TIMEOUT, NGX_ETIMEDOUT,
                                 "connecting to %V timed out", &conn->host);
        return;
    }

    if (ngx_http_sprox_http_test_connect(c) != NGX_OK) {
        ngx_http_sprox_http_fail(t, SPROX_ERR_BAD_GATEWAY, ngx_socket_errno,
                                 "connecting to %V failed", &conn->host);
        return;
    }

    if (c->write->timer_set) {
        ngx_del_timer(c->write);
    }

    ngx_http_sprox_http_good(conn);

    if (t->fetch->addr.endpoint.tls) {
        ngx_http_sprox_http_tls(t);
        return;
    }

    c->read->handler = ngx_http_sprox_http_read;
    c->write->handler = ngx_http_sprox_http_write;

    ngx_http_sprox_http_write(c->write);
}


/* The connection stands: its address no longer counts as failed. */

static void
ngx_http_sprox_http_good(ngx_http_sprox_conn_t *conn)
{
    ngx_uint_t              i;
    ngx_queue_t            *q;
    ngx_http_sprox_host_t  *host;

    for (q = ngx_queue_head(&conn->origin->hosts);
         q != ngx_queue_sentinel(&conn->origin->hosts);
         q = ngx_queue_next(q))
    {
        host = ngx_queue_data(q, ngx_http_sprox_host_t, queue);

        if (host->port != conn->port || host->host.len != conn->host.len
            || ngx_memcmp(host->host.data, conn->host.data, conn->host.len)
               != 0)
        {
            continue;
        }

        for (i = 0; i < host->naddrs; i++) {
            if (ngx_cmp_sockaddr((struct sockaddr *) &host->addrs[i].sockaddr,
                                 host->addrs[i].socklen, conn->peer.sockaddr,
                                 conn->peer.socklen, 1)
                == NGX_OK)
            {
                host->addrs[i].failed = 0;
            }
        }

        return;
    }
}


static ngx_int_t
ngx_http_sprox_http_test_connect(ngx_connection_t *c)
{
    int        err;
    socklen_t  len;

    err = 0;
    len = sizeof(int);

    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, (void *) &err, &len) == -1) {
        err = ngx_socket_errno;
    }

    if (err) {
        ngx_set_socket_errno(err);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void
ngx_http_sprox_http_tls(ngx_http_sprox_try_t *t)
{
    ngx_int_t                 rc;
    ngx_connection_t         *c;
    ngx_http_sprox_fetch_t   *f;

    f = t->fetch;
    c = t->conn->connection;

    if (ngx_ssl_create_connection(f->origin->ssl, c,
                                  NGX_SSL_BUFFER|NGX_SSL_CLIENT)
        != NGX_OK)
    {
        ngx_http_sprox_http_fail(t, SPROX_ERR_INTERNAL_ERROR, 0,
                                 "TLS could not be set up");
        return;
    }

    /* RFC 6066 section 3: no literal addresses in server_name */

    if (ngx_inet_addr(t->host.data, t->host.len) == INADDR_NONE
        && !f->addr.endpoint.ipv6)
    {
        /* NUL-terminated by the copy in the connection's pool */

        if (SSL_set_tlsext_host_name(c->ssl->connection,
                                     (char *) t->conn->host.data)
            == 0)
        {
            ngx_http_sprox_http_fail(t, SPROX_ERR_INTERNAL_ERROR, 0,
                                     "TLS server name could not be set");
            return;
        }
    }

    rc = ngx_ssl_handshake(c);

    if (rc == NGX_AGAIN) {
        ngx_add_timer(c->write, f->origin->connect_timeout);
        c->ssl->handler = ngx_http_sprox_http_handshaked;
        return;
    }

    ngx_http_sprox_http_handshaked(c);
}


static void
ngx_http_sprox_http_handshaked(ngx_connection_t *c)
{
    ngx_http_sprox_try_t   *t;
    ngx_http_sprox_conn_t  *conn;

    conn = c->data;
    t = conn->user;

    if (c->write->timer_set) {
        ngx_del_timer(c->write);
    }

    if (!c->ssl->handshaked) {

        if (c->write->timedout) {
            ngx_http_sprox_http_fail(t, SPROX_ERR_GATEWAY_TIMEOUT,
                                     NGX_ETIMEDOUT,
                                     "the TLS handshake timed out");
            return;
        }

        ngx_http_sprox_http_fail(t, SPROX_ERR_BAD_GATEWAY, 0,
                                 "the TLS handshake with %V failed",
                                 &conn->host);
        return;
    }

    if (t->fetch->origin->verify
        && ngx_http_sprox_http_verify(t) != NGX_OK)
    {
        return;
    }

    c->read->handler = ngx_http_sprox_http_read;
    c->write->handler = ngx_http_sprox_http_write;

    ngx_http_sprox_http_write(c->write);
}


static ngx_int_t
ngx_http_sprox_http_verify(ngx_http_sprox_try_t *t)
{
    int                      match;
    long                     rc;
    X509                    *cert;
    ngx_connection_t        *c;
    ngx_http_sprox_conn_t   *conn;
    ngx_http_sprox_fetch_t  *f;

    f = t->fetch;
    conn = t->conn;
    c = conn->connection;

    rc = SSL_get_verify_result(c->ssl->connection);

    if (rc != X509_V_OK) {
        ngx_http_sprox_http_fail(t, SPROX_ERR_BAD_GATEWAY, 0,
                          "the certificate of %V is not trusted (%l: %s); "
                          "see trusted_certificate of the origin",
                          &conn->host, rc, X509_verify_cert_error_string(rc));
        return NGX_ERROR;
    }

    if (ngx_inet_addr(t->host.data, t->host.len) == INADDR_NONE
        && !f->addr.endpoint.ipv6)
    {
        match = ngx_ssl_check_host(c, &conn->host) == NGX_OK;

    } else {
        cert = SSL_get_peer_certificate(c->ssl->connection);
        match = cert
                && X509_check_ip_asc(cert, (char *) conn->host.data, 0) == 1;
        X509_free(cert);
    }

    if (!match) {
        ngx_http_sprox_http_fail(t, SPROX_ERR_BAD_GATEWAY, 0,
                                 "the certificate does not name \"%V\"",
                                 &conn->host);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void
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


static void
ngx_http_sprox_http_dummy(ngx_event_t *ev)
{
    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, ev->log, 0, "sprox http dummy handler");
}


static void
ngx_http_sprox_http_read(ngx_event_t *ev)
{
    ngx_connection_t       *c;
    ngx_http_sprox_try_t   *t;
    ngx_http_sprox_conn_t  *conn;

    c = ev->data;
    conn = c->data;
    t = conn->user;

    if (ev->timedout) {
        ngx_http_sprox_http_fail(t, SPROX_ERR_GATEWAY_TIMEOUT, NGX_ETIMEDOUT,
                                 t->in_body ? "the body stalled"
                                            : "no answer came in time");
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
        ngx_http_sprox_http_read_body(t);
        return;

    default:  /* NGX_AGAIN: paused; NGX_ERROR: gone */
        return;
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
ngx_http_sprox_http_read_body(ngx_http_sprox_try_t *t)
{
    size_t                   size, total;
    ssize_t                  n;
    ngx_int_t                rc;
    ngx_connection_t        *c;

    c = t->conn->connection;

    if (t->paused) {
        return;
    }

    for (total = 0; total < NGX_HTTP_SPROX_RECV_TURN; total += n) {

        size = NGX_HTTP_SPROX_RECV_SIZE;

        if (t->left > 0) {
            size = ngx_min((off_t) size, t->left);
        }

        n = c->recv(c, ngx_http_sprox_recv_buf, size);

        if (n == NGX_AGAIN) {
            ngx_add_timer(c->read, t->fetch->origin->read_timeout);

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

        rc = ngx_http_sprox_http_body(t, ngx_http_sprox_recv_buf, n);

        if (rc == NGX_DONE) {
            ngx_http_sprox_http_end(t, NGX_OK);
            return;
        }

        if (rc != NGX_OK) {
            return;
        }
    }

    /* others' turn; the socket is read on without a new event */

    ngx_add_timer(c->read, t->fetch->origin->read_timeout);
    ngx_post_event(c->read, &ngx_posted_next_events);
}


/*
 * Bytes off the wire.  NGX_OK: more is expected; NGX_DONE: that was the
 * end of the body; NGX_AGAIN: paused by the owner; NGX_ERROR: the try is
 * gone.
 */

static ngx_int_t
ngx_http_sprox_http_body(ngx_http_sprox_try_t *t, u_char *p, size_t n)
{
    ngx_int_t                rc;
    ngx_connection_t        *c;
    ngx_http_sprox_fetch_t  *f;

    f = t->fetch;

    if (f->resp.chunked) {
        return ngx_http_sprox_http_chunks(t, p, n);
    }

    if (t->left > 0) {

        if ((off_t) n > t->left) {
            n = t->left;
            t->keep = 0;
        }

        t->left -= n;
    }

    rc = ngx_http_sprox_fetch_body(f, p, n);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (t->left == 0) {
        return NGX_DONE;
    }

    if (rc == NGX_AGAIN) {
        t->paused = 1;

        c = t->conn->connection;

        if (c->read->timer_set) {
            ngx_del_timer(c->read);
        }
    }

    return rc;
}


static ngx_int_t
ngx_http_sprox_http_chunks(ngx_http_sprox_try_t *t, u_char *p, size_t n)
{
    size_t                   size;
    ngx_int_t                rc;
    ngx_buf_t                b;
    ngx_connection_t        *c;
    ngx_http_sprox_fetch_t  *f;

    f = t->fetch;

    ngx_memzero(&b, sizeof(ngx_buf_t));

    b.pos = p;
    b.last = p + n;

    for ( ;; ) {

        rc = ngx_http_parse_chunked(t->parser, &b, &t->chunked);

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

        rc = ngx_http_sprox_fetch_body(f, p, size);

        if (rc == NGX_ERROR) {
            return NGX_ERROR;
        }

        if (rc == NGX_AGAIN) {
            t->paused = 1;

            c = t->conn->connection;

            if (c->read->timer_set) {
                ngx_del_timer(c->read);
            }

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


static void
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

    sprox_buf_wipe(&t->request);
    f->try = NULL;
}


/* Lets go of the try, keeps or closes its connection, tells the fetch. */

static void
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


static void ngx_cdecl
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

    ngx_http_sprox_fetch_log(f, NGX_LOG_ERR, err, "%*s, try %ui of %ui",
                             (size_t) (p - text), text, f->tries,
                             f->origin->retries + 1);

    ngx_http_sprox_http_end(t, NGX_ERROR);
}


static void
ngx_http_sprox_http_keep(ngx_http_sprox_conn_t *conn)
{
    ngx_queue_t              *q;
    ngx_connection_t         *c;
    ngx_http_sprox_origin_t  *origin;

    c = conn->connection;
    origin = conn->origin;

    if (origin->keepalive == 0 || ngx_terminate || ngx_exiting
        || c->read->eof || c->read->error || c->write->error
        || ngx_handle_read_event(c->read, 0) != NGX_OK)
    {
        ngx_http_sprox_http_disconnect(conn);
        return;
    }

    if (origin->nidle == origin->keepalive) {
        q = ngx_queue_last(&origin->idle);
        ngx_queue_remove(q);
        origin->nidle--;
        ngx_http_sprox_http_disconnect(ngx_queue_data(q,
                                              ngx_http_sprox_conn_t, queue));
    }

    if (c->read->posted) {
        ngx_delete_posted_event(c->read);
    }

    if (c->write->posted) {
        ngx_delete_posted_event(c->write);
    }

    if (c->write->timer_set) {
        ngx_del_timer(c->write);
    }

    conn->user = NULL;
    conn->requests++;

    c->idle = 1;
    c->read->handler = ngx_http_sprox_http_idle;
    c->write->handler = ngx_http_sprox_http_dummy;

    ngx_add_timer(c->read, NGX_HTTP_SPROX_IDLE_TIMEOUT);

    ngx_queue_insert_head(&origin->idle, &conn->queue);
    origin->nidle++;

    if (c->read->ready) {
        ngx_http_sprox_http_idle(c->read);
    }
}


/* A kept connection: closed by the origin, timed out, or wanted closed. */

static void
ngx_http_sprox_http_idle(ngx_event_t *ev)
{
    int                      n;
    char                     buf[1];
    ngx_connection_t        *c;
    ngx_http_sprox_conn_t   *conn;

    c = ev->data;
    conn = c->data;

    if (c->close || ev->timedout) {
        goto close;
    }

    n = recv(c->fd, buf, 1, MSG_PEEK);

    if (n == -1 && ngx_socket_errno == NGX_EAGAIN) {
        ev->ready = 0;

        if (ngx_handle_read_event(c->read, 0) != NGX_OK) {
            goto close;
        }

        return;
    }

    if (n > 0 && c->ssl) {

        /* session tickets and the like come at any time; data may not */

        if (c->recv(c, (u_char *) buf, 1) == NGX_AGAIN
            && ngx_handle_read_event(c->read, 0) == NGX_OK)
        {
            return;
        }
    }

close:

    ngx_queue_remove(&conn->queue);
    conn->origin->nidle--;

    ngx_http_sprox_http_disconnect(conn);
}


static void
ngx_http_sprox_http_disconnect(ngx_http_sprox_conn_t *conn)
{
    ngx_pool_t        *pool;
    ngx_connection_t  *c;

    c = conn->connection;

    if (c->ssl) {
        c->ssl->no_wait_shutdown = 1;
        c->ssl->no_send_shutdown = 1;
        (void) ngx_ssl_shutdown(c);
    }

    pool = c->pool;
    ngx_close_connection(c);
    ngx_destroy_pool(pool);
}
