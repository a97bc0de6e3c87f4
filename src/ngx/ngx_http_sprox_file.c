
/*
 * The transport of the `file` dialect: the file store (src/store) in nginx's
 * thread pool.
 *
 *   event loop                         thread
 *
 *   start ---------------------------> step: header, first 128 KiB
 *   header(), body() <-----------------+
 *     | NGX_AGAIN: wait for resume()
 *     +------------------------------> step: the next 128 KiB
 *   body() <---------------------------+
 *   ...
 *   end()
 *
 * While a step runs, the try belongs to the thread: it lives on the heap,
 * holds copies of all that the step needs, and is freed when the step has
 * come back, even if the fetch was closed long before.
 */

#include "ngx_http_sprox_fetch.h"
#include "sprox_store.h"


/* A step that takes longer has met a disk that hangs, in ms. */
#define NGX_HTTP_SPROX_FILE_TIMEOUT   60000


typedef struct {
    ngx_thread_task_t         task;
    ngx_event_t               event;        /* goes on after resume() */
    ngx_http_sprox_fetch_t   *fetch;        /* NULL: closed */
    sprox_store_op_t         *op;
    sprox_rc_t                rc;           /* of the last step */
    size_t                    sent;         /* of what it has brought */
    unsigned                  running:1;    /* a step */
    unsigned                  busy:1;       /* a callback */
    unsigned                  header_sent:1;
    unsigned                  paused:1;
    unsigned                  resumed:1;    /* before the pause was noted */
} ngx_http_sprox_file_try_t;


static ngx_int_t ngx_http_sprox_file_start(ngx_http_sprox_fetch_t *f);
static void ngx_http_sprox_file_resume(ngx_http_sprox_fetch_t *f);
static void ngx_http_sprox_file_close(ngx_http_sprox_fetch_t *f);

static ngx_int_t ngx_http_sprox_file_post(ngx_http_sprox_file_try_t *t);
static void ngx_http_sprox_file_step(void *data, ngx_log_t *log);
static void ngx_http_sprox_file_stepped(ngx_event_t *ev);
static void ngx_http_sprox_file_event(ngx_event_t *ev);
static void ngx_http_sprox_file_deliver(ngx_http_sprox_file_try_t *t);
static ngx_int_t ngx_http_sprox_file_header(ngx_http_sprox_file_try_t *t);
static ngx_int_t ngx_http_sprox_file_take(ngx_http_sprox_fetch_t *f,
    sprox_str_t name, sprox_str_t value);
static ngx_int_t ngx_http_sprox_file_body(ngx_http_sprox_file_try_t *t);
static void ngx_http_sprox_file_note(ngx_http_sprox_fetch_t *f,
    const sprox_store_answer_t *answer);
static void ngx_http_sprox_file_fail(ngx_http_sprox_file_try_t *t,
    sprox_error_code_t failure);
static void ngx_http_sprox_file_release(ngx_http_sprox_file_try_t *t);
static void ngx_http_sprox_file_free(ngx_http_sprox_file_try_t *t);
static void *ngx_http_sprox_file_alloc(void *ctx, size_t size);
static void ngx_http_sprox_file_dealloc(void *ctx, void *p);


const ngx_http_sprox_transport_t  ngx_http_sprox_file_transport = {
    ngx_http_sprox_file_start,
    ngx_http_sprox_file_resume,
    ngx_http_sprox_file_close,
    NULL
};


/* Of the threads: the heap, without nginx's log lines. */

static const sprox_mem_t  ngx_http_sprox_file_mem = {
    ngx_http_sprox_file_alloc,
    ngx_http_sprox_file_dealloc,
    NULL
};


static ngx_int_t
ngx_http_sprox_file_start(ngx_http_sprox_fetch_t *f)
{
    ngx_http_sprox_file_try_t  *t;

    t = ngx_calloc(sizeof(ngx_http_sprox_file_try_t), f->log);
    if (t == NULL) {
        return NGX_ERROR;
    }

    t->op = sprox_store_create(&ngx_http_sprox_file_mem,
                               ngx_http_sprox_to_core(f->origin->root),
                               &f->req);
    if (t->op == NULL) {
        ngx_http_sprox_fetch_log(f, NGX_LOG_ERR, 0, "no memory");
        ngx_http_sprox_file_free(t);
        return NGX_ERROR;
    }

    t->fetch = f;

    t->task.ctx = t;
    t->task.handler = ngx_http_sprox_file_step;
    t->task.event.handler = ngx_http_sprox_file_stepped;
    t->task.event.data = t;
    t->task.event.log = ngx_cycle->log;

    t->event.handler = ngx_http_sprox_file_event;
    t->event.data = t;
    t->event.log = ngx_cycle->log;

    if (ngx_http_sprox_file_post(t) != NGX_OK) {
        ngx_http_sprox_file_free(t);
        f->failure = SPROX_ERR_SLOW_DOWN;
        return NGX_ERROR;
    }

    f->try = t;

    return NGX_OK;
}


/* The owner may call this from within body(): then it goes on by itself. */

static void
ngx_http_sprox_file_resume(ngx_http_sprox_fetch_t *f)
{
    ngx_http_sprox_file_try_t  *t = f->try;

    if (!t->paused) {
        t->resumed = 1;
        return;
    }

    t->paused = 0;

    ngx_post_event(&t->event, &ngx_posted_events);
}


static void
ngx_http_sprox_file_close(ngx_http_sprox_fetch_t *f)
{
    ngx_http_sprox_file_release(f->try);
}


static ngx_int_t
ngx_http_sprox_file_post(ngx_http_sprox_file_try_t *t)
{
    if (ngx_thread_task_post(t->fetch->origin->thread_pool, &t->task)
        != NGX_OK)
    {
        ngx_http_sprox_fetch_log(t->fetch, NGX_LOG_ERR, 0,
                                 "the thread pool takes no more");
        return NGX_ERROR;
    }

    t->running = 1;

    /* keeps a worker that is to exit, too, until the fetch is done */

    ngx_add_timer(&t->task.event, NGX_HTTP_SPROX_FILE_TIMEOUT);

    return NGX_OK;
}


static void
ngx_http_sprox_file_step(void *data, ngx_log_t *log)
{
    ngx_http_sprox_file_try_t  *t = data;

    t->rc = sprox_store_step(t->op);
}


static void
ngx_http_sprox_file_stepped(ngx_event_t *ev)
{
    ngx_http_sprox_file_try_t  *t = ev->data;

    if (ev->timedout) {
        ev->timedout = 0;

        ngx_http_sprox_fetch_log(t->fetch, NGX_LOG_ERR, NGX_ETIMEDOUT,
                                 "\"%V\" does not answer",
                                 &t->fetch->origin->root);
        ngx_http_sprox_file_fail(t, SPROX_ERR_GATEWAY_TIMEOUT);
        return;
    }

    if (ev->timer_set) {
        ngx_del_timer(ev);
    }

    t->running = 0;

    if (t->fetch == NULL) {
        ngx_http_sprox_file_free(t);
        return;
    }

    ngx_http_sprox_file_deliver(t);
}


static void
ngx_http_sprox_file_event(ngx_event_t *ev)
{
    ngx_http_sprox_file_deliver(ev->data);
}


/* What the last step brought; then the next step, or the end. */

static void
ngx_http_sprox_file_deliver(ngx_http_sprox_file_try_t *t)
{
    ngx_http_sprox_fetch_t  *f;

    f = t->fetch;

    if (t->rc != SPROX_OK && t->rc != SPROX_DONE) {
        ngx_http_sprox_file_note(f, sprox_store_answer(t->op));
        ngx_http_sprox_file_fail(t, SPROX_ERR_INTERNAL_ERROR);
        return;
    }

    if (!t->header_sent && ngx_http_sprox_file_header(t) != NGX_OK) {
        return;
    }

    if (ngx_http_sprox_file_body(t) != NGX_OK) {
        return;
    }

    if (t->rc == SPROX_DONE) {
        ngx_http_sprox_file_release(t);
        ngx_http_sprox_fetch_end(f, NGX_OK);
        return;
    }

    t->sent = 0;

    if (ngx_http_sprox_file_post(t) != NGX_OK) {
        ngx_http_sprox_file_fail(t, SPROX_ERR_SLOW_DOWN);
    }
}


/* NGX_OK: the fetch goes on; NGX_ERROR: t is gone. */

static ngx_int_t
ngx_http_sprox_file_header(ngx_http_sprox_file_try_t *t)
{
    size_t                       i;
    sprox_str_t                  region;
    ngx_http_sprox_fetch_t      *f;
    const sprox_store_answer_t  *answer;

    f = t->fetch;
    answer = sprox_store_answer(t->op);

    ngx_http_sprox_file_note(f, answer);

    f->resp.status = answer->status;

    for (i = 0; i < answer->nheaders; i++) {
        if (ngx_http_sprox_file_take(f, answer->headers[i].name,
                                     answer->headers[i].value)
            != NGX_OK)
        {
            goto failed;
        }
    }

    if (answer->status == NGX_HTTP_OK && f->req.op == SPROX_OP_HEAD_BUCKET) {

        region = f->addr.region.len ? f->addr.region
                                    : f->origin->dialect->region;

        if (ngx_http_sprox_file_take(f, sprox_str_lit("x-amz-bucket-region"),
                                     region)
            != NGX_OK)
        {
            goto failed;
        }
    }

    t->header_sent = 1;
    t->busy = 1;

    (void) ngx_http_sprox_fetch_header(f);

    t->busy = 0;

    if (t->fetch == NULL) {
        ngx_http_sprox_file_free(t);
        return NGX_ERROR;
    }

    return NGX_OK;

failed:

    ngx_http_sprox_file_fail(t, SPROX_ERR_INTERNAL_ERROR);

    return NGX_ERROR;
}


/* The dialect's reader keeps pointers to the values: they outlive the try. */

static ngx_int_t
ngx_http_sprox_file_take(ngx_http_sprox_fetch_t *f, sprox_str_t name,
    sprox_str_t value)
{
    u_char  *p;

    p = ngx_pnalloc(f->pool, value.len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(p, value.data, value.len);

    f->origin->dialect->header(&f->resp, name, sprox_str_make(p, value.len));

    return NGX_OK;
}


/*
 * NGX_OK: all was taken; NGX_AGAIN: until resume(); NGX_ERROR: t is gone.
 */

static ngx_int_t
ngx_http_sprox_file_body(ngx_http_sprox_file_try_t *t)
{
    size_t                       n;
    u_char                      *p;
    ngx_int_t                    rc;
    const sprox_store_answer_t  *answer;

    answer = sprox_store_answer(t->op);

    while (t->sent < answer->len) {

        if (ngx_http_sprox_fetch_ready(t->fetch) != NGX_OK) {
            t->paused = 1;
            return NGX_AGAIN;
        }

        p = (u_char *) answer->data + t->sent;
        n = ngx_min(answer->len - t->sent, SPROX_STORE_CHUNK);

        t->sent += n;
        t->resumed = 0;
        t->busy = 1;

        rc = ngx_http_sprox_fetch_body(t->fetch, p, n);

        t->busy = 0;

        if (t->fetch == NULL) {
            ngx_http_sprox_file_free(t);
            return NGX_ERROR;
        }

        if (rc == NGX_AGAIN && !t->resumed) {

            t->paused = 1;

            /* a thousand readers that wait hold no buffers */

            if (t->sent == answer->len) {
                sprox_store_used(t->op);
                t->sent = 0;
            }

            return NGX_AGAIN;
        }
    }

    return NGX_OK;
}


/* The log line of what the store could not do, if anything. */

static void
ngx_http_sprox_file_note(ngx_http_sprox_fetch_t *f,
    const sprox_store_answer_t *answer)
{
    sprox_str_t  where;
    sprox_buf_t  path;

    if (answer->what == NULL) {
        return;
    }

    /* names of files must not forge log lines */

    sprox_buf_init(&path, &f->mem);

    if (answer->where.len) {
        sprox_buf_char(&path, '/');
        sprox_uri_encode(&path, answer->where, 1);
    }

    where = sprox_buf_get(&path);

    ngx_http_sprox_fetch_log(f, NGX_LOG_ERR, answer->err, "%s%s: \"%V%*s\"",
                             answer->what, answer->err ? " failed" : "",
                             &f->origin->root, ngx_http_sprox_fmt(where));

    sprox_buf_free(&path);
}


static void
ngx_http_sprox_file_fail(ngx_http_sprox_file_try_t *t,
    sprox_error_code_t failure)
{
    ngx_http_sprox_fetch_t  *f;

    f = t->fetch;
    f->failure = failure;

    ngx_http_sprox_file_release(t);
    ngx_http_sprox_fetch_end(f, NGX_ERROR);
}


/*
 * The fetch and the try forget each other.  The try goes now, or when the
 * step or the callback that has it returns.
 */

static void
ngx_http_sprox_file_release(ngx_http_sprox_file_try_t *t)
{
    t->fetch->try = NULL;
    t->fetch = NULL;

    if (t->event.posted) {
        ngx_delete_posted_event(&t->event);
    }

    if (t->task.event.timer_set) {
        ngx_del_timer(&t->task.event);
    }

    if (t->running) {
        sprox_store_cancel(t->op);
        return;
    }

    if (!t->busy) {
        ngx_http_sprox_file_free(t);
    }
}


static void
ngx_http_sprox_file_free(ngx_http_sprox_file_try_t *t)
{
    sprox_store_free(t->op);
    ngx_free(t);
}


static void *
ngx_http_sprox_file_alloc(void *ctx, size_t size)
{
    return malloc(size);
}


static void
ngx_http_sprox_file_dealloc(void *ctx, void *p)
{
    free(p);
}
