/*
 * Which alias leads to an object of an origin: looked up, not walked for,
 * since there may be a thousand of them and a thousand events in a message.
 */

#ifndef _NGX_HTTP_SPROX_REACH_H_INCLUDED_
#define _NGX_HTTP_SPROX_REACH_H_INCLUDED_


#include "ngx_http_sprox.h"


/* Configuration, when all aliases have their origins.  NGX_OK or NGX_ERROR. */
ngx_int_t ngx_http_sprox_reach_init(ngx_conf_t *cf,
    ngx_http_sprox_main_conf_t *mcf);

/*
 * The most specific of the aliases that may lead to an object, or of those
 * that want it warm; NULL: there is none.
 */
ngx_http_sprox_alias_t *ngx_http_sprox_reach(ngx_http_sprox_origin_t *origin,
    sprox_str_t bucket, sprox_str_t key, ngx_uint_t warm);


#endif /* _NGX_HTTP_SPROX_REACH_H_INCLUDED_ */
