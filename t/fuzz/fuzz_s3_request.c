/*
 * The input is lines: method, target, Host, domain.  What is taken for a
 * request must keep its limits, and the same names in a target of our own
 * writing must be the same request.
 */

#include "fuzz_s3.h"
#include "sprox_op.h"
#include "sprox_uri.h"


static void
request_again(sprox_str_t method, const sprox_s3_request_t *req)
{
    size_t              i;
    sprox_rc_t          rc;
    sprox_buf_t         b;
    sprox_s3_request_t  again;
    sprox_error_code_t  err;

    sprox_buf_init(&b, &fuzz_mem);
    sprox_buf_char(&b, '/');

    if (req->bucket.len != 0) {
        sprox_uri_encode(&b, req->bucket, 0);
        sprox_buf_char(&b, '/');
        sprox_uri_encode(&b, req->key, 1);
    }

    sprox_buf_char(&b, '?');

    for (i = 0; i < req->query.nargs; i++) {
        sprox_uri_encode(&b, req->query.args[i].name, 0);
        sprox_buf_char(&b, '=');
        sprox_uri_encode(&b, req->query.args[i].value, 0);
        sprox_buf_char(&b, '&');
    }

    if (b.len <= SPROX_PATH_MAX) {
        rc = sprox_s3_parse(&fuzz_mem, method, sprox_buf_get(&b),
                            sprox_str_lit(""), &again, &err);

        assert(rc == SPROX_OK);
        assert(again.op == req->op);
        assert(again.signed_query == req->signed_query);
        assert(sprox_str_eq(again.bucket, req->bucket));
        assert(sprox_str_eq(again.key, req->key));

        sprox_s3_request_free(&fuzz_mem, &again);
    }

    sprox_buf_free(&b);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sprox_rc_t          rc;
    sprox_str_t         rest, method, target, host, domain, vhost;
    sprox_s3_request_t  req;
    sprox_error_code_t  err;

    rest = sprox_str_make(data, size);
    method = fuzz_line(&rest);
    target = fuzz_line(&rest);
    host = fuzz_line(&rest);
    domain = fuzz_line(&rest);
    vhost = sprox_str_lit("");

    if (sprox_vhost_bucket(host, domain, &vhost) == SPROX_OK) {
        assert(vhost.len > 0 && vhost.data >= host.data);
        assert(vhost.data + vhost.len < host.data + host.len);
    }

    (void) sprox_bucket_valid(host);

    err = SPROX_ERR_NONE;
    rc = sprox_s3_parse(&fuzz_mem, method, target, vhost, &req, &err);

    if (rc == SPROX_OK) {
        assert(err == SPROX_ERR_NONE);
        assert(req.op > SPROX_OP_NONE && req.op < SPROX_OP_MAX);
        assert(req.key.len <= SPROX_KEY_MAX);
        assert(req.key.len == 0
               || memchr(req.key.data, '\0', req.key.len) == NULL);
        assert(req.bucket.len <= SPROX_VBUCKET_MAX);
        assert(req.bucket.len != 0 || req.op == SPROX_OP_LIST_BUCKETS);
        request_again(method, &req);

    } else {
        assert(rc == SPROX_INVALID);
        assert(err > SPROX_ERR_NONE && err < SPROX_ERR_MAX);
        assert(req.op == SPROX_OP_NONE);
    }

    sprox_s3_request_free(&fuzz_mem, &req);

    return 0;
}
