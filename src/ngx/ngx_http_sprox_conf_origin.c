/*
 * Origins: their blocks, the ones that are known without a block, and what
 * an origin needs once all is read.
 *
 *   block, or built in       words are set, in any order
 *   completed                at the block's end: see _conf_complete.c
 *   prepared                 when it is known which are used: threads,
 *                            credentials, the region that came with them
 */

#include "ngx_http_sprox_conf.h"
#include "ngx_http_sprox_cred.h"


typedef struct {
    ngx_str_t          name;
    sprox_cred_kind_t  kind;
    ngx_uint_t         min;       /* arguments after it */
    ngx_uint_t         max;
} ngx_http_sprox_conf_cred_t;


static ngx_http_sprox_conf_cred_t  ngx_http_sprox_conf_creds[] = {
    { ngx_string("anonymous"), SPROX_CRED_ANONYMOUS, 0, 0 },
    { ngx_string("static"), SPROX_CRED_STATIC, 2, 3 },
    { ngx_string("env"), SPROX_CRED_ENV, 0, 0 },
    { ngx_string("shared"), SPROX_CRED_SHARED, 0, 1 },
    { ngx_string("chain"), SPROX_CRED_CHAIN, 0, 0 },
    { ngx_null_string, SPROX_CRED_ANONYMOUS, 0, 0 }
};


static ngx_http_sprox_conf_origin_t *ngx_http_sprox_origin_create(
    ngx_conf_t *cf, ngx_str_t *name, ngx_str_t *file, ngx_uint_t line);


char *
ngx_http_sprox_set_origin(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_sprox_main_conf_t  *mcf = conf;

    char                           *rv;
    size_t                          i;
    ngx_str_t                      *name, file;
    ngx_uint_t                      k, line;
    ngx_http_sprox_origin_t       **slot;
    ngx_http_sprox_conf_origin_t   *block;

    name = cf->args->elts;
    name++;

    for (i = 0; i < name->len; i++) {

        if (!((name->data[i] >= 'a' && name->data[i] <= 'z')
              || (name->data[i] >= 'A' && name->data[i] <= 'Z')
              || (name->data[i] >= '0' && name->data[i] <= '9')
              || name->data[i] == '_' || name->data[i] == '-'
              || name->data[i] == '.'))
        {
            break;
        }
    }

    if (name->len == 0 || name->len > NGX_HTTP_SPROX_NAME_MAX
        || i != name->len)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid name \"%V\" of sprox_origin: write 1 to "
                           "%d letters, digits, \"_\", \"-\" and \".\"",
                           name, NGX_HTTP_SPROX_NAME_MAX);
        return NGX_CONF_ERROR;
    }

    slot = mcf->origins.elts;

    for (k = 0; k < mcf->origins.nelts; k++) {

        if (slot[k]->name.len == name->len
            && ngx_memcmp(slot[k]->name.data, name->data, name->len) == 0)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "duplicate sprox_origin \"%V\": the first is "
                               "in %V:%ui", name, &slot[k]->file,
                               slot[k]->line);
            return NGX_CONF_ERROR;
        }
    }

    ngx_http_sprox_conf_where(cf, &file, &line);

    block = ngx_http_sprox_origin_create(cf, name, &file, line);
    if (block == NULL) {
        return NGX_CONF_ERROR;
    }

    rv = ngx_http_sprox_conf_block(cf, NGX_HTTP_SPROX_ORIGIN_CONF, block);

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    if (ngx_http_sprox_origin_complete(cf, block) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    slot = ngx_array_push(&mcf->origins);
    if (slot == NULL) {
        return NGX_CONF_ERROR;
    }

    block->origin.index = mcf->origins.nelts - 1;
    *slot = &block->origin;

    return NGX_CONF_OK;
}


static ngx_http_sprox_conf_origin_t *
ngx_http_sprox_origin_create(ngx_conf_t *cf, ngx_str_t *name, ngx_str_t *file,
    ngx_uint_t line)
{
    ngx_http_sprox_origin_t       *origin;
    ngx_http_sprox_conf_origin_t  *block;

    block = ngx_pcalloc(cf->pool, sizeof(ngx_http_sprox_conf_origin_t));
    if (block == NULL) {
        return NULL;
    }

    block->style = NGX_CONF_UNSET;

    origin = &block->origin;

    origin->name = *name;
    origin->file = *file;
    origin->line = line;

    origin->cred_kind = SPROX_CRED_CHAIN;
    origin->keepalive = NGX_CONF_UNSET_UINT;
    origin->retries = NGX_CONF_UNSET_UINT;
    origin->max_connections = NGX_CONF_UNSET_UINT;
    origin->max_fails = NGX_CONF_UNSET_UINT;
    origin->fail_timeout = NGX_CONF_UNSET_MSEC;
    origin->connect_timeout = NGX_CONF_UNSET_MSEC;
    origin->read_timeout = NGX_CONF_UNSET_MSEC;
    origin->verify = NGX_CONF_UNSET;

    ngx_queue_init(&origin->idle);
    ngx_queue_init(&origin->waiting);
    ngx_queue_init(&origin->waiting_ahead);
    ngx_queue_init(&origin->hosts);
    ngx_queue_init(&origin->regions);
    ngx_queue_init(&origin->sessions);

    return block;
}


char *
ngx_http_sprox_set_dialect(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_sprox_conf_origin_t  *block = conf;

    ngx_str_t  *value;

    if (block->dialect.data != NULL) {
        return "is duplicate";
    }

    value = cf->args->elts;
    block->dialect = value[1];

    block->origin.dialect = sprox_dialect(ngx_http_sprox_to_core(value[1]));

    if (block->origin.dialect != NULL) {
        return NGX_CONF_OK;
    }

    if (ngx_strcmp(value[1].data, "azure") == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"dialect azure\" is not supported yet: there "
                           "are \"s3\", \"gcs\" and \"file\"");
        return NGX_CONF_ERROR;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "unknown dialect \"%V\": write \"s3\", \"gcs\" or "
                       "\"file\"", &value[1]);

    return NGX_CONF_ERROR;
}


char *
ngx_http_sprox_set_endpoint(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_sprox_conf_origin_t  *block = conf;

    ngx_str_t                *value;
    const char               *why;
    ngx_http_sprox_origin_t  *origin;

    origin = &block->origin;

    if (origin->endpoint.data != NULL) {
        return "is duplicate";
    }

    value = cf->args->elts;
    origin->endpoint = value[1];

    /* what stands before '@' is a secret: the line must not repeat it */

    if (ngx_strlchr(value[1].data, value[1].data + value[1].len, '@')) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid URL in \"endpoint\": user and password "
                           "have no place in it; write http[s]://HOST[:PORT] "
                           "and the keys in \"credentials\"");
        return NGX_CONF_ERROR;
    }

    if (sprox_endpoint_parse(ngx_http_sprox_to_core(value[1]),
                             &origin->addr.endpoint, &why)
        != SPROX_OK)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid URL \"%V\" in \"endpoint\": %s; write "
                           "http[s]://HOST[:PORT]", &value[1], why);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


char *
ngx_http_sprox_set_region(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_sprox_conf_origin_t  *block = conf;

    ngx_str_t  *value;

    if (block->origin.region.data != NULL) {
        return "is duplicate";
    }

    value = cf->args->elts;
    block->origin.region = value[1];

    if (!sprox_region_valid(ngx_http_sprox_to_core(value[1]))) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid region \"%V\" in \"region\": write one "
                           "such as eu-west-1, of a-z, 0-9 and \"-\"",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


char *
ngx_http_sprox_set_style(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_sprox_conf_origin_t  *block = conf;

    ngx_str_t  *value;

    if (block->style != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "virtual") == 0) {
        block->style = 1;
        return NGX_CONF_OK;
    }

    if (ngx_strcmp(value[1].data, "path") == 0) {
        block->style = 0;
        return NGX_CONF_OK;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid value \"%V\" in \"style\": write \"virtual\" "
                       "or \"path\"", &value[1]);

    return NGX_CONF_ERROR;
}


/* No message here repeats an argument but the kind: they may be secrets. */

char *
ngx_http_sprox_set_credentials(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_sprox_conf_origin_t  *block = conf;

    ngx_str_t                   *value;
    ngx_uint_t                   i, n;
    ngx_http_sprox_origin_t     *origin;
    ngx_http_sprox_conf_cred_t  *cred;

    if (block->credentials) {
        return "is duplicate";
    }

    block->credentials = 1;

    value = cf->args->elts;
    n = cf->args->nelts - 2;

    if (ngx_strcmp(value[1].data, "imds") == 0
        || ngx_strcmp(value[1].data, "ecs") == 0
        || ngx_strcmp(value[1].data, "web_identity") == 0)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"credentials %V\" is not supported yet: write "
                           "chain, env, static, shared or anonymous",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    for (cred = ngx_http_sprox_conf_creds; cred->name.len != 0; cred++) {

        if (cred->name.len == value[1].len
            && ngx_strcmp(cred->name.data, value[1].data) == 0)
        {
            break;
        }
    }

    if (cred->name.len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "unknown kind in \"credentials\": write chain, "
                           "env, static ID SECRET [TOKEN], shared [PROFILE] "
                           "or anonymous");
        return NGX_CONF_ERROR;
    }

    for (i = 0; i < n && value[2 + i].len != 0; i++) { /* void */ }

    if (n < cred->min || n > cred->max || i != n) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid number of arguments after \"credentials "
                           "%V\": write \"credentials %V%s;\"", &cred->name,
                           &cred->name,
                           cred->kind == SPROX_CRED_STATIC
                               ? " ID SECRET [TOKEN]"
                               : cred->kind == SPROX_CRED_SHARED
                                     ? " [PROFILE]" : "");
        return NGX_CONF_ERROR;
    }

    origin = &block->origin;
    origin->cred_kind = cred->kind;

    if (cred->kind == SPROX_CRED_STATIC) {
        origin->access_key = value[2];
        origin->secret_key = value[3];

        if (n == 3) {
            origin->token = value[4];
        }

    } else if (n == 1) {
        origin->profile = value[2];
    }

    return NGX_CONF_OK;
}


/* nginx's own setters name no way out, and of bounds not the directive. */

char *
ngx_http_sprox_set_number(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_int_t                     *number;
    ngx_str_t                     *value;
    ngx_http_sprox_conf_bounds_t  *bounds;

    number = (ngx_int_t *) ((u_char *) conf + cmd->offset);

    if (*number != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    value = cf->args->elts;
    bounds = cmd->post;

    *number = ngx_atoi(value[1].data, value[1].len);

    if (*number == NGX_ERROR || *number < bounds->low
        || *number > bounds->high)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\" in \"%V\": write a number "
                           "from %i to %i", &value[1], &cmd->name, bounds->low,
                           bounds->high);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


char *
ngx_http_sprox_set_timeout(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t   *value;
    ngx_msec_t  *timeout;

    timeout = (ngx_msec_t *) ((u_char *) conf + cmd->offset);

    if (*timeout != NGX_CONF_UNSET_MSEC) {
        return "is duplicate";
    }

    value = cf->args->elts;

    *timeout = ngx_parse_time(&value[1], 0);

    if (*timeout == (ngx_msec_t) NGX_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\" in \"%V\": write a time such "
                           "as 500ms or 30s", &value[1], &cmd->name);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


ngx_http_sprox_origin_t *
ngx_http_sprox_conf_origin(ngx_conf_t *cf, ngx_http_sprox_main_conf_t *mcf,
    ngx_str_t *name, ngx_str_t *file, ngx_uint_t line, ngx_int_t *rc)
{
    ngx_uint_t                      i;
    const sprox_dialect_t          *dialect;
    ngx_http_sprox_origin_t       **slot;
    ngx_http_sprox_conf_origin_t   *block;

    slot = mcf->origins.elts;

    for (i = 0; i < mcf->origins.nelts; i++) {

        if (slot[i]->name.len == name->len
            && ngx_memcmp(slot[i]->name.data, name->data, name->len) == 0)
        {
            return slot[i];
        }
    }

    /* the origins that are known without a block bear their dialects' names */

    dialect = sprox_dialect(ngx_http_sprox_to_core(*name));

    if (dialect == NULL) {
        *rc = NGX_DECLINED;
        return NULL;
    }

    *rc = NGX_ERROR;

    block = ngx_http_sprox_origin_create(cf, name, file, line);
    if (block == NULL) {
        return NULL;
    }

    block->origin.built_in = 1;

    if (ngx_http_sprox_origin_complete(cf, block) != NGX_OK) {
        return NULL;
    }

    slot = ngx_array_push(&mcf->origins);
    if (slot == NULL) {
        return NULL;
    }

    block->origin.index = mcf->origins.nelts - 1;
    *slot = &block->origin;

    return &block->origin;
}


ngx_http_sprox_origin_t *
ngx_http_sprox_conf_service(ngx_conf_t *cf, ngx_http_sprox_main_conf_t *mcf,
    const sprox_dialect_t *dialect, ngx_str_t *name, ngx_str_t *endpoint,
    ngx_str_t *region, ngx_str_t *trusted_certificate,
    ngx_http_sprox_origin_t *like, ngx_str_t *file, ngx_uint_t line)
{
    const char                     *why;
    ngx_http_sprox_origin_t        *origin, **slot;
    ngx_http_sprox_conf_origin_t   *block;

    block = ngx_http_sprox_origin_create(cf, name, file, line);
    if (block == NULL) {
        return NULL;
    }

    origin = &block->origin;

    origin->dialect = dialect;
    origin->endpoint = *endpoint;
    origin->region = *region;
    origin->trusted_certificate = *trusted_certificate;
    origin->cred_kind = SPROX_CRED_ANONYMOUS;
    origin->max_fails = 0;
    origin->used = 1;

    if (like != NULL) {
        origin->cred_kind = like->cred_kind;
        origin->access_key = like->access_key;
        origin->secret_key = like->secret_key;
        origin->token = like->token;
        origin->profile = like->profile;
    }

    if (sprox_endpoint_parse(ngx_http_sprox_to_core(*endpoint),
                             &origin->addr.endpoint, &why)
        != SPROX_OK)
    {
        ngx_http_sprox_conf_refuse(cf, file, line,
            "invalid host in \"sprox_events %V\": %s", name, why);
        return NULL;
    }

    if (ngx_http_sprox_origin_complete(cf, block) != NGX_OK) {
        return NULL;
    }

    slot = ngx_array_push(&mcf->origins);
    if (slot == NULL) {
        return NULL;
    }

    origin->index = mcf->origins.nelts - 1;
    *slot = origin;

    return origin;
}


ngx_int_t
ngx_http_sprox_conf_origins(ngx_conf_t *cf, ngx_http_sprox_main_conf_t *mcf)
{
    ngx_uint_t                      i;
    ngx_http_sprox_origin_t       **origin;
    ngx_http_sprox_conf_origin_t   *block;

    origin = mcf->origins.elts;

    for (i = 0; i < mcf->origins.nelts; i++) {

        if (!origin[i]->used) {
            continue;
        }

        /*
         * what may block is done in threads: the file store, the system's
         * resolver, credential files that are read again
         */

        if (mcf->thread_pool == NULL
            && (!origin[i]->dialect->network || mcf->resolver == NULL
                || origin[i]->cred_kind == SPROX_CRED_SHARED
                || origin[i]->cred_kind == SPROX_CRED_CHAIN))
        {
            mcf->thread_pool = ngx_thread_pool_add(cf, NULL);
            if (mcf->thread_pool == NULL) {
                return NGX_ERROR;
            }
        }
    }

    /* and what is written into the cache */

    if (mcf->thread_pool == NULL && mcf->places.nelts) {
        mcf->thread_pool = ngx_thread_pool_add(cf, NULL);
        if (mcf->thread_pool == NULL) {
            return NGX_ERROR;
        }
    }

    for (i = 0; i < mcf->origins.nelts; i++) {

        if (!origin[i]->used) {
            continue;
        }

        origin[i]->thread_pool = mcf->thread_pool;

        if (ngx_http_sprox_cred_init(cf, origin[i]) != NGX_OK) {
            return NGX_ERROR;
        }

        block = (ngx_http_sprox_conf_origin_t *) origin[i];

        if (ngx_http_sprox_origin_relocate(cf, block) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}
