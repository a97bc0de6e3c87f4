/*
 * What the core's credential providers want to know is found out here: by
 * the master at once, when it reads the configuration, and by a worker in
 * the thread pool, when somebody asks for the credential and the files were
 * not looked at for a second.
 *
 *   master   run the providers, reading what they want
 *              -> credential, and the marks of the files
 *                     | fork
 *   worker   get() -> [thread: has a file changed? read them all]
 *              -> run the providers over that
 *                   OK:          the new credential takes the old one's place
 *                   a new file:  the thread again, with that file as well
 *                   else:        one log line, the old credential stays
 *
 * The variables of the environment are kept, because nginx clears that of
 * its workers.
 */

#include "ngx_http_sprox_cred.h"
#include "ngx_http_sprox_credfile.h"
#include "sprox_digest.h"

#include <pwd.h>


#define NGX_HTTP_SPROX_CRED_LOOK      1000   /* ms between looks */
#define NGX_HTTP_SPROX_CRED_REFUSED   100    /* and after a refusal */


typedef struct ngx_http_sprox_look_s  ngx_http_sprox_look_t;

typedef struct {
    ngx_http_sprox_origin_t     *origin;
    sprox_credential_t           credential; /* in use; strings of cred */
    sprox_cred_t                 cred;       /* what the providers found */
    ngx_array_t                  env;        /* of ngx_keyval_t; wiped */
    ngx_http_sprox_credfiles_t   files;      /* no content in them */
    ngx_http_sprox_look_t       *look;       /* under way */
    ngx_msec_t                   looked;
    uint32_t                     complaint;  /* the last; 0: all is well */
    unsigned                     found:1;    /* cred holds */
} ngx_http_sprox_creds_t;


/* All that a thread sees. */

struct ngx_http_sprox_look_s {
    ngx_thread_task_t            task;
    ngx_http_sprox_creds_t      *creds;      /* of the event loop; NULL: the
                                                configuration is gone */
    ngx_http_sprox_credfiles_t   files;
    unsigned                     force:1;
    unsigned                     changed:1;
};


/* Why there is no credential. */

typedef struct {
    ngx_err_t                    err;
    u_char                      *last;
    u_char                       text[NGX_MAX_ERROR_STR / 2];
} ngx_http_sprox_cred_why_t;


static ngx_int_t ngx_http_sprox_cred_static(ngx_conf_t *cf,
    ngx_http_sprox_creds_t *creds);
static ngx_int_t ngx_http_sprox_cred_find(ngx_conf_t *cf,
    ngx_http_sprox_creds_t *creds);
static ngx_int_t ngx_http_sprox_cred_env(ngx_conf_t *cf,
    ngx_http_sprox_creds_t *creds);
static ngx_int_t ngx_http_sprox_cred_env_add(ngx_conf_t *cf,
    ngx_http_sprox_creds_t *creds, const char *name, size_t len,
    const char *value);
static ngx_keyval_t *ngx_http_sprox_cred_env_find(
    ngx_http_sprox_creds_t *creds, sprox_str_t name);
static void ngx_http_sprox_cred_cleanup(void *data);
static ngx_int_t ngx_http_sprox_cred_refuse(ngx_conf_t *cf,
    ngx_http_sprox_origin_t *origin, ngx_http_sprox_cred_why_t *why);

static ngx_int_t ngx_http_sprox_cred_run(ngx_http_sprox_creds_t *creds,
    ngx_http_sprox_credfiles_t *files, ngx_uint_t read, sprox_cred_t *cred,
    ngx_http_sprox_cred_why_t *why, ngx_log_t *log);
static ngx_int_t ngx_http_sprox_cred_answer(ngx_http_sprox_creds_t *creds,
    ngx_http_sprox_credfiles_t *files, ngx_uint_t read, sprox_cred_t *cred,
    sprox_cred_want_t *want, ngx_http_sprox_cred_why_t *why, ngx_log_t *log);
static void ngx_cdecl ngx_http_sprox_cred_because(
    ngx_http_sprox_cred_why_t *why, ngx_err_t err, const char *fmt, ...);

static void ngx_http_sprox_cred_look(ngx_http_sprox_creds_t *creds,
    ngx_msec_t interval, ngx_uint_t force);
static void ngx_http_sprox_cred_thread(void *data, ngx_log_t *log);
static void ngx_http_sprox_cred_looked(ngx_event_t *ev);
static ngx_int_t ngx_http_sprox_cred_renew(ngx_http_sprox_creds_t *creds,
    ngx_http_sprox_credfiles_t *files);
static void ngx_http_sprox_cred_complain(ngx_http_sprox_creds_t *creds,
    ngx_http_sprox_cred_why_t *why);


static const sprox_credential_t  ngx_http_sprox_cred_anonymous = {
    .anonymous = 1
};


ngx_int_t
ngx_http_sprox_cred_init(ngx_conf_t *cf, ngx_http_sprox_origin_t *origin)
{
    ngx_pool_cleanup_t      *cln;
    ngx_http_sprox_creds_t  *creds;

    cln = ngx_pool_cleanup_add(cf->pool, sizeof(ngx_http_sprox_creds_t));
    if (cln == NULL) {
        return NGX_ERROR;
    }

    creds = cln->data;

    ngx_memzero(creds, sizeof(ngx_http_sprox_creds_t));
    creds->origin = origin;

    cln->handler = ngx_http_sprox_cred_cleanup;

    origin->cred = creds;

    switch (origin->cred_kind) {

    case SPROX_CRED_ANONYMOUS:
        creds->credential.anonymous = 1;
        return NGX_OK;

    case SPROX_CRED_STATIC:
        return ngx_http_sprox_cred_static(cf, creds);

    default:
        return ngx_http_sprox_cred_find(cf, creds);
    }
}


static ngx_int_t
ngx_http_sprox_cred_static(ngx_conf_t *cf, ngx_http_sprox_creds_t *creds)
{
    sprox_rc_t                  rc;
    sprox_str_t                 text;
    ngx_http_sprox_origin_t    *origin;
    ngx_http_sprox_cred_why_t   why;

    origin = creds->origin;

    sprox_cred_init(&creds->cred, &ngx_http_sprox_mem_heap, SPROX_CRED_STATIC,
                    sprox_str_null);

    rc = sprox_cred_static(&creds->cred,
                           ngx_http_sprox_to_core(origin->access_key),
                           ngx_http_sprox_to_core(origin->secret_key),
                           ngx_http_sprox_to_core(origin->token));

    if (rc == SPROX_OK) {
        creds->found = 1;
        creds->credential = creds->cred.credential;

        return NGX_OK;
    }

    if (rc == SPROX_INVALID) {
        text = sprox_buf_get(&creds->cred.why);
        ngx_http_sprox_cred_because(&why, 0, "%*s", text.len, text.data);
        (void) ngx_http_sprox_cred_refuse(cf, origin, &why);
    }

    sprox_cred_free(&creds->cred);

    return NGX_ERROR;
}


static ngx_int_t
ngx_http_sprox_cred_find(ngx_conf_t *cf, ngx_http_sprox_creds_t *creds)
{
    ngx_int_t                   rc;
    ngx_http_sprox_cred_why_t   why;

    if (ngx_http_sprox_cred_env(cf, creds) != NGX_OK) {
        return NGX_ERROR;
    }

    rc = ngx_http_sprox_cred_run(creds, &creds->files, 1, &creds->cred, &why,
                                 cf->log);

    ngx_http_sprox_credfiles_wipe(&creds->files);

    if (rc == NGX_OK) {
        creds->found = 1;
        creds->credential = creds->cred.credential;
        creds->looked = ngx_current_msec;

        return NGX_OK;
    }

    return ngx_http_sprox_cred_refuse(cf, creds->origin, &why);
}


static ngx_int_t
ngx_http_sprox_cred_refuse(ngx_conf_t *cf, ngx_http_sprox_origin_t *origin,
    ngx_http_sprox_cred_why_t *why)
{
    size_t  len;

    len = why->last - why->text;

    if (origin->built_in) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, why->err,
                      "origin \"%V\" of the sprox_alias in %V:%ui: %*s; mend "
                      "that, or write \"credentials\" into \"sprox_origin %V "
                      "{ }\"", &origin->name, &origin->file, origin->line,
                      len, why->text, &origin->name);

    } else {
        ngx_log_error(NGX_LOG_EMERG, cf->log, why->err,
                      "origin \"%V\": %*s; mend that, or write other "
                      "\"credentials\" into the block in %V:%ui",
                      &origin->name, len, why->text, &origin->file,
                      origin->line);
    }

    return NGX_ERROR;
}


/* AWS_* and HOME. */

static ngx_int_t
ngx_http_sprox_cred_env(ngx_conf_t *cf, ngx_http_sprox_creds_t *creds)
{
    char           **p, *value;
    struct passwd   *pw;

    if (ngx_array_init(&creds->env, cf->pool, 8, sizeof(ngx_keyval_t))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    for (p = environ; *p != NULL; p++) {

        if (ngx_strncmp(*p, "AWS_", 4) != 0
            && ngx_strncmp(*p, "HOME=", 5) != 0)
        {
            continue;
        }

        value = ngx_strchr(*p, '=');

        if (value == NULL) {
            continue;
        }

        if (ngx_http_sprox_cred_env_add(cf, creds, *p, value - *p, value + 1)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    if (ngx_http_sprox_cred_env_find(creds, sprox_str_lit("HOME")) != NULL) {
        return NGX_OK;
    }

    /* a service has none */

    pw = getpwuid(geteuid());

    if (pw == NULL || pw->pw_dir == NULL) {
        return NGX_OK;
    }

    return ngx_http_sprox_cred_env_add(cf, creds, "HOME", 4, pw->pw_dir);
}


static ngx_int_t
ngx_http_sprox_cred_env_add(ngx_conf_t *cf, ngx_http_sprox_creds_t *creds,
    const char *name, size_t len, const char *value)
{
    ngx_keyval_t  *kv;

    kv = ngx_array_push(&creds->env);
    if (kv == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(kv, sizeof(ngx_keyval_t));

    kv->key.data = ngx_pnalloc(cf->pool, len);
    kv->value.data = ngx_pnalloc(cf->pool, ngx_strlen(value) + 1);

    if (kv->key.data == NULL || kv->value.data == NULL) {
        return NGX_ERROR;
    }

    kv->key.len = len;
    ngx_memcpy(kv->key.data, name, len);

    kv->value.len = ngx_strlen(value);
    ngx_memcpy(kv->value.data, value, kv->value.len + 1);

    return NGX_OK;
}


static ngx_keyval_t *
ngx_http_sprox_cred_env_find(ngx_http_sprox_creds_t *creds, sprox_str_t name)
{
    ngx_uint_t     i;
    ngx_keyval_t  *kv;

    kv = creds->env.elts;

    for (i = 0; i < creds->env.nelts; i++) {
        if (sprox_str_eq(ngx_http_sprox_to_core(kv[i].key), name)) {
            return &kv[i];
        }
    }

    return NULL;
}


static void
ngx_http_sprox_cred_cleanup(void *data)
{
    ngx_http_sprox_creds_t  *creds = data;

    ngx_uint_t                i;
    ngx_keyval_t             *kv;
    ngx_http_sprox_origin_t  *origin;

    if (creds->look != NULL) {
        /* a thread may still be at it: it is freed when that is done */
        creds->look->creds = NULL;
    }

    if (creds->found) {
        sprox_cred_free(&creds->cred);
    }

    ngx_http_sprox_credfiles_free(&creds->files);

    kv = creds->env.elts;

    for (i = 0; i < creds->env.nelts; i++) {
        sprox_wipe(kv[i].value.data, kv[i].value.len);
    }

    origin = creds->origin;

    sprox_wipe(origin->secret_key.data, origin->secret_key.len);
    sprox_wipe(origin->token.data, origin->token.len);
}


ngx_str_t
ngx_http_sprox_cred_region(ngx_http_sprox_origin_t *origin)
{
    ngx_str_t                region;
    ngx_http_sprox_creds_t  *creds;

    ngx_str_null(&region);

    creds = origin->cred;

    if (creds != NULL && creds->found) {
        region = ngx_http_sprox_to_ngx(creds->cred.region);
    }

    return region;
}


/*
 * Runs the providers over what is known: with read, files are read when they
 * are asked for.  NGX_OK: cred holds; NGX_AGAIN: files has one more, which
 * is to be read; NGX_DECLINED: see why; NGX_ERROR: memory, also in why.
 */

static ngx_int_t
ngx_http_sprox_cred_run(ngx_http_sprox_creds_t *creds,
    ngx_http_sprox_credfiles_t *files, ngx_uint_t read, sprox_cred_t *cred,
    ngx_http_sprox_cred_why_t *why, ngx_log_t *log)
{
    ngx_int_t           rc;
    sprox_rc_t          src;
    sprox_str_t         text;
    sprox_cred_want_t   want;

    sprox_cred_init(cred, &ngx_http_sprox_mem_heap, creds->origin->cred_kind,
                    ngx_http_sprox_to_core(creds->origin->profile));

    ngx_http_sprox_cred_because(why, 0, "out of memory");

    do {
        src = sprox_cred_next(cred, &want);

        if (src != SPROX_AGAIN) {
            break;
        }

        rc = ngx_http_sprox_cred_answer(creds, files, read, cred, &want, why,
                                        log);
    } while (rc == NGX_OK);

    switch (src) {

    case SPROX_OK:
        return NGX_OK;

    case SPROX_AGAIN:
        break;

    case SPROX_NOMEM:
        rc = NGX_ERROR;
        break;

    default:
        text = sprox_buf_get(&cred->why);
        ngx_http_sprox_cred_because(why, 0, "%*s", text.len, text.data);
        rc = NGX_DECLINED;
        break;
    }

    sprox_cred_free(cred);

    return rc;
}


static ngx_int_t
ngx_http_sprox_cred_answer(ngx_http_sprox_creds_t *creds,
    ngx_http_sprox_credfiles_t *files, ngx_uint_t read, sprox_cred_t *cred,
    sprox_cred_want_t *want, ngx_http_sprox_cred_why_t *why, ngx_log_t *log)
{
    int                         found;
    sprox_str_t                 value;
    ngx_keyval_t               *kv;
    ngx_http_sprox_credfile_t  *file;

    value = sprox_str_null;

    if (want->kind == SPROX_WANT_ENV) {

        kv = ngx_http_sprox_cred_env_find(creds, want->name);
        found = (kv != NULL);

        if (found) {
            value = ngx_http_sprox_to_core(kv->value);
        }

        goto answer;
    }

    file = ngx_http_sprox_credfile_find(files, want->name);

    if (file == NULL) {
        file = ngx_http_sprox_credfile_add(files, want->name, log);
        if (file == NULL) {
            return NGX_ERROR;
        }

        if (!read) {
            return NGX_AGAIN;
        }
    }

    if (read) {
        ngx_http_sprox_credfile_read(file, log);
    }

    found = (file->data != NULL);

    if (found) {
        value = sprox_str_make(file->data, file->len);

    } else if (!ngx_http_sprox_credfile_absent(file)
               && cred->credential.secret_key.len == 0)
    {
        /*
         * What an unreadable file would have said is not for others to say.
         * With the keys there, only a region is looked for in it.
         */

        ngx_http_sprox_cred_because(why, file->err,
                                    "file \"%s\" cannot be read%s%s",
                                    file->path, file->why ? ": " : "",
                                    file->why ? file->why : "");
        return NGX_DECLINED;
    }

answer:

    return (sprox_cred_answer(cred, found, value) == SPROX_NOMEM) ? NGX_ERROR
                                                                  : NGX_OK;
}


static void ngx_cdecl
ngx_http_sprox_cred_because(ngx_http_sprox_cred_why_t *why, ngx_err_t err,
    const char *fmt, ...)
{
    va_list  args;

    va_start(args, fmt);
    why->last = ngx_vslprintf(why->text, why->text + sizeof(why->text), fmt,
                              args);
    va_end(args);

    why->err = err;
}


const sprox_credential_t *
ngx_http_sprox_cred_get(ngx_http_sprox_origin_t *origin, ngx_log_t *log)
{
    ngx_http_sprox_creds_t  *creds;

    creds = origin->cred;

    if (creds == NULL) {
        return &ngx_http_sprox_cred_anonymous;
    }

    ngx_http_sprox_cred_look(creds, NGX_HTTP_SPROX_CRED_LOOK, 0);

    return &creds->credential;
}


void
ngx_http_sprox_cred_refused(ngx_http_sprox_origin_t *origin)
{
    if (origin->cred != NULL) {
        ngx_http_sprox_cred_look(origin->cred, NGX_HTTP_SPROX_CRED_REFUSED,
                                 0);
    }
}


/*
 * One look at a time, and not before the interval is over.  force: the files
 * are read even when none has changed.
 */

static void
ngx_http_sprox_cred_look(ngx_http_sprox_creds_t *creds, ngx_msec_t interval,
    ngx_uint_t force)
{
    ngx_http_sprox_look_t       *look;
    ngx_http_sprox_main_conf_t  *mcf;

    if (creds->files.n == 0 || creds->look != NULL
        || (ngx_msec_int_t) (ngx_current_msec - creds->looked)
           < (ngx_msec_int_t) interval)
    {
        return;
    }

    mcf = ngx_http_cycle_get_module_main_conf(ngx_cycle,
                                              ngx_http_sprox_module);
    if (mcf == NULL || mcf->thread_pool == NULL) {
        return;
    }

    creds->looked = ngx_current_msec;

    look = ngx_calloc(sizeof(ngx_http_sprox_look_t), ngx_cycle->log);
    if (look == NULL) {
        return;
    }

    if (ngx_http_sprox_credfiles_copy(&look->files, &creds->files,
                                      ngx_cycle->log)
        != NGX_OK)
    {
        ngx_free(look);
        return;
    }

    look->creds = creds;
    look->force = force;

    look->task.ctx = look;
    look->task.handler = ngx_http_sprox_cred_thread;
    look->task.event.data = look;
    look->task.event.handler = ngx_http_sprox_cred_looked;
    look->task.event.log = ngx_cycle->log;

    if (ngx_thread_task_post(mcf->thread_pool, &look->task) != NGX_OK) {
        ngx_http_sprox_credfiles_free(&look->files);
        ngx_free(look);
        return;
    }

    creds->look = look;
}


static void
ngx_http_sprox_cred_thread(void *data, ngx_log_t *log)
{
    ngx_http_sprox_look_t  *look = data;

    ngx_uint_t  i;

    look->changed = look->force;

    for (i = 0; i < look->files.n && !look->changed; i++) {
        look->changed = ngx_http_sprox_credfile_changed(&look->files.files[i]);
    }

    if (!look->changed) {
        return;
    }

    /* all of them: their contents are not kept */

    for (i = 0; i < look->files.n; i++) {
        ngx_http_sprox_credfile_read(&look->files.files[i], log);
    }
}


static void
ngx_http_sprox_cred_looked(ngx_event_t *ev)
{
    ngx_int_t                rc;
    ngx_http_sprox_look_t   *look;
    ngx_http_sprox_creds_t  *creds;

    look = ev->data;
    creds = look->creds;

    rc = NGX_OK;

    if (creds != NULL) {
        creds->look = NULL;

        if (look->changed) {
            rc = ngx_http_sprox_cred_renew(creds, &look->files);
        }
    }

    ngx_http_sprox_credfiles_free(&look->files);
    ngx_free(look);

    if (rc == NGX_AGAIN) {
        ngx_http_sprox_cred_look(creds, 0, 1);
    }
}


static ngx_int_t
ngx_http_sprox_cred_renew(ngx_http_sprox_creds_t *creds,
    ngx_http_sprox_credfiles_t *files)
{
    ngx_int_t                    rc;
    sprox_cred_t                 cred;
    ngx_http_sprox_credfiles_t   marks;
    ngx_http_sprox_cred_why_t    why;

    rc = ngx_http_sprox_cred_run(creds, files, 0, &cred, &why,
                                 ngx_cycle->log);

    if (rc == NGX_ERROR
        || ngx_http_sprox_credfiles_copy(&marks, files, ngx_cycle->log)
           != NGX_OK)
    {
        if (rc == NGX_OK) {
            sprox_cred_free(&cred);
        }

        /* the old marks stay: the files are read again at the next look */
        return NGX_ERROR;
    }

    ngx_http_sprox_credfiles_free(&creds->files);
    creds->files = marks;

    if (rc == NGX_DECLINED) {
        ngx_http_sprox_cred_complain(creds, &why);
    }

    if (rc != NGX_OK) {
        return rc;
    }

    creds->complaint = 0;

    if (!sprox_str_eq(creds->credential.access_key,
                      cred.credential.access_key)
        || !sprox_str_eq(creds->credential.token, cred.credential.token))
    {
        ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                      "sprox: origin \"%V\" has new credentials",
                      &creds->origin->name);
    }

    if (creds->found) {
        sprox_cred_free(&creds->cred);
    }

    creds->cred = cred;
    creds->credential = cred.credential;
    creds->found = 1;

    return NGX_OK;
}


/* Once, as long as it stays the same. */

static void
ngx_http_sprox_cred_complain(ngx_http_sprox_creds_t *creds,
    ngx_http_sprox_cred_why_t *why)
{
    size_t    len;
    uint32_t  complaint;

    len = why->last - why->text;

    complaint = (ngx_crc32_short(why->text, len) ^ (uint32_t) why->err) | 1;

    if (complaint == creds->complaint) {
        return;
    }

    creds->complaint = complaint;

    ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, why->err,
                  "sprox: origin \"%V\": %*s; its credentials stay as they "
                  "were", &creds->origin->name, len, why->text);
}
