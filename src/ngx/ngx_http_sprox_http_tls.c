
/*
 * TLS of the HTTP transport: agreed on, verified, and resumed.
 *
 *   connected -> [session of this host] -> handshake -> verify -> request
 *                        ^                                 |
 *                        +---- a new session, verified ----+
 *
 * A session saves the next connection to its host a round trip and the
 * server's signature.  It carries the verdict on the certificate with it, so
 * only one that was verified is kept, and host names are compared again each
 * time.  Sessions are of one worker and one origin; the least recently made
 * goes first.
 */

#include "ngx_http_sprox_http_private.h"


#define NGX_HTTP_SPROX_SESSIONS_MAX   64     /* of one origin in a worker */


typedef struct {
    ngx_queue_t         queue;               /* in origin->sessions */
    ngx_ssl_session_t  *session;
    in_port_t           port;
    ngx_str_t           host;
} ngx_http_sprox_session_t;


static void ngx_http_sprox_http_handshaked(ngx_connection_t *c);
static ngx_int_t ngx_http_sprox_http_verify(ngx_http_sprox_try_t *t);
static void ngx_http_sprox_tls_resume(ngx_http_sprox_conn_t *conn);
static void ngx_http_sprox_tls_save(ngx_connection_t *c);
static ngx_http_sprox_session_t *ngx_http_sprox_tls_session(
    ngx_http_sprox_conn_t *conn);
static void ngx_http_sprox_tls_forget(ngx_http_sprox_session_t *s);


void
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

    ngx_http_sprox_tls_resume(t->conn);

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

    /* TLS 1.2 made the session before it could be verified */

    ngx_http_sprox_tls_save(c);

    c->read->handler = ngx_http_sprox_http_read;
    c->write->handler = ngx_http_sprox_http_write;

    ngx_http_sprox_http_write(c->write);
}


/*
 * Whoever shows a certificate that does not hold will show it again; but
 * perhaps only for this name, which may be one that a client chose.
 */

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
        f->final = 1;
        f->blameless = 1;
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
        f->final = 1;
        f->blameless = 1;
        ngx_http_sprox_http_fail(t, SPROX_ERR_BAD_GATEWAY, 0,
                                 "the certificate does not name \"%V\"",
                                 &conn->host);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* The session of the connection's host, or NULL. */

static ngx_http_sprox_session_t *
ngx_http_sprox_tls_session(ngx_http_sprox_conn_t *conn)
{
    ngx_queue_t               *q, *sessions;
    ngx_http_sprox_session_t  *s;

    sessions = &conn->origin->sessions;

    for (q = ngx_queue_head(sessions);
         q != ngx_queue_sentinel(sessions);
         q = ngx_queue_next(q))
    {
        s = ngx_queue_data(q, ngx_http_sprox_session_t, queue);

        if (s->port == conn->port && s->host.len == conn->host.len
            && ngx_memcmp(s->host.data, conn->host.data, s->host.len) == 0)
        {
            return s;
        }
    }

    return NULL;
}


static void
ngx_http_sprox_tls_forget(ngx_http_sprox_session_t *s)
{
    ngx_queue_remove(&s->queue);
    ngx_ssl_free_session(s->session);
    ngx_free(s);
}


static void
ngx_http_sprox_tls_resume(ngx_http_sprox_conn_t *conn)
{
    ngx_connection_t          *c;
    ngx_http_sprox_session_t  *s;

    c = conn->connection;
    s = ngx_http_sprox_tls_session(conn);

    if (s && ngx_ssl_set_session(c, s->session) != NGX_OK) {
        ngx_http_sprox_tls_forget(s);
    }

    c->ssl->save_session = ngx_http_sprox_tls_save;
}


/*
 * A new session: at the end of the handshake, and in TLS 1.3 whenever the
 * server sends a ticket.
 */

static void
ngx_http_sprox_tls_save(ngx_connection_t *c)
{
    ngx_queue_t               *q;
    ngx_uint_t                 n;
    ngx_ssl_session_t         *session;
    ngx_http_sprox_conn_t     *conn;
    ngx_http_sprox_session_t  *s;

    conn = c->data;

    if (!c->ssl->handshaked
        || (conn->origin->verify
            && SSL_get_verify_result(c->ssl->connection) != X509_V_OK))
    {
        return;
    }

    session = ngx_ssl_get_session(c);
    if (session == NULL) {
        return;
    }

    /* in TLS 1.3 there is none before the ticket */

    if (!SSL_SESSION_is_resumable(session)) {
        ngx_ssl_free_session(session);
        return;
    }

    s = ngx_http_sprox_tls_session(conn);
    if (s) {
        ngx_http_sprox_tls_forget(s);
    }

    s = ngx_alloc(sizeof(ngx_http_sprox_session_t) + conn->host.len, c->log);
    if (s == NULL) {
        ngx_ssl_free_session(session);
        return;
    }

    s->session = session;
    s->port = conn->port;
    s->host.len = conn->host.len;
    s->host.data = (u_char *) s + sizeof(ngx_http_sprox_session_t);
    ngx_memcpy(s->host.data, conn->host.data, s->host.len);

    ngx_queue_insert_head(&conn->origin->sessions, &s->queue);

    n = 0;

    for (q = ngx_queue_head(&conn->origin->sessions);
         q != ngx_queue_sentinel(&conn->origin->sessions);
         q = ngx_queue_next(q))
    {
        n++;
    }

    if (n > NGX_HTTP_SPROX_SESSIONS_MAX) {
        q = ngx_queue_last(&conn->origin->sessions);
        ngx_http_sprox_tls_forget(ngx_queue_data(q, ngx_http_sprox_session_t,
                                                 queue));
    }
}
