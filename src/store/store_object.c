
/*
 * GET and HEAD of an object of the file store.
 *
 * An object is one version of a file: its ETag is made of the time of last
 * change, size and inode.  Those are looked at again after each piece that
 * was read; once they differ, the answer is cut short, or made again when
 * nothing was sent yet.  Files should be put in place by rename(), which
 * gives a new inode and leaves readers with the old one: writing in place is
 * noticed as far as the file system stamps it, which mmap() may not do.
 */

#include "sprox_store_op.h"
#include "sprox_cond.h"
#include "sprox_time.h"

#include <errno.h>
#include <time.h>
#include <unistd.h>


/*
 * The clock of Linux's file systems ticks every 10 ms at worst.  A file that
 * changed less than this ago could change again without another time (and so
 * another ETag), so that reading it waits until this has passed, in ns.
 */
#define SPROX_STORE_TICK           20000000

/* How often an answer is made again when the file changes meanwhile. */
#define SPROX_STORE_TRIES          4


typedef struct {
    const char  *extension;
    const char  *type;
} sprox_store_type_t;


static sprox_rc_t sprox_store_version(sprox_store_op_t *op);
static sprox_rc_t sprox_store_send(sprox_store_op_t *op);
static void sprox_store_settle(sprox_store_op_t *op);
static int sprox_store_same(const struct stat *a, const struct stat *b);
static void sprox_store_validators(sprox_store_op_t *op);
static const char *sprox_store_type(sprox_str_t key);


static const sprox_store_type_t  sprox_store_types[] = {
    { "parquet", "application/vnd.apache.parquet" },
    { "arrow",   "application/vnd.apache.arrow.file" },
    { "avro",    "application/avro" },
    { "orc",     "application/vnd.apache.orc" },
    { "csv",     "text/csv" },
    { "tsv",     "text/tab-separated-values" },
    { "json",    "application/json" },
    { "jsonl",   "application/jsonl" },
    { "ndjson",  "application/x-ndjson" },
    { "txt",     "text/plain" },
    { "log",     "text/plain" },
    { "md",      "text/markdown" },
    { "html",    "text/html" },
    { "htm",     "text/html" },
    { "css",     "text/css" },
    { "js",      "text/javascript" },
    { "xml",     "application/xml" },
    { "yaml",    "application/yaml" },
    { "yml",     "application/yaml" },
    { "pdf",     "application/pdf" },
    { "png",     "image/png" },
    { "jpg",     "image/jpeg" },
    { "jpeg",    "image/jpeg" },
    { "gif",     "image/gif" },
    { "svg",     "image/svg+xml" },
    { "webp",    "image/webp" },
    { "gz",      "application/gzip" },
    { "zst",     "application/zstd" },
    { "bz2",     "application/x-bzip2" },
    { "tar",     "application/x-tar" },
    { "zip",     "application/zip" },
    { NULL,      "binary/octet-stream" }
};


sprox_rc_t
sprox_store_object(sprox_store_op_t *op)
{
    int         n;
    sprox_rc_t  rc;

    if (!sprox_store_key(op->req.key)) {
        return sprox_store_error(op, SPROX_ERR_NO_SUCH_KEY);
    }

    for (n = 0; n < SPROX_STORE_TRIES; n++) {

        op->fd = sprox_store_open_file(&op->bucket,
                                       (const char *) op->req.key.data,
                                       &op->st);
        if (op->fd == -1) {

            if (sprox_store_absent(errno)) {
                return sprox_store_error(op, SPROX_ERR_NO_SUCH_KEY);
            }

            return sprox_store_failed(op, "opening the file", op->req.bucket,
                                      op->req.key, errno);
        }

        op->answer.what = NULL;

        rc = sprox_store_version(op);

        if (rc != SPROX_INVALID) {
            return rc;
        }

        sprox_store_used(op);
        op->answer.nheaders = 0;

        if (op->answer.err) {
            return sprox_store_error(op, SPROX_ERR_INTERNAL_ERROR);
        }

        /* it changed before a byte was sent: begin again */

        (void) close(op->fd);
        op->fd = -1;
    }

    return sprox_store_error(op, SPROX_ERR_SERVICE_UNAVAILABLE);
}


/* The answer about the version that is open: conditions, range, header. */

static sprox_rc_t
sprox_store_version(sprox_store_op_t *op)
{
    char                 etag[SPROX_STORE_ETAG_MAX];
    uint64_t             size;
    sprox_cond_t         cond;
    sprox_cond_result_t  result;

    if (op->req.op == SPROX_OP_GET_OBJECT) {
        sprox_store_settle(op);
    }

    size = (uint64_t) op->st.st_size;

    memset(&cond, 0, sizeof(sprox_cond_t));
    cond.if_match = op->req.if_match;
    cond.if_none_match = op->req.if_none_match;

    result = sprox_cond_check(&cond, sprox_store_etag(&op->st, etag),
                              op->st.st_mtim.tv_sec);

    if (result == SPROX_COND_FAILED) {
        return sprox_store_error(op, SPROX_ERR_PRECONDITION_FAILED);
    }

    sprox_store_validators(op);

    if (result == SPROX_COND_NOT_MODIFIED) {
        op->answer.status = 304;
        return SPROX_DONE;
    }

    if (op->req.part_number > 1) {
        op->answer.nheaders = 0;
        return sprox_store_error(op, SPROX_ERR_INVALID_PART_NUMBER);
    }

    if (sprox_range_resolve(&op->req.range, size, &op->offset, &op->end)
        != SPROX_OK)
    {
        op->answer.nheaders = 0;
        sprox_store_header(op, "Content-Range", "bytes */%llu",
                           (unsigned long long) size);
        return sprox_store_error(op, SPROX_ERR_INVALID_RANGE);
    }

    return sprox_store_send(op);
}


static void
sprox_store_validators(sprox_store_op_t *op)
{
    char         etag[SPROX_STORE_ETAG_MAX];
    uint8_t      date[SPROX_TIME_HTTP_LEN];
    sprox_str_t  s;

    s = sprox_store_etag(&op->st, etag);

    sprox_time_http(op->st.st_mtim.tv_sec, date);

    sprox_store_header(op, "ETag", "%.*s", (int) s.len, etag);
    sprox_store_header(op, "Last-Modified", "%.*s", SPROX_TIME_HTTP_LEN,
                       (char *) date);
}


static sprox_rc_t
sprox_store_send(sprox_store_op_t *op)
{
    uint64_t  size;

    size = (uint64_t) op->st.st_size;

    op->answer.status = 200;

    /* a file is an object of one part: S3 answers 206 to part number 1 */

    if ((op->req.range.kind != SPROX_RANGE_NONE || op->req.part_number)
        && size != 0)
    {
        op->answer.status = 206;
        sprox_store_header(op, "Content-Range", "bytes %llu-%llu/%llu",
                           (unsigned long long) op->offset,
                           (unsigned long long) op->end - 1,
                           (unsigned long long) size);
    }

    sprox_store_header(op, "Content-Length", "%llu",
                       (unsigned long long) (op->end - op->offset));
    sprox_store_header(op, "Content-Type", "%s",
                       sprox_store_type(op->req.key));
    sprox_store_header(op, "Accept-Ranges", "bytes");

    if (op->req.op == SPROX_OP_HEAD_OBJECT || op->offset == op->end) {
        return SPROX_DONE;
    }

    return sprox_store_read(op);
}


static const char *
sprox_store_type(sprox_str_t key)
{
    size_t                     dot;
    sprox_str_t                extension;
    const sprox_store_type_t  *type;

    for (dot = key.len; dot > 0; dot--) {
        if (key.data[dot - 1] == '.' || key.data[dot - 1] == '/') {
            break;
        }
    }

    extension = sprox_str_null;

    if (dot > 0 && key.data[dot - 1] == '.') {
        extension = sprox_str_from(key, dot);
    }

    for (type = sprox_store_types; type->extension; type++) {
        if (sprox_str_case_eq(extension,
                              sprox_str_make(type->extension,
                                             strlen(type->extension))))
        {
            break;
        }
    }

    return type->type;
}


/* Waits until a change would show in the file's time. */

static void
sprox_store_settle(sprox_store_op_t *op)
{
    int              n;
    int64_t          age;
    struct timespec  now, wait;

    for (n = 0; n < SPROX_STORE_TRIES; n++) {

        if (clock_gettime(CLOCK_REALTIME, &now) == -1) {
            return;
        }

        if (now.tv_sec < op->st.st_mtim.tv_sec
            || now.tv_sec > op->st.st_mtim.tv_sec + 1)
        {
            return;
        }

        age = (int64_t) (now.tv_sec - op->st.st_mtim.tv_sec) * 1000000000
              + now.tv_nsec - op->st.st_mtim.tv_nsec;

        /* a time in the future tells nothing to wait for */

        if (age < 0 || age >= SPROX_STORE_TICK) {
            return;
        }

        wait.tv_sec = 0;
        wait.tv_nsec = (long) (SPROX_STORE_TICK - age);

        (void) nanosleep(&wait, NULL);

        if (fstat(op->fd, &op->st) == -1) {
            return;
        }
    }
}


sprox_rc_t
sprox_store_read(sprox_store_op_t *op)
{
    size_t       len, got;
    ssize_t      n;
    struct stat  st;

    op->answer.data = NULL;
    op->answer.len = 0;

    len = SPROX_STORE_CHUNK;

    if (op->end - op->offset < len) {
        len = (size_t) (op->end - op->offset);
    }

    if (op->chunk == NULL) {

        op->chunk = sprox_alloc(op->mem, len);
        if (op->chunk == NULL) {
            return SPROX_NOMEM;
        }
    }

    got = 0;

    while (got < len) {

        n = pread(op->fd, op->chunk + got, len - got,
                  (off_t) (op->offset + got));

        if (n == -1) {
            if (errno == EINTR) {
                continue;
            }

            sprox_store_note(op, "reading the file", op->req.bucket,
                             op->req.key, errno);
            return SPROX_INVALID;
        }

        if (n == 0) {
            break;
        }

        got += (size_t) n;
    }

    if (fstat(op->fd, &st) == -1) {
        sprox_store_note(op, "looking at the file", op->req.bucket,
                         op->req.key, errno);
        return SPROX_INVALID;
    }

    if (got < len || !sprox_store_same(&op->st, &st)) {
        sprox_store_note(op, "the file changed while it was read",
                         op->req.bucket, op->req.key, 0);
        return SPROX_INVALID;
    }

    op->offset += len;
    op->answer.data = op->chunk;
    op->answer.len = len;

    return (op->offset == op->end) ? SPROX_DONE : SPROX_OK;
}


static int
sprox_store_same(const struct stat *a, const struct stat *b)
{
    return a->st_mtim.tv_sec == b->st_mtim.tv_sec
           && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec
           && a->st_size == b->st_size;
}
