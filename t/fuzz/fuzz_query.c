/*
 * A query is parsed; written again, encoded, and parsed once more, it must
 * be the same names and values.
 */

#include "fuzz_s3.h"
#include "sprox_query.h"
#include "sprox_uri.h"


static void
query_write(sprox_buf_t *b, const sprox_query_t *q)
{
    size_t  i;

    for (i = 0; i < q->nargs; i++) {
        sprox_buf_char(b, '&');
        sprox_uri_encode(b, q->args[i].name, 0);
        sprox_buf_char(b, '=');
        sprox_uri_encode(b, q->args[i].value, 0);
    }
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t                    i;
    sprox_rc_t                rc;
    sprox_buf_t               b;
    sprox_query_t             one, two;
    const sprox_query_arg_t  *arg;

    rc = sprox_query_parse(&fuzz_mem, sprox_str_make(data, size), &one);

    if (rc != SPROX_OK) {
        assert(rc == SPROX_INVALID || rc == SPROX_LIMIT);
        assert(one.args == NULL && one.nargs == 0);
        return 0;
    }

    assert(one.nargs <= SPROX_QUERY_ARGS_MAX);

    sprox_buf_init(&b, &fuzz_mem);
    query_write(&b, &one);

    if (b.len <= SPROX_QUERY_MAX) {
        rc = sprox_query_parse(&fuzz_mem, sprox_buf_get(&b), &two);
        assert(rc == SPROX_OK);
        assert(one.nargs == two.nargs);

        for (i = 0; i < one.nargs; i++) {
            assert(sprox_str_eq(one.args[i].name, two.args[i].name));
            assert(sprox_str_eq(one.args[i].value, two.args[i].value));

            arg = sprox_query_get(&two, one.args[i].name);
            assert(arg != NULL && arg <= &two.args[i]);
        }

        sprox_free(&fuzz_mem, two.args);
    }

    sprox_buf_free(&b);
    sprox_free(&fuzz_mem, one.args);

    return 0;
}
