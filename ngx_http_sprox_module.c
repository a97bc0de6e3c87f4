/*
 * The module as nginx sees it: its directives, contexts and hooks.  All
 * else is in src/ngx.
 */

#include "ngx_http_sprox_conf.h"
#include "ngx_http_sprox_events.h"


#define NGX_HTTP_SPROX_ANY_LEVEL                                              \
    NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF

#define NGX_HTTP_SPROX_BLOCKS                                                 \
    NGX_HTTP_SPROX_ALIAS_CONF|NGX_HTTP_SPROX_OBJECT_CONF

/* A directive without an offset: its setter knows the field. */
#define ngx_http_sprox_directive(name, type, level, set)                      \
    { ngx_string(name), type, set, level, 0, NULL }

/* A word of the policy, under both of its names. */
#define ngx_http_sprox_policy_word(name, args, set)                           \
    ngx_http_sprox_directive("sprox_" name, NGX_HTTP_SPROX_ANY_LEVEL|(args),  \
                             NGX_HTTP_LOC_CONF_OFFSET, set),                  \
    ngx_http_sprox_directive(name, NGX_HTTP_SPROX_BLOCKS|(args),              \
                             NGX_HTTP_LOC_CONF_OFFSET, set)

/* A word of sprox_origin; nginx's own setters need the offset. */
#define ngx_http_sprox_origin_word(name, args, set)                           \
    ngx_http_sprox_directive(name, NGX_HTTP_SPROX_ORIGIN_CONF|(args),         \
                             NGX_HTTP_LOC_CONF_OFFSET, set)
#define ngx_http_sprox_origin_slot(name, args, set, field, post)              \
    { ngx_string(name), NGX_HTTP_SPROX_ORIGIN_CONF|(args), set,               \
      NGX_HTTP_LOC_CONF_OFFSET, offsetof(ngx_http_sprox_origin_t, field),     \
      post }


static ngx_http_sprox_conf_bounds_t  ngx_http_sprox_number_bounds = {
    0, 65535
};

static ngx_http_sprox_conf_bounds_t  ngx_http_sprox_retries_bounds = {
    0, 100
};


static ngx_command_t  ngx_http_sprox_commands[] = {

    /* in http */

    ngx_http_sprox_directive("sprox_origin",
        NGX_HTTP_MAIN_CONF|NGX_CONF_BLOCK|NGX_CONF_TAKE1,
        NGX_HTTP_MAIN_CONF_OFFSET, ngx_http_sprox_set_origin),

    ngx_http_sprox_directive("sprox_alias",
        NGX_HTTP_MAIN_CONF|NGX_CONF_BLOCK|NGX_CONF_TAKE1,
        NGX_HTTP_MAIN_CONF_OFFSET, ngx_http_sprox_set_alias),

    ngx_http_sprox_directive("sprox_catalog",
        NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
        NGX_HTTP_MAIN_CONF_OFFSET, ngx_http_sprox_set_catalog),

    ngx_http_sprox_directive("sprox_domain",
        NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
        NGX_HTTP_MAIN_CONF_OFFSET, ngx_http_sprox_set_domain),

    ngx_http_sprox_directive("sprox_events",
        NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
        NGX_HTTP_MAIN_CONF_OFFSET, ngx_http_sprox_set_events),

    /* in http, server and location */

    ngx_http_sprox_directive("sprox_control",
        NGX_HTTP_SPROX_ANY_LEVEL|NGX_CONF_1MORE,
        NGX_HTTP_LOC_CONF_OFFSET, ngx_http_sprox_set_control),

    /* in location */

    ngx_http_sprox_directive("sprox",
        NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
        NGX_HTTP_LOC_CONF_OFFSET, ngx_http_sprox_set_enable),

    ngx_http_sprox_directive("sprox_metrics",
        NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
        NGX_HTTP_LOC_CONF_OFFSET, ngx_http_sprox_set_metrics),

    ngx_http_sprox_directive("sprox_admin",
        NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS|NGX_CONF_TAKE1,
        NGX_HTTP_LOC_CONF_OFFSET, ngx_http_sprox_set_admin),

    /* in sprox_alias */

    ngx_http_sprox_directive("target",
        NGX_HTTP_SPROX_ALIAS_CONF|NGX_CONF_TAKE1,
        NGX_HTTP_LOC_CONF_OFFSET, ngx_http_sprox_set_target),

    ngx_http_sprox_directive("object",
        NGX_HTTP_SPROX_ALIAS_CONF|NGX_CONF_BLOCK|NGX_CONF_TAKE12,
        NGX_HTTP_LOC_CONF_OFFSET, ngx_http_sprox_set_object),

    /* the policy: sprox_WORD in http, server and location; WORD in blocks */

    ngx_http_sprox_policy_word("cache", NGX_CONF_1MORE,
                               ngx_http_sprox_set_cache),
    ngx_http_sprox_policy_word("valid", NGX_CONF_TAKE1,
                               ngx_http_sprox_set_valid),
    ngx_http_sprox_policy_word("valid_missing", NGX_CONF_TAKE1,
                               ngx_http_sprox_set_valid_missing),
    ngx_http_sprox_policy_word("stale", NGX_CONF_TAKE1,
                               ngx_http_sprox_set_stale),
    ngx_http_sprox_policy_word("slice", NGX_CONF_TAKE1,
                               ngx_http_sprox_set_slice),
    ngx_http_sprox_policy_word("fill", NGX_CONF_TAKE1,
                               ngx_http_sprox_set_fill),
    ngx_http_sprox_policy_word("list", NGX_CONF_TAKE12,
                               ngx_http_sprox_set_list),
    ngx_http_sprox_policy_word("read_ahead", NGX_CONF_TAKE1,
                               ngx_http_sprox_set_read_ahead),
    ngx_http_sprox_policy_word("reload", NGX_CONF_TAKE12,
                               ngx_http_sprox_set_reload),
    ngx_http_sprox_policy_word("head", NGX_CONF_TAKE1,
                               ngx_http_sprox_set_head),

    /* in sprox_origin */

    ngx_http_sprox_origin_word("endpoint", NGX_CONF_TAKE1,
                               ngx_http_sprox_set_endpoint),
    ngx_http_sprox_origin_word("dialect", NGX_CONF_TAKE1,
                               ngx_http_sprox_set_dialect),
    ngx_http_sprox_origin_word("region", NGX_CONF_TAKE1,
                               ngx_http_sprox_set_region),
    ngx_http_sprox_origin_word("style", NGX_CONF_TAKE1,
                               ngx_http_sprox_set_style),
    ngx_http_sprox_origin_word("credentials", NGX_CONF_1MORE,
                               ngx_http_sprox_set_credentials),
    ngx_http_sprox_origin_slot("root", NGX_CONF_TAKE1,
                               ngx_conf_set_str_slot, root, NULL),
    ngx_http_sprox_origin_slot("trusted_certificate", NGX_CONF_TAKE1,
                               ngx_conf_set_str_slot, trusted_certificate,
                               NULL),
    ngx_http_sprox_origin_slot("verify", NGX_CONF_FLAG,
                               ngx_conf_set_flag_slot, verify, NULL),
    ngx_http_sprox_origin_slot("keepalive", NGX_CONF_TAKE1,
                               ngx_http_sprox_set_number, keepalive,
                               &ngx_http_sprox_number_bounds),
    ngx_http_sprox_origin_slot("retries", NGX_CONF_TAKE1,
                               ngx_http_sprox_set_number, retries,
                               &ngx_http_sprox_retries_bounds),
    ngx_http_sprox_origin_slot("connect_timeout", NGX_CONF_TAKE1,
                               ngx_http_sprox_set_timeout, connect_timeout,
                               NULL),
    ngx_http_sprox_origin_slot("read_timeout", NGX_CONF_TAKE1,
                               ngx_http_sprox_set_timeout, read_timeout,
                               NULL),
    ngx_http_sprox_origin_slot("max_connections", NGX_CONF_TAKE1,
                               ngx_http_sprox_set_number, max_connections,
                               &ngx_http_sprox_number_bounds),
    ngx_http_sprox_origin_slot("max_fails", NGX_CONF_TAKE1,
                               ngx_http_sprox_set_number, max_fails,
                               &ngx_http_sprox_number_bounds),
    ngx_http_sprox_origin_slot("fail_timeout", NGX_CONF_TAKE1,
                               ngx_http_sprox_set_timeout, fail_timeout,
                               NULL),

    /* in each of the blocks: nginx's own is for its own contexts only */

    ngx_http_sprox_directive("include",
        NGX_HTTP_SPROX_ORIGIN_CONF|NGX_HTTP_SPROX_BLOCKS|NGX_CONF_TAKE1,
        NGX_HTTP_LOC_CONF_OFFSET, ngx_conf_include),

    ngx_null_command
};


static ngx_http_module_t  ngx_http_sprox_module_ctx = {
    ngx_http_sprox_add_variables,          /* preconfiguration */
    ngx_http_sprox_postconfiguration,      /* postconfiguration */

    ngx_http_sprox_create_main_conf,       /* create main configuration */
    NULL,                                  /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_sprox_create_loc_conf,        /* create location configuration */
    ngx_http_sprox_merge_loc_conf          /* merge location configuration */
};


ngx_module_t  ngx_http_sprox_module = {
    NGX_MODULE_V1,
    &ngx_http_sprox_module_ctx,            /* module context */
    ngx_http_sprox_commands,               /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    ngx_http_sprox_init_module,            /* init module */
    ngx_http_sprox_init_process,           /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    ngx_http_sprox_exit_master,            /* exit master */
    NGX_MODULE_V1_PADDING
};
