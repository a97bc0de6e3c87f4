/*
 * Answers with a member for each job, or each alias: there may be many, and
 * what is to be told of one is looked up, so they are made in steps.
 */

#include "ngx_http_sprox_admin_private.h"
#include "ngx_http_sprox_steps.h"


typedef struct ngx_http_sprox_all_s  ngx_http_sprox_all_t;

struct ngx_http_sprox_all_s {
    sprox_mem_t                   mem;
    sprox_buf_t                   body;
    ngx_uint_t                    n;         /* members so far */
    ngx_http_sprox_main_conf_t   *mcf;
    ngx_http_sprox_job_info_t     info;      /* the last job */
    ngx_int_t                   (*next)(ngx_http_sprox_all_t *all,
                                        json_t **json);
};


static ngx_int_t ngx_http_sprox_all(ngx_http_request_t *r, const char *name,
    ngx_int_t (*next)(ngx_http_sprox_all_t *all, json_t **json));
static ngx_int_t ngx_http_sprox_all_step(ngx_http_request_t *r, void *data);
static ngx_int_t ngx_http_sprox_all_job(ngx_http_sprox_all_t *all,
    json_t **json);
static ngx_int_t ngx_http_sprox_all_alias(ngx_http_sprox_all_t *all,
    json_t **json);


ngx_int_t
ngx_http_sprox_admin_jobs(ngx_http_request_t *r)
{
    return ngx_http_sprox_all(r, "jobs", ngx_http_sprox_all_job);
}


ngx_int_t
ngx_http_sprox_admin_aliases(ngx_http_request_t *r)
{
    return ngx_http_sprox_all(r, "aliases", ngx_http_sprox_all_alias);
}


/* next: the next member in *json; NGX_OK, or NGX_DONE: that was all. */

static ngx_int_t
ngx_http_sprox_all(ngx_http_request_t *r, const char *name,
    ngx_int_t (*next)(ngx_http_sprox_all_t *all, json_t **json))
{
    ngx_http_sprox_all_t  *all;

    all = ngx_pcalloc(r->pool, sizeof(ngx_http_sprox_all_t));
    if (all == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    all->mcf = ngx_http_get_module_main_conf(r, ngx_http_sprox_module);
    all->next = next;

    ngx_http_sprox_mem_pool(&all->mem, r->pool);
    sprox_buf_init(&all->body, &all->mem);

    sprox_buf_text(&all->body, "{\"");
    sprox_buf_text(&all->body, name);
    sprox_buf_text(&all->body, "\":[");

    return ngx_http_sprox_steps(r, ngx_http_sprox_all_step, all, 0);
}


static ngx_int_t
ngx_http_sprox_all_step(ngx_http_request_t *r, void *data)
{
    ngx_http_sprox_all_t *all = data;

    json_t  *json;

    if (all->next(all, &json) == NGX_DONE) {
        sprox_buf_text(&all->body, "]}");
        return ngx_http_sprox_admin_send_text(r, NGX_HTTP_OK, &all->body);
    }

    if (all->n++) {
        sprox_buf_char(&all->body, ',');
    }

    return ngx_http_sprox_admin_dump(&all->body, json) == NGX_OK
           ? NGX_AGAIN : NGX_HTTP_INTERNAL_SERVER_ERROR;
}


static ngx_int_t
ngx_http_sprox_all_job(ngx_http_sprox_all_t *all, json_t **json)
{
    if (ngx_http_sprox_job_next(all->info.id, &all->info) != NGX_OK) {
        return NGX_DONE;
    }

    *json = ngx_http_sprox_admin_job(&all->info);

    return NGX_OK;
}


static ngx_int_t
ngx_http_sprox_all_alias(ngx_http_sprox_all_t *all, json_t **json)
{
    ngx_http_sprox_alias_t  **alias;

    if (all->n == all->mcf->aliases.nelts) {
        return NGX_DONE;
    }

    alias = all->mcf->aliases.elts;
    *json = ngx_http_sprox_admin_alias(alias[all->n], sprox_str_null, NULL);

    return NGX_OK;
}
