
/*
 * Which alias leads to an object: each origin has the table of its own (see
 * sprox_reach.h), made with the configuration.
 */

#include "ngx_http_sprox_reach.h"
#include "sprox_reach.h"


static ngx_int_t ngx_http_sprox_reach_origin(ngx_conf_t *cf,
    ngx_http_sprox_main_conf_t *mcf, ngx_http_sprox_origin_t *origin);


ngx_int_t
ngx_http_sprox_reach_init(ngx_conf_t *cf, ngx_http_sprox_main_conf_t *mcf)
{
    ngx_uint_t                 i;
    ngx_http_sprox_alias_t   **alias;
    ngx_http_sprox_origin_t  **origin;

    origin = mcf->origins.elts;
    alias = mcf->aliases.elts;

    for (i = 0; i < mcf->origins.nelts; i++) {
        origin[i]->nreach = 0;
    }

    for (i = 0; i < mcf->aliases.nelts; i++) {
        alias[i]->rank = i;
        alias[i]->origin->nreach++;
    }

    for (i = 0; i < mcf->origins.nelts; i++) {
        if (ngx_http_sprox_reach_origin(cf, mcf, origin[i]) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_sprox_reach_origin(ngx_conf_t *cf, ngx_http_sprox_main_conf_t *mcf,
    ngx_http_sprox_origin_t *origin)
{
    ngx_uint_t                i;
    sprox_mem_t               mem;
    sprox_reach_t            *entry;
    ngx_http_sprox_alias_t  **alias;

    if (origin->nreach == 0) {
        return NGX_OK;
    }

    entry = ngx_palloc(cf->pool, origin->nreach * sizeof(sprox_reach_t));
    if (entry == NULL) {
        return NGX_ERROR;
    }

    origin->reach = entry;
    alias = mcf->aliases.elts;

    ngx_http_sprox_mem_pool(&mem, cf->pool);

    for (i = 0; i < mcf->aliases.nelts; i++) {

        if (alias[i]->origin == origin
            && sprox_reach_set(&mem, entry++, &alias[i]->map, alias[i])
               != SPROX_OK)
        {
            return NGX_ERROR;
        }
    }

    sprox_reach_sort(origin->reach, origin->nreach);

    return NGX_OK;
}


ngx_http_sprox_alias_t *
ngx_http_sprox_reach(ngx_http_sprox_origin_t *origin, sprox_str_t bucket,
    sprox_str_t key, ngx_uint_t warm)
{
    sprox_reach_walk_t       walk;
    const sprox_reach_t     *entry;
    ngx_http_sprox_alias_t  *alias, *first;

    first = NULL;

    sprox_reach_walk(&walk, origin->reach, origin->nreach, bucket, key);

    while ((entry = sprox_reach_next(&walk)) != NULL) {
        alias = entry->data;

        if ((alias->warm || !warm)
            && (first == NULL || alias->rank < first->rank))
        {
            first = alias;
        }
    }

    return first;
}
