/*
 * Events, between their files: SNS for those who post, queues for the start
 * of a worker.
 */

#ifndef _NGX_HTTP_SPROX_EVENTS_PRIVATE_H_INCLUDED_
#define _NGX_HTTP_SPROX_EVENTS_PRIVATE_H_INCLUDED_


#include "ngx_http_sprox_events.h"
#include "ngx_http_sprox_fetch.h"
#include "ngx_http_sprox_flight.h"
#include "sprox_sqs.h"


/*
 * A message of SNS that is looked at: whether its signature is good and, of
 * one that asks for it, the confirmation of the subscription.  Zeroed by its
 * owner at first; sns must stay until it is over.
 */

typedef struct {
    const sprox_sns_t          *sns;
    ngx_http_sprox_topic_t     *topic;     /* out: whose it is */
    const char                 *why;       /* out: not NGX_OK */
    void                      (*done)(void *data, ngx_int_t rc);
    void                       *data;

    /* private */
    ngx_queue_t                 queue;     /* waits for a certificate */
    ngx_http_sprox_fetch_t     *fetch;     /* the confirmation */
    ngx_int_t                   rc;
    unsigned                    waiting:1;
} ngx_http_sprox_sns_t;


/*
 * _events_sns.c: NGX_OK: it is good; NGX_DECLINED: it is not; NGX_ERROR: it
 * cannot be known now; NGX_AGAIN: done(data, one of those) will be called,
 * from the event loop.
 */
ngx_int_t ngx_http_sprox_sns_check(ngx_http_sprox_sns_t *s);

/* The topic that is listened to, or NULL. */
ngx_http_sprox_topic_t *ngx_http_sprox_sns_topic(sprox_str_t arn);

void ngx_http_sprox_sns_cancel(ngx_http_sprox_sns_t *s);
void ngx_http_sprox_sns_init(void);


/* A queue that is polled: sprox_events sqs://...; of this worker. */

struct ngx_http_sprox_queue_s {
    ngx_http_sprox_origin_t    *origin;    /* to ask */
    ngx_http_sprox_origin_t    *store;     /* whose events it has */
    ngx_str_t                   url;
    ngx_str_t                   path;

    /* how it was written */
    ngx_str_t                   file;
    ngx_uint_t                  line;
    ngx_str_t                   authority;
    ngx_str_t                   region;
    ngx_str_t                   origin_name;
    ngx_str_t                   trusted_certificate;
    ngx_uint_t                  tls;

    /* at run time */
    ngx_http_sprox_flight_t     claim;     /* of the one that polls */
    ngx_event_t                 tick;
    ngx_event_t                 event;     /* the next round */
    ngx_event_t                 turn;      /* the next message */
    ngx_http_sprox_fetch_t     *fetch;     /* messages are asked for */
    sprox_sqs_t                *parser;
    ngx_pool_t                 *pool;      /* of the round */
    ngx_array_t                 messages;  /* of .._message_t *; in pool */
    ngx_uint_t                  next;      /* message to be read */
    ngx_uint_t                  left;      /* messages that are under way */
    ngx_msec_t                  asked;
    ngx_uint_t                  errors;    /* rounds that failed, in a row */
    unsigned                    own:1;
    unsigned                    failing:1; /* was logged */
    unsigned                    failed:1;  /* something of this round */
};


/* _events_queue.c: a worker begins: it may be the one that polls. */
ngx_int_t ngx_http_sprox_queues_start(ngx_cycle_t *cycle,
    ngx_http_sprox_main_conf_t *mcf);


#endif /* _NGX_HTTP_SPROX_EVENTS_PRIVATE_H_INCLUDED_ */
