/*
 * The catalog's file, read and written in steps that may block: by a thread,
 * or by the master at its end.  Nothing here logs or touches nginx's event
 * loop; the catalog is locked for short whiles.
 */

#ifndef _NGX_HTTP_SPROX_PERSIST_FILE_H_INCLUDED_
#define _NGX_HTTP_SPROX_PERSIST_FILE_H_INCLUDED_


#include "ngx_http_sprox_persist.h"


/* How long a step works before it returns, about, in ms. */
#define NGX_HTTP_SPROX_PERSIST_STEP   50


typedef struct {
    ngx_http_sprox_persist_sh_t  *sh;
    u_char                       *path;       /* NUL-terminated */
    u_char                       *temp;
    u_char                       *bad;
    u_char                       *folder;
    ngx_uid_t                     user;       /* who shall own it; of root */
    ngx_gid_t                     group;
    sprox_snapshot_state_t        state;      /* of what is written */
    u_char                        boot[SPROX_SNAPSHOT_ID];
    ngx_http_sprox_main_conf_t   *mcf;        /* whose regions are wanted */

    /* after NGX_ERROR: the call, and its errno */
    const char                   *failed;
    ngx_err_t                     err;

    /* of what was read, or written */
    u_char                        id[SPROX_SNAPSHOT_ID];
    uint64_t                      epoch;      /* of the catalog, before */
    uint64_t                      changes;    /* the same */
    uint64_t                      objects;
    ngx_msec_t                    took;
    int64_t                       age;        /* ms: of what was read */
    unsigned                      doubted:1;  /* none of it is believed
                                                 until it is proved again */

    /* a bad file: why, at which byte; whether it could be set aside */
    const char                   *why;
    uint64_t                      at;
    ngx_err_t                     rename_err;

    /* private */
    ngx_fd_t                      fd;
    off_t                         offset;
    off_t                         synced;
    int64_t                       begun;
    u_char                       *chunk;
    sprox_buf_t                   out;
    sprox_snapshot_reader_t       reader;
    sprox_snapshot_writer_t       writer;
    unsigned                      import:1;   /* the second pass */
    unsigned                      reading:1;
    unsigned                      writing:1;
} ngx_http_sprox_persist_file_t;


/* Begins; the strings are the caller's and stay. */
void ngx_http_sprox_persist_file_init(ngx_http_sprox_persist_file_t *f,
    ngx_http_sprox_persist_sh_t *sh);

/*
 * Looks at what is at the path now.  NGX_OK: another file than the one that
 * sh->id names, or than the catalog has: load() it; NGX_DECLINED: that one;
 * NGX_DONE: there is none; NGX_ERROR.
 */
ngx_int_t ngx_http_sprox_persist_look(ngx_http_sprox_persist_file_t *f);

/*
 * A step of reading what look() found.  NGX_AGAIN; NGX_OK: all was read;
 * NGX_DECLINED: it is bad, nothing of it was read, it is called .bad now;
 * NGX_ERROR.
 */
ngx_int_t ngx_http_sprox_persist_load(ngx_http_sprox_persist_file_t *f);

/*
 * Begins to write.  NGX_OK: save() goes on; NGX_BUSY: another nginx writes
 * it; NGX_ABORT: the catalog was emptied meanwhile, look() again; NGX_ERROR.
 */
ngx_int_t ngx_http_sprox_persist_create(ngx_http_sprox_persist_file_t *f);

/*
 * A step of writing.  NGX_AGAIN; NGX_OK: it is in its place; NGX_ABORT: the
 * catalog was emptied, or another nginx has put a file there, look() again;
 * NGX_ERROR.
 */
ngx_int_t ngx_http_sprox_persist_save(ngx_http_sprox_persist_file_t *f);

/* Lets go of all that is open; a file that is not complete is deleted. */
void ngx_http_sprox_persist_close(ngx_http_sprox_persist_file_t *f);

/*
 * Writes into the snapshots that are there, the complete and the other one,
 * that they must not be believed.  NGX_OK or NGX_ERROR (failed, err).
 */
ngx_int_t ngx_http_sprox_persist_doubt(ngx_http_sprox_persist_file_t *f);


/*
 * In _check.c: cuts the full name of a file to that of its folder; whether an
 * alias of that main configuration wants a region (reads nothing else).
 */
void ngx_http_sprox_persist_folder(u_char *path);
int ngx_http_sprox_persist_wanted(void *data, sprox_str_t space,
    sprox_str_t prefix);


#endif /* _NGX_HTTP_SPROX_PERSIST_FILE_H_INCLUDED_ */
