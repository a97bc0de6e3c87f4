/*
 * The configuration: contexts, merging, the directives that stand alone,
 * and what is done when all is read.
 *
 *   directives        set fields, in any order; names stay text
 *   merging           http -> server -> location; what is unset stays unset
 *   postconfiguration aliases are bound to origins (an alias may be written
 *                     before its origin) and ordered, cache zones are looked
 *                     up, policies are checked where they can come about,
 *                     zones are made
 *
 * Every mistake ends in one [emerg] line with the file, the line, the
 * directive and the way out: ngx_conf_log_error() while the parser is
 * there, ngx_http_sprox_conf_refuse() later.
 */

#include "ngx_http_sprox_conf.h"
#include "ngx_http_sprox_admin.h"
#include "ngx_http_sprox_events.h"
#include "ngx_http_sprox_fill.h"
#include "ngx_http_sprox_job.h"
#include "ngx_http_sprox_open.h"
#include "ngx_http_sprox_metrics.h"
#include "ngx_http_sprox_persist.h"
#include "ngx_http_sprox_temp.h"
#include "ngx_http_sprox_tier.h"
#include "ngx_http_sprox_reach.h"
#include "ngx_http_sprox_warm.h"
#include "ngx_http_sprox_zone.h"


#define NGX_HTTP_SPROX_RESOLVER_TIMEOUT  30000


typedef struct {
    ngx_conf_t  *cf;
    ngx_str_t    block;
    ngx_uint_t   type;
} ngx_http_sprox_conf_hint_t;


static u_char *ngx_http_sprox_conf_hint(ngx_log_t *log, u_char *buf,
    size_t len);
static ngx_int_t ngx_http_sprox_conf_location(ngx_conf_t *cf,
    ngx_http_sprox_loc_conf_t *slcf, ngx_http_handler_pt handler);
static ngx_int_t ngx_http_sprox_conf_locations(ngx_conf_t *cf,
    ngx_http_sprox_conf_t *scf);
static ngx_int_t ngx_http_sprox_conf_zones(ngx_conf_t *cf,
    ngx_http_sprox_conf_t *scf);


void *
ngx_http_sprox_create_main_conf(ngx_conf_t *cf)
{
    ngx_http_sprox_conf_t  *scf;

    scf = ngx_pcalloc(cf->pool, sizeof(ngx_http_sprox_conf_t));
    if (scf == NULL) {
        return NULL;
    }

    if (ngx_array_init(&scf->main.origins, cf->pool, 4,
                       sizeof(ngx_http_sprox_origin_t *))
        != NGX_OK
        || ngx_array_init(&scf->main.aliases, cf->pool, 4,
                          sizeof(ngx_http_sprox_alias_t *))
           != NGX_OK
        || ngx_array_init(&scf->main.places, cf->pool, 1,
                          sizeof(ngx_http_sprox_place_t))
           != NGX_OK
        || ngx_array_init(&scf->main.tiers, cf->pool, 1,
                          sizeof(ngx_http_sprox_tier_t))
           != NGX_OK
        || ngx_array_init(&scf->main.domains, cf->pool, 1, sizeof(ngx_str_t))
           != NGX_OK
        || ngx_array_init(&scf->main.queues, cf->pool, 1,
                          sizeof(ngx_http_sprox_queue_t *))
           != NGX_OK
        || ngx_array_init(&scf->main.topics, cf->pool, 1,
                          sizeof(ngx_http_sprox_topic_t))
           != NGX_OK
        || ngx_array_init(&scf->main.tokens, cf->pool, 1, sizeof(u_char *))
           != NGX_OK
        || ngx_array_init(&scf->caches, cf->pool, 4,
                          sizeof(ngx_http_sprox_conf_cache_t))
           != NGX_OK
        || ngx_array_init(&scf->locations, cf->pool, 4,
                          sizeof(ngx_http_sprox_conf_location_t))
           != NGX_OK)
    {
        return NULL;
    }

    return scf;
}


void *
ngx_http_sprox_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_sprox_loc_conf_t  *slcf;

    slcf = ngx_palloc(cf->pool, sizeof(ngx_http_sprox_loc_conf_t));
    if (slcf == NULL) {
        return NULL;
    }

    slcf->enable = NGX_CONF_UNSET;
    slcf->admin = 0;
    slcf->control = NGX_CONF_UNSET_PTR;
    slcf->token = NGX_CONF_UNSET_PTR;

    ngx_http_sprox_policy_unset(&slcf->policy);

    return slcf;
}


char *
ngx_http_sprox_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_sprox_loc_conf_t  *prev = parent;
    ngx_http_sprox_loc_conf_t  *conf = child;

    ngx_http_core_loc_conf_t  *clcf;

    /*
     * "sprox on" is for its location, not for those inside; "if" and
     * "limit_except" are no locations of their own
     */

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (prev->enable == 1 && (clcf->noname || clcf->lmt_excpt)) {
        conf->enable = 1;

        if (clcf->lmt_excpt && clcf->handler == NULL) {
            clcf->handler = ngx_http_sprox_handler;
        }
    }

    if (prev->admin && (clcf->noname || clcf->lmt_excpt)) {
        conf->admin = 1;

        if (clcf->lmt_excpt && clcf->handler == NULL) {
            clcf->handler = ngx_http_sprox_admin_handler;
        }
    }

    ngx_conf_merge_value(conf->enable, conf->enable, 0);
    ngx_conf_merge_ptr_value(conf->control, prev->control, NULL);
    ngx_conf_merge_ptr_value(conf->token, prev->token, NULL);

    /* no defaults yet: whether "fill" was written decides its default */

    ngx_http_sprox_policy_merge(&conf->policy, &prev->policy);

    return NGX_CONF_OK;
}


ngx_int_t
ngx_http_sprox_init_module(ngx_cycle_t *cycle)
{
    ngx_http_sprox_main_conf_t  *mcf;

    mcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_sprox_module);

    if (mcf == NULL) {
        return NGX_OK;
    }

    ngx_http_sprox_job_init_module(mcf);

    return ngx_http_sprox_flight_init_module(cycle, mcf->flight_zone);
}


ngx_int_t
ngx_http_sprox_init_process(ngx_cycle_t *cycle)
{
    ngx_http_sprox_main_conf_t  *mcf;

    mcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_sprox_module);

    if (mcf == NULL) {
        return NGX_OK;
    }

    ngx_http_sprox_fill_init();
    ngx_http_sprox_open_start(cycle);
    ngx_http_sprox_tier_start(cycle, mcf);
    ngx_http_sprox_metrics_start(mcf->metrics_zone);
    ngx_http_sprox_temp_start(cycle, mcf);

    if (ngx_http_sprox_flight_start(cycle, mcf->flight_zone) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_http_sprox_zone_start(cycle, mcf) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_sprox_persist_start(cycle, mcf);

    if (ngx_http_sprox_job_start(cycle, mcf) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_sprox_events_start(cycle, mcf);
}


void
ngx_http_sprox_exit_master(ngx_cycle_t *cycle)
{
    ngx_http_sprox_main_conf_t  *mcf;

    mcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_sprox_module);

    if (mcf != NULL) {
        ngx_http_sprox_persist_exit(cycle, mcf);
    }
}


ngx_int_t
ngx_http_sprox_postconfiguration(ngx_conf_t *cf)
{
    ngx_http_core_loc_conf_t    *clcf;
    ngx_http_sprox_conf_t       *scf;
    ngx_http_sprox_main_conf_t  *mcf;

    scf = ngx_http_conf_get_module_main_conf(cf, ngx_http_sprox_module);
    mcf = &scf->main;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    /* without "resolver", nginx puts one there that has no servers */

    if (clcf->resolver && clcf->resolver->connections.nelts != 0) {
        mcf->resolver = clcf->resolver;
    }

    mcf->resolver_timeout = clcf->resolver_timeout;

    if (mcf->resolver_timeout == NGX_CONF_UNSET_MSEC) {
        mcf->resolver_timeout = NGX_HTTP_SPROX_RESOLVER_TIMEOUT;
    }

    if (ngx_http_sprox_conf_aliases(cf, mcf) != NGX_OK
        || ngx_http_sprox_reach_init(cf, mcf) != NGX_OK
        || ngx_http_sprox_conf_events(cf, mcf) != NGX_OK
        || ngx_http_sprox_conf_tokens(cf, mcf) != NGX_OK
        || ngx_http_sprox_conf_caches(cf, scf) != NGX_OK
        || ngx_http_sprox_conf_locations(cf, scf) != NGX_OK
        || ngx_http_sprox_conf_origins(cf, mcf) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_sprox_conf_zones(cf, scf);
}


/* The catalog's zone and that of the metrics, when anything needs them. */

static ngx_int_t
ngx_http_sprox_conf_zones(ngx_conf_t *cf, ngx_http_sprox_conf_t *scf)
{
    ngx_http_sprox_main_conf_t  *mcf;

    static ngx_str_t  name = ngx_string("sprox_catalog");

    mcf = &scf->main;

    if (mcf->catalog_zone == NULL && mcf->enabled) {
        mcf->catalog_zone = ngx_http_sprox_zone_add(cf, &name,
                                               NGX_HTTP_SPROX_CATALOG_SIZE);
        if (mcf->catalog_zone == NULL) {
            return NGX_ERROR;
        }
    }

    /* threads write and read it, and parse what is long */

    if ((mcf->catalog_file.len || mcf->told) && mcf->thread_pool == NULL) {
        mcf->thread_pool = ngx_thread_pool_add(cf, NULL);
        if (mcf->thread_pool == NULL) {
            return NGX_ERROR;
        }
    }

    if (scf->locations.nelts == 0) {
        return NGX_OK;
    }

    if (ngx_http_sprox_flight_init(cf, &mcf->flight_zone) != NGX_OK
        || ngx_http_sprox_temp_init(cf, &mcf->temp_zone) != NGX_OK
        || ngx_http_sprox_job_init(cf, mcf) != NGX_OK
        || ngx_http_sprox_warm_init(cf, mcf) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_sprox_metrics_init(cf, mcf);
}


/* Policies are checked in each location where they can come about. */

static ngx_int_t
ngx_http_sprox_conf_locations(ngx_conf_t *cf, ngx_http_sprox_conf_t *scf)
{
    ngx_str_t                        file;
    ngx_uint_t                       i, line;
    ngx_http_sprox_loc_conf_t       *slcf;
    ngx_http_sprox_conf_location_t  *loc;

    /* in http: so that a mistake shows even before a location is there */

    slcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_sprox_module);
    ngx_http_sprox_conf_where(cf, &file, &line);

    if (!scf->main.enabled
        && ngx_http_sprox_conf_policies(cf, &scf->main, slcf, &file, line)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    loc = scf->locations.elts;

    for (i = 0; i < scf->locations.nelts; i++) {

        if (loc[i].clcf->handler != loc[i].handler) {
            ngx_http_sprox_conf_refuse(cf, &loc[i].file, loc[i].line,
                "location \"%V\" has another content handler beside %s: "
                "leave one of them out", &loc[i].clcf->name,
                loc[i].handler == ngx_http_sprox_handler ? "\"sprox on\""
                : loc[i].handler == ngx_http_sprox_admin_handler
                  ? "sprox_admin" : "sprox_metrics");
            return NGX_ERROR;
        }

        if (loc[i].handler == ngx_http_sprox_handler
            && ngx_http_sprox_conf_policies(cf, &scf->main, loc[i].slcf,
                                            &loc[i].file, loc[i].line)
               != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    if (scf->main.enabled && scf->main.aliases.nelts == 0) {
        ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                      "\"sprox on\" serves nothing: there is no sprox_alias, "
                      "such as \"sprox_alias $bucket { target "
                      "s3://$bucket/; }\"");
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_sprox_conf_location(ngx_conf_t *cf, ngx_http_sprox_loc_conf_t *slcf,
    ngx_http_handler_pt handler)
{
    ngx_http_sprox_conf_t           *scf;
    ngx_http_sprox_conf_location_t  *loc;

    scf = ngx_http_conf_get_module_main_conf(cf, ngx_http_sprox_module);

    loc = ngx_array_push(&scf->locations);
    if (loc == NULL) {
        return NGX_ERROR;
    }

    loc->slcf = slcf;
    loc->clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    loc->handler = handler;

    ngx_http_sprox_conf_where(cf, &loc->file, &loc->line);

    return NGX_OK;
}


char *
ngx_http_sprox_set_enable(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_sprox_loc_conf_t  *slcf = conf;

    ngx_str_t                   *value;
    ngx_http_sprox_main_conf_t  *mcf;

    if (slcf->enable != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "off") == 0) {
        slcf->enable = 0;
        return NGX_CONF_OK;
    }

    if (ngx_strcmp(value[1].data, "on") != 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\" in \"sprox\": it must be "
                           "\"on\" or \"off\"", &value[1]);
        return NGX_CONF_ERROR;
    }

    slcf->enable = 1;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_sprox_module);
    mcf->enabled = 1;

    return ngx_http_sprox_conf_handler(cf, slcf, ngx_http_sprox_handler);
}


char *
ngx_http_sprox_conf_handler(ngx_conf_t *cf, void *conf,
    ngx_http_handler_pt handler)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->handler == handler) {
        return "is duplicate";
    }

    if (clcf->handler != NULL) {
        return "needs a location of its own: this one has another content "
               "handler";
    }

    clcf->handler = handler;

    if (ngx_http_sprox_conf_location(cf, conf, handler) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


char *
ngx_http_sprox_set_metrics(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    return ngx_http_sprox_conf_handler(cf, conf,
                                       ngx_http_sprox_metrics_handler);
}


char *
ngx_http_sprox_set_unsupported(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    return "is not supported yet: leave it out";
}


char *
ngx_http_sprox_conf_block(ngx_conf_t *cf, ngx_uint_t type, void *conf)
{
    char                        *rv;
    ngx_log_t                    log;
    ngx_str_t                   *value;
    ngx_conf_t                   saved;
    ngx_http_conf_ctx_t          ctx;
    ngx_http_sprox_conf_hint_t   hint;

    ctx = *(ngx_http_conf_ctx_t *) cf->ctx;

    ctx.loc_conf = ngx_pcalloc(cf->pool, sizeof(void *) * ngx_http_max_module);
    if (ctx.loc_conf == NULL) {
        return NGX_CONF_ERROR;
    }

    ctx.loc_conf[ngx_http_sprox_module.ctx_index] = conf;

    value = cf->args->elts;

    hint.cf = cf;
    hint.block = value[0];
    hint.type = type;

    log = *cf->log;
    log.handler = ngx_http_sprox_conf_hint;
    log.data = &hint;

    saved = *cf;

    cf->ctx = &ctx;
    cf->cmd_type = type;
    cf->log = &log;

    rv = ngx_conf_parse(cf, NULL);

    *cf = saved;

    return rv;
}


/*
 * Adds to the line of a refused word, when this block does not know it,
 * those that it knows.
 */

static u_char *
ngx_http_sprox_conf_hint(ngx_log_t *log, u_char *buf, size_t len)
{
    u_char                      *p, *last;
    ngx_str_t                   *word;
    ngx_uint_t                   n;
    ngx_command_t               *cmd;
    ngx_http_sprox_conf_hint_t  *hint;

    hint = log->data;

    if (hint->cf->args->nelts == 0) {
        return buf;
    }

    word = hint->cf->args->elts;
    last = buf + len;

    p = ngx_slprintf(buf, last, "; in \"%V\" there are", &hint->block);
    n = 0;

    for (cmd = ngx_http_sprox_module.commands; cmd->name.len != 0; cmd++) {

        if (!(cmd->type & hint->type)) {
            continue;
        }

        if (cmd->name.len == word->len
            && ngx_strcmp(cmd->name.data, word->data) == 0)
        {
            return buf;
        }

        if (cmd->set != ngx_http_sprox_set_unsupported) {
            p = ngx_slprintf(p, last, "%s %V", n++ ? "," : "", &cmd->name);
        }
    }

    return p;
}


void ngx_cdecl
ngx_http_sprox_conf_refuse(ngx_conf_t *cf, ngx_str_t *file, ngx_uint_t line,
    const char *fmt, ...)
{
    u_char   *p, errstr[NGX_MAX_CONF_ERRSTR];
    va_list   args;

    va_start(args, fmt);
    p = ngx_vslprintf(errstr, errstr + NGX_MAX_CONF_ERRSTR, fmt, args);
    va_end(args);

    ngx_log_error(NGX_LOG_EMERG, cf->log, 0, "%*s in %V:%ui",
                  (size_t) (p - errstr), errstr, file, line);
}


void
ngx_http_sprox_conf_where(ngx_conf_t *cf, ngx_str_t *file, ngx_uint_t *line)
{
    *file = cf->conf_file->file.name;
    *line = cf->conf_file->line;
}
