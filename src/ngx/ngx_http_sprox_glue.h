/*
 * Where the core's words meet nginx's: strings, memory, codes.
 */

#ifndef _NGX_HTTP_SPROX_GLUE_H_INCLUDED_
#define _NGX_HTTP_SPROX_GLUE_H_INCLUDED_


#include "ngx_http_sprox_clock.h"
#include "sprox_base.h"
#include "sprox_buf.h"


static ngx_inline sprox_str_t
ngx_http_sprox_to_core(ngx_str_t s)
{
    return sprox_str_make(s.data, s.len);
}


static ngx_inline ngx_str_t
ngx_http_sprox_to_ngx(sprox_str_t s)
{
    ngx_str_t  n;

    n.len = s.len;
    n.data = (u_char *) s.data;

    return n;
}


/* A core string as the two arguments of "%*s". */
#define ngx_http_sprox_fmt(s)  (s).len, (s).data


/*
 * Memory out of a pool; the struct must live as long as what is allocated.
 * free() gives back large blocks only, as pools do.
 */
void ngx_http_sprox_mem_pool(sprox_mem_t *mem, ngx_pool_t *pool);

/*
 * What the timer of a worker points to that has nothing of its own: nginx's
 * debug log reads a descriptor there.
 */
extern ngx_connection_t  ngx_http_sprox_no_connection;

/* malloc and free; for what must not wait for a pool to end. */
extern const sprox_mem_t  ngx_http_sprox_mem_heap;


#endif /* _NGX_HTTP_SPROX_GLUE_H_INCLUDED_ */
