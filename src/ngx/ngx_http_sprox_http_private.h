/*
 * The HTTP transport of fetches, shared by its files: ngx_http_sprox_http.c
 * (a try from start to end, the response header), _http_room.c (who may have
 * a connection), _http_conn.c (connections, keep-alive), _http_tls.c (TLS),
 * _http_body.c (the body).
 */

#ifndef _NGX_HTTP_SPROX_HTTP_PRIVATE_H_INCLUDED_
#define _NGX_HTTP_SPROX_HTTP_PRIVATE_H_INCLUDED_


#include "ngx_http_sprox_fetch.h"
#include "ngx_http_sprox_resolve.h"


/* One buffer a worker: what is read from a socket at once. */
#define NGX_HTTP_SPROX_RECV_SIZE      (128 * 1024)


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
    ngx_queue_t                queue;       /* in a line of the origin's */
    ngx_event_t                turn;        /* it has come, or waiting for it
                                               took too long */
    ngx_uint_t                 passed;      /* over, by those behind */
    sprox_buf_t                request;
    size_t                     sent;
    ngx_buf_t                 *header;
    ngx_buf_t                  rest;        /* chunked bytes kept by a pause */
    ngx_http_request_t        *parser;      /* state of nginx's parsers only */
    ngx_http_status_t          status;
    ngx_http_chunked_t         chunked;
    off_t                      left;        /* of the body; -1: until close */
    size_t                     framing;     /* since the last byte of the body,
                                               in chunks' lines, trailers */
    unsigned                   waiting:1;   /* in the line */
    unsigned                   room:1;      /* for a connection to be made */
    unsigned                   status_read:1;
    unsigned                   in_body:1;
    unsigned                   moved:1;     /* since the time-out was set */
    unsigned                   paused:1;
    unsigned                   reused:1;
    unsigned                   answered:1;  /* a byte came back */
    unsigned                   keep:1;
};


/* _http_room.c */

/*
 * NGX_OK: a kept connection to the try's host (t->conn), or room for a new
 * one (t->room); NGX_AGAIN: its turn will come, or it ends.
 */
ngx_int_t ngx_http_sprox_http_admit(ngx_http_sprox_try_t *t);

/* Out of the line; room that was not used is given back. */
void ngx_http_sprox_http_leave(ngx_http_sprox_try_t *t);

/* The transport's hurry(). */
void ngx_http_sprox_http_hurry(ngx_http_sprox_fetch_t *f);

/* A connection is gone: there is room for the next in the line. */
void ngx_http_sprox_http_freed(ngx_http_sprox_origin_t *origin);

/* A connection was used: NGX_OK: it is lent to one in the line. */
ngx_int_t ngx_http_sprox_http_pass_on(ngx_http_sprox_conn_t *conn);

/* Want of connections is logged once a second: whether it may be now. */
ngx_uint_t ngx_http_sprox_http_tell(ngx_http_sprox_origin_t *origin);


/* _http_conn.c */

/*
 * A kept connection to the try's host, the one used last: t->conn.  NGX_OK
 * or NGX_DECLINED.
 */
ngx_int_t ngx_http_sprox_http_reuse(ngx_http_sprox_try_t *t);

/* The try's from now on; what was sent or came before is no concern of it. */
void ngx_http_sprox_http_lend(ngx_http_sprox_conn_t *conn,
    ngx_http_sprox_try_t *t);

/* The kept connection that was not used for the longest time is closed. */
void ngx_http_sprox_http_discard(ngx_http_sprox_origin_t *origin);

/* Whether a kept connection to that host is one. */
ngx_uint_t ngx_http_sprox_http_fits(ngx_http_sprox_conn_t *conn,
    ngx_http_sprox_try_t *t);

/*
 * A new connection to one of the addresses, in t->room; when it stands (and
 * TLS is agreed on and verified) the request is sent.  NGX_OK, or NGX_ERROR
 * with the fetch's failure set and the line logged.
 */
ngx_int_t ngx_http_sprox_http_connect(ngx_http_sprox_try_t *t,
    ngx_http_sprox_host_t *host);

/* The connection is passed on, waits for its next use, or is closed. */
void ngx_http_sprox_http_keep(ngx_http_sprox_conn_t *conn);

void ngx_http_sprox_http_disconnect(ngx_http_sprox_conn_t *conn);


/* _http_tls.c */

/* TLS over a connection that stands; then the request is sent. */
void ngx_http_sprox_http_tls(ngx_http_sprox_try_t *t);


/* _http_body.c */

/* Reads from the socket until there is no more, or the owner pauses. */
void ngx_http_sprox_http_read_body(ngx_http_sprox_try_t *t);

/*
 * Bytes off the wire.  NGX_OK: more is expected; NGX_DONE: that was the
 * end of the body; NGX_AGAIN: paused by the owner; NGX_ERROR: the try is
 * gone.
 */
ngx_int_t ngx_http_sprox_http_body(ngx_http_sprox_try_t *t, u_char *p,
    size_t n);

/* The transport's resume(). */
void ngx_http_sprox_http_resume(ngx_http_sprox_fetch_t *f);


/* _http.c */

/*
 * With a connection or room: the request is made and sent.  NGX_OK, or
 * NGX_ERROR as of the transport's start().
 */
ngx_int_t ngx_http_sprox_http_begin(ngx_http_sprox_try_t *t);

/* Handlers of the connection's events while a try uses it. */
void ngx_http_sprox_http_write(ngx_event_t *ev);
void ngx_http_sprox_http_read(ngx_event_t *ev);
void ngx_http_sprox_http_dummy(ngx_event_t *ev);

/* Lets go of the try, keeps or closes its connection, tells the fetch. */
void ngx_http_sprox_http_end(ngx_http_sprox_try_t *t, ngx_int_t rc);

/* Logs what failed, and ends the try. */
void ngx_cdecl ngx_http_sprox_http_fail(ngx_http_sprox_try_t *t,
    sprox_error_code_t failure, ngx_err_t err, const char *fmt, ...);

/* The buffer of this worker; NULL: memory. */
u_char *ngx_http_sprox_http_buffer(ngx_log_t *log);


#endif /* _NGX_HTTP_SPROX_HTTP_PRIVATE_H_INCLUDED_ */
