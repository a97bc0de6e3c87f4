
/*
 * PURGE of one object.
 *
 * The catalog knows the version whose slices may be cached, and so their
 * names; slices of versions before it are reached by nobody any more and go
 * with nginx's own LRU.  An object has as many names as aliases lead to it,
 * and slices wherever their policies want them: all those places are looked
 * into.  An object of many slices is purged in steps, so that other requests
 * have their turn.
 */

#include "ngx_http_sprox_purge.h"
#include "ngx_http_sprox_cache.h"
#include "ngx_http_sprox_error.h"
#include "ngx_http_sprox_metrics.h"
#include "ngx_http_sprox_steps.h"
#include "ngx_http_sprox_zone.h"


typedef struct {
    ngx_http_request_t    *request;
    ngx_http_sprox_ctx_t  *ctx;
    sprox_object_t         object;
    sprox_buf_t            key;
    ngx_array_t           *places;      /* NULL: nothing is known */
    ngx_uint_t             place;       /* the one that is looked into, */
    uint64_t               index;       /* and the slice in it */
    ngx_uint_t             objects;
    ngx_uint_t             slices;
    off_t                  bytes;
} ngx_http_sprox_purge_t;


static ngx_int_t ngx_http_sprox_purge_step(ngx_http_request_t *r, void *data);
static ngx_int_t ngx_http_sprox_purge_slice(ngx_http_sprox_purge_t *purge);
static ngx_int_t ngx_http_sprox_purge_answer(ngx_http_sprox_purge_t *purge);


ngx_int_t
ngx_http_sprox_purge_handler(ngx_http_request_t *r,
    ngx_http_sprox_ctx_t *ctx)
{
    int64_t                      now;
    sprox_rc_t                   known;
    sprox_object_t               object;
    ngx_http_sprox_purge_t      *purge;
    ngx_http_sprox_main_conf_t  *mcf;
    static uint8_t               buf[SPROX_OBJECT_BUF];

    mcf = ngx_http_get_module_main_conf(r, ngx_http_sprox_module);

    purge = ngx_pcalloc(r->pool, sizeof(ngx_http_sprox_purge_t));

    if (purge == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    purge->request = r;
    purge->ctx = ctx;

    known = ngx_http_sprox_zone_get(ctx->alias->origin, ctx->bucket, ctx->key,
                                    &object, buf);

    /*
     * What is not known may stand in the catalog's file, or be on its way; and
     * what was asked for in this very millisecond is older, too, and what
     * another worker asked for since this turn of the event loop began.
     */

    now = ngx_http_sprox_now_exact();

    (void) ngx_http_sprox_zone_purge(ctx->alias->origin, ctx->bucket,
                                     ctx->key, now + 1);

    /* who purges and leaves wants it purged all the same */

    r->read_event_handler = ngx_http_block_reading;

    ngx_http_sprox_told(ctx->alias->origin, ctx->bucket, ctx->key,
                        ngx_http_sprox_now_exact() + 1);

    if (known != SPROX_OK || object.absent) {
        return ngx_http_sprox_steps(r, ngx_http_sprox_purge_step, purge, now);
    }

    purge->objects = 1;

    sprox_buf_init(&purge->key, &ctx->mem);

    purge->object = object;
    purge->object.etag = sprox_str_dup(&ctx->mem, object.etag);
    purge->object.version = sprox_str_dup(&ctx->mem, object.version);
    purge->object.headers = sprox_str_null;
    purge->object.storage_class = sprox_str_null;
    purge->places = &mcf->places;

    if (purge->object.etag.data == NULL
        || purge->object.version.data == NULL)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_sprox_steps(r, ngx_http_sprox_purge_step, purge, now);
}


ngx_uint_t
ngx_http_sprox_purge_allowed(ngx_http_request_t *r)
{
    in_addr_t                   addr;
    struct sockaddr            *sa;
    ngx_http_sprox_loc_conf_t  *slcf;

    slcf = ngx_http_get_module_loc_conf(r, ngx_http_sprox_module);
    sa = r->connection->sockaddr;

    if (slcf->control) {
        return ngx_cidr_match(sa, slcf->control) == NGX_OK;
    }

    switch (sa->sa_family) {

    case AF_UNIX:
        return 1;

#if (NGX_HAVE_INET6)
    case AF_INET6:
        {
            struct in6_addr  *in6;

            in6 = &((struct sockaddr_in6 *) sa)->sin6_addr;

            if (IN6_IS_ADDR_V4MAPPED(in6)) {
                return in6->s6_addr[12] == 127;
            }

            return IN6_IS_ADDR_LOOPBACK(in6);
        }
#endif

    case AF_INET:
        addr = ntohl(((struct sockaddr_in *) sa)->sin_addr.s_addr);
        return (addr >> 24) == 127;

    default:
        return 0;
    }
}


static ngx_int_t
ngx_http_sprox_purge_step(ngx_http_request_t *r, void *data)
{
    ngx_http_sprox_purge_t *purge = data;

    ngx_int_t  rc;

    rc = ngx_http_sprox_purge_slice(purge);

    if (rc == NGX_DONE) {
        return ngx_http_sprox_purge_answer(purge);
    }

    return rc == NGX_OK ? NGX_AGAIN
                        : ngx_http_sprox_send_error(r,
                                         SPROX_ERR_INTERNAL_ERROR, NULL);
}


/* The next slice of the object, in the next place; NGX_DONE: that was all. */

static ngx_int_t
ngx_http_sprox_purge_slice(ngx_http_sprox_purge_t *purge)
{
    off_t                    bytes;
    ngx_int_t                rc;
    ngx_http_sprox_ctx_t    *ctx;
    ngx_http_sprox_place_t  *place;

    ctx = purge->ctx;

    if (purge->places == NULL || purge->place == purge->places->nelts) {
        return NGX_DONE;
    }

    place = purge->places->elts;
    place += purge->place;

    if (purge->index == sprox_slice_count(place->slice, purge->object.size)) {
        purge->place++;
        purge->index = 0;
        return NGX_OK;
    }

    purge->key.len = 0;
    sprox_slice_key(&purge->key,
                    ngx_http_sprox_to_core(ctx->alias->origin->name),
                    ctx->bucket, ctx->key, &purge->object, place->slice,
                    purge->index);

    if (sprox_buf_rc(&purge->key) != SPROX_OK) {
        return NGX_ERROR;
    }

    rc = ngx_http_sprox_cache_delete(ngx_http_sprox_cache_zone(place->zone),
                                     sprox_buf_get(&purge->key),
                                     purge->request->connection->log, &bytes);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (rc == NGX_OK) {
        purge->slices++;
        purge->bytes += bytes;
    }

    purge->index++;

    return NGX_OK;
}


static ngx_int_t
ngx_http_sprox_purge_answer(ngx_http_sprox_purge_t *purge)
{
    u_char              *p;
    sprox_str_t          body;
    ngx_http_request_t  *r;

    r = purge->request;

    ngx_http_sprox_count_purged(purge->slices);

    p = ngx_pnalloc(r->pool, 128);
    if (p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    body.data = p;
    body.len = ngx_sprintf(p, "{\"objects\": %ui, \"slices\": %ui, "
                           "\"bytes\": %O}" CRLF, purge->objects,
                           purge->slices, purge->bytes)
               - p;

    return ngx_http_sprox_send_body(r, NGX_HTTP_OK, "application/json", body);
}
