/*
 * How many objects are known of an alias.  Where a region counts them, that
 * is known at once; where none does, or one that covers more, the catalog is
 * walked, in steps, so that other requests have their turn.
 */

#include "ngx_http_sprox_admin_private.h"


/* Holdings of the catalog's lock in one turn of the event loop. */
#define NGX_HTTP_SPROX_COUNT_STEPS   16

/*
 * While a walk goes on it has a timer, which keeps a worker that is to exit;
 * in ms.  A turn never takes that long.
 */
#define NGX_HTTP_SPROX_COUNT_GUARD   60000


typedef struct {
    ngx_http_request_t       *request;
    ngx_http_sprox_alias_t   *alias;
    sprox_str_t               bucket;
    sprox_region_t            counted;
    sprox_catalog_cursor_t    cursor;
    ngx_event_t               event;
} ngx_http_sprox_count_t;


static void ngx_http_sprox_count_step(ngx_event_t *ev);
static sprox_rc_t ngx_http_sprox_count_object(void *data, sprox_str_t key,
    const sprox_object_t *object);
static void ngx_http_sprox_count_cleanup(void *data);


ngx_int_t
ngx_http_sprox_admin_count(ngx_http_request_t *r,
    ngx_http_sprox_alias_t *alias, sprox_str_t bucket)
{
    sprox_str_t              prefix;
    sprox_region_t           region;
    ngx_pool_cleanup_t      *cln;
    ngx_http_sprox_count_t  *count;

    if ((bucket.len == 0
         && ngx_http_sprox_region_bucket(alias, &bucket) != NGX_OK)
        || ngx_http_sprox_region(alias, bucket, &prefix) != NGX_OK
        || ngx_http_sprox_admin_counted(alias, bucket, prefix, &region))
    {
        return ngx_http_sprox_admin_send(r, NGX_HTTP_OK,
                   ngx_http_sprox_admin_alias(alias, bucket, NULL));
    }

    count = ngx_pcalloc(r->pool, sizeof(ngx_http_sprox_count_t));
    cln = ngx_pool_cleanup_add(r->pool, 0);

    if (count == NULL || cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    count->request = r;
    count->alias = alias;
    count->bucket = bucket;

    sprox_catalog_cursor_init(&count->cursor, prefix, sprox_str_null,
                              sprox_str_null);

    count->event.handler = ngx_http_sprox_count_step;
    count->event.data = count;
    count->event.log = r->connection->log;

    cln->handler = ngx_http_sprox_count_cleanup;
    cln->data = count;

    r->main->count++;

    ngx_add_timer(&count->event, NGX_HTTP_SPROX_COUNT_GUARD);
    ngx_post_event(&count->event, &ngx_posted_events);

    return NGX_DONE;
}


static void
ngx_http_sprox_count_step(ngx_event_t *ev)
{
    ngx_int_t                rc;
    ngx_uint_t               i;
    sprox_rc_t               more;
    ngx_connection_t        *c;
    ngx_http_request_t      *r;
    ngx_http_sprox_count_t  *count;

    count = ev->data;
    r = count->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    more = SPROX_DONE;

    for (i = 0; i < NGX_HTTP_SPROX_COUNT_STEPS; i++) {

        more = ngx_http_sprox_zone_list(count->alias->origin, count->bucket,
                                        &count->cursor,
                                        NGX_HTTP_SPROX_ZONE_STEP,
                                        ngx_http_sprox_count_object, count);
        if (more != SPROX_AGAIN) {
            break;
        }
    }

    if (more == SPROX_AGAIN) {
        ngx_add_timer(ev, NGX_HTTP_SPROX_COUNT_GUARD);
        ngx_post_event(ev, &ngx_posted_next_events);
        return;
    }

    ngx_http_sprox_count_cleanup(count);

    rc = ngx_http_sprox_admin_send(r, NGX_HTTP_OK,
                                   ngx_http_sprox_admin_alias(count->alias,
                                                              count->bucket,
                                                           &count->counted));
    ngx_http_finalize_request(r, rc);
    ngx_http_run_posted_requests(c);
}


static sprox_rc_t
ngx_http_sprox_count_object(void *data, sprox_str_t key,
    const sprox_object_t *object)
{
    ngx_http_sprox_count_t  *count;

    count = data;

    if (object->absent) {
        return SPROX_OK;
    }

    count->counted.objects++;
    count->counted.bytes += object->size;

    return SPROX_OK;
}


static void
ngx_http_sprox_count_cleanup(void *data)
{
    ngx_http_sprox_count_t *count = data;

    if (count->event.timer_set) {
        ngx_del_timer(&count->event);
    }

    if (count->event.posted) {
        ngx_delete_posted_event(&count->event);
    }
}
