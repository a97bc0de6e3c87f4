
/*
 * Connections of the HTTP transport: made, lent to tries, kept between them.
 */

#include "ngx_http_sprox_http_private.h"


/* A kept connection is closed after this time without use, in ms. */
#define NGX_HTTP_SPROX_IDLE_TIMEOUT   60000

/* An address that failed is passed over for this time, in ms. */
#define NGX_HTTP_SPROX_ADDR_FAILED    10000


static ngx_uint_t ngx_http_sprox_http_spoilt(ngx_connection_t *c);
static void ngx_http_sprox_http_want(ngx_http_sprox_try_t *t, ngx_err_t err);
static ngx_http_sprox_addr_t *ngx_http_sprox_http_address(
    ngx_http_sprox_host_t *host);
static void ngx_http_sprox_http_connected(ngx_event_t *ev);
static void ngx_http_sprox_http_good(ngx_http_sprox_conn_t *conn);
static ngx_int_t ngx_http_sprox_http_test_connect(ngx_connection_t *c);
static void ngx_http_sprox_http_idle(ngx_event_t *ev);


/* A kept connection to the same host, the one used last. */

ngx_int_t
ngx_http_sprox_http_reuse(ngx_http_sprox_try_t *t)
{
    ngx_queue_t              *q, *next;
    ngx_http_sprox_conn_t    *conn;
    ngx_http_sprox_origin_t  *origin;

    origin = t->fetch->origin;

    for (q = ngx_queue_head(&origin->idle);
         q != ngx_queue_sentinel(&origin->idle);
         q = next)
    {
        next = ngx_queue_next(q);
        conn = ngx_queue_data(q, ngx_http_sprox_conn_t, queue);

        if (!ngx_http_sprox_http_fits(conn, t)) {
            continue;
        }

        ngx_queue_remove(q);
        origin->nidle--;

        if (ngx_http_sprox_http_spoilt(conn->connection)) {
            ngx_http_sprox_http_disconnect(conn);
            continue;
        }

        ngx_http_sprox_http_lend(conn, t);

        return NGX_OK;
    }

    return NGX_DECLINED;
}


ngx_uint_t
ngx_http_sprox_http_fits(ngx_http_sprox_conn_t *conn, ngx_http_sprox_try_t *t)
{
    return conn->port == t->fetch->addr.endpoint.port
           && conn->host.len == t->host.len
           && ngx_memcmp(conn->host.data, t->host.data, t->host.len) == 0;
}


void
ngx_http_sprox_http_lend(ngx_http_sprox_conn_t *conn, ngx_http_sprox_try_t *t)
{
    ngx_connection_t  *c;

    c = conn->connection;

    conn->user = t;
    t->conn = conn;
    t->reused = 1;

    c->idle = 0;
    c->sent = 0;

    if (c->read->timer_set) {
        ngx_del_timer(c->read);
    }

    /* until the request is made */

    c->read->handler = ngx_http_sprox_http_dummy;
    c->write->handler = ngx_http_sprox_http_dummy;
}


void
ngx_http_sprox_http_discard(ngx_http_sprox_origin_t *origin)
{
    ngx_queue_t  *q;

    q = ngx_queue_last(&origin->idle);
    ngx_queue_remove(q);
    origin->nidle--;

    ngx_http_sprox_http_disconnect(ngx_queue_data(q, ngx_http_sprox_conn_t,
                                                  queue));
}


/*
 * Bytes that came after an answer are no answer to what is asked next; nor
 * can a connection be used that the origin has closed.  Its event may not
 * have been handled yet.
 */

static ngx_uint_t
ngx_http_sprox_http_spoilt(ngx_connection_t *c)
{
    char  buf[1];

    /* TLS: session tickets and the like come at any time */

    return c->ssl == NULL
           && (recv(c->fd, buf, 1, MSG_PEEK) != -1
               || ngx_socket_errno != NGX_EAGAIN);
}


ngx_int_t
ngx_http_sprox_http_connect(ngx_http_sprox_try_t *t,
    ngx_http_sprox_host_t *host)
{
    ngx_int_t                rc;
    ngx_err_t                err;
    ngx_log_t                quiet;
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
    conn->peer.log_error = NGX_ERROR_ERR;

    if (ngx_cycle->free_connection_n == 0 && f->origin->nidle) {
        ngx_http_sprox_http_discard(f->origin);
    }

    /* nginx's own lines are alerts, one for each try: ours say as much */

    quiet = *f->log;
    quiet.log_level = NGX_LOG_EMERG;
    conn->peer.log = &quiet;

    ngx_set_socket_errno(0);

    rc = ngx_event_connect_peer(&conn->peer);
    err = ngx_socket_errno;

    conn->peer.log = f->log;

    if (rc == NGX_ERROR || rc == NGX_BUSY || rc == NGX_DECLINED) {

        if (conn->peer.connection) {
            ngx_close_connection(conn->peer.connection);
        }

        ngx_destroy_pool(pool);

        if (rc == NGX_DECLINED) {
            addr->failed = ngx_current_msec ? ngx_current_msec : 1;
            f->failure = SPROX_ERR_BAD_GATEWAY;
            ngx_http_sprox_fetch_log(f, NGX_LOG_ERR, err,
                                     "connecting to %V port %d failed, "
                                     "try %ui of %ui", &t->host,
                                     (int) f->addr.endpoint.port, f->tries,
                                     f->origin->retries + 1);
        } else {
            ngx_http_sprox_http_want(t, err);
        }

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
    t->room = 0;

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


/* No connection or no descriptor was free in this worker. */

static void
ngx_http_sprox_http_want(ngx_http_sprox_try_t *t, ngx_err_t err)
{
    ngx_http_sprox_fetch_t  *f;

    f = t->fetch;

    f->failure = SPROX_ERR_SLOW_DOWN;
    f->refused = 1;

    if (ngx_http_sprox_http_tell(f->origin)) {
        ngx_http_sprox_fetch_log(f, NGX_LOG_ERR, err,
                                 "this worker has no connection left: see "
                                 "worker_connections (%ui) and "
                                 "worker_rlimit_nofile, try %ui of %ui",
                                 ngx_cycle->connection_n, f->tries,
                                 f->origin->retries + 1);
    }
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

    if (c->close) {
        ngx_http_sprox_http_fail(t, SPROX_ERR_SERVICE_UNAVAILABLE, 0,
                                 "the worker has to end");
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


void
ngx_http_sprox_http_keep(ngx_http_sprox_conn_t *conn)
{
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

    if (origin->nwaiting) {
        if (ngx_http_sprox_http_spoilt(c)
            || ngx_http_sprox_http_pass_on(conn) != NGX_OK)
        {
            ngx_http_sprox_http_disconnect(conn);
        }

        return;
    }

    if (origin->nidle == origin->keepalive) {
        ngx_http_sprox_http_discard(origin);
    }

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
    char                     buf[1];
    ssize_t                  n;
    ngx_connection_t        *c;
    ngx_http_sprox_conn_t   *conn;

    c = ev->data;
    conn = c->data;

    if (c->close || ev->timedout) {
        goto close;
    }

    if (c->ssl) {

        /*
         * Session tickets and the like come at any time; data may not.  It
         * may wait in the buffers of TLS, where the socket shows nothing.
         */

        n = c->recv(c, (u_char *) buf, 1);

    } else {
        n = recv(c->fd, buf, 1, MSG_PEEK);

        if (n == -1 && ngx_socket_errno == NGX_EAGAIN) {
            ev->ready = 0;
            n = NGX_AGAIN;
        }
    }

    if (n == NGX_AGAIN && ngx_handle_read_event(c->read, 0) == NGX_OK) {
        return;
    }

close:

    ngx_queue_remove(&conn->queue);
    conn->origin->nidle--;

    ngx_http_sprox_http_disconnect(conn);
}


void
ngx_http_sprox_http_disconnect(ngx_http_sprox_conn_t *conn)
{
    ngx_pool_t               *pool;
    ngx_connection_t         *c;
    ngx_http_sprox_origin_t  *origin;

    c = conn->connection;
    origin = conn->origin;

    if (c->ssl) {
        c->ssl->no_wait_shutdown = 1;
        c->ssl->no_send_shutdown = 1;
        (void) ngx_ssl_shutdown(c);
    }

    pool = c->pool;
    ngx_close_connection(c);
    ngx_destroy_pool(pool);

    ngx_http_sprox_http_freed(origin);
}
