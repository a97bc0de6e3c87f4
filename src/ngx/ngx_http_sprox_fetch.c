
/*
 * The fetch: tries, back-off, redirects to a bucket's region, and errors.
 *
 *            start()                    transport->start()
 *   created ---------> event posted ------------------------> running
 *                          ^                                     |
 *                          | timer: back-off, next address,      |
 *                          | another region                      v
 *                          +----------------------------- end of the try
 *                                                                |
 *                                     nothing to try again: done(), freed
 *
 * A try may be repeated only while the owner has seen nothing of an answer:
 * once header() was called, what goes wrong is the owner's to handle.  All
 * requests that sprox makes for reads are idempotent.
 */

#include "ngx_http_sprox_circuit.h"
#include "ngx_http_sprox_cred.h"
#include "ngx_http_sprox_metrics.h"


/* Waits before a try is repeated: doubled each time, with jitter, in ms. */
#define NGX_HTTP_SPROX_BACKOFF        50
#define NGX_HTTP_SPROX_BACKOFF_MAX    2000
#define NGX_HTTP_SPROX_BACKOFF_STEPS  6

/* A longer Retry-After is not waited for: the client gets the error. */
#define NGX_HTTP_SPROX_RETRY_AFTER    5

#define NGX_HTTP_SPROX_REDIRECTS      2
#define NGX_HTTP_SPROX_STALE_TRIES    8
#define NGX_HTTP_SPROX_REGIONS_MAX    1000

/* Instead of a message of an origin that quotes the request's signature. */
#define NGX_HTTP_SPROX_QUOTES                                                 \
    "The origin's message quotes credentials and is not shown"


/* A bucket that lives in another region than its origin's block says. */

typedef struct {
    ngx_queue_t  queue;
    ngx_str_t    bucket;
    ngx_str_t    region;
    ngx_str_t    endpoint;            /* empty: the origin's */
    sprox_endpoint_t  parsed;
} ngx_http_sprox_region_t;


static void ngx_http_sprox_fetch_event(ngx_event_t *ev);
static ngx_int_t ngx_http_sprox_fetch_address(ngx_http_sprox_fetch_t *f);
static void ngx_http_sprox_fetch_judge(ngx_http_sprox_fetch_t *f,
    ngx_uint_t status);
static ngx_int_t ngx_http_sprox_fetch_redirect(ngx_http_sprox_fetch_t *f);
static ngx_int_t ngx_http_sprox_fetch_again(ngx_http_sprox_fetch_t *f,
    ngx_int_t retry_after);
static ngx_uint_t ngx_http_sprox_fetch_quotes(ngx_http_sprox_fetch_t *f,
    sprox_str_t text);
static void ngx_http_sprox_fetch_done(ngx_http_sprox_fetch_t *f,
    ngx_int_t rc);
static void ngx_http_sprox_fetch_free(ngx_http_sprox_fetch_t *f);


ngx_http_sprox_fetch_t *
ngx_http_sprox_fetch_create(ngx_http_sprox_origin_t *origin, ngx_log_t *log)
{
    ngx_pool_t              *pool;
    ngx_http_sprox_fetch_t  *f;

    pool = ngx_create_pool(2048, log);
    if (pool == NULL) {
        return NULL;
    }

    f = ngx_pcalloc(pool, sizeof(ngx_http_sprox_fetch_t));
    if (f == NULL) {
        ngx_destroy_pool(pool);
        return NULL;
    }

    f->pool = pool;
    f->log = log;
    f->origin = origin;
    ngx_http_sprox_mem_pool(&f->mem, pool);

    f->transport = origin->dialect->network ? &ngx_http_sprox_http_transport
                                            : &ngx_http_sprox_file_transport;

    f->event.handler = ngx_http_sprox_fetch_event;
    f->event.data = f;
    f->event.log = log;

    return f;
}


void
ngx_http_sprox_fetch_start(ngx_http_sprox_fetch_t *f)
{
    ngx_post_event(&f->event, &ngx_posted_events);
}


void
ngx_http_sprox_fetch_resume(ngx_http_sprox_fetch_t *f)
{
    if (f->running) {
        f->transport->resume(f);
    }
}


void
ngx_http_sprox_fetch_hurry(ngx_http_sprox_fetch_t *f)
{
    if (!f->ahead) {
        return;
    }

    f->ahead = 0;

    if (f->running && f->transport->hurry) {
        f->transport->hurry(f);
    }
}


void
ngx_http_sprox_fetch_cancel(ngx_http_sprox_fetch_t *f)
{
    f->canceled = 1;

    if (f->running) {
        f->running = 0;
        f->transport->close(f);
    }

    /* in a callback, whoever called it frees the fetch when it returns */

    if (!f->in_callback) {
        ngx_http_sprox_fetch_free(f);
    }
}


static void
ngx_http_sprox_fetch_event(ngx_event_t *ev)
{
    ngx_http_sprox_fetch_t  *f = ev->data;

    f->tries++;
    f->failure = SPROX_ERR_NONE;
    f->final = 0;
    f->refused = 0;
    f->blameless = 0;
    f->judged = 0;
    f->reading_error = 0;
    f->error.code = sprox_str_null;
    f->sent = ngx_http_sprox_now();

    sprox_origin_resp_init(&f->resp, &f->mem);

    f->running = 1;

    if (ngx_http_sprox_circuit_admit(f) != NGX_OK
        || ngx_http_sprox_fetch_address(f) != NGX_OK
        || f->transport->start(f) != NGX_OK)
    {
        ngx_http_sprox_fetch_end(f, NGX_ERROR);
    }
}


/*
 * The endpoint and region to ask: those of the block, or a copy of what was
 * learned, which other fetches may replace before this one has its answer.
 */

static ngx_int_t
ngx_http_sprox_fetch_address(ngx_http_sprox_fetch_t *f)
{
    ngx_queue_t              *q;
    sprox_endpoint_t         *ep;
    ngx_http_sprox_region_t  *region;

    f->addr = f->origin->addr;

    for (q = ngx_queue_head(&f->origin->regions);
         q != ngx_queue_sentinel(&f->origin->regions);
         q = ngx_queue_next(q))
    {
        region = ngx_queue_data(q, ngx_http_sprox_region_t, queue);

        if (!sprox_str_eq(f->req.bucket,
                          ngx_http_sprox_to_core(region->bucket)))
        {
            continue;
        }

        f->addr.region = sprox_str_dup(&f->mem,
                                   ngx_http_sprox_to_core(region->region));
        if (f->addr.region.data == NULL) {
            return NGX_ERROR;
        }

        if (region->endpoint.len == 0) {
            return NGX_OK;
        }

        ep = &f->addr.endpoint;

        *ep = region->parsed;
        ep->host = sprox_str_dup(&f->mem, region->parsed.host);
        ep->authority = sprox_str_dup(&f->mem, region->parsed.authority);

        if (ep->host.data == NULL || ep->authority.data == NULL) {
            return NGX_ERROR;
        }

        return NGX_OK;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_sprox_fetch_header(ngx_http_sprox_fetch_t *f)
{
    ngx_int_t             rc;
    sprox_origin_resp_t  *resp;

    resp = &f->resp;

    ngx_http_sprox_fetch_judge(f, resp->status);

    if ((resp->status < 200 || resp->status > 299) && resp->status != 304) {
        f->reading_error = 1;
        sprox_buf_init(&f->error_body, &f->mem);
        return NGX_OK;
    }

    f->header_sent = 1;
    f->in_callback = 1;

    rc = f->handler->header(f);

    f->in_callback = 0;

    if (f->canceled) {
        ngx_http_sprox_fetch_free(f);
        return NGX_ERROR;
    }

    return rc;
}


ngx_int_t
ngx_http_sprox_fetch_ready(ngx_http_sprox_fetch_t *f)
{
    if (f->reading_error || f->ready == NULL) {
        return NGX_OK;
    }

    return f->ready(f);
}


ngx_int_t
ngx_http_sprox_fetch_body(ngx_http_sprox_fetch_t *f, u_char *p, size_t n)
{
    ngx_int_t  rc;

    ngx_http_sprox_count_origin_bytes(f->origin, n);

    if (f->reading_error) {

        n = ngx_min(n, SPROX_ERROR_XML_MAX - f->error_body.len);
        sprox_buf_add(&f->error_body, p, n);

        return f->error_body.len < SPROX_ERROR_XML_MAX ? NGX_OK : NGX_DONE;
    }

    f->in_callback = 1;

    rc = f->handler->body(f, p, n);

    f->in_callback = 0;

    if (f->canceled) {
        ngx_http_sprox_fetch_free(f);
        return NGX_ERROR;
    }

    return rc;
}


void
ngx_http_sprox_fetch_end(ngx_http_sprox_fetch_t *f, ngx_int_t rc)
{
    sprox_str_t  code;

    f->running = 0;

    if (rc == NGX_DECLINED) {

        /* the origin had closed the kept connection: it costs no try */

        if (f->stale_tries++ < NGX_HTTP_SPROX_STALE_TRIES) {
            f->tries--;
            ngx_post_event(&f->event, &ngx_posted_events);
            return;
        }

        f->failure = SPROX_ERR_BAD_GATEWAY;
        rc = NGX_ERROR;
    }

    if (rc == NGX_ERROR) {

        if (f->failure == SPROX_ERR_NONE) {
            f->failure = SPROX_ERR_INTERNAL_ERROR;
        }

        if (!f->judged) {
            ngx_http_sprox_fetch_judge(f, 0);
        }

        if (!f->header_sent) {

            if (f->failure != SPROX_ERR_INTERNAL_ERROR && !f->final
                && ngx_http_sprox_fetch_again(f, 0) == NGX_OK)
            {
                return;
            }
        }

        ngx_http_sprox_fetch_done(f, NGX_ERROR);
        return;
    }

    if (!f->reading_error) {
        ngx_http_sprox_fetch_done(f, NGX_OK);
        return;
    }

    if (sprox_error_parse(&f->mem, sprox_buf_get(&f->error_body), &f->error)
        != SPROX_OK)
    {
        ngx_memzero(&f->error, sizeof(sprox_error_t));
    }

    if (ngx_http_sprox_fetch_quotes(f, f->error.message)) {
        f->error.message = sprox_str_lit(NGX_HTTP_SPROX_QUOTES);
    }

    if (ngx_http_sprox_fetch_quotes(f, f->error.code)) {
        f->error.code = sprox_str_null;
    }

    if (ngx_http_sprox_fetch_redirect(f) == NGX_OK) {
        return;
    }

    if (sprox_origin_retriable(f->resp.status)
        && ngx_http_sprox_fetch_again(f, f->resp.retry_after) == NGX_OK)
    {
        return;
    }

    code = f->error.code;

    if (sprox_str_eq(code, sprox_str_lit("ExpiredToken"))
        || sprox_str_eq(code, sprox_str_lit("InvalidAccessKeyId"))
        || sprox_str_eq(code, sprox_str_lit("InvalidClientTokenId"))
        || sprox_str_eq(code, sprox_str_lit("SignatureDoesNotMatch"))
        || sprox_str_eq(code, sprox_str_lit("InvalidToken")))
    {
        ngx_http_sprox_cred_refused(f->origin);
    }

    if (f->resp.status != 404) {
        ngx_http_sprox_fetch_log(f, NGX_LOG_ERR, 0,
                                 "the origin answered %d %*s",
                                 f->resp.status, code.len, code.data);
    }

    ngx_http_sprox_fetch_done(f, NGX_DECLINED);
}


/*
 * What a try tells of its origin, by the header of its answer or without
 * one.  A body that breaks off later tells of a connection, not of the
 * origin; and what we cannot read in a header is of one object.
 */

static void
ngx_http_sprox_fetch_judge(ngx_http_sprox_fetch_t *f, ngx_uint_t status)
{
    f->judged = 1;

    if (!f->refused) {
        ngx_http_sprox_count_origin(f->origin, f->req.op, status);
    }

    if (status == 429 || (status >= 500 && status != 501)) {
        ngx_http_sprox_circuit_failed(f);

    } else if (status) {
        ngx_http_sprox_circuit_answered(f);

    } else if (f->refused || f->blameless || f->resp.status
               || (f->failure != SPROX_ERR_BAD_GATEWAY
                   && f->failure != SPROX_ERR_GATEWAY_TIMEOUT))
    {
        ngx_http_sprox_circuit_released(f);

    } else {
        ngx_http_sprox_circuit_failed(f);
    }
}


/*
 * Whether a text of the origin's, which goes to logs and clients, quotes the
 * credential that it was asked with, or what looks like a signature.
 */

static ngx_uint_t
ngx_http_sprox_fetch_quotes(ngx_http_sprox_fetch_t *f, sprox_str_t text)
{
    size_t                     i, digits;
    sprox_str_t                secrets[3];
    const sprox_credential_t  *cred;

    if (text.len == 0) {
        return 0;
    }

    cred = ngx_http_sprox_cred_get(f->origin, f->log);

    secrets[0] = cred->access_key;
    secrets[1] = cred->secret_key;
    secrets[2] = cred->token;

    for (i = 0; i < sizeof(secrets) / sizeof(secrets[0]); i++) {
        if (secrets[i].len
            && sprox_str_find(text, secrets[i], 0) != (size_t) -1)
        {
            return 1;
        }
    }

    digits = 0;

    for (i = 0; i < text.len && digits < SPROX_SIGV4_LEN; i++) {
        digits = isxdigit(text.data[i]) ? digits + 1 : 0;
    }

    return digits == SPROX_SIGV4_LEN;
}


/*
 * The bucket lives in another region: remembered for all later fetches of
 * this worker, and asked there.  An endpoint of AWS follows the region, with
 * the scheme and port that the operator wrote; any other stays, with another
 * region in the signature.
 */

static ngx_int_t
ngx_http_sprox_fetch_redirect(ngx_http_sprox_fetch_t *f)
{
    size_t                    n;
    u_char                   *p;
    const char               *why;
    ngx_queue_t              *q;
    sprox_buf_t               endpoint;
    sprox_str_t               region, bucket;
    ngx_uint_t                count;
    const sprox_endpoint_t   *was;
    ngx_http_sprox_region_t  *entry;

    if (f->origin->dialect->fixed
        || f->redirects == NGX_HTTP_SPROX_REDIRECTS
        || sprox_origin_redirect(&f->resp, &f->error, &region) != SPROX_OK
        || sprox_str_eq(region, f->addr.region))
    {
        return NGX_DECLINED;
    }

    bucket = f->req.bucket;
    count = 0;

    for (q = ngx_queue_head(&f->origin->regions);
         q != ngx_queue_sentinel(&f->origin->regions);
         q = ngx_queue_next(q))
    {
        entry = ngx_queue_data(q, ngx_http_sprox_region_t, queue);

        if (sprox_str_eq(bucket, ngx_http_sprox_to_core(entry->bucket))) {
            ngx_queue_remove(q);
            ngx_free(entry);
            break;
        }

        count++;
    }

    if (count >= NGX_HTTP_SPROX_REGIONS_MAX) {
        q = ngx_queue_last(&f->origin->regions);
        ngx_queue_remove(q);
        ngx_free(ngx_queue_data(q, ngx_http_sprox_region_t, queue));
    }

    sprox_buf_init(&endpoint, &f->mem);

    was = &f->origin->addr.endpoint;

    if (f->origin->dialect->endpoint.len
        && sprox_str_ends(was->host, sprox_str_lit(".amazonaws.com")))
    {
        sprox_s3_endpoint(&endpoint, region);

        if (!sprox_str_eq(was->host, was->authority)) {
            sprox_buf_char(&endpoint, ':');
            sprox_buf_u64(&endpoint, was->port);
        }
    }

    n = sizeof(ngx_http_sprox_region_t) + bucket.len + region.len
        + endpoint.len;

    entry = sprox_buf_rc(&endpoint) == SPROX_OK ? ngx_alloc(n, f->log) : NULL;
    if (entry == NULL) {
        return NGX_DECLINED;
    }

    p = (u_char *) entry + sizeof(ngx_http_sprox_region_t);

    entry->bucket.len = bucket.len;
    entry->bucket.data = p;
    p = ngx_cpymem(p, bucket.data, bucket.len);

    entry->region.len = region.len;
    entry->region.data = p;
    p = ngx_cpymem(p, region.data, region.len);

    entry->endpoint.len = endpoint.len;
    entry->endpoint.data = p;

    if (endpoint.len) {
        ngx_memcpy(p, endpoint.data, endpoint.len);
    }

    if (endpoint.len
        && sprox_endpoint_parse(ngx_http_sprox_to_core(entry->endpoint),
                                &entry->parsed, &why)
           != SPROX_OK)
    {
        ngx_free(entry);
        return NGX_DECLINED;
    }

    entry->parsed.tls = was->tls;
    entry->parsed.port = was->port;

    ngx_queue_insert_head(&f->origin->regions, &entry->queue);

    ngx_http_sprox_fetch_log(f, NGX_LOG_NOTICE, 0,
                             "the bucket lives in region \"%V\"; asking there",
                             &entry->region);

    f->redirects++;
    f->tries--;
    ngx_post_event(&f->event, &ngx_posted_events);

    return NGX_OK;
}


static ngx_int_t
ngx_http_sprox_fetch_again(ngx_http_sprox_fetch_t *f, ngx_int_t retry_after)
{
    ngx_msec_t  delay;

    if (f->tries > f->origin->retries
        || retry_after > NGX_HTTP_SPROX_RETRY_AFTER)
    {
        return NGX_DECLINED;
    }

    delay = (ngx_msec_t) NGX_HTTP_SPROX_BACKOFF
            << ngx_min(f->tries - 1, NGX_HTTP_SPROX_BACKOFF_STEPS);
    delay = ngx_min(delay, NGX_HTTP_SPROX_BACKOFF_MAX);
    delay = delay / 2 + ngx_random() % (delay / 2 + 1);

    if (retry_after > 0) {
        delay = ngx_max(delay, (ngx_msec_t) retry_after * 1000);
    }

    ngx_http_sprox_count_retry(f->origin);

    if (f->failure == SPROX_ERR_NONE) {
        ngx_http_sprox_fetch_log(f, NGX_LOG_WARN, 0,
                                 "the origin answered %d, try %ui of %ui, "
                                 "again in %M ms", f->resp.status, f->tries,
                                 f->origin->retries + 1, delay);
    }

    ngx_add_timer(&f->event, delay);

    return NGX_OK;
}


static void
ngx_http_sprox_fetch_done(ngx_http_sprox_fetch_t *f, ngx_int_t rc)
{
    f->in_callback = 1;

    f->handler->done(f, rc);

    ngx_http_sprox_fetch_free(f);
}


static void
ngx_http_sprox_fetch_free(ngx_http_sprox_fetch_t *f)
{
    if (f->event.timer_set) {
        ngx_del_timer(&f->event);
    }

    if (f->event.posted) {
        ngx_delete_posted_event(&f->event);
    }

    ngx_http_sprox_circuit_released(f);

    ngx_destroy_pool(f->pool);
}


void ngx_cdecl
ngx_http_sprox_fetch_log(ngx_http_sprox_fetch_t *f, ngx_uint_t level,
    ngx_err_t err, const char *fmt, ...)
{
    u_char       *p, text[NGX_MAX_ERROR_STR / 2];
    va_list       args;
    sprox_buf_t   name;
    sprox_str_t   op;

    if (f->log->log_level < level && !f->quiet) {
        return;
    }

    va_start(args, fmt);
    p = ngx_vslprintf(text, text + sizeof(text), fmt, args);
    va_end(args);

    if (f->quiet) {
        f->why.data = ngx_pnalloc(f->pool, p - text);
        f->why.len = f->why.data ? p - text : 0;

        if (f->why.len) {
            ngx_memcpy(f->why.data, text, p - text);
        }

        return;
    }

    /* bytes of a key must not forge log lines */

    sprox_buf_init(&name, &f->mem);

    if (f->req.bucket.len) {
        sprox_uri_encode(&name, f->req.bucket, 1);
        sprox_buf_char(&name, '/');
        sprox_uri_encode(&name, f->req.key, 1);
    }

    op = sprox_op_name(f->req.op);

    ngx_log_error(level, f->log, err, "sprox: origin \"%V\": %*s \"%*s\": %*s",
                  &f->origin->name, op.len, op.data, name.len, name.data,
                  (size_t) (p - text), text);

    sprox_buf_free(&name);
}
