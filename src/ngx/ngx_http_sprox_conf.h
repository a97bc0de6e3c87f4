/*
 * The configuration: what is known while it is read, and what the rest of
 * the module asks of it afterwards.
 *
 * Words inside sprox_origin, sprox_alias and object blocks are directives
 * of the module's one table, with context bits of their own; the policy
 * words stand in it twice, as sprox_WORD for http, server and location and
 * as WORD for the blocks, with one setter.
 */

#ifndef _NGX_HTTP_SPROX_CONF_H_INCLUDED_
#define _NGX_HTTP_SPROX_CONF_H_INCLUDED_


#include "ngx_http_sprox.h"


/*
 * Contexts in cmd->type.  nginx keeps its own in the upper eight bits, and
 * arguments and flags in the lower seventeen; these lie between.
 */

#define NGX_HTTP_SPROX_ORIGIN_CONF      0x00020000
#define NGX_HTTP_SPROX_ALIAS_CONF       0x00040000
#define NGX_HTTP_SPROX_OBJECT_CONF      0x00080000

#define NGX_HTTP_SPROX_VALID            300
#define NGX_HTTP_SPROX_VALID_MISSING    5
#define NGX_HTTP_SPROX_SLICE            (512 * 1024)
#define NGX_HTTP_SPROX_FILL             (2 * 1024 * 1024)
#define NGX_HTTP_SPROX_READ_AHEAD       (32 * 1024 * 1024)
#define NGX_HTTP_SPROX_READ_AHEAD_MAX   (256 * 1024 * 1024)

#define NGX_HTTP_SPROX_KEEPALIVE        64
#define NGX_HTTP_SPROX_CONNECT_TIMEOUT  5000
#define NGX_HTTP_SPROX_READ_TIMEOUT     30000
#define NGX_HTTP_SPROX_RETRIES          3
#define NGX_HTTP_SPROX_MAX_CONNECTIONS  256

/* More than one response has in flight: a single hiccup is no outage. */
#define NGX_HTTP_SPROX_MAX_FAILS        20
#define NGX_HTTP_SPROX_FAIL_TIMEOUT     1000

#define NGX_HTTP_SPROX_NAME_MAX         64      /* of an origin */
#define NGX_HTTP_SPROX_ROOT_MAX         1024

#define NGX_HTTP_SPROX_CATALOG_SIZE     (32 * 1024 * 1024)


/* A cache zone that some directive named: checked when all is read. */

typedef struct {
    ngx_shm_zone_t             *shm_zone;
    ngx_str_t                   directive;
    ngx_str_t                   file;
    ngx_uint_t                  line;
} ngx_http_sprox_conf_cache_t;


/* A location with "sprox on", "sprox_metrics" or "sprox_admin". */

typedef struct {
    ngx_http_sprox_loc_conf_t  *slcf;
    ngx_http_core_loc_conf_t   *clcf;
    ngx_http_handler_pt         handler;
    ngx_str_t                   file;
    ngx_uint_t                  line;
} ngx_http_sprox_conf_location_t;


/* The module's main configuration; `main` is what the others see of it. */

typedef struct {
    ngx_http_sprox_main_conf_t  main;

    ngx_array_t                 caches;     /* .._conf_cache_t */
    ngx_array_t                 locations;  /* .._conf_location_t */
} ngx_http_sprox_conf_t;


/* An origin with what only its block needs; main.origins point into them. */

typedef struct {
    ngx_http_sprox_origin_t     origin;
    ngx_str_t                   dialect;    /* as written */
    ngx_int_t                   style;      /* 1: virtual; NGX_CONF_UNSET */
    unsigned                    credentials:1;  /* were written */
    unsigned                    endpoint_known:1;   /* the dialect's */
    unsigned                    region_open:1;  /* a profile may name it */
} ngx_http_sprox_conf_origin_t;


/*
 * A block that takes policy words: the setters see its loc_conf, as they
 * see a location's.  rule: NULL in an alias.
 */

typedef struct {
    ngx_http_sprox_loc_conf_t   loc;
    ngx_http_sprox_alias_t     *alias;
    ngx_http_sprox_rule_t      *rule;
} ngx_http_sprox_conf_block_t;


/* What a number may be: in cmd->post. */

typedef struct {
    ngx_int_t                   low;
    ngx_int_t                   high;
} ngx_http_sprox_conf_bounds_t;


/* In no header of nginx: its tag is on the zones of proxy_cache_path. */
extern ngx_module_t  ngx_http_proxy_module;


/* _conf.c */

ngx_int_t ngx_http_sprox_postconfiguration(ngx_conf_t *cf);
void *ngx_http_sprox_create_main_conf(ngx_conf_t *cf);
void *ngx_http_sprox_create_loc_conf(ngx_conf_t *cf);
char *ngx_http_sprox_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);
ngx_int_t ngx_http_sprox_init_module(ngx_cycle_t *cycle);
ngx_int_t ngx_http_sprox_init_process(ngx_cycle_t *cycle);
void ngx_http_sprox_exit_master(ngx_cycle_t *cycle);

char *ngx_http_sprox_set_enable(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_sprox_set_metrics(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_sprox_set_admin(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
ngx_int_t ngx_http_sprox_conf_tokens(ngx_conf_t *cf,
    ngx_http_sprox_main_conf_t *mcf);
/*
 * The current location gets this content handler, and is remembered; conf is
 * its configuration.  NULL, or what is wrong, for nginx to say.
 */
char *ngx_http_sprox_conf_handler(ngx_conf_t *cf, void *conf,
    ngx_http_handler_pt handler);

/* A word that the design has and this version has not. */
char *ngx_http_sprox_set_unsupported(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/*
 * Reads the block that the current directive opens; type is its context,
 * conf what its words are set in.  Where nginx refuses a word, the words
 * that the block knows are added to its line.
 */
char *ngx_http_sprox_conf_block(ngx_conf_t *cf, ngx_uint_t type, void *conf);

/* The [emerg] line of a mistake that shows only when all is read. */
void ngx_cdecl ngx_http_sprox_conf_refuse(ngx_conf_t *cf, ngx_str_t *file,
    ngx_uint_t line, const char *fmt, ...);

/* Where the parser is. */
void ngx_http_sprox_conf_where(ngx_conf_t *cf, ngx_str_t *file,
    ngx_uint_t *line);


/* _conf_alone.c */

char *ngx_http_sprox_set_catalog(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_sprox_set_domain(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_sprox_set_control(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


/* _conf_origin.c */

char *ngx_http_sprox_set_origin(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_sprox_set_dialect(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_sprox_set_endpoint(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_sprox_set_region(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_sprox_set_style(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_sprox_set_credentials(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_sprox_set_number(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_sprox_set_timeout(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/*
 * The origin of that name; one that is known without a block is made, in
 * the name of the alias at file:line.  NULL with *rc: NGX_DECLINED, there
 * is none; NGX_ERROR, the line was written.
 */
ngx_http_sprox_origin_t *ngx_http_sprox_conf_origin(ngx_conf_t *cf,
    ngx_http_sprox_main_conf_t *mcf, ngx_str_t *name, ngx_str_t *file,
    ngx_uint_t line, ngx_int_t *rc);

/*
 * An origin of sprox's own, which no target can name: what is asked by the
 * means of stores and is none.  name: for logs and metrics; it must not be
 * one of an origin.  like: whose credentials it has; NULL: none.  NULL: the
 * [emerg] line was written.
 */
ngx_http_sprox_origin_t *ngx_http_sprox_conf_service(ngx_conf_t *cf,
    ngx_http_sprox_main_conf_t *mcf, const sprox_dialect_t *dialect,
    ngx_str_t *name, ngx_str_t *endpoint, ngx_str_t *region,
    ngx_str_t *trusted_certificate, ngx_http_sprox_origin_t *like,
    ngx_str_t *file, ngx_uint_t line);

/* All origins: what is needed when it is known which are used. */
ngx_int_t ngx_http_sprox_conf_origins(ngx_conf_t *cf,
    ngx_http_sprox_main_conf_t *mcf);


/* _conf_complete.c */

/* NGX_OK, or NGX_ERROR with its line written. */
ngx_int_t ngx_http_sprox_origin_complete(ngx_conf_t *cf,
    ngx_http_sprox_conf_origin_t *block);

/*
 * The region that came with the credentials, where neither the block nor
 * the environment named one, and the endpoint in it.
 */
ngx_int_t ngx_http_sprox_origin_relocate(ngx_conf_t *cf,
    ngx_http_sprox_conf_origin_t *block);


/* _conf_alias.c */

char *ngx_http_sprox_set_alias(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_sprox_set_object(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_sprox_set_target(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* Binds all aliases to their origins and puts them into their order. */
ngx_int_t ngx_http_sprox_conf_aliases(ngx_conf_t *cf,
    ngx_http_sprox_main_conf_t *mcf);

/*
 * The alias that serves a client's bucket and key, or NULL.  The origin's
 * bucket and key are appended to to_bucket and to_key, which are empty and
 * say themselves, with sprox_buf_rc(), whether memory ran out (NULL then).
 * The bucket is not checked yet.
 */
ngx_http_sprox_alias_t *ngx_http_sprox_alias_find(
    ngx_http_sprox_main_conf_t *mcf, sprox_str_t bucket, sprox_str_t key,
    sprox_buf_t *to_bucket, sprox_buf_t *to_key);


/* _conf_policy.c; the setters but that of `cache` are in _conf_words.c */

char *ngx_http_sprox_set_cache(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_sprox_set_valid(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_sprox_set_valid_missing(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_sprox_set_stale(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_sprox_set_slice(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_sprox_set_fill(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_sprox_set_read_ahead(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_sprox_set_list(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_sprox_set_reload(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_sprox_set_head(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

void ngx_http_sprox_policy_unset(ngx_http_sprox_policy_t *policy);

/* What policy leaves unset is taken from outer. */
void ngx_http_sprox_policy_merge(ngx_http_sprox_policy_t *policy,
    const ngx_http_sprox_policy_t *outer);

/*
 * The policy for a key (the clients' one; empty: a listing, for which no
 * object block counts): object over alias over location, nothing unset.
 * alias may be NULL.
 */
void ngx_http_sprox_policy(ngx_http_sprox_loc_conf_t *slcf,
    ngx_http_sprox_alias_t *alias, sprox_str_t key,
    ngx_http_sprox_policy_t *policy);

/* Checks the policies that can come about in a location. */
ngx_int_t ngx_http_sprox_conf_policies(ngx_conf_t *cf,
    ngx_http_sprox_main_conf_t *mcf, ngx_http_sprox_loc_conf_t *slcf,
    ngx_str_t *file, ngx_uint_t line);

/* Checks that each cache zone that was named is one. */
ngx_int_t ngx_http_sprox_conf_caches(ngx_conf_t *cf,
    ngx_http_sprox_conf_t *scf);


/* _variables.c */

ngx_int_t ngx_http_sprox_add_variables(ngx_conf_t *cf);


#endif /* _NGX_HTTP_SPROX_CONF_H_INCLUDED_ */
