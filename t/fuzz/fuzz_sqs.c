/*
 * A queue's answer, whole and byte by byte; and where it lies.  However the
 * document is cut, the outcome and the messages are the same.
 */

#include "fuzz_s3.h"
#include "sprox_sqs.h"


static sprox_rc_t
visit(void *data, const sprox_sqs_message_t *m)
{
    size_t        i;
    sprox_buf_t  *out = data;

    assert(m->handle.len != 0 && m->handle.len <= SPROX_SQS_HANDLE_MAX);
    assert(m->body.len <= SPROX_SQS_BODY_MAX);

    for (i = 0; i < m->id.len; i++) {
        assert(m->id.data[i] >= 0x20 && m->id.data[i] != 0x7f);
    }

    sprox_buf_str(out, m->id);
    sprox_buf_char(out, '\n');
    sprox_buf_str(out, m->handle);
    sprox_buf_char(out, '\n');
    sprox_buf_str(out, m->body);
    sprox_buf_char(out, '\n');

    return sprox_buf_rc(out);
}


static sprox_rc_t
messages(const uint8_t *data, size_t size, size_t step, sprox_buf_t *out)
{
    size_t        i, n;
    sprox_rc_t    rc;
    sprox_sqs_t  *sqs;

    sqs = sprox_sqs_create(&fuzz_mem, visit, out);
    assert(sqs != NULL);

    rc = SPROX_OK;

    for (i = 0; i < size && rc == SPROX_OK; i += step) {
        n = size - i < step ? size - i : step;
        rc = sprox_sqs_feed(sqs, data + i, n);
    }

    if (rc == SPROX_OK) {
        rc = sprox_sqs_done(sqs);
    }

    sprox_sqs_free(sqs);

    return rc;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sprox_rc_t        rc;
    sprox_buf_t       whole, pieces;
    const char       *why;
    sprox_sqs_url_t   url;

    sprox_buf_init(&whole, &fuzz_mem);
    sprox_buf_init(&pieces, &fuzz_mem);

    rc = messages(data, size, size + 1, &whole);
    assert(rc == SPROX_OK || rc == SPROX_INVALID || rc == SPROX_LIMIT);
    assert(messages(data, size, 1, &pieces) == rc);

    if (rc == SPROX_OK) {
        assert(sprox_str_eq(sprox_buf_get(&whole), sprox_buf_get(&pieces)));
    }

    sprox_buf_free(&whole);
    sprox_buf_free(&pieces);

    why = NULL;

    if (sprox_sqs_url(sprox_str_make(data, size), &url, &why) == SPROX_OK) {
        assert(url.path.len != 0);
        assert(url.authority.len + url.path.len + sizeof("sqs:///") - 1
               == size);

    } else {
        assert(why != NULL);
    }

    return 0;
}
