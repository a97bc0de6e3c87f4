
/*
 * The file store: one op from its first step to its last, and the answers
 * that all kinds of ops share.
 *
 *               object            listing, buckets, errors
 *   step 1      header, 128 KiB   header, the whole document
 *   step 2..    128 KiB each      -
 *
 * The root is opened for each op: it is the operator's own path (it may go
 * over symbolic links), and one that was mounted or replaced later is found.
 * That it cannot be opened is an outage (503), not the absence of its
 * buckets (404).
 */

#include "sprox_store_op.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <unistd.h>


static size_t sprox_store_sizes(const sprox_origin_req_t *req);
static sprox_str_t sprox_store_copy(uint8_t **p, sprox_str_t s);
static sprox_rc_t sprox_store_begin(sprox_store_op_t *op);
static sprox_rc_t sprox_store_enter(sprox_store_op_t *op);


sprox_store_op_t *
sprox_store_create(const sprox_mem_t *mem, sprox_str_t root,
    const sprox_origin_req_t *req)
{
    uint8_t           *p;
    sprox_store_op_t  *op;

    op = sprox_alloc(mem, sizeof(sprox_store_op_t) + root.len + 1
                          + sprox_store_sizes(req));
    if (op == NULL) {
        return NULL;
    }

    memset(op, 0, sizeof(sprox_store_op_t));

    op->mem = mem;
    atomic_init(&op->cancel, 0);
    op->root_dir.fd = -1;
    op->bucket.fd = -1;
    op->fd = -1;
    sprox_buf_init(&op->body, mem);

    p = (uint8_t *) (op + 1);

    op->root = (const char *) sprox_store_copy(&p, root).data;

    op->req = *req;
    op->req.bucket = sprox_store_copy(&p, req->bucket);
    op->req.key = sprox_store_copy(&p, req->key);
    op->req.if_match = sprox_store_copy(&p, req->if_match);
    op->req.if_none_match = sprox_store_copy(&p, req->if_none_match);
    op->req.prefix = sprox_store_copy(&p, req->prefix);
    op->req.delimiter = sprox_store_copy(&p, req->delimiter);
    op->req.start_after = sprox_store_copy(&p, req->start_after);
    op->req.token = sprox_store_copy(&p, req->token);
    op->req.version = sprox_str_null;

    return op;
}


static size_t
sprox_store_sizes(const sprox_origin_req_t *req)
{
    /* each copy has a NUL after it */

    return req->bucket.len + req->key.len + req->if_match.len
           + req->if_none_match.len + req->prefix.len + req->delimiter.len
           + req->start_after.len + req->token.len + 8;
}


static sprox_str_t
sprox_store_copy(uint8_t **p, sprox_str_t s)
{
    uint8_t  *dst;

    dst = *p;

    if (s.len != 0) {
        memcpy(dst, s.data, s.len);
    }

    dst[s.len] = '\0';
    *p = dst + s.len + 1;

    return sprox_str_make(dst, s.len);
}


void
sprox_store_free(sprox_store_op_t *op)
{
    if (op == NULL) {
        return;
    }

    if (op->fd != -1) {
        (void) close(op->fd);
    }

    if (op->bucket.fd != -1) {
        (void) close(op->bucket.fd);
    }

    if (op->root_dir.fd != -1) {
        (void) close(op->root_dir.fd);
    }

    sprox_store_used(op);

    sprox_free(op->mem, (void *) op->answer.where.data);
    sprox_free(op->mem, op);
}


void
sprox_store_cancel(sprox_store_op_t *op)
{
    atomic_store_explicit(&op->cancel, 1, memory_order_relaxed);
}


void
sprox_store_plain(sprox_store_op_t *op)
{
    op->plain = 1;
}


const sprox_store_answer_t *
sprox_store_answer(const sprox_store_op_t *op)
{
    return &op->answer;
}


void
sprox_store_used(sprox_store_op_t *op)
{
    sprox_free(op->mem, op->chunk);
    op->chunk = NULL;

    sprox_buf_free(&op->body);

    op->answer.data = NULL;
    op->answer.len = 0;
}


sprox_rc_t
sprox_store_step(sprox_store_op_t *op)
{
    sprox_rc_t  rc;

    if (atomic_load_explicit(&op->cancel, memory_order_relaxed)) {
        return SPROX_INVALID;
    }

    if (op->answered) {
        return sprox_store_read(op);
    }

    op->answered = 1;

    rc = sprox_store_begin(op);

    /* a file goes on with its own descriptor only */

    if (op->bucket.fd != -1) {
        (void) close(op->bucket.fd);
        op->bucket.fd = -1;
    }

    if (op->root_dir.fd != -1) {
        (void) close(op->root_dir.fd);
        op->root_dir.fd = -1;
    }

    return rc;
}


static sprox_rc_t
sprox_store_begin(sprox_store_op_t *op)
{
    sprox_rc_t  rc;

    op->root_dir.plain = op->plain;
    op->bucket.plain = op->plain;

    op->root_dir.fd = open(op->root, O_PATH|O_DIRECTORY|O_CLOEXEC);

    if (op->root_dir.fd == -1) {
        sprox_store_note(op, "opening the root", sprox_str_null,
                         sprox_str_null, errno);
        return sprox_store_error(op, SPROX_ERR_SERVICE_UNAVAILABLE);
    }

    if (op->req.op == SPROX_OP_LIST_BUCKETS) {
        return sprox_store_buckets(op);
    }

    rc = sprox_store_enter(op);
    if (rc != SPROX_OK) {
        return rc;
    }

    switch (op->req.op) {

    case SPROX_OP_GET_OBJECT:
    case SPROX_OP_HEAD_OBJECT:
        return sprox_store_object(op);

    case SPROX_OP_LIST_OBJECTS_V2:
        return sprox_store_list(op);

    case SPROX_OP_HEAD_BUCKET:
        op->answer.status = 200;
        return SPROX_DONE;

    default:
        return sprox_store_error(op, SPROX_ERR_NOT_IMPLEMENTED);
    }
}


/* Opens the bucket.  SPROX_OK, or what making the error's answer returned. */

static sprox_rc_t
sprox_store_enter(sprox_store_op_t *op)
{
    if (!sprox_bucket_valid(op->req.bucket)) {
        return sprox_store_error(op, SPROX_ERR_INVALID_BUCKET_NAME);
    }

    op->bucket.fd = sprox_store_open(&op->root_dir,
                                     (const char *) op->req.bucket.data,
                                     O_PATH|O_DIRECTORY);
    if (op->bucket.fd != -1) {
        return SPROX_OK;
    }

    if (sprox_store_absent(errno)) {
        return sprox_store_error(op, SPROX_ERR_NO_SUCH_BUCKET);
    }

    return sprox_store_failed(op, "opening the bucket", op->req.bucket,
                              sprox_str_null, errno);
}


/*
 * The answer to an errno that is not "there is no such thing".  What may
 * pass is 503, so that it is tried again.
 */

sprox_rc_t
sprox_store_failed(sprox_store_op_t *op, const char *what,
    sprox_str_t bucket, sprox_str_t path, int err)
{
    sprox_store_note(op, what, bucket, path, err);

    switch (err) {

    case EACCES:
    case EPERM:
        return sprox_store_error(op, SPROX_ERR_ACCESS_DENIED);

    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case EAGAIN:
    case EINTR:
    case ETIMEDOUT:
        return sprox_store_error(op, SPROX_ERR_SERVICE_UNAVAILABLE);

    default:
        return sprox_store_error(op, SPROX_ERR_INTERNAL_ERROR);
    }
}


sprox_rc_t
sprox_store_error(sprox_store_op_t *op, sprox_error_code_t code)
{
    const sprox_error_info_t  *info;

    info = sprox_error_info(code);

    /* HEAD has no body */

    if (op->req.op == SPROX_OP_HEAD_OBJECT
        || op->req.op == SPROX_OP_HEAD_BUCKET)
    {
        op->answer.status = info->status;
        return SPROX_DONE;
    }

    sprox_error_write(&op->body, info->code, sprox_str_null, op->req.bucket,
                      op->req.key, sprox_str_null);

    return sprox_store_document(op, info->status);
}


sprox_rc_t
sprox_store_document(sprox_store_op_t *op, int status)
{
    sprox_str_t  body;

    if (sprox_buf_rc(&op->body) != SPROX_OK) {
        return SPROX_NOMEM;
    }

    body = sprox_buf_get(&op->body);

    op->answer.status = status;
    op->answer.data = body.data;
    op->answer.len = body.len;

    sprox_store_header(op, "Content-Length", "%zu", body.len);
    sprox_store_header(op, "Content-Type", "application/xml");

    return SPROX_DONE;
}


/* Without memory for the path, the line goes without. */

void
sprox_store_note(sprox_store_op_t *op, const char *what, sprox_str_t bucket,
    sprox_str_t path, int err)
{
    sprox_buf_t  where;

    sprox_free(op->mem, (void *) op->answer.where.data);

    sprox_buf_init(&where, op->mem);
    sprox_buf_str(&where, bucket);

    if (bucket.len && path.len) {
        sprox_buf_char(&where, '/');
    }

    sprox_buf_str(&where, path);

    op->answer.what = what;
    op->answer.err = err;
    op->answer.where = sprox_buf_get(&where);
}


void
sprox_store_header(sprox_store_op_t *op, const char *name, const char *fmt,
    ...)
{
    int                    n;
    char                  *value;
    va_list                args;
    sprox_store_header_t  *header;

    value = op->values[op->answer.nheaders];

    va_start(args, fmt);
    n = vsnprintf(value, SPROX_STORE_VALUE_MAX, fmt, args);
    va_end(args);

    header = &op->answer.headers[op->answer.nheaders++];

    header->name = sprox_str_make(name, strlen(name));
    header->value = sprox_str_make(value, (size_t) n);
}
