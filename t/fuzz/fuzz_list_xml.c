/*
 * A page of a listing, read at once and in pieces: the outcome must be the
 * same.  The first byte: whether encoding-type=url was asked for (bit 0),
 * and the seed of the pieces.
 */

#include "fuzz_s3.h"
#include "sprox_list.h"


#define PIECE_MAX  64


typedef struct {
    sprox_buf_t  items;
    size_t       n;
} sink_t;


static sprox_rc_t
sink_item(void *data, const sprox_list_item_t *item)
{
    size_t   i;
    sink_t  *s = data;

    assert(item->key.len > 0 && item->key.len <= SPROX_KEY_MAX);
    assert(item->size <= INT64_MAX);
    assert(item->etag.len == 0
           || (item->etag.len > 2
               && item->etag.data[item->etag.len - 1] == '"'));

    for (i = 0; i < item->etag.len; i++) {
        assert(item->etag.data[i] > ' ');
    }

    sprox_buf_str(&s->items, item->key);
    sprox_buf_char(&s->items, item->is_prefix);
    sprox_buf_u64(&s->items, item->size);
    sprox_buf_add(&s->items, &item->last_modified, sizeof(int64_t));
    sprox_buf_str(&s->items, item->etag);
    sprox_buf_str(&s->items, item->storage_class);
    sprox_buf_str(&s->items, item->owner_id);
    sprox_buf_str(&s->items, item->owner_name);
    s->n++;

    return SPROX_OK;
}


static sprox_rc_t
page_parse(sprox_str_t xml, int url, unsigned seed, sink_t *sink,
    sprox_list_page_t *page)
{
    size_t                i, n;
    sprox_rc_t            rc;
    sprox_list_parser_t  *p;

    sink->n = 0;
    sprox_buf_init(&sink->items, &fuzz_mem);

    p = sprox_list_parser_create(&fuzz_mem, url, sink_item, sink);
    assert(p != NULL);

    rc = SPROX_OK;

    for (i = 0; i < xml.len && rc == SPROX_OK; i += n) {
        n = xml.len - i;

        if (seed != 0) {
            seed = seed * 1103515245 + 12345;
            n = 1 + (seed >> 16) % PIECE_MAX;

            if (n > xml.len - i) {
                n = xml.len - i;
            }
        }

        rc = sprox_list_parser_feed(p, xml.data + i, n);
    }

    memset(page, 0, sizeof(sprox_list_page_t));

    if (rc == SPROX_OK) {
        rc = sprox_list_parser_done(p, page);
    }

    sprox_list_parser_free(p);

    return rc;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int                url;
    sink_t             one, two;
    unsigned           seed;
    sprox_rc_t         rc_one, rc_two;
    sprox_str_t        xml;
    sprox_list_page_t  page_one, page_two;

    if (size == 0) {
        return 0;
    }

    url = data[0] & 1;
    seed = data[0] | 1;
    xml = sprox_str_make(data + 1, size - 1);

    rc_one = page_parse(xml, url, 0, &one, &page_one);
    rc_two = page_parse(xml, url, seed, &two, &page_two);

    assert(rc_one == SPROX_OK || rc_one == SPROX_INVALID
           || rc_one == SPROX_LIMIT);
    assert(rc_one == rc_two);
    assert(one.n == two.n);
    assert(sprox_str_eq(sprox_buf_get(&one.items),
                        sprox_buf_get(&two.items)));
    assert(page_one.truncated == page_two.truncated);
    assert(sprox_str_eq(page_one.next, page_two.next));

    sprox_free(&fuzz_mem, (void *) page_one.next.data);
    sprox_free(&fuzz_mem, (void *) page_two.next.data);
    sprox_buf_free(&one.items);
    sprox_buf_free(&two.items);

    return 0;
}
