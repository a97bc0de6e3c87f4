/*
 * What sprox_admin tells, as JSON.
 *
 * Names are bytes: what is no UTF-8 is percent-encoded.  Times are ISO 8601,
 * in UTC; what is not known is null.
 */

#include "ngx_http_sprox_admin_private.h"
#include "ngx_http_sprox_error.h"
#include "sprox_time.h"


#define NGX_HTTP_SPROX_ADMIN_JSON                                             \
    (JSON_COMPACT|JSON_PRESERVE_ORDER|JSON_ENSURE_ASCII)

#define NGX_HTTP_SPROX_REASON_MAX    512


static json_t *ngx_http_sprox_admin_text(sprox_str_t s);
static json_t *ngx_http_sprox_admin_time(int64_t msec);
static json_t *ngx_http_sprox_admin_known(uint64_t n);
static void ngx_http_sprox_admin_region(json_t *json,
    ngx_http_sprox_alias_t *alias, sprox_str_t bucket, sprox_str_t prefix,
    const sprox_region_t *counted);
static size_t ngx_http_sprox_admin_reason(ngx_http_sprox_alias_t *alias,
    ngx_http_sprox_job_spec_t *spec, sprox_region_t *region, u_char *buf,
    u_char *last);
static json_t *ngx_http_sprox_admin_whole(json_t *json, size_t members);
static int ngx_http_sprox_admin_add(const char *text, size_t len,
    void *data);


json_t *
ngx_http_sprox_admin_job(ngx_http_sprox_job_info_t *info)
{
    json_t     *json;
    ngx_str_t   kind, state;

    kind = ngx_http_sprox_job_kind_name(info->kind);
    state = ngx_http_sprox_job_state_name(info->state);

    json = json_object();

    json_object_set_new(json, "id", json_integer(info->id));
    json_object_set_new(json, "kind",
        ngx_http_sprox_admin_text(ngx_http_sprox_to_core(kind)));
    json_object_set_new(json, "state",
        ngx_http_sprox_admin_text(ngx_http_sprox_to_core(state)));
    json_object_set_new(json, "canceling",
        json_boolean(info->cancel
                     && info->state == NGX_HTTP_SPROX_JOB_RUNNING));
    json_object_set_new(json, "alias", info->alias_len
        ? ngx_http_sprox_admin_text(sprox_str_make(info->alias,
                                                   info->alias_len))
        : json_null());
    json_object_set_new(json, "origin",
        ngx_http_sprox_admin_text(sprox_str_make(info->origin,
                                                 info->origin_len)));
    json_object_set_new(json, "bucket",
        ngx_http_sprox_admin_text(sprox_str_make(info->bucket,
                                                 info->bucket_len)));
    json_object_set_new(json, "prefix",
        ngx_http_sprox_admin_text(sprox_str_make(info->prefix,
                                                 info->prefix_len)));
    json_object_set_new(json, "done", json_integer(info->done));
    json_object_set_new(json, "total",
        ngx_http_sprox_admin_known(info->total));
    json_object_set_new(json, "errors", json_integer(info->errors));
    json_object_set_new(json, "error", info->error_len
        ? ngx_http_sprox_admin_text(sprox_str_make(info->error,
                                                   info->error_len))
        : json_null());
    json_object_set_new(json, "created_at",
        ngx_http_sprox_admin_time(info->created));
    json_object_set_new(json, "started_at",
        ngx_http_sprox_admin_time(info->started));
    json_object_set_new(json, "ended_at",
        ngx_http_sprox_admin_time(info->ended));

    return ngx_http_sprox_admin_whole(json, 15);
}


json_t *
ngx_http_sprox_admin_alias(ngx_http_sprox_alias_t *alias, sprox_str_t bucket,
    const sprox_region_t *counted)
{
    json_t       *json;
    sprox_str_t   prefix;

    json = json_object();

    json_object_set_new(json, "name",
        ngx_http_sprox_admin_text(ngx_http_sprox_to_core(alias->pattern)));
    json_object_set_new(json, "target",
        ngx_http_sprox_admin_text(ngx_http_sprox_to_core(alias->target)));

    if ((bucket.len == 0
         && ngx_http_sprox_region_bucket(alias, &bucket) != NGX_OK)
        || ngx_http_sprox_region(alias, bucket, &prefix) != NGX_OK)
    {
        json_object_set_new(json, "bucket", json_null());
        json_object_set_new(json, "prefix", json_null());
        json_object_set_new(json, "objects", json_null());
        json_object_set_new(json, "bytes", json_null());
        json_object_set_new(json, "complete", json_false());
        json_object_set_new(json, "crawled_at", json_null());
        json_object_set_new(json, "reason", json_string(
            alias->catalog
            ? "the bucket depends on a variable: ask with ?bucket=NAME"
            : "the policy of no location has \"list catalog\" for it"));

    } else {
        ngx_http_sprox_admin_region(json, alias, bucket, prefix, counted);
    }

    return ngx_http_sprox_admin_whole(json, 9);
}


static void
ngx_http_sprox_admin_region(json_t *json, ngx_http_sprox_alias_t *alias,
    sprox_str_t bucket, sprox_str_t prefix, const sprox_region_t *counted)
{
    size_t                     len;
    u_char                     reason[NGX_HTTP_SPROX_REASON_MAX];
    int64_t                    crawled;
    ngx_uint_t                 complete, known;
    sprox_region_t             region;
    ngx_http_sprox_job_spec_t  spec;

    known = ngx_http_sprox_admin_counted(alias, bucket, prefix, &region);

    if (!known && counted != NULL) {
        region.objects = counted->objects;
        region.bytes = counted->bytes;
        known = 1;
    }

    complete = ngx_http_sprox_zone_covered(alias->origin, bucket, prefix,
                                           &crawled)
               == SPROX_OK;
    if (complete) {
        region.crawled = crawled;
    }

    spec.kind = NGX_HTTP_SPROX_JOB_CRAWL;
    spec.alias = alias;
    spec.origin = alias->origin;
    spec.bucket = bucket;
    spec.prefix = prefix;

    len = complete && alias->catalog
          ? 0
          : ngx_http_sprox_admin_reason(alias, &spec, &region, reason,
                                        reason + sizeof(reason));

    json_object_set_new(json, "bucket", ngx_http_sprox_admin_text(bucket));
    json_object_set_new(json, "prefix", ngx_http_sprox_admin_text(prefix));
    json_object_set_new(json, "objects",
                        known ? json_integer(region.objects)
                              : json_null());
    json_object_set_new(json, "bytes",
                        known ? json_integer(region.bytes)
                              : json_null());
    json_object_set_new(json, "complete", json_boolean(complete));
    json_object_set_new(json, "crawled_at",
                        ngx_http_sprox_admin_time(region.crawled));
    json_object_set_new(json, "reason",
                        len ? ngx_http_sprox_admin_text(
                                             sprox_str_make(reason, len))
                            : json_null());
}


/* One that is crawled has not put all, one around it may have. */

ngx_uint_t
ngx_http_sprox_admin_counted(ngx_http_sprox_alias_t *alias,
    sprox_str_t bucket, sprox_str_t prefix, sprox_region_t *region)
{
    int64_t  crawled;

    if (ngx_http_sprox_zone_region_get(alias->origin, bucket, prefix, region)
        != SPROX_OK)
    {
        ngx_memzero(region, sizeof(sprox_region_t));
        return 0;
    }

    return region->complete
           || ngx_http_sprox_zone_covered(alias->origin, bucket, prefix,
                                          &crawled)
              != SPROX_OK;
}


/* Why listings of the alias come from the origin. */

static size_t
ngx_http_sprox_admin_reason(ngx_http_sprox_alias_t *alias,
    ngx_http_sprox_job_spec_t *spec, sprox_region_t *region, u_char *buf,
    u_char *last)
{
    u_char                     *p;
    ngx_http_sprox_job_info_t   info;

    if (!alias->catalog) {
        p = ngx_slprintf(buf, last, "the policy of no location has \"list "
                         "catalog\" for it");

    } else if (ngx_http_sprox_job_last(spec, &info) != NGX_OK
               && alias->outer != NULL)
    {
        p = ngx_slprintf(buf, last, "alias \"%V\", whose target it lies in, "
                         "is not crawled yet", &alias->outer->pattern);

    } else if (ngx_http_sprox_job_last(spec, &info) != NGX_OK) {
        p = ngx_slprintf(buf, last, "it was not crawled yet");

    } else if (info.state == NGX_HTTP_SPROX_JOB_QUEUED
               || info.state == NGX_HTTP_SPROX_JOB_RUNNING)
    {
        p = ngx_slprintf(buf, last, "job %uL crawls it", info.id);

    } else if (info.state == NGX_HTTP_SPROX_JOB_FAILED) {
        p = ngx_slprintf(buf, last, "job %uL failed: %*s", info.id,
                         info.error_len, info.error);

    } else if (info.state == NGX_HTTP_SPROX_JOB_CANCELED) {
        p = ngx_slprintf(buf, last, "job %uL was canceled", info.id);

    } else if (region->overflow) {
        p = ngx_slprintf(buf, last, "it does not fit into the catalog: write "
                         "a larger zone= in sprox_catalog");

    } else if (region->crawled) {
        p = ngx_slprintf(buf, last, "it was purged since it was crawled");

    } else {
        p = ngx_slprintf(buf, last, "the catalog was emptied since it was "
                         "crawled");
    }

    return p - buf;
}


static json_t *
ngx_http_sprox_admin_text(sprox_str_t s)
{
    json_t       *json;
    sprox_buf_t   coded;

    json = json_stringn(s.len ? (char *) s.data : "", s.len);

    if (json != NULL) {
        return json;
    }

    sprox_buf_init(&coded, &ngx_http_sprox_mem_heap);
    sprox_uri_encode(&coded, s, 1);

    if (sprox_buf_rc(&coded) == SPROX_OK) {
        json = json_stringn((char *) coded.data, coded.len);
    }

    sprox_buf_free(&coded);

    return json;
}


static json_t *
ngx_http_sprox_admin_time(int64_t msec)
{
    uint8_t  text[SPROX_TIME_ISO_LEN];

    if (msec == 0) {
        return json_null();
    }

    sprox_time_iso(msec, text);

    return json_stringn((char *) text, sizeof(text));
}


static json_t *
ngx_http_sprox_admin_known(uint64_t n)
{
    return n ? json_integer(n) : json_null();
}


/* A member for which memory ran out is not there. */

static json_t *
ngx_http_sprox_admin_whole(json_t *json, size_t members)
{
    if (json != NULL && json_object_size(json) != members) {
        json_decref(json);
        return NULL;
    }

    return json;
}


ngx_int_t
ngx_http_sprox_admin_dump(sprox_buf_t *buf, json_t *json)
{
    int  rc;

    if (json == NULL) {
        return NGX_ERROR;
    }

    rc = json_dump_callback(json, ngx_http_sprox_admin_add, buf,
                            NGX_HTTP_SPROX_ADMIN_JSON);
    json_decref(json);

    return rc == 0 && sprox_buf_rc(buf) == SPROX_OK ? NGX_OK : NGX_ERROR;
}


static int
ngx_http_sprox_admin_add(const char *text, size_t len, void *data)
{
    sprox_buf_add(data, text, len);

    return 0;
}


ngx_int_t
ngx_http_sprox_admin_send(ngx_http_request_t *r, ngx_uint_t status,
    json_t *json)
{
    sprox_buf_t  buf;
    sprox_mem_t  mem;

    ngx_http_sprox_mem_pool(&mem, r->pool);
    sprox_buf_init(&buf, &mem);

    if (ngx_http_sprox_admin_dump(&buf, json) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_sprox_admin_send_text(r, status, &buf);
}


ngx_int_t
ngx_http_sprox_admin_send_text(ngx_http_request_t *r, ngx_uint_t status,
    sprox_buf_t *buf)
{
    ngx_str_t  name, value;

    sprox_buf_char(buf, LF);

    ngx_str_set(&name, "Cache-Control");
    ngx_str_set(&value, "no-store");

    if (sprox_buf_rc(buf) != SPROX_OK
        || ngx_http_sprox_add_header(r, name, value) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_sprox_send_body(r, status, "application/json",
                                    sprox_buf_get(buf));
}
