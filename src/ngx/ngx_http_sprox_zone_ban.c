
/*
 * Questions about the bans in the catalog's zone.  The zone knows them by the
 * names of spaces; here they are those of origins and buckets.
 */

#include "ngx_http_sprox_zone.h"


/* What is asked, and what was found. */

typedef struct {
    sprox_str_t            name;
    sprox_str_t            prefix;
    int64_t                proved;
    int64_t                time;
    ngx_uint_t             found;
} ngx_http_sprox_zone_question_t;


/* Copies; the strings stand in text one after the other. */

typedef struct {
    sprox_buf_t            text;
    size_t                 names[NGX_HTTP_SPROX_ZONE_BANS];
    size_t                 prefixes[NGX_HTTP_SPROX_ZONE_BANS];
    uint64_t               ids[NGX_HTTP_SPROX_ZONE_BANS];
    int64_t                times[NGX_HTTP_SPROX_ZONE_BANS];
    ngx_uint_t             n;
} ngx_http_sprox_zone_bans_t;


static ngx_int_t ngx_http_sprox_zone_ask(ngx_http_sprox_origin_t *origin,
    sprox_str_t bucket, sprox_catalog_ban_pt visit,
    ngx_http_sprox_zone_question_t *q);
static sprox_rc_t ngx_http_sprox_zone_equal(void *data,
    const sprox_ban_t *ban);
static sprox_rc_t ngx_http_sprox_zone_meets(void *data,
    const sprox_ban_t *ban);
static sprox_rc_t ngx_http_sprox_zone_copy(void *data,
    const sprox_ban_t *ban);
static ngx_http_sprox_origin_t *ngx_http_sprox_zone_origin(
    ngx_http_sprox_main_conf_t *mcf, sprox_str_t name, sprox_str_t *bucket);


sprox_rc_t
ngx_http_sprox_zone_ban_of(ngx_http_sprox_origin_t *origin,
    sprox_str_t bucket, sprox_str_t prefix, int64_t *time)
{
    ngx_http_sprox_zone_question_t  q;

    q.prefix = prefix;

    if (ngx_http_sprox_zone_ask(origin, bucket, ngx_http_sprox_zone_equal, &q)
        != NGX_OK)
    {
        return SPROX_NOT_FOUND;
    }

    *time = q.time;

    return SPROX_OK;
}


ngx_uint_t
ngx_http_sprox_zone_banned_below(ngx_http_sprox_origin_t *origin,
    sprox_str_t bucket, sprox_str_t prefix, int64_t proved)
{
    ngx_http_sprox_zone_question_t  q;

    q.prefix = prefix;
    q.proved = proved;

    return ngx_http_sprox_zone_ask(origin, bucket, ngx_http_sprox_zone_meets,
                                   &q)
           == NGX_OK;
}


/* NGX_OK: some ban is one. */

static ngx_int_t
ngx_http_sprox_zone_ask(ngx_http_sprox_origin_t *origin, sprox_str_t bucket,
    sprox_catalog_ban_pt visit, ngx_http_sprox_zone_question_t *q)
{
    u_char  buf[SPROX_CATALOG_NAME_MAX];

    if (ngx_http_sprox_zone_bans_seq() == 0
        || ngx_http_sprox_zone_name(origin, bucket, buf, &q->name)
           != SPROX_OK)
    {
        return NGX_DECLINED;
    }

    q->found = 0;

    (void) sprox_catalog_bans_locked(ngx_http_sprox_zone_lock(), visit, q);
    ngx_http_sprox_zone_unlock();

    return q->found ? NGX_OK : NGX_DECLINED;
}


static sprox_rc_t
ngx_http_sprox_zone_equal(void *data, const sprox_ban_t *ban)
{
    ngx_http_sprox_zone_question_t *q = data;

    if (!ban->all && sprox_str_eq(ban->name, q->name)
        && sprox_str_eq(ban->prefix, q->prefix))
    {
        q->found = 1;
        q->time = ban->time;
    }

    return SPROX_OK;
}


static sprox_rc_t
ngx_http_sprox_zone_meets(void *data, const sprox_ban_t *ban)
{
    ngx_http_sprox_zone_question_t *q = data;

    if (q->proved < ban->time
        && (ban->all
            || (sprox_str_eq(ban->name, q->name)
                && (sprox_str_starts(q->prefix, ban->prefix)
                    || sprox_str_starts(ban->prefix, q->prefix)))))
    {
        q->found = 1;
    }

    return SPROX_OK;
}


void
ngx_http_sprox_zone_bans(ngx_http_sprox_main_conf_t *mcf,
    ngx_http_sprox_zone_ban_pt visit)
{
    uint8_t                     *p;
    ngx_uint_t                   i;
    sprox_str_t                  name, bucket, prefix;
    ngx_http_sprox_origin_t     *origin;
    ngx_http_sprox_zone_bans_t   bans;

    if (ngx_http_sprox_zone_bans_seq() == 0) {
        return;
    }

    bans.n = 0;
    sprox_buf_init(&bans.text, &ngx_http_sprox_mem_heap);

    (void) sprox_catalog_bans_locked(ngx_http_sprox_zone_lock(),
                                     ngx_http_sprox_zone_copy, &bans);
    ngx_http_sprox_zone_unlock();

    p = bans.text.data;

    for (i = 0; i < bans.n && sprox_buf_rc(&bans.text) == SPROX_OK; i++) {

        name = sprox_str_make(p, bans.names[i]);
        p += bans.names[i];

        prefix = sprox_str_make(p, bans.prefixes[i]);
        p += bans.prefixes[i];

        origin = ngx_http_sprox_zone_origin(mcf, name, &bucket);

        if (origin) {
            visit(origin, bucket, prefix, bans.ids[i], bans.times[i]);
        }
    }

    sprox_buf_free(&bans.text);
}


static sprox_rc_t
ngx_http_sprox_zone_copy(void *data, const sprox_ban_t *ban)
{
    ngx_http_sprox_zone_bans_t *bans = data;

    if (!ban->all && bans->n < NGX_HTTP_SPROX_ZONE_BANS) {
        sprox_buf_str(&bans->text, ban->name);
        sprox_buf_str(&bans->text, ban->prefix);

        bans->names[bans->n] = ban->name.len;
        bans->prefixes[bans->n] = ban->prefix.len;
        bans->ids[bans->n] = ban->id;
        bans->times[bans->n] = ban->time;
        bans->n++;
    }

    return SPROX_OK;
}


/* NULL: it is no more in the configuration, or points elsewhere. */

static ngx_http_sprox_origin_t *
ngx_http_sprox_zone_origin(ngx_http_sprox_main_conf_t *mcf, sprox_str_t name,
    sprox_str_t *bucket)
{
    u_char                     buf[SPROX_CATALOG_NAME_MAX];
    ngx_uint_t                 i;
    sprox_str_t                own;
    ngx_http_sprox_origin_t  **origin;

    origin = mcf->origins.elts;

    for (i = 0; i < mcf->origins.nelts; i++) {

        if (ngx_http_sprox_zone_name(origin[i], sprox_str_null, buf, &own)
            == SPROX_OK
            && sprox_str_starts(name, own))
        {
            *bucket = sprox_str_from(name, own.len);
            return origin[i];
        }
    }

    return NULL;
}
