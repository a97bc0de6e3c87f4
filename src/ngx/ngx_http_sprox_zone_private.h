/*
 * The catalog's zone, for its own files: one critical section about one
 * space of the catalog.
 */

#ifndef _NGX_HTTP_SPROX_ZONE_PRIVATE_H_INCLUDED_
#define _NGX_HTTP_SPROX_ZONE_PRIVATE_H_INCLUDED_


#include "ngx_http_sprox_zone.h"


typedef struct {
    sprox_catalog_t  *catalog;      /* locked; NULL: there is no zone */
    uint32_t          space;
    sprox_rc_t        rc;
} ngx_http_sprox_zone_at_t;


/*
 * Takes the lock and finds the space of an origin's bucket, which is made as
 * create says (SPROX_SPACE_...).  SPROX_OK: at is set, and what is done there
 * tells its outcome in at->rc.  Whatever it returns, leave() follows, which
 * lets go of the lock and returns at->rc.  SPROX_NOT_FOUND is all else for
 * SPROX_SPACE_FIND; what would be made is SPROX_FULL without a zone.
 */
sprox_rc_t ngx_http_sprox_zone_enter(ngx_http_sprox_zone_at_t *at,
    ngx_http_sprox_origin_t *origin, sprox_str_t bucket, int create);
sprox_rc_t ngx_http_sprox_zone_leave(ngx_http_sprox_zone_at_t *at);

#define ngx_http_sprox_zone_find(at, origin, bucket)                          \
    ngx_http_sprox_zone_enter(at, origin, bucket, SPROX_SPACE_FIND)


#endif /* _NGX_HTTP_SPROX_ZONE_PRIVATE_H_INCLUDED_ */
