/*
 * The policy: its words, how the levels lie over each other, and the checks
 * of what comes out.
 *
 *   object    first rule of the alias whose pattern the key matches
 *   alias
 *   location  with server and http merged into it
 *   defaults  here
 *
 * Some mistakes lie in no word but in words of several levels together (a
 * fill that is no multiple of the slice), so they are looked for in each
 * combination that the configuration has.
 */

#include "ngx_http_sprox_conf.h"
#include "sprox_glob.h"


/* No tier: "cache off". */
static ngx_array_t  ngx_http_sprox_no_cache;


static ngx_int_t ngx_http_sprox_rule_match(ngx_http_sprox_rule_t *rule,
    sprox_str_t key);
static void ngx_http_sprox_policy_defaults(ngx_http_sprox_policy_t *policy);
static ngx_int_t ngx_http_sprox_policy_check(ngx_conf_t *cf,
    ngx_http_sprox_policy_t *policy, ngx_http_sprox_alias_t *alias,
    ngx_http_sprox_rule_t *rule, ngx_str_t *file, ngx_uint_t line);
static void ngx_http_sprox_policy_region(ngx_http_sprox_policy_t *policy,
    ngx_http_sprox_alias_t *alias);
static ngx_int_t ngx_http_sprox_policy_places(ngx_conf_t *cf,
    ngx_http_sprox_policy_t *policy);
static ngx_int_t ngx_http_sprox_cache_tier(ngx_conf_t *cf,
    ngx_http_sprox_conf_t *scf, ngx_shm_zone_t *shm_zone);
static ngx_int_t ngx_http_sprox_cache_taken(ngx_conf_t *cf, ngx_str_t *name);


void
ngx_http_sprox_policy_unset(ngx_http_sprox_policy_t *policy)
{
    policy->cache = NGX_CONF_UNSET_PTR;
    policy->valid = NGX_CONF_UNSET;
    policy->valid_missing = NGX_CONF_UNSET;
    policy->stale = NGX_CONF_UNSET;
    policy->slice = NGX_CONF_UNSET_SIZE;
    policy->fill = NGX_CONF_UNSET_SIZE;
    policy->read_ahead = NGX_CONF_UNSET_SIZE;
    policy->list = NGX_CONF_UNSET_UINT;
    policy->list_valid = 0;
    policy->head = NGX_CONF_UNSET_UINT;
    policy->reload = NGX_CONF_UNSET;
    policy->reload_warm = 0;
}


void
ngx_http_sprox_policy_merge(ngx_http_sprox_policy_t *policy,
    const ngx_http_sprox_policy_t *outer)
{
    if (policy->cache == NGX_CONF_UNSET_PTR) {
        policy->cache = outer->cache;
    }

    if (policy->valid == NGX_CONF_UNSET) {
        policy->valid = outer->valid;
    }

    if (policy->valid_missing == NGX_CONF_UNSET) {
        policy->valid_missing = outer->valid_missing;
    }

    if (policy->stale == NGX_CONF_UNSET) {
        policy->stale = outer->stale;
    }

    if (policy->slice == NGX_CONF_UNSET_SIZE) {
        policy->slice = outer->slice;
    }

    if (policy->fill == NGX_CONF_UNSET_SIZE) {
        policy->fill = outer->fill;
    }

    if (policy->read_ahead == NGX_CONF_UNSET_SIZE) {
        policy->read_ahead = outer->read_ahead;
    }

    if (policy->list == NGX_CONF_UNSET_UINT) {
        policy->list = outer->list;
        policy->list_valid = outer->list_valid;
    }

    if (policy->head == NGX_CONF_UNSET_UINT) {
        policy->head = outer->head;
    }

    if (policy->reload == NGX_CONF_UNSET) {
        policy->reload = outer->reload;
        policy->reload_warm = outer->reload_warm;
    }
}


static void
ngx_http_sprox_policy_defaults(ngx_http_sprox_policy_t *policy)
{
    ngx_http_sprox_policy_t  defaults;

    defaults.cache = &ngx_http_sprox_no_cache;
    defaults.valid = NGX_HTTP_SPROX_VALID;
    defaults.valid_missing = NGX_HTTP_SPROX_VALID_MISSING;
    defaults.stale = 0;
    defaults.slice = NGX_HTTP_SPROX_SLICE;
    defaults.fill = NGX_CONF_UNSET_SIZE;
    defaults.read_ahead = NGX_HTTP_SPROX_READ_AHEAD;
    defaults.list = NGX_HTTP_SPROX_LIST_ORIGIN;
    defaults.list_valid = 0;
    defaults.head = NGX_HTTP_SPROX_HEAD_ORIGIN;
    defaults.reload = 0;
    defaults.reload_warm = 0;

    ngx_http_sprox_policy_merge(policy, &defaults);

    /* sizes are powers of two: the larger is a multiple of the smaller */

    if (policy->fill == NGX_CONF_UNSET_SIZE) {
        policy->fill = ngx_max(NGX_HTTP_SPROX_FILL, policy->slice);
    }
}


void
ngx_http_sprox_policy(ngx_http_sprox_loc_conf_t *slcf,
    ngx_http_sprox_alias_t *alias, sprox_str_t key,
    ngx_http_sprox_policy_t *policy)
{
    ngx_uint_t              i;
    ngx_http_sprox_rule_t  *rule;

    ngx_http_sprox_policy_unset(policy);

    if (alias != NULL) {

        rule = alias->rules.elts;

        for (i = 0; key.len != 0 && i < alias->rules.nelts; i++) {

            if (ngx_http_sprox_rule_match(&rule[i], key)) {
                *policy = rule[i].policy;
                break;
            }
        }

        ngx_http_sprox_policy_merge(policy, &alias->policy);
    }

    ngx_http_sprox_policy_merge(policy, &slcf->policy);
    ngx_http_sprox_policy_defaults(policy);
}


static ngx_int_t
ngx_http_sprox_rule_match(ngx_http_sprox_rule_t *rule, sprox_str_t key)
{
#if (NGX_PCRE)
    ngx_int_t  n;
    ngx_str_t  s;

    if (rule->regex != NULL) {

        s = ngx_http_sprox_to_ngx(key);
        n = ngx_regex_exec(rule->regex, &s, NULL, 0);

        if (n < 0 && n != NGX_REGEX_NO_MATCHED) {
            ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                          ngx_regex_exec_n " failed: %i, \"object ~ %V\" is "
                          "taken as not for the key", n, &rule->glob);
        }

        return n >= 0;
    }
#endif

    return sprox_glob_match(ngx_http_sprox_to_core(rule->glob), key);
}


ngx_int_t
ngx_http_sprox_conf_policies(ngx_conf_t *cf, ngx_http_sprox_main_conf_t *mcf,
    ngx_http_sprox_loc_conf_t *slcf, ngx_str_t *file, ngx_uint_t line)
{
    ngx_uint_t                i, k;
    sprox_str_t               none;
    ngx_http_sprox_rule_t    *rule;
    ngx_http_sprox_alias_t  **alias;
    ngx_http_sprox_policy_t   policy, inner;

    none = sprox_str_null;

    ngx_http_sprox_policy(slcf, NULL, none, &policy);

    if (mcf->aliases.nelts == 0) {
        return ngx_http_sprox_policy_check(cf, &policy, NULL, NULL, file,
                                           line);
    }

    alias = mcf->aliases.elts;

    for (i = 0; i < mcf->aliases.nelts; i++) {

        ngx_http_sprox_policy(slcf, alias[i], none, &policy);

        if (ngx_http_sprox_policy_check(cf, &policy, alias[i], NULL, file,
                                        line)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        rule = alias[i]->rules.elts;

        for (k = 0; k < alias[i]->rules.nelts; k++) {

            inner = rule[k].policy;
            ngx_http_sprox_policy_merge(&inner, &alias[i]->policy);
            ngx_http_sprox_policy_merge(&inner, &slcf->policy);
            ngx_http_sprox_policy_defaults(&inner);

            if (ngx_http_sprox_policy_check(cf, &inner, alias[i], &rule[k],
                                            file, line)
                != NGX_OK)
            {
                return NGX_ERROR;
            }
        }
    }

    return NGX_OK;
}


/* file and line: of the location, when there is no alias to name. */

static ngx_int_t
ngx_http_sprox_policy_check(ngx_conf_t *cf, ngx_http_sprox_policy_t *policy,
    ngx_http_sprox_alias_t *alias, ngx_http_sprox_rule_t *rule,
    ngx_str_t *file, ngx_uint_t line)
{
    u_char     *p, what[256];
    ngx_str_t   where;

    if (alias != NULL) {
        file = &alias->file;
        line = alias->line;
    }

    p = what;

    if (rule != NULL) {
        p = ngx_slprintf(p, what + sizeof(what), " for \"object %V\" of",
                         &rule->glob);

    } else if (alias != NULL) {
        p = ngx_slprintf(p, what + sizeof(what), " for");
    }

    if (alias != NULL) {
        p = ngx_slprintf(p, what + sizeof(what), " sprox_alias \"%V\"",
                         &alias->pattern);
    }

    where.data = what;
    where.len = p - what;

    if (policy->fill % policy->slice != 0) {
        ngx_http_sprox_conf_refuse(cf, file, line,
            "\"fill\" %uzk is no multiple of \"slice\" %uzk%V: write another "
            "fill beside that slice", policy->fill / 1024,
            policy->slice / 1024, &where);
        return NGX_ERROR;
    }

    if (ngx_http_sprox_policy_places(cf, policy) != NGX_OK) {
        return NGX_ERROR;
    }

    if (rule != NULL) {
        return NGX_OK;
    }

    if (policy->list == NGX_HTTP_SPROX_LIST_CACHED
        && policy->cache->nelts == 0)
    {
        ngx_http_sprox_conf_refuse(cf, file, line,
            "\"list cached\" needs a cache%V: write \"%scache ZONE\" or "
            "another list", &where, alias ? "" : "sprox_");
        return NGX_ERROR;
    }

    if (alias != NULL && !alias->map.listable
        && policy->list != NGX_HTTP_SPROX_LIST_OFF)
    {
        ngx_http_sprox_conf_refuse(cf, file, line,
            "sprox_alias \"%V\" with target \"%V\" cannot be listed: %s",
            &alias->pattern, &alias->target, alias->map.why);
        return NGX_ERROR;
    }

    if (alias != NULL) {
        ngx_http_sprox_policy_region(policy, alias);
    }

    return NGX_OK;
}


/* What the policies of all locations together want of an alias' region. */

static void
ngx_http_sprox_policy_region(ngx_http_sprox_policy_t *policy,
    ngx_http_sprox_alias_t *alias)
{
    if (policy->list == NGX_HTTP_SPROX_LIST_CATALOG || policy->reload) {
        alias->crawl = 1;
    }

    if (policy->list == NGX_HTTP_SPROX_LIST_CATALOG) {
        alias->catalog = 1;
    }

    if (policy->reload
        && (alias->reload == 0 || policy->reload < alias->reload))
    {
        alias->reload = policy->reload;
    }

    if (policy->reload_warm) {
        alias->warm = 1;
        alias->origin->warm = 1;
    }
}


/*
 * An object has many names, which may keep it in many places: a PURGE by one
 * of them looks into all.
 */

static ngx_int_t
ngx_http_sprox_policy_places(ngx_conf_t *cf, ngx_http_sprox_policy_t *policy)
{
    ngx_uint_t                 i, k;
    ngx_shm_zone_t           **zone;
    ngx_http_sprox_conf_t     *scf;
    ngx_http_sprox_place_t    *place;

    scf = ngx_http_conf_get_module_main_conf(cf, ngx_http_sprox_module);
    zone = policy->cache->elts;

    /* from the last tier up: what is copied upwards is found above */

    for (i = policy->cache->nelts; i-- > 0; /* void */) {

        place = scf->main.places.elts;

        for (k = 0; k < scf->main.places.nelts; k++) {
            if (place[k].zone == zone[i] && place[k].slice == policy->slice) {
                break;
            }
        }

        if (k == scf->main.places.nelts) {
            place = ngx_array_push(&scf->main.places);
            if (place == NULL) {
                return NGX_ERROR;
            }

            ngx_memzero(place, sizeof(ngx_http_sprox_place_t));
            place->zone = zone[i];
            place->slice = policy->slice;

        } else {
            place = &place[k];
        }

        place->fill = ngx_max(place->fill, policy->fill);

        if (i == policy->cache->nelts - 1
            && (place->tiers == NULL
                || place->tiers->nelts < policy->cache->nelts))
        {
            place->tiers = policy->cache;
        }
    }

    return NGX_OK;
}


char *
ngx_http_sprox_set_cache(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_sprox_loc_conf_t  *slcf = conf;

    ngx_str_t                    *value;
    ngx_uint_t                    i, k;
    ngx_array_t                  *tiers;
    ngx_shm_zone_t              **zone, *shm_zone;
    ngx_http_sprox_conf_t        *scf;
    ngx_http_sprox_conf_cache_t  *cache;

    if (slcf->policy.cache != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "off") == 0) {
        slcf->policy.cache = &ngx_http_sprox_no_cache;
        return NGX_CONF_OK;
    }

    tiers = ngx_array_create(cf->pool, cf->args->nelts - 1,
                             sizeof(ngx_shm_zone_t *));
    if (tiers == NULL) {
        return NGX_CONF_ERROR;
    }

    scf = ngx_http_conf_get_module_main_conf(cf, ngx_http_sprox_module);

    for (i = 1; i < cf->args->nelts; i++) {

        if (value[i].len == 0 || ngx_strcmp(value[i].data, "off") == 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid zone \"%V\" in \"%V\": write the "
                               "keys_zone names of proxy_cache_path, or "
                               "\"off\" alone", &value[i], &cmd->name);
            return NGX_CONF_ERROR;
        }

        if (ngx_http_sprox_cache_taken(cf, &value[i])) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "zone \"%V\" in \"%V\" is no cache: write "
                               "the keys_zone name of a proxy_cache_path",
                               &value[i], &cmd->name);
            return NGX_CONF_ERROR;
        }

        shm_zone = ngx_shared_memory_add(cf, &value[i], 0,
                                         &ngx_http_proxy_module);
        if (shm_zone == NULL) {
            return NGX_CONF_ERROR;
        }

        zone = tiers->elts;

        for (k = 0; k < tiers->nelts; k++) {
            if (zone[k] == shm_zone) {
                ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                                   "duplicate zone \"%V\" in \"%V\"",
                                   &value[i], &cmd->name);
                return NGX_CONF_ERROR;
            }
        }

        zone = ngx_array_push(tiers);
        if (zone == NULL) {
            return NGX_CONF_ERROR;
        }

        *zone = shm_zone;

        if (cf->args->nelts > 2
            && ngx_http_sprox_cache_tier(cf, scf, shm_zone) != NGX_OK)
        {
            return NGX_CONF_ERROR;
        }

        cache = ngx_array_push(&scf->caches);
        if (cache == NULL) {
            return NGX_CONF_ERROR;
        }

        cache->shm_zone = shm_zone;
        cache->directive = cmd->name;

        ngx_http_sprox_conf_where(cf, &cache->file, &cache->line);
    }

    slcf->policy.cache = tiers;

    return NGX_CONF_OK;
}


/* A zone of a chain, once in the list whatever the number of its chains. */

static ngx_int_t
ngx_http_sprox_cache_tier(ngx_conf_t *cf, ngx_http_sprox_conf_t *scf,
    ngx_shm_zone_t *shm_zone)
{
    ngx_uint_t              i;
    ngx_http_sprox_tier_t  *tier;

    tier = scf->main.tiers.elts;

    for (i = 0; i < scf->main.tiers.nelts; i++) {
        if (tier[i].zone == shm_zone) {
            return NGX_OK;
        }
    }

    tier = ngx_array_push(&scf->main.tiers);
    if (tier == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(tier, sizeof(ngx_http_sprox_tier_t));

    tier->zone = shm_zone;
    tier->index = scf->main.tiers.nelts - 1;

    return NGX_OK;
}


/* Whether something else than proxy_cache_path made a zone of that name. */

static ngx_int_t
ngx_http_sprox_cache_taken(ngx_conf_t *cf, ngx_str_t *name)
{
    ngx_uint_t        i;
    ngx_shm_zone_t   *shm_zone;
    ngx_list_part_t  *part;

    for (part = &cf->cycle->shared_memory.part; part; part = part->next) {

        shm_zone = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (shm_zone[i].tag != &ngx_http_proxy_module
                && shm_zone[i].shm.name.len == name->len
                && ngx_strncmp(shm_zone[i].shm.name.data, name->data,
                               name->len)
                   == 0)
            {
                return 1;
            }
        }
    }

    return 0;
}


/* nginx itself would only say that the zone has no size. */

ngx_int_t
ngx_http_sprox_conf_caches(ngx_conf_t *cf, ngx_http_sprox_conf_t *scf)
{
    ngx_uint_t                    i;
    ngx_http_sprox_conf_cache_t  *cache;

    cache = scf->caches.elts;

    for (i = 0; i < scf->caches.nelts; i++) {

        if (cache[i].shm_zone->data == NULL) {
            ngx_http_sprox_conf_refuse(cf, &cache[i].file, cache[i].line,
                "unknown cache zone \"%V\" in \"%V\": declare it with "
                "\"proxy_cache_path DIR keys_zone=%V:8m ...\"",
                &cache[i].shm_zone->shm.name, &cache[i].directive,
                &cache[i].shm_zone->shm.name);
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}
