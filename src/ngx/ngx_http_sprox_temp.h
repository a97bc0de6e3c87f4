/*
 * Temporary files of cache entries in the making, noted in shared memory.
 * A worker that is killed leaves them behind, and nginx never looks at them
 * again: the next worker that starts deletes those of the dead.
 */

#ifndef _NGX_HTTP_SPROX_TEMP_H_INCLUDED_
#define _NGX_HTTP_SPROX_TEMP_H_INCLUDED_


#include "ngx_http_sprox.h"


typedef struct ngx_http_sprox_temp_s  ngx_http_sprox_temp_t;


/* Configuration: the zone.  NGX_OK or NGX_ERROR. */
ngx_int_t ngx_http_sprox_temp_init(ngx_conf_t *cf, ngx_shm_zone_t **zone);

/* A worker begins; what the dead left in the places of mcf goes. */
void ngx_http_sprox_temp_start(ngx_cycle_t *cycle,
    ngx_http_sprox_main_conf_t *mcf);

/*
 * Notes that a temporary file is about to be made for the entry of that MD5.
 * NULL: there is no room, it is not noted.
 */
ngx_http_sprox_temp_t *ngx_http_sprox_temp_add(
    u_char md5[NGX_HTTP_CACHE_KEY_LEN]);

/* It was made, and has this name.  temp may be NULL, here and below. */
void ngx_http_sprox_temp_named(ngx_http_sprox_temp_t *temp, ngx_str_t *name);

/* The file has another name now, or is deleted. */
void ngx_http_sprox_temp_remove(ngx_http_sprox_temp_t *temp);


#endif /* _NGX_HTTP_SPROX_TEMP_H_INCLUDED_ */
