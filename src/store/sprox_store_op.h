/*
 * Private to the store: one op, and how its parts make answers.
 */

#ifndef SPROX_STORE_OP_H
#define SPROX_STORE_OP_H


#include "sprox_store_walk.h"


struct sprox_store_op_s {
    sprox_store_answer_t   answer;
    const sprox_mem_t     *mem;
    atomic_int             cancel;

    const char            *root;
    sprox_origin_req_t     req;        /* strings: behind this struct */

    sprox_store_dir_t      root_dir;
    sprox_store_dir_t      bucket;

    sprox_buf_t            body;       /* a document */

    /* an object */

    int                    fd;
    struct stat            st;         /* the version that is read */
    uint64_t               offset;     /* what comes next */
    uint64_t               end;
    uint8_t               *chunk;

    char                   values[SPROX_STORE_HEADERS_MAX]
                                 [SPROX_STORE_VALUE_MAX];
    unsigned               answered:1;
    unsigned               plain:1;
};


/*
 * Each makes the first step's answer; what sprox_store_step() returns.  The
 * bucket (or the root) is open.
 */
sprox_rc_t sprox_store_object(sprox_store_op_t *op);
sprox_rc_t sprox_store_list(sprox_store_op_t *op);
sprox_rc_t sprox_store_buckets(sprox_store_op_t *op);

/*
 * The next piece of the file.  SPROX_INVALID with err 0: it has changed.
 */
sprox_rc_t sprox_store_read(sprox_store_op_t *op);

/*
 * Ends of a first step.  error: an S3 error; failed: the error that an errno
 * stands for, with a note; document: what is in op->body.  SPROX_DONE or
 * SPROX_NOMEM.
 */
sprox_rc_t sprox_store_error(sprox_store_op_t *op, sprox_error_code_t code);
sprox_rc_t sprox_store_failed(sprox_store_op_t *op, const char *what,
    sprox_str_t bucket, sprox_str_t path, int err);
sprox_rc_t sprox_store_document(sprox_store_op_t *op, int status);

/*
 * Something for the log: what (static text) failed on bucket/path; either
 * may be empty.
 */
void sprox_store_note(sprox_store_op_t *op, const char *what,
    sprox_str_t bucket, sprox_str_t path, int err);

/* Adds a header of the answer. */
void sprox_store_header(sprox_store_op_t *op, const char *name,
    const char *fmt, ...) __attribute__ ((format (printf, 3, 4)));


#endif /* SPROX_STORE_OP_H */
