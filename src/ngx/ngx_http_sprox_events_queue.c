/*
 * Queues: sprox_events sqs://...
 *
 *   round    receive (waits for messages at the queue) -> applied -> deleted
 *
 * An answer has ten messages, which may be long: in one turn of the event
 * loop one of them is read.
 *
 * One worker polls a queue: the one that has claimed it.  Every worker looks
 * once a second whether the claim is free: because its owner died, or is to
 * exit and has let go of it.  The timer does not keep a worker.
 *
 * A message is deleted when all that it tells is in the catalog, also when
 * that is nothing.  One that cannot be read, or whose objects could not be
 * asked for, stays: the queue hands it out again, and moves it to its queue
 * of dead letters when it has one.
 *
 * Failures are logged when they begin and when they end.
 */

#include "ngx_http_sprox_events_private.h"
#include "ngx_http_sprox_metrics.h"
#include "sprox_digest.h"


#define NGX_HTTP_SPROX_QUEUE_TICK      1000     /* ms */

/* Until the next round after one that failed: doubled each time, in ms. */
#define NGX_HTTP_SPROX_QUEUE_AGAIN     1000
#define NGX_HTTP_SPROX_QUEUE_AGAIN_MAX 60000

/* A queue that does not wait is not asked more often than that, in ms. */
#define NGX_HTTP_SPROX_QUEUE_PAUSE     1000

/* While messages are read there is a timer, which keeps a worker that is to
   exit; in ms. */
#define NGX_HTTP_SPROX_QUEUE_GUARD     60000


typedef struct {
    ngx_http_sprox_queue_t     *queue;
    sprox_str_t                 id;
    sprox_str_t                 handle;
    sprox_str_t                 body;
    sprox_event_doc_t           doc;
    ngx_http_sprox_events_t     events;
    ngx_http_sprox_fetch_t     *fetch;          /* it is being deleted */
    unsigned                    parsed:1;
} ngx_http_sprox_message_t;


static void ngx_http_sprox_queue_tick(ngx_event_t *ev);
static void ngx_http_sprox_queue_claim(ngx_http_sprox_queue_t *queue);
static void ngx_http_sprox_queue_round(ngx_event_t *ev);
static ngx_int_t ngx_http_sprox_queue_ask(ngx_http_sprox_queue_t *queue);
static ngx_http_sprox_fetch_t *ngx_http_sprox_queue_fetch(
    ngx_http_sprox_queue_t *queue, sprox_op_t op);
static ngx_int_t ngx_http_sprox_queue_header(ngx_http_sprox_fetch_t *f);
static ngx_int_t ngx_http_sprox_queue_body(ngx_http_sprox_fetch_t *f,
    u_char *p, size_t n);
static sprox_rc_t ngx_http_sprox_queue_visit(void *data,
    const sprox_sqs_message_t *m);
static void ngx_http_sprox_queue_received(ngx_http_sprox_fetch_t *f,
    ngx_int_t rc);
static void ngx_http_sprox_queue_later(ngx_http_sprox_queue_t *queue);
static void ngx_http_sprox_queue_turn(ngx_event_t *ev);
static void ngx_http_sprox_message_begin(ngx_http_sprox_message_t *m);
static sprox_rc_t ngx_http_sprox_message_parse(ngx_http_sprox_message_t *m);
static void ngx_http_sprox_message_applied(void *data);
static ngx_int_t ngx_http_sprox_message_header(ngx_http_sprox_fetch_t *f);
static ngx_int_t ngx_http_sprox_message_body(ngx_http_sprox_fetch_t *f,
    u_char *p, size_t n);
static void ngx_http_sprox_message_deleted(ngx_http_sprox_fetch_t *f,
    ngx_int_t rc);
static void ngx_http_sprox_message_end(ngx_http_sprox_message_t *m,
    ngx_uint_t deleted);
static void ngx_http_sprox_queue_end(ngx_http_sprox_queue_t *queue);
static void ngx_http_sprox_queue_failed(ngx_http_sprox_queue_t *queue,
    ngx_str_t *why);


static const ngx_http_sprox_fetch_handler_t  ngx_http_sprox_queue_handler = {
    ngx_http_sprox_queue_header,
    ngx_http_sprox_queue_body,
    ngx_http_sprox_queue_received
};


static const ngx_http_sprox_fetch_handler_t
    ngx_http_sprox_message_handler =
{
    ngx_http_sprox_message_header,
    ngx_http_sprox_message_body,
    ngx_http_sprox_message_deleted
};


ngx_int_t
ngx_http_sprox_queues_start(ngx_cycle_t *cycle,
    ngx_http_sprox_main_conf_t *mcf)
{
    ngx_uint_t                i;
    ngx_http_sprox_queue_t  **queue;

    if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE)
    {
        return NGX_OK;
    }

    queue = mcf->queues.elts;

    for (i = 0; i < mcf->queues.nelts; i++) {
        queue[i]->tick.handler = ngx_http_sprox_queue_tick;
        queue[i]->tick.data = queue[i];
        queue[i]->tick.log = cycle->log;
        queue[i]->tick.cancelable = 1;

        queue[i]->event.handler = ngx_http_sprox_queue_round;
        queue[i]->event.data = queue[i];
        queue[i]->event.log = cycle->log;
        queue[i]->event.cancelable = 1;

        queue[i]->turn.handler = ngx_http_sprox_queue_turn;
        queue[i]->turn.data = queue[i];
        queue[i]->turn.log = cycle->log;

        ngx_add_timer(&queue[i]->tick, 1);
    }

    return NGX_OK;
}


static void
ngx_http_sprox_queue_tick(ngx_event_t *ev)
{
    ngx_http_sprox_queue_t *queue = ev->data;

    if (!ngx_exiting) {

        if (!queue->own) {
            ngx_http_sprox_queue_claim(queue);
        }

        ngx_add_timer(ev, NGX_HTTP_SPROX_QUEUE_TICK);
        return;
    }

    if (!queue->own) {
        return;
    }

    /* who waits for messages stops; what has come is still applied */

    if (queue->fetch) {
        ngx_http_sprox_fetch_cancel(queue->fetch);
        queue->fetch = NULL;

        queue->left = 0;
        ngx_http_sprox_queue_end(queue);

    } else if (queue->pool == NULL) {
        queue->own = 0;
        ngx_http_sprox_flight_release(&queue->claim);
    }
}


static void
ngx_http_sprox_queue_claim(ngx_http_sprox_queue_t *queue)
{
    u_char       md5[NGX_HTTP_SPROX_FLIGHT_KEY];
    sprox_str_t  name;

    /* the name of its origin is no probe's: those have a bucket in them */

    name = ngx_http_sprox_to_core(queue->url);

    if (sprox_md5(name, md5) != SPROX_OK
        || ngx_http_sprox_flight_claim(&queue->claim, md5) != NGX_OK)
    {
        ngx_http_sprox_flight_reap(&queue->claim);
        return;
    }

    queue->own = 1;
    queue->errors = 0;
    queue->failing = 0;

    ngx_log_error(NGX_LOG_INFO, ngx_cycle->log, 0,
                  "sprox: this worker polls \"%V\"", &queue->url);

    ngx_add_timer(&queue->event, 1);
}


static void
ngx_http_sprox_queue_round(ngx_event_t *ev)
{
    ngx_http_sprox_queue_t *queue = ev->data;

    if (ngx_exiting) {

        /* the next tick lets go of the claim */

        return;
    }

    queue->failed = 0;
    queue->left = 0;
    queue->asked = ngx_current_msec;

    if (ngx_http_sprox_queue_ask(queue) != NGX_OK) {
        ngx_http_sprox_queue_failed(queue, NULL);
        ngx_http_sprox_queue_end(queue);
    }
}


static ngx_int_t
ngx_http_sprox_queue_ask(ngx_http_sprox_queue_t *queue)
{
    ngx_http_sprox_fetch_t  *f;

    queue->pool = ngx_create_pool(4096, ngx_cycle->log);
    if (queue->pool == NULL) {
        return NGX_ERROR;
    }

    if (ngx_array_init(&queue->messages, queue->pool,
                       SPROX_SQS_MESSAGES_MAX,
                       sizeof(ngx_http_sprox_message_t *))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    queue->parser = sprox_sqs_create(&ngx_http_sprox_mem_heap,
                                     ngx_http_sprox_queue_visit, queue);
    if (queue->parser == NULL) {
        return NGX_ERROR;
    }

    f = ngx_http_sprox_queue_fetch(queue, SPROX_OP_RECEIVE_MESSAGE);
    if (f == NULL) {
        return NGX_ERROR;
    }

    f->req.max_keys = SPROX_SQS_MESSAGES_MAX;
    f->req.wait = SPROX_SQS_WAIT_MAX;
    f->handler = &ngx_http_sprox_queue_handler;
    f->data = queue;

    queue->fetch = f;

    ngx_http_sprox_fetch_start(f);

    return NGX_OK;
}


static ngx_http_sprox_fetch_t *
ngx_http_sprox_queue_fetch(ngx_http_sprox_queue_t *queue, sprox_op_t op)
{
    ngx_http_sprox_fetch_t  *f;

    f = ngx_http_sprox_fetch_create(queue->origin, ngx_cycle->log);

    if (f != NULL) {
        f->req.op = op;
        f->req.key = ngx_http_sprox_to_core(queue->path);
        f->quiet = 1;
    }

    return f;
}


static ngx_int_t
ngx_http_sprox_queue_header(ngx_http_sprox_fetch_t *f)
{
    return NGX_OK;
}


static ngx_int_t
ngx_http_sprox_queue_body(ngx_http_sprox_fetch_t *f, u_char *p, size_t n)
{
    ngx_http_sprox_queue_t *queue = f->data;

    /* the error stays: it is looked at when all has come */

    (void) sprox_sqs_feed(queue->parser, p, n);

    return NGX_OK;
}


/* The messages are kept until the whole answer has come. */

static sprox_rc_t
ngx_http_sprox_queue_visit(void *data, const sprox_sqs_message_t *message)
{
    ngx_http_sprox_queue_t *queue = data;

    sprox_mem_t                 mem;
    ngx_http_sprox_message_t   *m, **slot;

    m = ngx_pcalloc(queue->pool, sizeof(ngx_http_sprox_message_t));
    slot = m ? ngx_array_push(&queue->messages) : NULL;

    if (slot == NULL) {
        return SPROX_NOMEM;
    }

    *slot = m;

    ngx_http_sprox_mem_pool(&mem, queue->pool);

    m->queue = queue;
    m->id = sprox_str_dup(&mem, message->id);
    m->handle = sprox_str_dup(&mem, message->handle);
    m->body = sprox_str_dup(&mem, message->body);

    if (m->id.data == NULL || m->handle.data == NULL || m->body.data == NULL)
    {
        return SPROX_NOMEM;
    }

    ngx_http_sprox_count_message(queue->origin,
                                 NGX_HTTP_SPROX_MESSAGE_RECEIVED);

    return SPROX_OK;
}


static void
ngx_http_sprox_queue_received(ngx_http_sprox_fetch_t *f, ngx_int_t rc)
{
    ngx_str_t                why;
    ngx_http_sprox_queue_t  *queue = f->data;

    queue->fetch = NULL;

    ngx_str_set(&why, "its answer cannot be read");

    if (rc != NGX_OK) {
        why = f->why;

    } else if (sprox_sqs_done(queue->parser) != SPROX_OK) {
        rc = NGX_ERROR;
    }

    sprox_sqs_free(queue->parser);
    queue->parser = NULL;

    if (rc != NGX_OK) {
        ngx_http_sprox_queue_failed(queue, &why);
        ngx_http_sprox_queue_end(queue);
        return;
    }

    if (queue->messages.nelts == 0) {
        ngx_http_sprox_queue_end(queue);
        return;
    }

    queue->left = queue->messages.nelts;
    queue->next = 0;

    ngx_http_sprox_queue_later(queue);
}


static void
ngx_http_sprox_queue_later(ngx_http_sprox_queue_t *queue)
{
    ngx_add_timer(&queue->turn, NGX_HTTP_SPROX_QUEUE_GUARD);
    ngx_post_event(&queue->turn, &ngx_posted_next_events);
}


static void
ngx_http_sprox_queue_turn(ngx_event_t *ev)
{
    ngx_http_sprox_queue_t *queue = ev->data;

    ngx_http_sprox_message_t  **m;

    if (ev->timer_set) {
        ngx_del_timer(ev);
    }

    if (ev->posted) {
        ngx_delete_posted_event(ev);
    }

    m = queue->messages.elts;
    m += queue->next++;

    /* the last one may end the round, and the array with it */

    if (queue->next < queue->messages.nelts) {
        ngx_http_sprox_queue_later(queue);
    }

    ngx_http_sprox_message_begin(*m);
}


static void
ngx_http_sprox_message_begin(ngx_http_sprox_message_t *m)
{
    switch (ngx_http_sprox_message_parse(m)) {

    case SPROX_OK:
        break;

    case SPROX_NOMEM:
        ngx_http_sprox_queue_failed(m->queue, NULL);

        /* fall through */

    default:
        ngx_http_sprox_message_end(m, 0);
        return;
    }

    m->events.pool = m->queue->pool;
    m->events.doc = &m->doc;
    m->events.origin = m->queue->store;
    m->events.done = ngx_http_sprox_message_applied;
    m->events.data = m;

    switch (ngx_http_sprox_events_apply(&m->events)) {

    case NGX_OK:
        ngx_http_sprox_message_applied(m);
        break;

    case NGX_AGAIN:
        break;

    default:
        m->queue->failed = 1;
        ngx_http_sprox_message_end(m, 0);
    }
}


static sprox_rc_t
ngx_http_sprox_message_parse(ngx_http_sprox_message_t *m)
{
    sprox_rc_t   rc;
    sprox_str_t  why;

    rc = sprox_event_parse(&ngx_http_sprox_mem_heap, m->body, &m->doc);
    m->parsed = 1;

    if (rc == SPROX_OK || rc == SPROX_NOMEM) {
        return rc;
    }

    why = sprox_buf_get(&m->doc.why);

    ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                  "sprox: events: message \"%*s\" of \"%V\" stays where it "
                  "is: %*s", m->id.len, m->id.data, &m->queue->url, why.len,
                  why.data);

    ngx_http_sprox_count_event(SPROX_SENDER_OTHER, NGX_HTTP_SPROX_EVENT_BAD);

    return rc;
}


static void
ngx_http_sprox_message_applied(void *data)
{
    ngx_http_sprox_message_t *m = data;

    ngx_str_t                why;
    ngx_http_sprox_fetch_t  *f;

    if (m->events.n[NGX_HTTP_SPROX_EVENT_FAILED]) {
        ngx_str_set(&why, "the store could not be asked for an object");
        ngx_http_sprox_queue_failed(m->queue, &why);
        ngx_http_sprox_message_end(m, 0);
        return;
    }

    f = ngx_http_sprox_queue_fetch(m->queue, SPROX_OP_DELETE_MESSAGE);

    if (f == NULL) {
        ngx_http_sprox_queue_failed(m->queue, NULL);
        ngx_http_sprox_message_end(m, 0);
        return;
    }

    f->req.token = m->handle;
    f->handler = &ngx_http_sprox_message_handler;
    f->data = m;

    m->fetch = f;

    ngx_http_sprox_fetch_start(f);
}


static ngx_int_t
ngx_http_sprox_message_header(ngx_http_sprox_fetch_t *f)
{
    return NGX_OK;
}


static ngx_int_t
ngx_http_sprox_message_body(ngx_http_sprox_fetch_t *f, u_char *p, size_t n)
{
    return NGX_OK;
}


static void
ngx_http_sprox_message_deleted(ngx_http_sprox_fetch_t *f, ngx_int_t rc)
{
    ngx_http_sprox_message_t *m = f->data;

    m->fetch = NULL;

    if (rc != NGX_OK) {

        /* it comes again, and is known then */

        ngx_http_sprox_queue_failed(m->queue, &f->why);
    }

    ngx_http_sprox_message_end(m, rc == NGX_OK);
}


static void
ngx_http_sprox_message_end(ngx_http_sprox_message_t *m, ngx_uint_t deleted)
{
    ngx_http_sprox_queue_t  *queue;

    queue = m->queue;

    ngx_http_sprox_count_message(queue->origin,
                                 deleted ? NGX_HTTP_SPROX_MESSAGE_DELETED
                                         : NGX_HTTP_SPROX_MESSAGE_LEFT);

    if (--queue->left == 0) {
        ngx_http_sprox_queue_end(queue);
    }
}


/* The end of a round, and when the next begins. */

static void
ngx_http_sprox_queue_end(ngx_http_sprox_queue_t *queue)
{
    ngx_uint_t                  i, empty;
    ngx_msec_t                  delay;
    ngx_http_sprox_message_t  **m;

    empty = 1;

    if (queue->parser) {
        sprox_sqs_free(queue->parser);
        queue->parser = NULL;
    }

    if (queue->pool) {
        m = queue->messages.elts;
        empty = (queue->messages.nelts == 0);

        for (i = 0; i < queue->messages.nelts; i++) {
            if (m[i]->parsed) {
                sprox_event_free(&m[i]->doc);
            }
        }

        ngx_destroy_pool(queue->pool);
        queue->pool = NULL;
        queue->messages.nelts = 0;
    }

    if (ngx_exiting) {
        queue->own = 0;
        ngx_http_sprox_flight_release(&queue->claim);
        return;
    }

    if (queue->failed) {
        delay = (ngx_msec_t) NGX_HTTP_SPROX_QUEUE_AGAIN
                << ngx_min(queue->errors, 6);
        delay = ngx_min(delay, NGX_HTTP_SPROX_QUEUE_AGAIN_MAX);
        delay = delay / 2 + ngx_random() % (delay / 2 + 1);
        queue->errors++;

    } else {
        queue->errors = 0;

        if (queue->failing) {
            queue->failing = 0;
            ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                          "sprox: \"%V\" is polled again", &queue->url);
        }

        delay = ngx_current_msec - queue->asked;
        delay = empty && delay < NGX_HTTP_SPROX_QUEUE_PAUSE
                ? NGX_HTTP_SPROX_QUEUE_PAUSE - delay : 1;
    }

    ngx_add_timer(&queue->event, delay);
}


static void
ngx_http_sprox_queue_failed(ngx_http_sprox_queue_t *queue, ngx_str_t *why)
{
    ngx_str_t  text;

    queue->failed = 1;

    if (queue->failing) {
        return;
    }

    queue->failing = 1;

    if (why != NULL && why->len) {
        text = *why;

    } else {
        ngx_str_set(&text, "out of memory");
    }

    ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                  "sprox: \"%V\" cannot be polled: %V; it is tried again, "
                  "after a minute at most", &queue->url, &text);
}
