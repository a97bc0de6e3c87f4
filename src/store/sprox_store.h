/*
 * The file store: a directory that answers reads as an S3 server would.
 * Sub-directories of the root are buckets, regular files below them are
 * objects, and the path below the bucket is the key.  Read-only.
 *
 * It blocks on the disk, so it runs in a thread: no nginx, no logs, no
 * globals.  It is not core (it does I/O), but uses the core's words; memory
 * comes from a sprox_mem_t whose functions must be safe in any thread.
 *
 *   op = sprox_store_create(mem, root, req);       event loop
 *   rc = sprox_store_step(op);                     thread, again and again
 *   sprox_store_free(op);                          event loop
 *
 * One thread at a time may use an op, but for sprox_store_cancel().
 */

#ifndef SPROX_STORE_H
#define SPROX_STORE_H


#include "sprox_dialect.h"


/* What one step reads of a file. */
#define SPROX_STORE_CHUNK          (128 * 1024)

#define SPROX_STORE_HEADERS_MAX    8
#define SPROX_STORE_VALUE_MAX      128

/* Names that start so are no keys: files that are being written. */
#define SPROX_STORE_TEMPORARY      ".sprox"

/* AWS's own bound; a listing of buckets has no pages. */
#define SPROX_STORE_BUCKETS_MAX    10000

/*
 * A page ends early, with what it has, once it has read so many directory
 * entries: sparse trees must not hold a thread for minutes.
 */
#define SPROX_STORE_ENTRIES_MAX    1000000


typedef struct {
    sprox_str_t          name;       /* "ETag" */
    sprox_str_t          value;      /* static, or in the op */
} sprox_store_header_t;


typedef struct sprox_store_op_s  sprox_store_op_t;

/* What a step has made; the op's, read-only, until the next step. */

typedef struct {

    /* the answer, from the first step on */

    int                   status;
    size_t                nheaders;
    sprox_store_header_t  headers[SPROX_STORE_HEADERS_MAX];

    /* the next bytes of the body */

    const uint8_t        *data;
    size_t                len;

    /*
     * For the log: what failed on which path (below the root, raw bytes),
     * and errno or 0.  NULL: nothing to say.
     */
    const char           *what;
    sprox_str_t           where;
    int                   err;
} sprox_store_answer_t;


/*
 * Copies root (an absolute path) and all that it needs of req.  NULL: no
 * memory.  mem must outlive the op.
 */
sprox_store_op_t *sprox_store_create(const sprox_mem_t *mem,
    sprox_str_t root, const sprox_origin_req_t *req);

/*
 * The first step makes the answer, and brings the first bytes of its body;
 * each later one the next bytes.  Errors are answers too: S3 error documents
 * with their status, what and err set when there is something to log.
 *
 * SPROX_OK: more may follow.  SPROX_DONE: these bytes (or none) are the last.
 * SPROX_INVALID: the body cannot go on (the file changed or cannot be read),
 * what came before must not count as the object.  SPROX_NOMEM.
 * After anything but SPROX_OK only free() may be called.
 */
sprox_rc_t sprox_store_step(sprox_store_op_t *op);

const sprox_store_answer_t *sprox_store_answer(const sprox_store_op_t *op);

/* The bytes of the last step were used; gives back their memory. */
void sprox_store_used(sprox_store_op_t *op);

/* From any thread: a step under way ends soon, with SPROX_INVALID. */
void sprox_store_cancel(sprox_store_op_t *op);

/* NULL is passed over.  Not while a step runs. */
void sprox_store_free(sprox_store_op_t *op);

/*
 * For tests: go as on a kernel without openat2().
 */
void sprox_store_plain(sprox_store_op_t *op);


#endif /* SPROX_STORE_H */
