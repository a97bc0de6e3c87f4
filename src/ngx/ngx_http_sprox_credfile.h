/*
 * The files that credentials come from: what they were when they were
 * looked at, and, for a moment, what is in them.  For _cred.c.
 *
 * Nothing here touches nginx's pools or time: these functions run in a
 * thread as well.
 */

#ifndef _NGX_HTTP_SPROX_CREDFILE_H_INCLUDED_
#define _NGX_HTTP_SPROX_CREDFILE_H_INCLUDED_


#include "ngx_http_sprox.h"


#define NGX_HTTP_SPROX_CREDFILES_MAX   4     /* AWS knows two */


typedef struct {
    u_char           *path;          /* NUL-terminated; owned */
    size_t            path_len;

    /* when it was looked at */
    ngx_err_t         stat_err;      /* 0: it was there */
    dev_t             dev;
    ino_t             ino;
    off_t             size;
    struct timespec   mtime;
    struct timespec   ctime;
    unsigned          looked:1;
    unsigned          young:1;       /* it may change again and look the
                                        same: times have a grain */

    /* when it was read */
    u_char           *data;          /* owned, wiped; NULL: not read */
    size_t            len;
    ngx_err_t         err;           /* why not */
    const char       *why;           /* or that; NULL: neither */
} ngx_http_sprox_credfile_t;


typedef struct {
    ngx_http_sprox_credfile_t  files[NGX_HTTP_SPROX_CREDFILES_MAX];
    ngx_uint_t                 n;
} ngx_http_sprox_credfiles_t;


/* By its path; NULL: it is not among them. */
ngx_http_sprox_credfile_t *ngx_http_sprox_credfile_find(
    ngx_http_sprox_credfiles_t *set, sprox_str_t path);

/* One more, not yet looked at; NULL: memory, or too many. */
ngx_http_sprox_credfile_t *ngx_http_sprox_credfile_add(
    ngx_http_sprox_credfiles_t *set, sprox_str_t path, ngx_log_t *log);

/* Paths and marks, no content.  NGX_OK or NGX_ERROR (dst is empty then). */
ngx_int_t ngx_http_sprox_credfiles_copy(ngx_http_sprox_credfiles_t *dst,
    ngx_http_sprox_credfiles_t *src, ngx_log_t *log);

/* Whether a file is, or may be, another than when it was looked at. */
ngx_uint_t ngx_http_sprox_credfile_changed(ngx_http_sprox_credfile_t *file);

/* Looks at it and reads it: data, or err, or why. */
void ngx_http_sprox_credfile_read(ngx_http_sprox_credfile_t *file,
    ngx_log_t *log);

/* Not there, as opposed to not readable. */
ngx_uint_t ngx_http_sprox_credfile_absent(ngx_http_sprox_credfile_t *file);

/* Wipes and frees the content. */
void ngx_http_sprox_credfiles_wipe(ngx_http_sprox_credfiles_t *set);

/* That, and the paths. */
void ngx_http_sprox_credfiles_free(ngx_http_sprox_credfiles_t *set);


#endif /* _NGX_HTTP_SPROX_CREDFILE_H_INCLUDED_ */
