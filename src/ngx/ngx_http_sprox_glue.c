/*
 * Where the core's words meet nginx's: memory.  The core takes
 * memory through sprox_mem_t; here are the two kinds it is given, a pool
 * (freed with it) and the heap (freed one by one).  And what nginx's own
 * words want that the module has no use for.
 */

#include "ngx_http_sprox_glue.h"


static void *ngx_http_sprox_pool_alloc(void *ctx, size_t size);
static void ngx_http_sprox_pool_free(void *ctx, void *p);
static void *ngx_http_sprox_heap_alloc(void *ctx, size_t size);
static void ngx_http_sprox_heap_free(void *ctx, void *p);


const sprox_mem_t  ngx_http_sprox_mem_heap = {
    ngx_http_sprox_heap_alloc,
    ngx_http_sprox_heap_free,
    NULL
};

ngx_connection_t  ngx_http_sprox_no_connection = { .fd = (ngx_socket_t) -1 };


void
ngx_http_sprox_mem_pool(sprox_mem_t *mem, ngx_pool_t *pool)
{
    mem->alloc = ngx_http_sprox_pool_alloc;
    mem->free = ngx_http_sprox_pool_free;
    mem->ctx = pool;
}


static void *
ngx_http_sprox_pool_alloc(void *ctx, size_t size)
{
    return ngx_palloc(ctx, size);
}


static void
ngx_http_sprox_pool_free(void *ctx, void *p)
{
    if (p != NULL) {
        (void) ngx_pfree(ctx, p);
    }
}


static void *
ngx_http_sprox_heap_alloc(void *ctx, size_t size)
{
    return ngx_alloc(size, ngx_cycle->log);
}


static void
ngx_http_sprox_heap_free(void *ctx, void *p)
{
    ngx_free(p);
}
