
/*
 * Listings of the file store: a page is a walk of the tree, written as the
 * document that an S3 server would send, always with encoding-type=url, so
 * that one reader reads the pages of all origins.
 *
 * There are no directories among the objects (a key that ends with '/' is
 * no file); owners are not told, all objects are of class STANDARD.
 */

#include "sprox_store_op.h"


static sprox_rc_t sprox_store_list_req(sprox_store_op_t *op,
    sprox_list_req_t *req);
static sprox_rc_t sprox_store_page(sprox_store_op_t *op,
    sprox_store_walk_t *walk, sprox_list_item_t *items, size_t max,
    size_t *n, int *truncated);
static sprox_rc_t sprox_store_walk_end(sprox_store_op_t *op,
    sprox_store_walk_t *walk, sprox_rc_t rc);
static sprox_rc_t sprox_store_item(sprox_store_op_t *op,
    sprox_store_walk_t *walk, sprox_list_item_t *item);


sprox_rc_t
sprox_store_list(sprox_store_op_t *op)
{
    int                  truncated;
    size_t               i, n;
    sprox_rc_t           rc;
    sprox_list_req_t     req;
    sprox_list_item_t   *items;
    sprox_store_walk_t  *walk;

    rc = sprox_store_list_req(op, &req);

    if (rc != SPROX_OK) {
        return (rc == SPROX_NOMEM)
               ? rc : sprox_store_error(op, SPROX_ERR_INVALID_ARGUMENT);
    }

    n = 0;

    items = sprox_alloc(op->mem, req.max_keys * sizeof(sprox_list_item_t));
    walk = sprox_alloc(op->mem, sizeof(sprox_store_walk_t));

    if (items == NULL || walk == NULL) {
        rc = SPROX_NOMEM;
        goto done;
    }

    memset(walk, 0, sizeof(sprox_store_walk_t));

    walk->mem = op->mem;
    walk->dir = op->bucket;
    walk->cancel = &op->cancel;
    walk->prefix = req.prefix;
    walk->delimiter = req.delimiter;
    walk->after = req.after;
    walk->want = req.max_keys + 1;      /* one more tells whether it is all */

    rc = sprox_store_page(op, walk, items, req.max_keys, &n, &truncated);

    if (rc == SPROX_OK) {
        sprox_list_write(&op->body, op->req.bucket, &req, items, n, truncated,
                         n ? items[n - 1].key : sprox_str_null);

        rc = sprox_store_document(op, 200);
    }

done:

    for (i = 0; i < n; i++) {
        sprox_free(op->mem, (void *) items[i].key.data);
    }

    sprox_free(op->mem, items);
    sprox_free(op->mem, walk);

    if (req.token.len) {
        sprox_free(op->mem, (void *) req.after.data);
    }

    return rc;
}


/*
 * What was asked for, in the words of the writer.  Our own tokens are read
 * where those of our clients are.  after is the caller's to free, with a
 * token.
 */

static sprox_rc_t
sprox_store_list_req(sprox_store_op_t *op, sprox_list_req_t *req)
{
    sprox_rc_t          rc;
    const char         *why;
    sprox_query_t       query;
    sprox_query_arg_t   arg;
    sprox_error_code_t  err;

    arg.name = sprox_str_lit("continuation-token");
    arg.value = op->req.token;

    query.args = &arg;
    query.nargs = op->req.token.len ? 1 : 0;

    rc = sprox_list_req_parse(op->mem, &query, 2, req, &err, &why);
    if (rc != SPROX_OK) {
        return rc;
    }

    req->prefix = op->req.prefix;
    req->delimiter = op->req.delimiter;
    req->delimiter_sent = (op->req.delimiter.len != 0);
    req->start_after = op->req.start_after;
    req->start_after_sent = (op->req.start_after.len != 0);
    req->fetch_owner = op->req.fetch_owner;
    req->url = 1;

    if (op->req.token.len == 0) {
        req->after = op->req.start_after;
    }

    if (op->req.max_keys && op->req.max_keys < SPROX_LIST_KEYS_MAX) {
        req->max_keys = op->req.max_keys;
    }

    return SPROX_OK;
}


/* SPROX_OK, or what the op ends with (an error's answer is made). */

static sprox_rc_t
sprox_store_page(sprox_store_op_t *op, sprox_store_walk_t *walk,
    sprox_list_item_t *items, size_t max, size_t *n, int *truncated)
{
    sprox_rc_t  rc;

    *truncated = 0;

    rc = sprox_store_walk_open(walk);

    while (rc == SPROX_OK) {

        if (*n && walk->entries > SPROX_STORE_ENTRIES_MAX) {
            *truncated = 1;
            break;
        }

        rc = sprox_store_walk_next(walk);

        if (rc != SPROX_OK) {
            break;
        }

        if (*n == max) {
            *truncated = 1;
            break;
        }

        rc = sprox_store_item(op, walk, &items[*n]);
        if (rc == SPROX_OK) {
            (*n)++;
        }
    }

    return sprox_store_walk_end(op, walk, rc);
}


/* Closes the walk; SPROX_OK when it went well. */

static sprox_rc_t
sprox_store_walk_end(sprox_store_op_t *op, sprox_store_walk_t *walk,
    sprox_rc_t rc)
{
    if (rc == SPROX_DONE) {
        rc = SPROX_OK;

    } else if (rc == SPROX_INVALID && walk->what) {
        rc = sprox_store_failed(op, walk->what, op->req.bucket,
                                sprox_str_make(walk->path, walk->len),
                                walk->err);
    }

    sprox_store_walk_close(walk);

    return rc;
}


/* What was found, with a copy of its name (and of its ETag behind it). */

static sprox_rc_t
sprox_store_item(sprox_store_op_t *op, sprox_store_walk_t *walk,
    sprox_list_item_t *item)
{
    char      etag[SPROX_STORE_ETAG_MAX];
    uint8_t  *p;

    memset(item, 0, sizeof(sprox_list_item_t));

    item->is_prefix = walk->is_prefix;

    if (!item->is_prefix) {
        item->etag = sprox_store_etag(&walk->st, etag);
        item->size = (uint64_t) walk->st.st_size;
        item->last_modified = (int64_t) walk->st.st_mtim.tv_sec * 1000;
        item->storage_class = sprox_str_lit("STANDARD");
    }

    p = sprox_alloc(op->mem, walk->len + item->etag.len);
    if (p == NULL) {
        return SPROX_NOMEM;
    }

    memcpy(p, walk->path, walk->len);
    item->key = sprox_str_make(p, walk->len);

    if (item->etag.len) {
        p += walk->len;
        memcpy(p, etag, item->etag.len);
        item->etag.data = p;
    }

    return SPROX_OK;
}


sprox_rc_t
sprox_store_buckets(sprox_store_op_t *op)
{
    size_t               i, n;
    sprox_rc_t           rc;
    sprox_list_item_t   *items;
    sprox_store_walk_t  *walk;

    n = 0;

    items = sprox_alloc(op->mem, SPROX_STORE_BUCKETS_MAX
                                 * sizeof(sprox_list_item_t));
    walk = sprox_alloc(op->mem, sizeof(sprox_store_walk_t));

    if (items == NULL || walk == NULL) {
        rc = SPROX_NOMEM;
        goto done;
    }

    memset(walk, 0, sizeof(sprox_store_walk_t));

    walk->mem = op->mem;
    walk->dir = op->root_dir;
    walk->cancel = &op->cancel;
    walk->want = SPROX_STORE_BUCKETS_MAX;
    walk->buckets = 1;

    rc = sprox_store_walk_open(walk);

    while (rc == SPROX_OK && n < SPROX_STORE_BUCKETS_MAX) {

        rc = sprox_store_walk_next(walk);

        if (rc == SPROX_OK) {
            rc = sprox_store_item(op, walk, &items[n]);
        }

        if (rc == SPROX_OK) {
            n++;
        }
    }

    rc = sprox_store_walk_end(op, walk, rc);

    if (rc == SPROX_OK) {
        sprox_buckets_write(&op->body, items, n);
        rc = sprox_store_document(op, 200);
    }

done:

    for (i = 0; i < n; i++) {
        sprox_free(op->mem, (void *) items[i].key.data);
    }

    sprox_free(op->mem, items);
    sprox_free(op->mem, walk);

    return rc;
}
