/*
 * All differences between the nginx versions that sprox is built for.
 */

#ifndef _NGX_HTTP_SPROX_COMPAT_H_INCLUDED_
#define _NGX_HTTP_SPROX_COMPAT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_event_connect.h>
#include <ngx_http.h>


#if (nginx_version < 1022000)
#error "sprox needs nginx 1.22.0 or newer"
#endif

#if !(NGX_HTTP_CACHE)
#error "sprox needs nginx with its HTTP cache"
#endif

#if !(NGX_HTTP_SSL)
#error "sprox needs nginx with --with-http_ssl_module"
#endif

#if !(NGX_THREADS)
#error "sprox needs nginx with --with-threads"
#endif


/* 1.23.0: header lists are chained by hand */

#if (nginx_version >= 1023000)
#define ngx_http_sprox_header_end(h)  (h)->next = NULL
#else
#define ngx_http_sprox_header_end(h)
#endif


/* 1.27.2: a caller may want the trailers; here they are read past */

#if (nginx_version >= 1027002)
#define ngx_http_sprox_parse_chunked(r, b, ctx)                               \
    ngx_http_parse_chunked(r, b, ctx, 0)
#else
#define ngx_http_sprox_parse_chunked(r, b, ctx)                               \
    ngx_http_parse_chunked(r, b, ctx)
#endif


#endif /* _NGX_HTTP_SPROX_COMPAT_H_INCLUDED_ */
