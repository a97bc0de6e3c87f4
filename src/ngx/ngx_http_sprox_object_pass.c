
/*
 * Reads that are not cached: the origin's answer streams to the client
 * through one buffer, and the origin is stopped while the client is slow.
 * And the question where a part of a multipart object lies.
 */

#include "ngx_http_sprox_object_private.h"
#include "ngx_http_sprox_zone.h"


/* The most that a transport hands over at once. */
#define NGX_HTTP_SPROX_PASS_SIZE   (128 * 1024)


static ngx_int_t ngx_http_sprox_pass_header(ngx_http_sprox_fetch_t *f);
static ngx_int_t ngx_http_sprox_pass_body(ngx_http_sprox_fetch_t *f,
    u_char *p, size_t n);
static void ngx_http_sprox_pass_done(ngx_http_sprox_fetch_t *f, ngx_int_t rc);
static ngx_int_t ngx_http_sprox_pass_answer(ngx_http_sprox_object_t *o);
static ngx_int_t ngx_http_sprox_pass_rest(ngx_http_sprox_object_t *o);
static void ngx_http_sprox_pass_not_modified(ngx_http_sprox_object_t *o);
static void ngx_http_sprox_pass_refused(ngx_http_sprox_object_t *o,
    ngx_http_sprox_fetch_t *f, ngx_int_t rc);

static ngx_int_t ngx_http_sprox_part_header(ngx_http_sprox_fetch_t *f);
static ngx_int_t ngx_http_sprox_part_body(ngx_http_sprox_fetch_t *f,
    u_char *p, size_t n);
static void ngx_http_sprox_part_done(ngx_http_sprox_fetch_t *f, ngx_int_t rc);


static const ngx_http_sprox_fetch_handler_t  ngx_http_sprox_pass_handler = {
    ngx_http_sprox_pass_header,
    ngx_http_sprox_pass_body,
    ngx_http_sprox_pass_done
};


static const ngx_http_sprox_fetch_handler_t  ngx_http_sprox_part_handler = {
    ngx_http_sprox_part_header,
    ngx_http_sprox_part_body,
    ngx_http_sprox_part_done
};


void
ngx_http_sprox_object_pass_rest(ngx_http_sprox_object_t *o)
{
    o->rest = 1;
    ngx_http_sprox_object_pass(o);
}


void
ngx_http_sprox_object_pass(ngx_http_sprox_object_t *o)
{
    ngx_http_sprox_fetch_t  *f;

    o->passing = 1;

    f = ngx_http_sprox_fetch_create(o->spec.origin, ngx_cycle->log);
    if (f == NULL) {
        ngx_http_sprox_object_fail(o, SPROX_ERR_INTERNAL_ERROR, NULL);
        return;
    }

    o->fetch = f;
    f->handler = &ngx_http_sprox_pass_handler;
    f->data = o;

    /* the strings are in r->pool; the fetch is canceled before it goes */

    f->req.op = SPROX_OP_GET_OBJECT;
    f->req.bucket = o->spec.bucket;
    f->req.key = o->spec.key;

    if (o->rest) {
        f->req.range.kind = SPROX_RANGE_FROM_TO;
        f->req.range.first = o->pos;
        f->req.range.last = o->end - 1;
        f->req.version = o->object.version;

        if (o->object.etag.len && o->object.etag.data[0] == '"') {
            f->req.if_match = o->object.etag;
        }

        ngx_http_sprox_fetch_start(f);
        return;
    }

    if (o->part && o->start < o->end) {
        f->req.range.kind = SPROX_RANGE_FROM_TO;
        f->req.range.first = o->start;
        f->req.range.last = o->end - 1;

    } else if (o->cond.if_range.len == 0) {

        /* If-Range needs the version first: the whole is always right */

        f->req.range = o->range;
    }

    /* one strong tag: the origin may answer 304 itself */

    if (o->cond.if_none_match.len > 1 && o->cond.if_match.len == 0
        && o->cond.if_unmodified_since.len == 0
        && o->cond.if_none_match.data[0] == '"'
        && sprox_str_find(o->cond.if_none_match, sprox_str_lit("\""), 1)
           == o->cond.if_none_match.len - 1)
    {
        f->req.if_none_match = o->cond.if_none_match;
    }

    ngx_http_sprox_fetch_start(f);
}


/*
 * The callbacks run for the client's request: what finalises it cancels the
 * fetch as well (ngx_http_sprox_object_finalize()), and then nothing of
 * the read may be touched.
 */

static ngx_int_t
ngx_http_sprox_pass_header(ngx_http_sprox_fetch_t *f)
{
    ngx_int_t                 rc;
    ngx_connection_t         *c;
    ngx_http_sprox_object_t  *o;

    o = f->data;
    c = o->request->connection;

    ngx_http_set_log_request(c->log, o->request);

    rc = ngx_http_sprox_pass_answer(o);

    ngx_http_run_posted_requests(c);

    return rc;
}


/* NGX_OK: the body may come; NGX_ERROR: the request is finalised. */

static ngx_int_t
ngx_http_sprox_pass_answer(ngx_http_sprox_object_t *o)
{
    ngx_uint_t               status;
    ngx_http_request_t      *r;
    sprox_content_range_t    range;
    ngx_http_sprox_fetch_t  *f;

    r = o->request;
    f = o->fetch;

    if (o->rest) {
        return ngx_http_sprox_pass_rest(o);
    }

    if (f->resp.status == 304 && f->req.if_none_match.len) {
        ngx_http_sprox_pass_not_modified(o);
        return NGX_ERROR;
    }

    if (ngx_http_sprox_object_of(f, &o->ctx->mem, &o->object, &range)
        != SPROX_OK)
    {
        ngx_http_sprox_fetch_log(f, NGX_LOG_ERR, 0,
                      "the origin did not send the range that was asked for, "
                      "or no length");
        ngx_http_sprox_object_fail(o, SPROX_ERR_BAD_GATEWAY, NULL);
        return NGX_ERROR;
    }

    (void) ngx_http_sprox_zone_put(o->spec.origin, o->spec.bucket,
                                   o->spec.key, &o->object);

    if (f->req.range.kind == SPROX_RANGE_NONE) {
        o->range.kind = SPROX_RANGE_NONE;
    }

    if (ngx_http_sprox_object_check(o, &status) != NGX_OK) {
        return NGX_ERROR;
    }

    if (o->start != o->end
        && (range.first != o->start || range.last != o->end - 1))
    {
        /* an origin that knows no ranges, or a part that moved */

        ngx_http_sprox_fetch_log(f, NGX_LOG_ERR, 0,
                      "the origin did not send the range that was asked for");
        ngx_http_sprox_object_fail(o, SPROX_ERR_BAD_GATEWAY, NULL);
        return NGX_ERROR;
    }

    r->headers_out.status = status;
    o->pos = o->start;

    if (o->start != o->end) {

        /* the header goes with the first byte: there may never be one */

        return NGX_OK;
    }

    if (ngx_http_sprox_object_header(o) == NGX_OK) {
        ngx_http_sprox_object_finalize(o,
                                    ngx_http_send_special(r, NGX_HTTP_LAST));
    }

    return NGX_ERROR;
}


/* The same version, from pos on: as above. */

static ngx_int_t
ngx_http_sprox_pass_rest(ngx_http_sprox_object_t *o)
{
    sprox_object_t           object;
    sprox_content_range_t    range;
    ngx_http_sprox_fetch_t  *f;

    f = o->fetch;

    if (ngx_http_sprox_object_of(f, &o->ctx->mem, &object, &range)
        != SPROX_OK
        || range.first != o->pos || range.last != o->end - 1)
    {
        ngx_http_sprox_fetch_log(f, NGX_LOG_ERR, 0,
                      "the origin did not send the range that was asked for");
        ngx_http_sprox_object_fail(o, SPROX_ERR_BAD_GATEWAY, NULL);
        return NGX_ERROR;
    }

    if (!sprox_object_same(&object, &o->object)) {
        ngx_http_sprox_object_fail(o, SPROX_ERR_SERVICE_UNAVAILABLE,
                                   "The object is being replaced");
        return NGX_ERROR;
    }

    /* with its headers, which a listing may not have told */

    o->object = object;

    return NGX_OK;
}


static void
ngx_http_sprox_pass_not_modified(ngx_http_sprox_object_t *o)
{
    sprox_origin_resp_t  *resp;

    resp = &o->fetch->resp;

    ngx_memzero(&o->object, sizeof(sprox_object_t));

    o->object.etag = resp->etag.len
                     ? sprox_str_dup(&o->ctx->mem, resp->etag)
                     : o->cond.if_none_match;
    o->object.last_modified = resp->last_modified > 0
                              ? resp->last_modified * 1000 : 0;
    o->start = 0;
    o->end = 0;
    o->request->headers_out.status = NGX_HTTP_NOT_MODIFIED;

    if (ngx_http_sprox_object_header(o) == NGX_OK) {
        ngx_http_sprox_object_finalize(o,
                           ngx_http_send_special(o->request, NGX_HTTP_LAST));
    }
}


static ngx_int_t
ngx_http_sprox_pass_body(ngx_http_sprox_fetch_t *f, u_char *p, size_t n)
{
    ngx_int_t                 rc;
    ngx_uint_t                last;
    ngx_connection_t         *c;
    ngx_http_request_t       *r;
    ngx_http_sprox_object_t  *o;

    o = f->data;

    if (o->pos == o->end) {

        /* more than its range said */

        return NGX_DONE;
    }

    r = o->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    if (!o->sending && ngx_http_sprox_object_header(o) != NGX_OK) {
        rc = NGX_ERROR;
        goto done;
    }

    if (o->pass == NULL) {
        o->pass = ngx_palloc(r->pool, NGX_HTTP_SPROX_PASS_SIZE);
    }

    if (o->pass == NULL || n > NGX_HTTP_SPROX_PASS_SIZE) {
        ngx_http_sprox_object_fail(o, SPROX_ERR_INTERNAL_ERROR, NULL);
        rc = NGX_ERROR;
        goto done;
    }

    n = ngx_min((uint64_t) n, o->end - o->pos);
    ngx_memcpy(o->pass, p, n);

    ngx_memzero(&o->buf, sizeof(ngx_buf_t));

    o->buf.memory = 1;
    o->buf.start = o->pass;
    o->buf.pos = o->pass;
    o->buf.last = o->pass + n;
    o->buf.end = o->buf.last;

    o->pos += n;
    o->ctx->bytes_fill += n;
    last = (o->pos == o->end);

    o->buf.last_buf = last && r == r->main;
    o->buf.last_in_chain = last;
    o->buf.flush = !last;

    rc = ngx_http_sprox_object_output(o);

    if (rc == NGX_ERROR) {
        ngx_http_sprox_object_finalize(o, NGX_ERROR);
        goto done;
    }

    if (rc == NGX_AGAIN) {
        ngx_http_sprox_object_block(o);
    }

done:

    ngx_http_run_posted_requests(c);

    return rc;
}


static void
ngx_http_sprox_pass_done(ngx_http_sprox_fetch_t *f, ngx_int_t rc)
{
    ngx_connection_t         *c;
    ngx_http_sprox_object_t  *o;

    o = f->data;
    c = o->request->connection;

    ngx_http_set_log_request(c->log, o->request);

    o->fetch = NULL;

    if (rc != NGX_OK) {
        ngx_http_sprox_pass_refused(o, f, rc);

    } else if (o->pos != o->end) {
        ngx_http_sprox_fetch_log(f, NGX_LOG_ERR, 0,
                                 "the body is shorter than its range");
        ngx_http_sprox_object_fail(o, SPROX_ERR_BAD_GATEWAY, NULL);

    } else if (o->busy) {
        o->pass_ended = 1;

    } else {
        ngx_http_sprox_object_finalize(o, NGX_OK);
    }

    ngx_http_run_posted_requests(c);
}


/* The fetch of a read or a part ended with an error. */

static void
ngx_http_sprox_pass_refused(ngx_http_sprox_object_t *o,
    ngx_http_sprox_fetch_t *f, ngx_int_t rc)
{
    int             status;
    sprox_object_t  absent;

    if (rc == NGX_ERROR) {
        ngx_http_sprox_object_fail(o, f->failure, NULL);
        return;
    }

    status = f->resp.status;

    if (o->rest) {
        ngx_http_sprox_object_fail(o, status == 403 ? SPROX_ERR_ACCESS_DENIED
                                                 : SPROX_ERR_SERVICE_UNAVAILABLE,
                                   "The object is being replaced");
        return;
    }

    if (o->part && status == 416) {
        ngx_http_sprox_object_part_moved(o);
        return;
    }

    if (status == 404 && sprox_str_eq(f->error.code,
                                      sprox_str_lit("NoSuchKey")))
    {
        ngx_memzero(&absent, sizeof(sprox_object_t));
        absent.absent = 1;
        absent.proved = f->sent;

        (void) ngx_http_sprox_zone_put(o->spec.origin, o->spec.bucket,
                                       o->spec.key, &absent);
    }

    ngx_http_sprox_object_finalize(o,
                         ngx_http_sprox_send_origin_error(o->request, status,
                                                          &f->error));
}


/* Parts: a HEAD with partNumber tells the range (S3 API, HeadObject). */


void
ngx_http_sprox_object_part(ngx_http_sprox_object_t *o)
{
    ngx_http_sprox_fetch_t  *f;

    o->asked = 1;
    o->known = 0;
    o->part = 0;

    f = ngx_http_sprox_fetch_create(o->spec.origin, ngx_cycle->log);
    if (f == NULL) {
        ngx_http_sprox_object_fail(o, SPROX_ERR_INTERNAL_ERROR, NULL);
        return;
    }

    o->fetch = f;
    f->handler = &ngx_http_sprox_part_handler;
    f->data = o;
    f->req.op = SPROX_OP_HEAD_OBJECT;
    f->req.bucket = o->spec.bucket;
    f->req.key = o->spec.key;
    f->req.part_number = o->part_number;

    ngx_http_sprox_fetch_start(f);
}


static ngx_int_t
ngx_http_sprox_part_header(ngx_http_sprox_fetch_t *f)
{
    sprox_content_range_t     range;
    ngx_http_sprox_object_t  *o;

    o = f->data;

    if (f->resp.status == 304
        || ngx_http_sprox_object_of(f, &o->ctx->mem, &o->object, &range)
           != SPROX_OK)
    {
        /* done() finds no object */

        return NGX_OK;
    }

    o->known = 1;
    o->part = 1;
    o->part_of = o->object;
    o->parts = f->resp.parts_count > 0 ? f->resp.parts_count : 0;
    o->start = o->object.size ? range.first : 0;
    o->end = o->object.size ? range.last + 1 : 0;

    return NGX_OK;
}


static ngx_int_t
ngx_http_sprox_part_body(ngx_http_sprox_fetch_t *f, u_char *p, size_t n)
{
    return NGX_OK;
}


static void
ngx_http_sprox_part_done(ngx_http_sprox_fetch_t *f, ngx_int_t rc)
{
    ngx_connection_t         *c;
    ngx_http_sprox_object_t  *o;

    o = f->data;
    c = o->request->connection;

    ngx_http_set_log_request(c->log, o->request);

    o->fetch = NULL;

    if (rc == NGX_DECLINED && f->resp.status == 416) {

        /* the answer of a HEAD has no document that says so */

        ngx_http_sprox_object_fail(o, SPROX_ERR_INVALID_PART_NUMBER, NULL);

    } else if (rc != NGX_OK) {
        ngx_http_sprox_pass_refused(o, f, rc);

    } else if (!o->known || (f->resp.status == 200 && o->part_number > 1)) {
        ngx_http_sprox_object_fail(o, SPROX_ERR_NOT_IMPLEMENTED,
                                   "The origin does not tell where a part "
                                   "of this object lies");

    } else {
        (void) ngx_http_sprox_zone_put(o->spec.origin, o->spec.bucket,
                                       o->spec.key, &o->object);

        if (!o->head && (o->spec.cache == NULL
                         || !sprox_object_pinned(&o->object)))
        {
            ngx_http_sprox_object_pass(o);

        } else {
            ngx_http_sprox_object_answer(o);
        }
    }

    ngx_http_run_posted_requests(c);
}
