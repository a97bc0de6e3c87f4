
/*
 * GET and HEAD of objects: from what is known to what is answered.
 *
 *   lookup --- fresh --------------------------> answer ---> header, body
 *     |  \                                         ^  |
 *     |   \-- unknown, expired --> probe --- object+  |  replaced meanwhile,
 *     |                              |                |  nothing sent yet
 *     | no cache                     | absent, error  v
 *     v                              v              lookup
 *    pass (GET streams by)         S3 error
 */

#include "ngx_http_sprox_object_private.h"
#include "ngx_http_sprox_metrics.h"
#include "ngx_http_sprox_zone.h"


#define NGX_HTTP_SPROX_PART_MAX   10000      /* S3: parts of an object */


static ngx_int_t ngx_http_sprox_object_read(ngx_http_request_t *r,
    ngx_http_sprox_object_t *o, sprox_error_code_t *code,
    const char **message);
static void ngx_http_sprox_object_ask(ngx_http_request_t *r,
    ngx_http_sprox_object_t *o);
static sprox_str_t ngx_http_sprox_object_field(ngx_http_request_t *r,
    ngx_table_elt_t *h);
static ngx_uint_t ngx_http_sprox_object_wants(ngx_http_sprox_object_t *o);
static void ngx_http_sprox_object_probed(ngx_event_t *ev);
static ngx_int_t ngx_http_sprox_object_stale(ngx_http_sprox_object_t *o);
static void ngx_http_sprox_object_leave(ngx_http_sprox_object_t *o);
static void ngx_http_sprox_object_cleanup(void *data);


ngx_int_t
ngx_http_sprox_object_handler(ngx_http_request_t *r,
    ngx_http_sprox_ctx_t *ctx)
{
    const char               *message;
    ngx_pool_cleanup_t       *cln;
    sprox_error_code_t        code;
    ngx_http_sprox_object_t  *o;

    o = ngx_pcalloc(r->pool, sizeof(ngx_http_sprox_object_t));
    cln = ngx_pool_cleanup_add(r->pool, 0);

    if (o == NULL || cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    o->request = r;
    o->ctx = ctx;
    o->head = (ctx->s3.op == SPROX_OP_HEAD_OBJECT);
    ctx->object = o;

    sprox_buf_init(&o->key, &ctx->mem);

    o->spec.origin = ctx->alias->origin;
    o->spec.bucket = ctx->bucket;
    o->spec.key = ctx->key;
    o->spec.slice = ctx->policy.slice;
    o->spec.fill = ctx->policy.fill;

    o->spec.zones = ctx->policy.cache;
    o->spec.cache = ngx_http_sprox_cache_last(o->spec.zones);

    message = NULL;

    if (ngx_http_sprox_object_read(r, o, &code, &message) != NGX_OK) {
        return ngx_http_sprox_send_error(r, code, message);
    }

    o->before = ngx_http_sprox_slices_made();

    o->probe.pool = r->pool;
    o->probe.waiter.event.handler = ngx_http_sprox_object_probed;
    o->probe.waiter.event.data = o;
    o->probe.waiter.event.log = r->connection->log;

    cln->handler = ngx_http_sprox_object_cleanup;
    cln->data = o;

    r->main->count++;
    r->read_event_handler = ngx_http_test_reading;

    if (o->part_number) {
        ngx_http_sprox_object_part(o);

    } else if (!o->head && o->spec.cache == NULL) {
        ngx_http_sprox_object_pass(o);

    } else {
        ngx_http_sprox_object_lookup(o);
    }

    return NGX_DONE;
}


/* What the client asks: conditions, range, part. */

static ngx_int_t
ngx_http_sprox_object_read(ngx_http_request_t *r, ngx_http_sprox_object_t *o,
    sprox_error_code_t *code, const char **message)
{
    uint64_t                  n;
    const sprox_query_arg_t  *arg;

    if (r == r->main) {
        ngx_http_sprox_object_ask(r, o);
    }

    arg = sprox_query_get(&o->ctx->s3.query, sprox_str_lit("partNumber"));

    if (arg == NULL) {
        return NGX_OK;
    }

    if (sprox_str_u64(arg->value, &n) != SPROX_OK || n == 0
        || n > NGX_HTTP_SPROX_PART_MAX)
    {
        *code = SPROX_ERR_INVALID_ARGUMENT;
        *message = "partNumber must be a number from 1 to 10000";
        return NGX_ERROR;
    }

    if (o->range.kind != SPROX_RANGE_NONE) {
        *code = SPROX_ERR_INVALID_REQUEST;
        *message = "Range and partNumber cannot be given together";
        return NGX_ERROR;
    }

    o->part_number = n;

    return NGX_OK;
}


/*
 * The header of a client is about its own request: a subrequest, whose header
 * it is as well, is for the whole object.
 */

static void
ngx_http_sprox_object_ask(ngx_http_request_t *r, ngx_http_sprox_object_t *o)
{
    o->cond.if_match = ngx_http_sprox_object_field(r, r->headers_in.if_match);
    o->cond.if_none_match = ngx_http_sprox_object_field(r,
                                              r->headers_in.if_none_match);
    o->cond.if_modified_since = ngx_http_sprox_object_field(r,
                                          r->headers_in.if_modified_since);
    o->cond.if_unmodified_since = ngx_http_sprox_object_field(r,
                                        r->headers_in.if_unmodified_since);
    o->cond.if_range = ngx_http_sprox_object_field(r, r->headers_in.if_range);

    if (r->headers_in.range) {
        sprox_range_parse(ngx_http_sprox_object_field(r,
                                                      r->headers_in.range),
                          &o->range);
    }
}


static sprox_str_t
ngx_http_sprox_object_field(ngx_http_request_t *r, ngx_table_elt_t *h)
{
    return h ? ngx_http_sprox_to_core(h->value) : sprox_str_null;
}


void
ngx_http_sprox_object_again(ngx_http_sprox_object_t *o)
{
    ngx_http_sprox_object_drop_all(o);

    /* an If-Range that the old version did not meet */

    if (o->request == o->request->main) {
        ngx_http_sprox_object_ask(o->request, o);
    }

    ngx_http_sprox_object_lookup(o);
}


void
ngx_http_sprox_object_lookup(ngx_http_sprox_object_t *o)
{
    int64_t                   age;
    ngx_uint_t                fresh;
    sprox_object_t            object;
    ngx_http_sprox_policy_t  *policy;
    static uint8_t            buf[SPROX_OBJECT_BUF];

    policy = &o->ctx->policy;
    o->known = 0;
    o->probe.looked = 1;

    if (ngx_http_sprox_zone_get(o->spec.origin, o->spec.bucket, o->spec.key,
                                &object, buf)
        != SPROX_OK)
    {
        o->proved = 0;
        ngx_http_sprox_object_probe(o, NULL, 1);
        return;
    }

    age = sprox_age(object.proved, ngx_http_sprox_now());

    /* proved for this read, by the probe of another worker */

    fresh = (o->landings && object.proved != o->proved && !object.doubted);
    o->proved = object.proved;

    if (object.absent) {

        if (fresh || (policy->valid_missing
                      && age <= (int64_t) policy->valid_missing * 1000))
        {
            ngx_http_sprox_object_fail(o, SPROX_ERR_NO_SUCH_KEY, NULL);
            return;
        }

        ngx_http_sprox_object_probe(o, NULL, 1);
        return;
    }

    if (ngx_http_sprox_object_copy(o->request->pool, &o->object, &object)
        != NGX_OK)
    {
        ngx_http_sprox_object_fail(o, SPROX_ERR_INTERNAL_ERROR, NULL);
        return;
    }

    o->known = 1;

    if (!o->head && !sprox_object_pinned(&o->object)) {

        /* nothing of it can be cached: what is read is what is there now */

        ngx_http_sprox_object_pass(o);
        return;
    }

    if (object.doubted
        || (!fresh && policy->valid != NGX_HTTP_SPROX_VALID_IMMUTABLE
            && (policy->valid == 0 || age > (int64_t) policy->valid * 1000)))
    {
        ngx_http_sprox_object_probe(o, &o->object, 1);
        return;
    }

    if (o->head && ngx_http_sprox_object_wants(o)) {
        ngx_http_sprox_object_probe(o, NULL, 0);
        return;
    }

    ngx_http_sprox_object_answer(o);
}


/*
 * Whether an answer without a body lacks headers that are not known; for a
 * HEAD the policy may say that what a listing told will do.
 */

static ngx_uint_t
ngx_http_sprox_object_wants(ngx_http_sprox_object_t *o)
{
    return !o->object.headed
           && !(o->head
                && o->ctx->policy.head == NGX_HTTP_SPROX_HEAD_LISTING);
}


void
ngx_http_sprox_object_probe(ngx_http_sprox_object_t *o,
    const sprox_object_t *known, ngx_uint_t get)
{
    o->asked = 1;
    o->probe.proved = o->proved;

    if (known && (known->etag.len == 0 || known->etag.data[0] != '"')) {

        /*
         * A 304 by a weak tag would not say that the bytes are the same; what
         * is known may still be cached, so no body is asked for
         */

        known = NULL;
        get = 0;

    } else if (known && o->head && ngx_http_sprox_object_wants(o)) {

        /* a 304 brings no headers: without them no condition is sent */

        known = NULL;
    }

    if (o->head || o->spec.cache == NULL) {
        get = 0;
    }

    if (ngx_http_sprox_probe(&o->spec, known, get ? &o->range : NULL,
                             &o->probe)
        != NGX_OK)
    {
        ngx_http_sprox_object_fail(o, SPROX_ERR_INTERNAL_ERROR, NULL);
    }
}


static void
ngx_http_sprox_object_probed(ngx_event_t *ev)
{
    ngx_connection_t               *c;
    ngx_http_request_t             *r;
    ngx_http_sprox_object_t        *o;
    ngx_http_sprox_probe_waiter_t  *w;

    o = ev->data;
    r = o->request;
    c = r->connection;
    w = &o->probe;
    w->looked = 0;

    ngx_http_set_log_request(c->log, r);

    if (w->outage && ngx_http_sprox_object_stale(o) == NGX_OK) {
        ngx_http_sprox_object_answer(o);
        ngx_http_run_posted_requests(c);
        return;
    }

    switch (w->result) {

    case NGX_HTTP_SPROX_PROBE_OBJECT:

        o->object = w->object;
        o->known = 1;
        o->renewed = w->renewed;
        o->fill_from = w->from;
        o->fill_to = w->to;

        if (!o->head && !w->pinned) {
            ngx_http_sprox_object_pass(o);
            break;
        }

        if (o->head && ngx_http_sprox_object_wants(o)) {

            /* joined the renewal of what only a listing had told */

            ngx_http_sprox_object_probe(o, NULL, 0);
            break;
        }

        ngx_http_sprox_object_answer(o);
        break;

    case NGX_HTTP_SPROX_PROBE_LANDED:

        /* it may have found what is not kept: an error */

        if (++o->landings >= NGX_HTTP_SPROX_LANDINGS) {
            o->probe.alone = 1;
        }

        ngx_http_sprox_object_lookup(o);
        break;

    case NGX_HTTP_SPROX_PROBE_ABSENT:
        ngx_http_sprox_object_fail(o, SPROX_ERR_NO_SUCH_KEY, NULL);
        break;

    case NGX_HTTP_SPROX_PROBE_ERROR:
        ngx_http_sprox_object_finalize(o,
                       ngx_http_sprox_send_origin_error(r, w->status,
                                                        &w->error));
        break;

    default:
        ngx_http_sprox_object_fail(o, w->failure, NULL);
        break;
    }

    ngx_http_run_posted_requests(c);
}


/*
 * What is known, from a listing, is not enough, and serves nobody while the
 * origin fails: it is asked for the headers.
 */

void
ngx_http_sprox_object_unheaded(ngx_http_sprox_object_t *o)
{
    o->known = 0;
    ngx_http_sprox_object_drop_all(o);
    ngx_http_sprox_object_probe(o, NULL, 0);
}


/* The origin fails: what is known serves for a while yet. */

static ngx_int_t
ngx_http_sprox_object_stale(ngx_http_sprox_object_t *o)
{
    int64_t                   age;
    ngx_http_sprox_policy_t  *policy;

    policy = &o->ctx->policy;
    o->ctx->stale = 0;

    if (!o->known || o->object.doubted || policy->stale == 0) {
        return NGX_DECLINED;
    }

    /* what only a listing told has no headers, and no slice may tell them */

    if ((o->head || o->object.size == 0) && ngx_http_sprox_object_wants(o)) {
        return NGX_DECLINED;
    }

    age = sprox_age(o->object.proved, ngx_http_sprox_now());

    if (age > ((int64_t) policy->valid + policy->stale) * 1000) {
        return NGX_DECLINED;
    }

    ngx_log_error(NGX_LOG_WARN, o->request->connection->log, 0,
                  "sprox: the origin \"%V\" fails: serving what was known "
                  "%L s ago", &o->spec.origin->name, age / 1000);

    o->ctx->stale = 1;
    ngx_http_sprox_count_stale(o->ctx->alias);

    return NGX_OK;
}


void
ngx_http_sprox_object_answer(ngx_http_sprox_object_t *o)
{
    ngx_uint_t           status;
    ngx_http_request_t  *r;

    r = o->request;

    if (ngx_http_sprox_object_check(o, &status) != NGX_OK) {
        return;
    }

    r->headers_out.status = status;
    o->pos = o->start;

    if (o->head || o->start == o->end) {

        if (ngx_http_sprox_object_wants(o)) {
            ngx_http_sprox_object_unheaded(o);
            return;
        }

        if (ngx_http_sprox_object_header(o) == NGX_OK) {
            ngx_http_sprox_object_finalize(o,
                                    ngx_http_send_special(r, NGX_HTTP_LAST));
        }

        return;
    }

    ngx_http_sprox_object_send(o);
}


ngx_int_t
ngx_http_sprox_object_check(ngx_http_sprox_object_t *o, ngx_uint_t *status)
{
    int64_t              modified;
    ngx_str_t            name, value;
    sprox_object_t      *object;
    ngx_http_request_t  *r;

    r = o->request;
    object = &o->object;
    modified = object->last_modified / 1000;

    switch (sprox_cond_check(&o->cond, object->etag, modified)) {

    case SPROX_COND_FAILED:
        ngx_http_sprox_object_fail(o, SPROX_ERR_PRECONDITION_FAILED, NULL);
        return NGX_DONE;

    case SPROX_COND_NOT_MODIFIED:

        o->start = 0;
        o->end = 0;
        r->headers_out.status = NGX_HTTP_NOT_MODIFIED;

        if (ngx_http_sprox_object_header(o) == NGX_OK) {
            ngx_http_sprox_object_finalize(o,
                                    ngx_http_send_special(r, NGX_HTTP_LAST));
        }

        return NGX_DONE;

    default:
        break;
    }

    if (o->part) {

        if (!sprox_object_same(object, &o->part_of)) {
            ngx_http_sprox_object_part_moved(o);
            return NGX_DONE;
        }

        *status = object->size ? NGX_HTTP_PARTIAL_CONTENT : NGX_HTTP_OK;
        return NGX_OK;
    }

    if (!sprox_cond_range(&o->cond, object->etag, modified)) {
        o->range.kind = SPROX_RANGE_NONE;
    }

    if (sprox_range_resolve(&o->range, object->size, &o->start, &o->end)
        != SPROX_OK)
    {
        ngx_str_set(&name, "Content-Range");

        value.data = ngx_pnalloc(r->pool, sizeof("bytes */") + NGX_INT64_LEN);

        if (value.data) {
            value.len = ngx_sprintf(value.data, "bytes */%uL", object->size)
                        - value.data;
            (void) ngx_http_sprox_add_header(r, name, value);
        }

        ngx_http_sprox_object_fail(o, SPROX_ERR_INVALID_RANGE, NULL);
        return NGX_DONE;
    }

    *status = (o->range.kind == SPROX_RANGE_NONE) ? NGX_HTTP_OK
                                                  : NGX_HTTP_PARTIAL_CONTENT;

    return NGX_OK;
}


void
ngx_http_sprox_object_part_moved(ngx_http_sprox_object_t *o)
{
    if (o->restarts++ >= NGX_HTTP_SPROX_RESTARTS) {
        ngx_http_sprox_object_fail(o, SPROX_ERR_SERVICE_UNAVAILABLE,
                                   "The object is being replaced");
        return;
    }

    ngx_http_sprox_object_drop_all(o);
    ngx_http_sprox_object_leave(o);

    o->passing = 0;
    ngx_http_sprox_object_part(o);
}


ngx_int_t
ngx_http_sprox_object_header(ngx_http_sprox_object_t *o)
{
    ngx_int_t            rc;
    ngx_http_request_t  *r;

    r = o->request;

    if (ngx_http_sprox_object_headers(r, o->ctx, &o->object,
                                      r->headers_out.status, o->start,
                                      o->end, o->parts)
        != NGX_OK)
    {
        ngx_http_sprox_object_finalize(o, NGX_HTTP_INTERNAL_SERVER_ERROR);
        return NGX_DONE;
    }

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        ngx_http_sprox_object_finalize(o, rc);
        return NGX_DONE;
    }

    o->sending = 1;

    return NGX_OK;
}


void
ngx_http_sprox_object_fail(ngx_http_sprox_object_t *o,
    sprox_error_code_t code, const char *message)
{
    ngx_http_request_t  *r;

    r = o->request;

    if (r->header_sent) {

        /* the client sees fewer bytes than promised, and asks again */

        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "sprox: alias \"%V\": the response is closed short at "
                      "byte %uL of %uL", &o->ctx->alias->pattern,
                      o->pos - o->start, o->end - o->start);

        r->keepalive = 0;
        ngx_http_sprox_object_finalize(o, NGX_ERROR);
        return;
    }

    ngx_http_sprox_object_finalize(o,
                                 ngx_http_sprox_send_error(r, code, message));
}


void
ngx_http_sprox_object_finalize(ngx_http_sprox_object_t *o, ngx_int_t rc)
{
    ngx_http_sprox_ctx_t  *ctx;

    ctx = o->ctx;

    if (o->passing) {
        ctx->cache_status = "BYPASS";

    } else if (ctx->stale) {
        ctx->cache_status = "STALE";

    } else if (ctx->bytes_fill) {
        ctx->cache_status = ctx->bytes_hit ? "PARTIAL" : "MISS";

    } else if (o->asked) {
        ctx->cache_status = o->renewed ? "REVALIDATED" : "MISS";

    } else {
        ctx->cache_status = "HIT";
    }

    ngx_http_sprox_waiter_unlink(&o->waiter);
    ngx_http_sprox_waiter_unlink(&o->probe.waiter);
    ngx_http_sprox_object_leave(o);

    ngx_http_finalize_request(o->request, rc);
}


/* The fetch of this read alone is of no use any more. */

static void
ngx_http_sprox_object_leave(ngx_http_sprox_object_t *o)
{
    ngx_http_sprox_fetch_t  *f;

    f = o->fetch;

    if (f) {
        o->fetch = NULL;
        ngx_http_sprox_fetch_cancel(f);
    }
}


/* With the request's pool: whoever left early waits for nothing any more. */

static void
ngx_http_sprox_object_cleanup(void *data)
{
    ngx_http_sprox_object_t *o = data;

    ngx_http_sprox_waiter_unlink(&o->waiter);
    ngx_http_sprox_waiter_unlink(&o->probe.waiter);

    ngx_http_sprox_object_drop_all(o);
    ngx_http_sprox_object_leave(o);
}
