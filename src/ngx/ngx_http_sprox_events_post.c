/*
 * POST of events: a message as a store sends it.
 *
 *   body -> parsed -> [SNS: signature, confirmation] -> applied -> checks
 *
 * A large body is parsed by a thread: others do not wait for it.  Of those
 * without a token, which anybody may send, one at a time: threads have other
 * work as well.
 *
 * The answer comes when all is settled, so that whoever sends it knows: 200,
 * or 503 to send it again.  400 says what is wrong with a message; nothing
 * of it was applied.
 */

#include "ngx_http_sprox_events_private.h"
#include "ngx_http_sprox_admin_private.h"
#include "ngx_http_sprox_metrics.h"


/*
 * Without a token: SNS's messages have 256 KiB at most, and some room for
 * what is escaped in them.
 */
#define NGX_HTTP_SPROX_POST_SIGNED  (300 * 1024)

/* From so many bytes on a thread parses it: 64 KiB take more than 1 ms. */
#define NGX_HTTP_SPROX_POST_LARGE   (64 * 1024)

/*
 * While a thread parses there is a timer, which keeps a worker that is to
 * exit; in ms.
 */
#define NGX_HTTP_SPROX_POST_GUARD   60000


typedef struct {
    ngx_http_request_t       *request;
    sprox_event_doc_t         doc;
    ngx_http_sprox_events_t   events;
    ngx_http_sprox_sns_t      sns;
    ngx_http_sprox_origin_t  *origin;      /* ?origin=, or NULL */
    sprox_str_t               body;
    sprox_rc_t                rc;          /* of the parser */
    ngx_event_t               guard;
    unsigned                  parsing:1;   /* by a thread */
    unsigned                  authorized:1;
    unsigned                  parsed:1;
    unsigned                  checking:1;  /* what SNS signed */
    unsigned                  applying:1;
} ngx_http_sprox_post_t;


static ngx_table_elt_t *ngx_http_sprox_post_header(ngx_http_request_t *r,
    sprox_str_t name);
static ngx_uint_t ngx_http_sprox_post_topic(ngx_http_request_t *r);
static ngx_int_t ngx_http_sprox_post_origin(ngx_http_request_t *r,
    ngx_http_sprox_origin_t **origin);
static void ngx_http_sprox_post_read(ngx_http_request_t *r);
static ngx_int_t ngx_http_sprox_post_message(ngx_http_sprox_post_t *post);
static ngx_http_sprox_post_t *ngx_http_sprox_post_of(ngx_http_request_t *r);
static ngx_int_t ngx_http_sprox_post_thread(ngx_http_sprox_post_t *post);
static void ngx_http_sprox_post_parse(void *data, ngx_log_t *log);
static void ngx_http_sprox_post_woken(ngx_event_t *ev);
static void ngx_http_sprox_post_guard(ngx_event_t *ev);
static void ngx_http_sprox_post_resume(ngx_http_request_t *r);
static ngx_int_t ngx_http_sprox_post_parsed(ngx_http_sprox_post_t *post);
static ngx_int_t ngx_http_sprox_post_body(ngx_http_sprox_post_t *post);
static off_t ngx_http_sprox_post_max(ngx_uint_t authorized);
static void ngx_http_sprox_post_checked(void *data, ngx_int_t rc);
static ngx_int_t ngx_http_sprox_post_signed(ngx_http_sprox_post_t *post,
    ngx_int_t rc);
static ngx_int_t ngx_http_sprox_post_apply(ngx_http_sprox_post_t *post);
static void ngx_http_sprox_post_applied(void *data);
static ngx_int_t ngx_http_sprox_post_answer(ngx_http_sprox_post_t *post);
static ngx_int_t ngx_http_sprox_post_refuse(ngx_http_request_t *r,
    ngx_uint_t status, const char *what, sprox_str_t why);
static void ngx_http_sprox_post_end(ngx_http_sprox_post_t *post,
    ngx_int_t rc);
static void ngx_http_sprox_post_cleanup(void *data);


/* Of this worker: a thread parses one without a token. */
static ngx_uint_t  ngx_http_sprox_post_claim;


ngx_uint_t
ngx_http_sprox_events_signed(ngx_http_request_t *r)
{
    ngx_http_sprox_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_sprox_module);

    return mcf->topics.nelts
           && ngx_http_sprox_post_header(r,
                                     sprox_str_lit("x-amz-sns-message-type"))
              != NULL;
}


static ngx_table_elt_t *
ngx_http_sprox_post_header(ngx_http_request_t *r, sprox_str_t name)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *header;

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        header = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (sprox_str_case_eq(ngx_http_sprox_to_core(header[i].key),
                                  name))
            {
                return &header[i];
            }
        }
    }

    return NULL;
}


/* Whether the header says a topic that is listened to; SNS always says one. */

static ngx_uint_t
ngx_http_sprox_post_topic(ngx_http_request_t *r)
{
    ngx_table_elt_t  *header;

    header = ngx_http_sprox_post_header(r,
                                        sprox_str_lit("x-amz-sns-topic-arn"));

    return header
           && ngx_http_sprox_sns_topic(ngx_http_sprox_to_core(header->value))
              != NULL;
}


ngx_int_t
ngx_http_sprox_events_handler(ngx_http_request_t *r, ngx_uint_t authorized)
{
    ngx_int_t                rc;
    ngx_pool_cleanup_t      *cln;
    ngx_http_sprox_post_t   *post;

    if (r->headers_in.content_length_n
        > ngx_http_sprox_post_max(authorized))
    {
        return ngx_http_sprox_admin_message(r,
                                            NGX_HTTP_REQUEST_ENTITY_TOO_LARGE,
                                            "the message is too large");
    }

    if (!authorized && !ngx_http_sprox_post_topic(r)) {
        return ngx_http_sprox_post_refuse(r, NGX_HTTP_FORBIDDEN,
                                          "the message of SNS is refused: no "
                                          "sprox_events listens to the topic "
                                          "in its header", sprox_str_null);
    }

    post = ngx_pcalloc(r->pool, sizeof(ngx_http_sprox_post_t));
    cln = ngx_pool_cleanup_add(r->pool, 0);

    if (post == NULL || cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    post->request = r;
    post->authorized = authorized;

    cln->handler = ngx_http_sprox_post_cleanup;
    cln->data = post;

    if (ngx_http_sprox_post_origin(r, &post->origin) != NGX_OK) {
        return ngx_http_sprox_admin_message(r, NGX_HTTP_BAD_REQUEST,
                   "?origin= names no origin that an alias leads to");
    }

    r->request_body_in_single_buf = 1;

    rc = ngx_http_read_client_request_body(r, ngx_http_sprox_post_read);

    return rc >= NGX_HTTP_SPECIAL_RESPONSE ? rc : NGX_DONE;
}


static ngx_int_t
ngx_http_sprox_post_origin(ngx_http_request_t *r,
    ngx_http_sprox_origin_t **origin)
{
    ngx_str_t                     name;
    ngx_uint_t                    i;
    ngx_http_sprox_alias_t      **alias;
    ngx_http_sprox_main_conf_t   *mcf;

    *origin = NULL;

    if (ngx_http_arg(r, (u_char *) "origin", sizeof("origin") - 1, &name)
        != NGX_OK)
    {
        return NGX_OK;
    }

    /* names of origins need no encoding */

    mcf = ngx_http_get_module_main_conf(r, ngx_http_sprox_module);
    alias = mcf->aliases.elts;

    for (i = 0; i < mcf->aliases.nelts; i++) {
        if (sprox_str_eq(ngx_http_sprox_to_core(alias[i]->origin->name),
                         ngx_http_sprox_to_core(name)))
        {
            *origin = alias[i]->origin;
            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}


static void
ngx_http_sprox_post_read(ngx_http_request_t *r)
{
    ngx_int_t  rc;

    rc = ngx_http_sprox_post_message(ngx_http_sprox_post_of(r));

    if (rc == NGX_AGAIN) {

        /* who sends it and leaves wants it applied all the same */

        r->read_event_handler = ngx_http_block_reading;
        return;
    }

    ngx_http_finalize_request(r, rc);
}


static ngx_http_sprox_post_t *
ngx_http_sprox_post_of(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t  *cln;

    for (cln = r->pool->cleanup;
         cln->handler != ngx_http_sprox_post_cleanup;
         cln = cln->next)
    { /* void */ }

    return cln->data;
}


/* NGX_AGAIN: the answer comes later; else what finalizes the request. */

static ngx_int_t
ngx_http_sprox_post_message(ngx_http_sprox_post_t *post)
{
    ngx_int_t            rc;
    ngx_http_request_t  *r;

    r = post->request;

    rc = ngx_http_sprox_post_body(post);

    if (rc == NGX_DECLINED) {
        return ngx_http_sprox_admin_message(r,
                                            NGX_HTTP_REQUEST_ENTITY_TOO_LARGE,
                                            "the message is too large");
    }

    if (rc != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (post->body.len >= NGX_HTTP_SPROX_POST_LARGE) {

        if (!post->authorized && ngx_http_sprox_post_claim) {
            return ngx_http_sprox_admin_message(r,
                                            NGX_HTTP_SERVICE_UNAVAILABLE,
                                            "another long message is read: "
                                            "send it again");
        }

        if (ngx_http_sprox_post_thread(post) == NGX_OK) {
            return NGX_AGAIN;
        }
    }

    ngx_http_sprox_post_parse(post, r->connection->log);
    post->parsed = 1;

    return ngx_http_sprox_post_parsed(post);
}


/* NGX_OK: it is under way; else nothing was done. */

static ngx_int_t
ngx_http_sprox_post_thread(ngx_http_sprox_post_t *post)
{
    ngx_http_request_t          *r;
    ngx_thread_task_t           *task;
    ngx_http_sprox_main_conf_t  *mcf;

    r = post->request;
    mcf = ngx_http_get_module_main_conf(r, ngx_http_sprox_module);

    if (mcf->thread_pool == NULL) {
        return NGX_DECLINED;
    }

    task = ngx_thread_task_alloc(r->pool, 0);
    if (task == NULL) {
        return NGX_ERROR;
    }

    task->ctx = post;
    task->handler = ngx_http_sprox_post_parse;
    task->event.handler = ngx_http_sprox_post_woken;
    task->event.data = post;

    if (ngx_thread_task_post(mcf->thread_pool, task) != NGX_OK) {
        return NGX_ERROR;
    }

    /* the bits are this thread's */

    post->parsing = 1;

    if (!post->authorized) {
        ngx_http_sprox_post_claim = 1;
    }

    post->guard.handler = ngx_http_sprox_post_guard;
    post->guard.data = post;
    post->guard.log = ngx_cycle->log;

    ngx_add_timer(&post->guard, NGX_HTTP_SPROX_POST_GUARD);

    /* nginx waits with the end of a request for that */

    r->main->blocked++;
    r->write_event_handler = ngx_http_sprox_post_resume;

    return NGX_OK;
}


/* In a thread, which has the body and the document for itself. */

static void
ngx_http_sprox_post_parse(void *data, ngx_log_t *log)
{
    ngx_http_sprox_post_t *post = data;

    post->rc = post->authorized
               ? sprox_event_parse(&ngx_http_sprox_mem_heap, post->body,
                                   &post->doc)
               : sprox_event_parse_claim(&ngx_http_sprox_mem_heap,
                                         post->body, &post->doc);
}


static void
ngx_http_sprox_post_woken(ngx_event_t *ev)
{
    ngx_connection_t       *c;
    ngx_http_request_t     *r;
    ngx_http_sprox_post_t  *post = ev->data;

    r = post->request;
    c = r->connection;

    post->parsing = 0;
    post->parsed = 1;

    if (!post->authorized) {
        ngx_http_sprox_post_claim = 0;
    }

    if (post->guard.timer_set) {
        ngx_del_timer(&post->guard);
    }

    ngx_http_set_log_request(c->log, r);

    r->main->blocked--;

    /* or nginx's own, when it was to end meanwhile */

    r->write_event_handler(r);

    ngx_http_run_posted_requests(c);
}


static void
ngx_http_sprox_post_guard(ngx_event_t *ev)
{
    ngx_add_timer(ev, NGX_HTTP_SPROX_POST_GUARD);
}


static void
ngx_http_sprox_post_resume(ngx_http_request_t *r)
{
    ngx_int_t               rc;
    ngx_http_sprox_post_t  *post;

    post = ngx_http_sprox_post_of(r);

    if (post->parsing) {
        return;
    }

    r->write_event_handler = ngx_http_request_empty_handler;

    rc = ngx_http_sprox_post_parsed(post);

    if (rc != NGX_AGAIN) {
        ngx_http_finalize_request(r, rc);
    }
}


/* As message(), of which it is the rest. */

static ngx_int_t
ngx_http_sprox_post_parsed(ngx_http_sprox_post_t *post)
{
    ngx_http_request_t  *r;

    r = post->request;

    if (post->rc == SPROX_NOMEM) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (post->rc != SPROX_OK) {
        return ngx_http_sprox_post_refuse(r, NGX_HTTP_BAD_REQUEST,
                                          "the message is refused: ",
                                          sprox_buf_get(&post->doc.why));
    }

    if (post->doc.sns.type != SPROX_SNS_NONE) {
        post->sns.sns = &post->doc.sns;
        post->sns.done = ngx_http_sprox_post_checked;
        post->sns.data = post;
        post->checking = 1;

        return ngx_http_sprox_post_signed(post,
                                       ngx_http_sprox_sns_check(&post->sns));
    }

    if (!post->authorized) {
        return ngx_http_sprox_post_refuse(r, NGX_HTTP_FORBIDDEN,
                                          "only what SNS has signed needs no "
                                          "token", sprox_str_null);
    }

    return ngx_http_sprox_post_apply(post);
}


/* NGX_OK, NGX_DECLINED: it is too large, NGX_ERROR. */

static ngx_int_t
ngx_http_sprox_post_body(ngx_http_sprox_post_t *post)
{
    off_t                size;
    size_t               len, n;
    u_char              *p;
    ssize_t              got;
    ngx_buf_t           *b;
    ngx_chain_t         *cl;
    ngx_http_request_t  *r;

    r = post->request;
    post->body = sprox_str_lit("");

    if (r->request_body == NULL || r->request_body->bufs == NULL) {
        return NGX_OK;
    }

    size = 0;

    for (cl = r->request_body->bufs; cl; cl = cl->next) {
        size += ngx_buf_size(cl->buf);
    }

    if (size > ngx_http_sprox_post_max(post->authorized)) {
        return NGX_DECLINED;
    }

    b = r->request_body->bufs->buf;

    if (r->request_body->bufs->next == NULL && ngx_buf_in_memory(b)) {
        post->body = sprox_str_make(b->pos, b->last - b->pos);
        return NGX_OK;
    }

    p = ngx_pnalloc(r->pool, size);
    if (p == NULL) {
        return NGX_ERROR;
    }

    len = 0;

    for (cl = r->request_body->bufs; cl; cl = cl->next) {
        b = cl->buf;
        n = ngx_buf_size(b);

        if (ngx_buf_in_memory(b)) {
            ngx_memcpy(p + len, b->pos, n);

        } else {

            /* it was written a moment ago, and is in memory yet */

            got = ngx_read_file(b->file, p + len, n, b->file_pos);

            if (got != (ssize_t) n) {
                return NGX_ERROR;
            }
        }

        len += n;
    }

    post->body = sprox_str_make(p, len);

    return NGX_OK;
}


static off_t
ngx_http_sprox_post_max(ngx_uint_t authorized)
{
    return authorized ? SPROX_EVENT_BODY_MAX : NGX_HTTP_SPROX_POST_SIGNED;
}


static void
ngx_http_sprox_post_checked(void *data, ngx_int_t rc)
{
    ngx_http_sprox_post_t *post = data;

    rc = ngx_http_sprox_post_signed(post, rc);

    if (rc != NGX_AGAIN) {
        ngx_http_sprox_post_end(post, rc);
    }
}


/* After sns_check(). */

static ngx_int_t
ngx_http_sprox_post_signed(ngx_http_sprox_post_t *post, ngx_int_t rc)
{
    sprox_str_t          why;
    ngx_http_request_t  *r;

    if (rc == NGX_AGAIN) {
        return NGX_AGAIN;
    }

    post->checking = 0;
    r = post->request;

    if (rc != NGX_OK) {
        why = sprox_str_make(post->sns.why, ngx_strlen(post->sns.why));

        return ngx_http_sprox_post_refuse(r,
                   rc == NGX_DECLINED ? NGX_HTTP_FORBIDDEN
                                      : NGX_HTTP_SERVICE_UNAVAILABLE,
                   rc == NGX_DECLINED ? "the message of SNS is refused: "
                                      : "the message of SNS cannot be "
                                        "checked: ", why);
    }

    if (post->doc.kind == SPROX_EVENT_DOC_UNSUBSCRIBED) {
        ngx_log_error(NGX_LOG_NOTICE, r->connection->log, 0,
                      "sprox: no more subscribed to \"%V\"",
                      &post->sns.topic->arn);
    }

    post->origin = post->sns.topic->origin;

    return ngx_http_sprox_post_apply(post);
}


static ngx_int_t
ngx_http_sprox_post_apply(ngx_http_sprox_post_t *post)
{
    ngx_int_t  rc;

    post->events.pool = post->request->pool;
    post->events.doc = &post->doc;
    post->events.origin = post->origin;
    post->events.done = ngx_http_sprox_post_applied;
    post->events.data = post;

    rc = ngx_http_sprox_events_apply(&post->events);

    if (rc == NGX_AGAIN) {
        post->applying = 1;
        return NGX_AGAIN;
    }

    return rc == NGX_OK ? ngx_http_sprox_post_answer(post)
                        : NGX_HTTP_INTERNAL_SERVER_ERROR;
}


static void
ngx_http_sprox_post_applied(void *data)
{
    ngx_http_sprox_post_t *post = data;

    post->applying = 0;

    ngx_http_sprox_post_end(post, ngx_http_sprox_post_answer(post));
}


static ngx_int_t
ngx_http_sprox_post_answer(ngx_http_sprox_post_t *post)
{
    json_int_t  failed;
    ngx_uint_t *n;

    n = post->events.n;
    failed = n[NGX_HTTP_SPROX_EVENT_FAILED];

    if (failed) {
        return ngx_http_sprox_admin_send(post->request,
                   NGX_HTTP_SERVICE_UNAVAILABLE,
                   json_pack("{s:s, s:I}", "message",
                             "the store could not be asked: send it again",
                             "failed", failed));
    }

    return ngx_http_sprox_admin_send(post->request, NGX_HTTP_OK,
               json_pack("{s:I, s:I, s:I, s:I}",
                   "applied", (json_int_t) n[NGX_HTTP_SPROX_EVENT_APPLIED],
                   "known", (json_int_t) n[NGX_HTTP_SPROX_EVENT_KNOWN],
                   "checked", (json_int_t) n[NGX_HTTP_SPROX_EVENT_CHECKED],
                   "ignored", (json_int_t) n[NGX_HTTP_SPROX_EVENT_IGNORED]));
}


static ngx_int_t
ngx_http_sprox_post_refuse(ngx_http_request_t *r, ngx_uint_t status,
    const char *what, sprox_str_t why)
{
    u_char  *p;

    ngx_http_sprox_count_event(SPROX_SENDER_OTHER, NGX_HTTP_SPROX_EVENT_BAD);

    p = ngx_pnalloc(r->pool, ngx_strlen(what) + why.len + 1);
    if (p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_sprintf(p, "%s%*s%Z", what, why.len, why.data);

    ngx_log_error(NGX_LOG_WARN, r->connection->log, 0,
                  "sprox: events: %s", p);

    return ngx_http_sprox_admin_message(r, status, (char *) p);
}


static void
ngx_http_sprox_post_end(ngx_http_sprox_post_t *post, ngx_int_t rc)
{
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    r = post->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    ngx_http_finalize_request(r, rc);
    ngx_http_run_posted_requests(c);
}


static void
ngx_http_sprox_post_cleanup(void *data)
{
    ngx_http_sprox_post_t *post = data;

    if (post->checking) {
        ngx_http_sprox_sns_cancel(&post->sns);
    }

    if (post->applying) {
        ngx_http_sprox_events_cancel(&post->events);
    }

    if (post->parsed) {
        sprox_event_free(&post->doc);
    }
}
