/*
 * Events: what stores tell of their objects, by whichever way it comes,
 * applied to the catalog, and the objects that must be asked for.
 *
 *   _events.c        a message's events: applied, checked, counted
 *   _events_post.c   POST: the admin location's `events`
 *   _events_sns.c    what SNS signed, and its handshake
 *   _events_queue.c  queues, polled
 *   _conf_events.c   sprox_events
 */

#ifndef _NGX_HTTP_SPROX_EVENTS_H_INCLUDED_
#define _NGX_HTTP_SPROX_EVENTS_H_INCLUDED_


#include "ngx_http_sprox.h"
#include "sprox_event.h"


/* What became of an event. */

typedef enum {
    NGX_HTTP_SPROX_EVENT_APPLIED = 0,
    NGX_HTTP_SPROX_EVENT_KNOWN,        /* it told nothing new */
    NGX_HTTP_SPROX_EVENT_CHECKED,      /* the store was asked */
    NGX_HTTP_SPROX_EVENT_IGNORED,      /* of nothing that is served here */
    NGX_HTTP_SPROX_EVENT_FAILED,       /* the store could not be asked */
    NGX_HTTP_SPROX_EVENT_BAD,          /* a message that was refused */
    NGX_HTTP_SPROX_EVENT_RESULTS
} ngx_http_sprox_event_result_e;


/* An SNS topic that is listened to: sprox_events arn:... */

typedef struct {
    ngx_str_t                   arn;
    ngx_http_sprox_origin_t    *origin;
    ngx_str_t                   file;
    ngx_uint_t                  line;
    ngx_str_t                   origin_name;
    ngx_str_t                   trusted_certificate;
    ngx_uint_t                  good;      /* of this worker: one of its
                                              messages was signed */
} ngx_http_sprox_topic_t;


typedef struct ngx_http_sprox_queue_s  ngx_http_sprox_queue_t;


/*
 * A message's events on their way into the catalog.  Zeroed by its owner at
 * first; pool, doc and origin must stay until it is over.
 */

typedef struct {
    ngx_pool_t                 *pool;
    const sprox_event_doc_t    *doc;
    ngx_http_sprox_origin_t    *origin;  /* whose; NULL: of each that some
                                            alias leads to */
    void                      (*done)(void *data);
    void                       *data;

    /* how many became what */
    ngx_uint_t                  n[NGX_HTTP_SPROX_EVENT_RESULTS];

    /* private */
    int64_t                     when;
    size_t                      next;    /* of doc->events */
    ngx_queue_t                 line;    /* waits to be applied */
    ngx_queue_t                 checks;
    void                       *spare;   /* a check that was not needed */
    ngx_event_t                 event;
    unsigned                    waiting:1;
    unsigned                    quiet:1; /* no message: it is not counted */
} ngx_http_sprox_events_t;


/*
 * Applies a few at once, and many in steps.  NGX_OK: that was all; NGX_AGAIN:
 * done(data) will be called, from the event loop, when all are applied and
 * the store was asked for what needs it; NGX_ERROR: memory, and a part may
 * have been applied: nothing is called.
 */
ngx_int_t ngx_http_sprox_events_apply(ngx_http_sprox_events_t *events);

/* done() will not be called; what is in doubt stays so. */
void ngx_http_sprox_events_cancel(ngx_http_sprox_events_t *events);

/*
 * An object is in doubt, since an event that could not be settled, and that
 * keeps others from what they want: the store is asked for it, soon and once
 * at a time.
 */
void ngx_http_sprox_events_recheck(ngx_http_sprox_origin_t *origin,
    sprox_str_t bucket, sprox_str_t key);

/* A worker begins: after all that events need. */
ngx_int_t ngx_http_sprox_events_start(ngx_cycle_t *cycle,
    ngx_http_sprox_main_conf_t *mcf);


/*
 * _events_post.c: whether the request may be one of SNS, which is looked at
 * without a token.
 */
ngx_uint_t ngx_http_sprox_events_signed(ngx_http_request_t *r);

/*
 * _events_post.c: POST of a message, by whoever may.  authorized: the
 * request has proved that it may; without that, SNS's signature must.
 */
ngx_int_t ngx_http_sprox_events_handler(ngx_http_request_t *r,
    ngx_uint_t authorized);


/* _conf_events.c */

char *ngx_http_sprox_set_events(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* When origins and aliases are known. */
ngx_int_t ngx_http_sprox_conf_events(ngx_conf_t *cf,
    ngx_http_sprox_main_conf_t *mcf);


#endif /* _NGX_HTTP_SPROX_EVENTS_H_INCLUDED_ */
