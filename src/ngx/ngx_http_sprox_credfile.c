/*
 * A credentials file is read again only when it changed, and tools replace
 * it in every way there is: by rename (another inode), in place (other
 * times), with a time of their choice (ctime tells), twice within one tick
 * of the clock that the file system stamps with (then nothing tells: a file
 * that was changed less than NGX_HTTP_SPROX_CREDFILE_YOUNG seconds before
 * it was looked at counts as changed at the next look).
 *
 * Its marks are taken before it is read: what happens in between shows at
 * the next look.
 */

#include "ngx_http_sprox_credfile.h"
#include "sprox_digest.h"


#define NGX_HTTP_SPROX_CREDFILE_YOUNG   2


static void ngx_http_sprox_credfile_mark(ngx_http_sprox_credfile_t *file);
static void ngx_http_sprox_credfile_load(ngx_http_sprox_credfile_t *file,
    ngx_fd_t fd, ngx_log_t *log);
static void ngx_http_sprox_credfile_wipe(ngx_http_sprox_credfile_t *file);


ngx_http_sprox_credfile_t *
ngx_http_sprox_credfile_find(ngx_http_sprox_credfiles_t *set,
    sprox_str_t path)
{
    ngx_uint_t                  i;
    ngx_http_sprox_credfile_t  *file;

    for (i = 0; i < set->n; i++) {
        file = &set->files[i];

        if (file->path_len == path.len
            && ngx_memcmp(file->path, path.data, path.len) == 0)
        {
            return file;
        }
    }

    return NULL;
}


ngx_http_sprox_credfile_t *
ngx_http_sprox_credfile_add(ngx_http_sprox_credfiles_t *set,
    sprox_str_t path, ngx_log_t *log)
{
    ngx_http_sprox_credfile_t  *file;

    if (set->n == NGX_HTTP_SPROX_CREDFILES_MAX) {
        ngx_log_error(NGX_LOG_ERR, log, 0,
                      "sprox: more than %d credentials files",
                      NGX_HTTP_SPROX_CREDFILES_MAX);
        return NULL;
    }

    file = &set->files[set->n];

    ngx_memzero(file, sizeof(ngx_http_sprox_credfile_t));

    file->path = ngx_alloc(path.len + 1, log);
    if (file->path == NULL) {
        return NULL;
    }

    ngx_memcpy(file->path, path.data, path.len);
    file->path[path.len] = '\0';
    file->path_len = path.len;

    set->n++;

    return file;
}


ngx_int_t
ngx_http_sprox_credfiles_copy(ngx_http_sprox_credfiles_t *dst,
    ngx_http_sprox_credfiles_t *src, ngx_log_t *log)
{
    u_char                     *path;
    ngx_uint_t                  i;
    ngx_http_sprox_credfile_t  *file;

    dst->n = 0;

    for (i = 0; i < src->n; i++) {

        file = ngx_http_sprox_credfile_add(dst,
                     sprox_str_make(src->files[i].path,
                                    src->files[i].path_len), log);
        if (file == NULL) {
            ngx_http_sprox_credfiles_free(dst);
            return NGX_ERROR;
        }

        path = file->path;

        *file = src->files[i];

        file->path = path;
        file->data = NULL;
        file->len = 0;
    }

    return NGX_OK;
}


ngx_uint_t
ngx_http_sprox_credfile_changed(ngx_http_sprox_credfile_t *file)
{
    ngx_http_sprox_credfile_t  now;

    if (!file->looked || file->young) {
        return 1;
    }

    now = *file;

    ngx_http_sprox_credfile_mark(&now);

    if (now.stat_err || file->stat_err) {
        return now.stat_err != file->stat_err;
    }

    return now.dev != file->dev
           || now.ino != file->ino
           || now.size != file->size
           || now.mtime.tv_sec != file->mtime.tv_sec
           || now.mtime.tv_nsec != file->mtime.tv_nsec
           || now.ctime.tv_sec != file->ctime.tv_sec
           || now.ctime.tv_nsec != file->ctime.tv_nsec;
}


static void
ngx_http_sprox_credfile_mark(ngx_http_sprox_credfile_t *file)
{
    time_t       age;
    struct stat  st;

    file->looked = 1;
    file->young = 0;

    if (stat((char *) file->path, &st) == -1) {
        file->stat_err = ngx_errno;
        return;
    }

    file->stat_err = 0;
    file->dev = st.st_dev;
    file->ino = st.st_ino;
    file->size = st.st_size;
    file->mtime = st.st_mtim;
    file->ctime = st.st_ctim;

    age = time(NULL) - st.st_ctim.tv_sec;

    file->young = (age > -NGX_HTTP_SPROX_CREDFILE_YOUNG
                   && age < NGX_HTTP_SPROX_CREDFILE_YOUNG);
}


void
ngx_http_sprox_credfile_read(ngx_http_sprox_credfile_t *file, ngx_log_t *log)
{
    ngx_fd_t  fd;

    ngx_http_sprox_credfile_wipe(file);
    ngx_http_sprox_credfile_mark(file);

    file->err = file->stat_err;
    file->why = NULL;

    if (file->err) {
        return;
    }

    /* a FIFO must not hold up the thread */

    fd = open((char *) file->path, O_RDONLY|O_NONBLOCK|O_CLOEXEC);

    if (fd == NGX_INVALID_FILE) {
        file->err = ngx_errno;
        return;
    }

    ngx_http_sprox_credfile_load(file, fd, log);

    if (file->err || file->why != NULL) {
        ngx_http_sprox_credfile_wipe(file);
    }

    (void) ngx_close_file(fd);
}


static void
ngx_http_sprox_credfile_load(ngx_http_sprox_credfile_t *file, ngx_fd_t fd,
    ngx_log_t *log)
{
    size_t       size;
    ssize_t      n;
    struct stat  st;

    if (fstat(fd, &st) == -1) {
        file->err = ngx_errno;
        return;
    }

    if (!S_ISREG(st.st_mode)) {
        file->why = "it is not a regular file";
        return;
    }

    if (st.st_size > SPROX_CRED_FILE_MAX) {
        file->why = "it is too large";
        return;
    }

    /* one byte more than there should be, to see the end */

    size = (size_t) st.st_size + 1;

    file->data = ngx_alloc(size, log);
    if (file->data == NULL) {
        file->err = NGX_ENOMEM;
        return;
    }

    file->len = 0;

    while (file->len < size) {
        n = read(fd, file->data + file->len, size - file->len);

        if (n == 0) {
            return;
        }

        if (n == -1) {
            if (ngx_errno == NGX_EINTR) {
                continue;
            }

            file->err = ngx_errno;
            return;
        }

        file->len += n;
    }

    file->young = 1;
    file->why = "it grew while it was read";
}


ngx_uint_t
ngx_http_sprox_credfile_absent(ngx_http_sprox_credfile_t *file)
{
    return file->err == NGX_ENOENT || file->err == NGX_ENOTDIR;
}


static void
ngx_http_sprox_credfile_wipe(ngx_http_sprox_credfile_t *file)
{
    if (file->data != NULL) {
        sprox_wipe(file->data, file->len);
        ngx_free(file->data);
    }

    file->data = NULL;
    file->len = 0;
}


void
ngx_http_sprox_credfiles_wipe(ngx_http_sprox_credfiles_t *set)
{
    ngx_uint_t  i;

    for (i = 0; i < set->n; i++) {
        ngx_http_sprox_credfile_wipe(&set->files[i]);
    }
}


void
ngx_http_sprox_credfiles_free(ngx_http_sprox_credfiles_t *set)
{
    ngx_uint_t  i;

    ngx_http_sprox_credfiles_wipe(set);

    for (i = 0; i < set->n; i++) {
        ngx_free(set->files[i].path);
    }

    set->n = 0;
}
