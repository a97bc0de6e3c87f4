/*
 * Aliases: their blocks, and what is done when all are read: each is bound
 * to its origin and all are put into the order in which they are tried.
 */

#include "ngx_http_sprox_conf.h"
#include "sprox_glob.h"


static char *ngx_http_sprox_conf_map(ngx_conf_t *cf,
    ngx_http_sprox_alias_t *alias);
static ngx_uint_t ngx_http_sprox_conf_shadowed(ngx_array_t *rules);
static char *ngx_http_sprox_conf_regex(ngx_conf_t *cf,
    ngx_http_sprox_rule_t *rule, ngx_str_t *pattern, ngx_uint_t options);
static ngx_int_t ngx_http_sprox_conf_bind(ngx_conf_t *cf,
    ngx_http_sprox_main_conf_t *mcf, ngx_http_sprox_alias_t *alias);
static ngx_int_t ngx_http_sprox_conf_ties(ngx_conf_t *cf,
    ngx_http_sprox_main_conf_t *mcf);
static ngx_int_t ngx_http_sprox_alias_order(const void *one,
    const void *two);


char *
ngx_http_sprox_set_alias(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_sprox_main_conf_t  *mcf = conf;

    char                        *rv;
    ngx_str_t                   *value;
    ngx_uint_t                   i;
    ngx_http_sprox_alias_t      *alias, **slot;
    ngx_http_sprox_conf_block_t  block;

    value = cf->args->elts;
    slot = mcf->aliases.elts;

    for (i = 0; i < mcf->aliases.nelts; i++) {

        if (slot[i]->pattern.len == value[1].len
            && ngx_memcmp(slot[i]->pattern.data, value[1].data, value[1].len)
               == 0)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "duplicate sprox_alias \"%V\": the first is "
                               "in %V:%ui", &value[1], &slot[i]->file,
                               slot[i]->line);
            return NGX_CONF_ERROR;
        }
    }

    alias = ngx_pcalloc(cf->pool, sizeof(ngx_http_sprox_alias_t));
    if (alias == NULL) {
        return NGX_CONF_ERROR;
    }

    alias->pattern = value[1];
    ngx_http_sprox_conf_where(cf, &alias->file, &alias->line);

    if (ngx_array_init(&alias->rules, cf->pool, 1,
                       sizeof(ngx_http_sprox_rule_t))
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(&block, sizeof(ngx_http_sprox_conf_block_t));
    ngx_http_sprox_policy_unset(&block.loc.policy);
    block.alias = alias;

    rv = ngx_http_sprox_conf_block(cf, NGX_HTTP_SPROX_ALIAS_CONF, &block);

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    alias->policy = block.loc.policy;

    if (alias->target.len == 0) {
        ngx_http_sprox_conf_refuse(cf, &alias->file, alias->line,
            "sprox_alias \"%V\" has no target: write \"target "
            "ORIGIN://BUCKET/;\" in it", &alias->pattern);
        return NGX_CONF_ERROR;
    }

    slot = ngx_array_push(&mcf->aliases);
    if (slot == NULL) {
        return NGX_CONF_ERROR;
    }

    *slot = alias;

    return ngx_http_sprox_conf_map(cf, alias);
}


char *
ngx_http_sprox_set_target(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_sprox_conf_block_t  *block = conf;

    ngx_str_t  *value;

    if (block->alias->target.data != NULL) {
        return "is duplicate";
    }

    value = cf->args->elts;
    block->alias->target = value[1];

    return NGX_CONF_OK;
}


/* Both templates are known: what they say together is read. */

static char *
ngx_http_sprox_conf_map(ngx_conf_t *cf, ngx_http_sprox_alias_t *alias)
{
    ngx_str_t     text;
    sprox_rc_t    rc;
    sprox_str_t   why;
    sprox_mem_t   mem;

    ngx_http_sprox_mem_pool(&mem, cf->pool);
    why = sprox_str_null;

    rc = sprox_alias_parse(&mem, ngx_http_sprox_to_core(alias->pattern),
                           ngx_http_sprox_to_core(alias->target),
                           &alias->map, &why);

    if (rc == SPROX_OK) {
        return NGX_CONF_OK;
    }

    if (rc == SPROX_NOMEM) {
        return NGX_CONF_ERROR;
    }

    text = ngx_http_sprox_to_ngx(why);

    if (text.len == 0) {
        ngx_str_set(&text, "it is longer than a template may be");
    }

    ngx_http_sprox_conf_refuse(cf, &alias->file, alias->line,
        "invalid sprox_alias \"%V\" with target \"%V\": %V", &alias->pattern,
        &alias->target, &text);

    return NGX_CONF_ERROR;
}


char *
ngx_http_sprox_set_object(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_sprox_conf_block_t  *outer = conf;

    char                        *rv;
    ngx_str_t                   *value;
    const char                  *why;
    ngx_http_sprox_rule_t       *rule;
    ngx_http_sprox_conf_block_t  block;

    rule = ngx_array_push(&outer->alias->rules);
    if (rule == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(rule, sizeof(ngx_http_sprox_rule_t));

    value = cf->args->elts;

    if (cf->args->nelts == 3) {

        if (ngx_strcmp(value[1].data, "~") == 0) {
            rv = ngx_http_sprox_conf_regex(cf, rule, &value[2], 0);

        } else if (ngx_strcmp(value[1].data, "~*") == 0) {
            rv = ngx_http_sprox_conf_regex(cf, rule, &value[2],
                                           NGX_REGEX_CASELESS);

        } else {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid modifier \"%V\" in \"object\": write "
                               "\"object GLOB {\", \"object ~ REGEX {\" or "
                               "\"object ~* REGEX {\"", &value[1]);
            return NGX_CONF_ERROR;
        }

        if (rv != NGX_CONF_OK) {
            return rv;
        }

    } else {
        rule->glob = value[1];

        if (sprox_glob_check(ngx_http_sprox_to_core(rule->glob), &why)
            != SPROX_OK)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid glob \"%V\" in \"object\": %s; write "
                               "\\ before a character that stands for itself",
                               &rule->glob, why);
            return NGX_CONF_ERROR;
        }

        if (ngx_http_sprox_conf_shadowed(&outer->alias->rules)) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "duplicate \"object %V\" in sprox_alias \"%V\": "
                               "the first one takes all keys; write both into "
                               "one", &rule->glob, &outer->alias->pattern);
            return NGX_CONF_ERROR;
        }
    }

    ngx_memzero(&block, sizeof(ngx_http_sprox_conf_block_t));
    ngx_http_sprox_policy_unset(&block.loc.policy);
    block.alias = outer->alias;
    block.rule = rule;

    rv = ngx_http_sprox_conf_block(cf, NGX_HTTP_SPROX_OBJECT_CONF, &block);

    if (rv == NGX_CONF_OK) {
        rule->policy = block.loc.policy;
    }

    return rv;
}


/* The last rule has the glob of one before it. */

static ngx_uint_t
ngx_http_sprox_conf_shadowed(ngx_array_t *rules)
{
    ngx_uint_t              i;
    ngx_http_sprox_rule_t  *rule, *last;

    rule = rules->elts;
    last = &rule[rules->nelts - 1];

    for (i = 0; i < rules->nelts - 1; i++) {
#if (NGX_PCRE)
        if (rule[i].regex) {
            continue;
        }
#endif

        if (rule[i].glob.len == last->glob.len
            && ngx_memcmp(rule[i].glob.data, last->glob.data, last->glob.len)
               == 0)
        {
            return 1;
        }
    }

    return 0;
}


static char *
ngx_http_sprox_conf_regex(ngx_conf_t *cf, ngx_http_sprox_rule_t *rule,
    ngx_str_t *pattern, ngx_uint_t options)
{
#if (NGX_PCRE)
    u_char               errstr[NGX_MAX_CONF_ERRSTR];
    ngx_regex_compile_t  rc;

    ngx_memzero(&rc, sizeof(ngx_regex_compile_t));

    rc.pattern = *pattern;
    rc.pool = cf->pool;
    rc.options = options;
    rc.err.len = NGX_MAX_CONF_ERRSTR;
    rc.err.data = errstr;

    if (ngx_regex_compile(&rc) != NGX_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid regular expression in \"object\": %V",
                           &rc.err);
        return NGX_CONF_ERROR;
    }

    rule->regex = rc.regex;
    rule->glob = *pattern;             /* for messages */

    return NGX_CONF_OK;

#else

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "\"object ~ %V\" needs an nginx with PCRE: write a "
                       "glob such as *.parquet", pattern);
    return NGX_CONF_ERROR;

#endif
}


ngx_int_t
ngx_http_sprox_conf_aliases(ngx_conf_t *cf, ngx_http_sprox_main_conf_t *mcf)
{
    ngx_uint_t                i;
    ngx_http_sprox_alias_t  **alias;

    alias = mcf->aliases.elts;

    /* in the order in which they were written, so that the first mistake
       is told first */

    for (i = 0; i < mcf->aliases.nelts; i++) {
        if (ngx_http_sprox_conf_bind(cf, mcf, alias[i]) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    if (ngx_http_sprox_conf_ties(cf, mcf) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_sort(alias, mcf->aliases.nelts, sizeof(ngx_http_sprox_alias_t *),
             ngx_http_sprox_alias_order);

    for (i = 0; i < mcf->aliases.nelts; i++) {
        alias[i]->index = i;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_sprox_conf_bind(ngx_conf_t *cf, ngx_http_sprox_main_conf_t *mcf,
    ngx_http_sprox_alias_t *alias)
{
    u_char                   *p, *last, known[512];
    ngx_int_t                 rc;
    ngx_str_t                 name;
    ngx_uint_t                i;
    const sprox_template_t   *bucket;
    ngx_http_sprox_origin_t **origin;

    name = ngx_http_sprox_to_ngx(alias->map.origin);

    alias->origin = ngx_http_sprox_conf_origin(cf, mcf, &name, &alias->file,
                                               alias->line, &rc);

    if (alias->origin != NULL) {
        alias->origin->used = 1;

        bucket = &alias->map.to_bucket;

        if (bucket->n == 1 && bucket->tokens[0].var < 0
            && !alias->origin->dialect->bucket_valid(bucket->tokens[0].text))
        {
            ngx_http_sprox_conf_refuse(cf, &alias->file, alias->line,
                    "the bucket of \"target %V\" breaks the naming rules of "
                    "dialect \"%*s\"; write the name that the store knows",
                    &alias->target,
                    ngx_http_sprox_fmt(alias->origin->dialect->name));
            return NGX_ERROR;
        }

        return NGX_OK;
    }

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    p = known;
    last = known + sizeof(known);
    origin = mcf->origins.elts;

    for (i = 0; i < mcf->origins.nelts; i++) {
        p = ngx_slprintf(p, last, "%V, ", &origin[i]->name);
    }

    p = ngx_slprintf(p, last, "s3 or gcs");

    ngx_http_sprox_conf_refuse(cf, &alias->file, alias->line,
        "unknown origin \"%V\" in the target \"%V\" of sprox_alias \"%V\": "
        "write \"sprox_origin %V { ... }\" or use %*s", &name,
        &alias->target, &alias->pattern, &name, (size_t) (p - known), known);

    return NGX_ERROR;
}


static ngx_int_t
ngx_http_sprox_conf_ties(ngx_conf_t *cf, ngx_http_sprox_main_conf_t *mcf)
{
    ngx_uint_t                i, k;
    ngx_http_sprox_alias_t  **alias;

    alias = mcf->aliases.elts;

    for (i = 1; i < mcf->aliases.nelts; i++) {

        for (k = 0; k < i; k++) {

            if (sprox_alias_cmp(&alias[k]->map, &alias[i]->map) != 0) {
                continue;
            }

            ngx_http_sprox_conf_refuse(cf, &alias[i]->file, alias[i]->line,
                "sprox_alias \"%V\" ties with \"%V\" of %V:%ui: some names "
                "match both and neither is more specific; make one of them "
                "so", &alias[i]->pattern, &alias[k]->pattern,
                &alias[k]->file, alias[k]->line);

            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_sprox_alias_order(const void *one, const void *two)
{
    ngx_http_sprox_alias_t  *const *a, *const *b;

    a = one;
    b = two;

    return sprox_alias_cmp(&(*a)->map, &(*b)->map);
}


ngx_http_sprox_alias_t *
ngx_http_sprox_alias_find(ngx_http_sprox_main_conf_t *mcf, sprox_str_t bucket,
    sprox_str_t key, sprox_buf_t *to_bucket, sprox_buf_t *to_key)
{
    sprox_rc_t                rc;
    ngx_uint_t                i;
    ngx_http_sprox_alias_t  **alias;

    alias = mcf->aliases.elts;

    for (i = 0; i < mcf->aliases.nelts; i++) {

        rc = sprox_alias_map(&alias[i]->map, bucket, key, to_bucket, to_key);

        if (rc == SPROX_OK) {
            return alias[i];
        }

        if (rc != SPROX_NOT_FOUND) {
            return NULL;
        }
    }

    return NULL;
}
