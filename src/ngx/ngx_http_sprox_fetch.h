/*
 * The fetch: a request to an origin that needs no client and can outlive
 * one.  Everything that is read from an origin is read by a fetch.
 *
 * It resolves, connects, signs, retries with back-off, follows a bucket to
 * its region, checks the framing of the answer, and hands header and body to
 * its owner.  A transport does the bytes: HTTP (ngx_http_sprox_http.c) or
 * the file store (ngx_http_sprox_file.c).
 */

#ifndef _NGX_HTTP_SPROX_FETCH_H_INCLUDED_
#define _NGX_HTTP_SPROX_FETCH_H_INCLUDED_


#include "ngx_http_sprox.h"


/*
 * The owner's callbacks.  They are called from the event loop, never from
 * within start(), resume() or cancel().  Any of them may call cancel(), and
 * none may call it twice.
 *
 * header: the answer of the last try, for status 2xx and 304: f->resp holds.
 *     NGX_OK: go on.  Anything else: the owner has called cancel().
 * body: n bytes of the body, which hold during the call.  NGX_OK: go on;
 *     NGX_AGAIN: they were taken, but send no more until resume(); NGX_DONE:
 *     the body is at its end for the owner; NGX_ERROR: the owner has called
 *     cancel().
 * done: the end; the fetch is freed when done returns (the owner must not
 *     call cancel() in or after it).  rc:
 *     NGX_OK        the body came whole, as long as its header said;
 *     NGX_DECLINED  the origin answered with an error: f->resp.status, and
 *                   f->error when it sent an S3 error document;
 *     NGX_ERROR     no (whole) answer: f->failure says which S3 error stands
 *                   for it, and the log line was written (for those that
 *                   limits refuse, there is one for many).  May come after
 *                   header() and a part of the body.
 */

typedef struct {
    ngx_int_t  (*header)(ngx_http_sprox_fetch_t *f);
    ngx_int_t  (*body)(ngx_http_sprox_fetch_t *f, u_char *p, size_t n);
    void       (*done)(ngx_http_sprox_fetch_t *f, ngx_int_t rc);
} ngx_http_sprox_fetch_handler_t;


/*
 * A transport.  start: one try; returns at once (NGX_OK; NGX_ERROR: could
 * not even begin, nothing will be called).  It then calls, from the event
 * loop, ngx_http_sprox_fetch_header(), _body() and _end().  resume: the
 * body may flow again.  close: give up the try and forget the fetch.  hurry:
 * f->ahead is no more; NULL: it makes no difference.
 */

typedef struct {
    ngx_int_t  (*start)(ngx_http_sprox_fetch_t *f);
    void       (*resume)(ngx_http_sprox_fetch_t *f);
    void       (*close)(ngx_http_sprox_fetch_t *f);
    void       (*hurry)(ngx_http_sprox_fetch_t *f);
} ngx_http_sprox_transport_t;


struct ngx_http_sprox_fetch_s {
    ngx_pool_t                            *pool;      /* its own */
    sprox_mem_t                            mem;       /* of that pool */
    ngx_log_t                             *log;
    ngx_http_sprox_origin_t               *origin;
    sprox_origin_addr_t                    addr;      /* of this try */
    sprox_origin_req_t                     req;       /* strings: in the pool */

    const ngx_http_sprox_fetch_handler_t  *handler;
    void                                  *data;      /* the owner's */

    /* NULL, or asked before bytes of the body are read: NGX_OK; NGX_AGAIN:
       not before resume(); it may not call cancel() */
    ngx_int_t                            (*ready)(ngx_http_sprox_fetch_t *f);

    int64_t                                sent;      /* ms: when the try that
                                                         answered was sent */
    sprox_origin_resp_t                    resp;
    sprox_error_t                          error;     /* code empty: none */
    sprox_error_code_t                     failure;
    ngx_str_t                              why;       /* quiet: the last
                                                         line, without the
                                                         names; in pool */
    unsigned                               ahead:1;   /* nobody waits for it
                                                         yet: others first */
    unsigned                               quiet:1;   /* its owner says what
                                                         fails, and when */

    /* the transport's */
    unsigned                               final:1;   /* no other try helps */
    unsigned                               refused:1; /* nothing was sent, by
                                                         our own decision */
    unsigned                               blameless:1;  /* it was not the
                                                            origin's fault */

    /* private to _fetch.c */
    const ngx_http_sprox_transport_t      *transport;
    void                                  *try;       /* the transport's */
    sprox_buf_t                            error_body;
    ngx_event_t                            event;     /* begin, or try again */
    ngx_uint_t                             tries;
    ngx_uint_t                             stale_tries;
    ngx_uint_t                             redirects;
    unsigned                               header_sent:1;  /* owner saw it */
    unsigned                               reading_error:1;
    unsigned                               running:1; /* the transport is on */
    unsigned                               judged:1;  /* the try was counted */
    unsigned                               probing:1; /* see _circuit.h */
    unsigned                               canceled:1;
    unsigned                               in_callback:1;
};


/*
 * A new fetch with a pool of its own, or NULL.  The caller fills in req
 * (copying strings into f->pool), handler and data, then starts it.
 */
ngx_http_sprox_fetch_t *ngx_http_sprox_fetch_create(
    ngx_http_sprox_origin_t *origin, ngx_log_t *log);

/* Begins; done() will be called, unless the owner cancels. */
void ngx_http_sprox_fetch_start(ngx_http_sprox_fetch_t *f);

/* After body() or f->ready() returned NGX_AGAIN. */
void ngx_http_sprox_fetch_resume(ngx_http_sprox_fetch_t *f);

/* Somebody waits for what was read ahead. */
void ngx_http_sprox_fetch_hurry(ngx_http_sprox_fetch_t *f);

/* Nothing will be called any more; the fetch is gone for its owner. */
void ngx_http_sprox_fetch_cancel(ngx_http_sprox_fetch_t *f);


/*
 * For transports.  ready: as f->ready.  header: f->resp is filled in; body as above; both return
 * NGX_OK, NGX_AGAIN (body only: pause), NGX_DONE (body only: this much of a
 * body is enough, end the try as if it had come whole) or NGX_ERROR: the try
 * was closed, touch nothing of it.  end: NGX_OK: the answer is complete;
 * NGX_ERROR: it failed, with f->failure set and the line logged;
 * NGX_DECLINED: a kept connection was found closed before anything came
 * back, try again at once.  The transport must have let go of the try before
 * it calls end.
 */
ngx_int_t ngx_http_sprox_fetch_header(ngx_http_sprox_fetch_t *f);
ngx_int_t ngx_http_sprox_fetch_ready(ngx_http_sprox_fetch_t *f);
ngx_int_t ngx_http_sprox_fetch_body(ngx_http_sprox_fetch_t *f, u_char *p,
    size_t n);
void ngx_http_sprox_fetch_end(ngx_http_sprox_fetch_t *f, ngx_int_t rc);

/*
 * One log line about a fetch: origin, operation, bucket and key (escaped),
 * then the text.  err: an errno, or 0.
 */
void ngx_cdecl ngx_http_sprox_fetch_log(ngx_http_sprox_fetch_t *f,
    ngx_uint_t level, ngx_err_t err, const char *fmt, ...);


extern const ngx_http_sprox_transport_t  ngx_http_sprox_http_transport;
extern const ngx_http_sprox_transport_t  ngx_http_sprox_file_transport;


#endif /* _NGX_HTTP_SPROX_FETCH_H_INCLUDED_ */
