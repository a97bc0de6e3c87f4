/*
 * The input is a query: its parameters of a listing keep their limits; and
 * it is a key: its token leads back to it.
 */

#include "fuzz_s3.h"
#include "sprox_list.h"


static sprox_rc_t
req_parse(const sprox_query_t *query, unsigned version, sprox_str_t *after)
{
    const char          *why;
    sprox_rc_t           rc;
    sprox_list_req_t     req;
    sprox_error_code_t   err;

    err = SPROX_ERR_NONE;
    rc = sprox_list_req_parse(&fuzz_mem, query, version, &req, &err, &why);

    if (rc != SPROX_OK) {
        assert(rc == SPROX_INVALID && err == SPROX_ERR_INVALID_ARGUMENT);
        assert(why != NULL);
        return rc;
    }

    assert(err == SPROX_ERR_NONE);
    assert(req.max_keys <= SPROX_LIST_KEYS_MAX);
    assert(req.prefix.len <= SPROX_KEY_MAX);
    assert(req.after.len <= SPROX_KEY_MAX);

    if (after != NULL) {
        *after = req.after;

    } else if (req.token.len != 0) {
        sprox_free(&fuzz_mem, (void *) req.after.data);
    }

    return SPROX_OK;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sprox_rc_t         rc;
    sprox_buf_t        b;
    sprox_str_t        key, after;
    sprox_query_t      query;
    sprox_query_arg_t  arg;

    key = sprox_str_make(data, size);

    if (sprox_query_parse(&fuzz_mem, key, &query) == SPROX_OK) {
        (void) req_parse(&query, 1, NULL);
        (void) req_parse(&query, 2, NULL);
        sprox_free(&fuzz_mem, query.args);
    }

    sprox_buf_init(&b, &fuzz_mem);
    sprox_list_token(&b, key);
    assert(sprox_buf_rc(&b) == SPROX_OK);

    arg.name = sprox_str_lit("continuation-token");
    arg.value = sprox_buf_get(&b);
    query.args = &arg;
    query.nargs = 1;

    rc = req_parse(&query, 2, &after);

    if (size <= SPROX_KEY_MAX) {
        assert(rc == SPROX_OK);
        assert(sprox_str_eq(after, key));
        sprox_free(&fuzz_mem, (void *) after.data);

    } else {
        assert(rc == SPROX_INVALID);
    }

    sprox_buf_free(&b);

    return 0;
}
