/*
 * What the configuration says of the catalog's file: which regions in it are
 * still wanted, and whether it can be kept where it shall be.  The snapshot
 * is written beside it and renamed, by nginx's user; a mistake would show
 * only after the first interval, in a log, so it is looked for when the
 * configuration is read.  A folder that is not there is made, as nginx makes
 * those of caches.
 *
 * The master is root, and the workers are not: permissions are judged for
 * their user, by the mode of the folder.  Where an access list says more
 * than the mode, nothing is refused.
 */

#include "ngx_http_sprox_persist_file.h"
#include "ngx_http_sprox_crawl.h"
#include "ngx_http_sprox_zone.h"

#include <grp.h>
#include <sys/xattr.h>


#define NGX_HTTP_SPROX_PERSIST_GROUPS  256
#define NGX_HTTP_SPROX_PERSIST_ACL     "system.posix_acl_access"


static ngx_uint_t ngx_http_sprox_persist_cached(ngx_cycle_t *cycle,
    ngx_str_t *file);
static ngx_uint_t ngx_http_sprox_persist_may(ngx_cycle_t *cycle, char *path,
    struct stat *st, int mode);
static ngx_uint_t ngx_http_sprox_persist_lists(
    ngx_http_sprox_origin_t *origin, sprox_str_t bucket, sprox_str_t prefix);


ngx_int_t
ngx_http_sprox_persist_check(ngx_cycle_t *cycle,
    ngx_http_sprox_main_conf_t *mcf)
{
    u_char           *folder;
    ngx_str_t        *file;
    struct stat       st;
    ngx_core_conf_t  *ccf;

    file = &mcf->catalog_file;

    if (file->len == 0) {
        return NGX_OK;
    }

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);

    folder = ngx_pnalloc(cycle->pool, file->len + 1);
    if (folder == NULL) {
        return NGX_ERROR;
    }

    (void) ngx_cpystrn(folder, file->data, file->len + 1);
    ngx_http_sprox_persist_folder(folder);

    if (ngx_http_sprox_persist_cached(cycle, file)) {
        return NGX_ERROR;
    }

    if (ngx_create_dir(folder, 0700) != NGX_FILE_ERROR) {
        if (geteuid() == 0
            && chown((char *) folder, ccf->user, ccf->group) == -1)
        {
            ngx_log_error(NGX_LOG_EMERG, cycle->log, ngx_errno,
                          "chown(\"%s\", %d) failed", folder, ccf->user);
            return NGX_ERROR;
        }
    }

    if (stat((char *) folder, &st) == -1 || !S_ISDIR(st.st_mode)) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, ngx_errno,
                      "\"file=%V\" in \"sprox_catalog\": there is no folder "
                      "\"%s\", and it could not be made: make it, owned by "
                      "nginx's user", file, folder);
        return NGX_ERROR;
    }

    if (!ngx_http_sprox_persist_may(cycle, (char *) folder, &st, W_OK|X_OK)) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, 0,
                      "\"file=%V\" in \"sprox_catalog\": nginx's user%s%s may "
                      "not write to the folder \"%s\": give it to that user, "
                      "or name a file in a folder that is its own", file,
                      geteuid() == 0 ? " " : "",
                      geteuid() == 0 ? ccf->username : "", folder);
        return NGX_ERROR;
    }

    if (stat((char *) file->data, &st) == -1) {
        return NGX_OK;
    }

    if (!S_ISREG(st.st_mode)) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, 0,
                      "\"file=%V\" in \"sprox_catalog\" is there and no file: "
                      "write the name of a file", file);
        return NGX_ERROR;
    }

    if (!ngx_http_sprox_persist_may(cycle, (char *) file->data, &st,
                                    R_OK|W_OK))
    {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, 0,
                      "\"file=%V\" in \"sprox_catalog\": nginx's user%s%s may "
                      "not read and write it: give it to that user, or "
                      "delete it", file,
                      geteuid() == 0 ? " " : "",
                      geteuid() == 0 ? ccf->username : "");
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* nginx's cache loader deletes what it does not know in a cache's folder. */

static ngx_uint_t
ngx_http_sprox_persist_cached(ngx_cycle_t *cycle, ngx_str_t *file)
{
    ngx_uint_t    i;
    ngx_path_t  **path;

    path = cycle->paths.elts;

    for (i = 0; i < cycle->paths.nelts; i++) {

        if (path[i]->loader
            && file->len > path[i]->name.len
            && file->data[path[i]->name.len] == '/'
            && ngx_memcmp(file->data, path[i]->name.data, path[i]->name.len)
               == 0)
        {
            ngx_log_error(NGX_LOG_EMERG, cycle->log, 0,
                          "\"file=%V\" in \"sprox_catalog\" lies in the "
                          "folder of the cache \"%V\", where nginx deletes "
                          "what is not the cache's: name a file outside of "
                          "it", file, &path[i]->name);
            return 1;
        }
    }

    return 0;
}


void
ngx_http_sprox_persist_folder(u_char *path)
{
    char  *slash;

    /* a full name has a slash; that of the root stays */

    slash = strrchr((char *) path, '/');
    slash[slash == (char *) path] = '\0';
}


/* mode: of R_OK, W_OK and X_OK, which are the bits that a mode has. */

static ngx_uint_t
ngx_http_sprox_persist_may(ngx_cycle_t *cycle, char *path, struct stat *st,
    int mode)
{
    int               i, n;
    gid_t             groups[NGX_HTTP_SPROX_PERSIST_GROUPS];
    mode_t            bits;
    ngx_core_conf_t  *ccf;

    if (geteuid() != 0) {
        return access(path, mode) == 0;
    }

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);

    if (ccf->user == 0) {
        return 1;
    }

    bits = st->st_mode & S_IRWXO;

    if (st->st_uid == ccf->user) {
        bits = st->st_mode >> 6;

    } else if (st->st_gid == ccf->group) {
        bits = st->st_mode >> 3;

    } else {
        n = NGX_HTTP_SPROX_PERSIST_GROUPS;

        if (getgrouplist(ccf->username, ccf->group, groups, &n) == -1) {
            n = NGX_HTTP_SPROX_PERSIST_GROUPS;
        }

        for (i = 0; i < n; i++) {
            if (st->st_gid == groups[i]) {
                bits = st->st_mode >> 3;
                break;
            }
        }
    }

    return (bits & mode) == (mode_t) mode
           || getxattr(path, NGX_HTTP_SPROX_PERSIST_ACL, NULL, 0) > 0;
}


static ngx_uint_t
ngx_http_sprox_persist_lists(ngx_http_sprox_origin_t *origin,
    sprox_str_t bucket, sprox_str_t prefix)
{
    sprox_str_t              region;
    sprox_reach_walk_t       walk;
    const sprox_reach_t     *entry;
    ngx_http_sprox_alias_t  *alias;

    sprox_reach_walk(&walk, origin->reach, origin->nreach, bucket, prefix);

    while ((entry = sprox_reach_next_head(&walk)) != NULL) {
        alias = entry->data;

        if (alias->crawl
            && ngx_http_sprox_region(alias, bucket, &region) == NGX_OK
            && sprox_str_eq(region, prefix))
        {
            return 1;
        }
    }

    return 0;
}


/* With the catalog locked, or in a thread: aliases are looked up. */

int
ngx_http_sprox_persist_wanted(void *data, sprox_str_t space,
    sprox_str_t prefix)
{
    ngx_http_sprox_main_conf_t *mcf = data;

    ngx_uint_t                 i;
    sprox_str_t                bucket;
    ngx_http_sprox_origin_t  **origin;

    origin = mcf->origins.elts;

    for (i = 0; i < mcf->origins.nelts; i++) {

        if (ngx_http_sprox_zone_bucket(origin[i], space, &bucket)) {
            return ngx_http_sprox_persist_lists(origin[i], bucket, prefix);
        }
    }

    return 0;
}
