/*
 * The input is options and lines, each the key of an item.  The page that
 * is written must be read again: always with encoding-type=url, and without
 * it, too, unless a key has characters that XML cannot carry.
 */

#include "fuzz_s3.h"
#include "sprox_list.h"


#define ITEMS_MAX  100


typedef struct {
    const sprox_list_item_t  *items;
    size_t                    n;
    size_t                    i;
    unsigned                  prefixes;    /* the second round */
} back_t;


static sprox_rc_t
back_item(void *data, const sprox_list_item_t *item)
{
    back_t                   *back = data;
    const sprox_list_item_t  *want;

    /* objects come first, then common prefixes */

    for ( ;; ) {
        if (back->i == back->n) {
            assert(!back->prefixes);
            back->prefixes = 1;
            back->i = 0;
        }

        want = &back->items[back->i++];

        if (want->is_prefix == back->prefixes) {
            break;
        }
    }

    assert(item->is_prefix == want->is_prefix);
    assert(sprox_str_eq(item->key, want->key));

    if (!want->is_prefix) {
        assert(item->size == want->size);
        assert(sprox_str_eq(item->etag, want->etag));
    }

    return SPROX_OK;
}


/* Whether a key is such as only encoding-type=url can carry. */

static int
key_needs_url(sprox_str_t key)
{
    size_t  i;

    for (i = 0; i < key.len; i++) {
        if (key.data[i] >= 0x80
            || (key.data[i] < 0x20 && key.data[i] != '\t'
                && key.data[i] != '\r'))
        {
            return 1;
        }
    }

    return 0;
}


static size_t
items_read(sprox_str_t rest, sprox_list_item_t *items, int *url)
{
    size_t       n;
    sprox_str_t  line;

    n = 0;

    while (rest.len != 0 && n < ITEMS_MAX) {
        line = fuzz_line(&rest);

        if (line.len == 0 || line.len > SPROX_KEY_MAX) {
            continue;
        }

        memset(&items[n], 0, sizeof(sprox_list_item_t));

        items[n].key = line;
        items[n].is_prefix = line.data[line.len - 1] == '/';
        items[n].size = line.data[0] * 1000003ULL * n;
        items[n].last_modified = (int64_t) line.len * 86400001;
        items[n].etag = sprox_str_lit("\"<&>\"");

        *url |= key_needs_url(line);
        n++;
    }

    return n;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int                   url;
    size_t                n;
    back_t                back;
    sprox_rc_t            rc;
    sprox_str_t           next;
    sprox_buf_t           b;
    sprox_list_req_t      req;
    sprox_list_page_t     page;
    sprox_list_item_t     items[ITEMS_MAX];
    sprox_list_parser_t  *p;

    if (size == 0) {
        return 0;
    }

    url = data[0] & 1;
    n = items_read(sprox_str_make(data + 1, size - 1), items, &url);

    memset(&req, 0, sizeof(req));
    req.version = data[0] & 2 ? 1 : 2;
    req.url = url ? 1 : 0;
    req.max_keys = ITEMS_MAX;

    if (n != 0) {
        req.prefix = items[0].key;
        req.delimiter = items[n - 1].key;
        req.marker = items[n / 2].key;
        req.start_after = items[n / 2].key;
    }

    next = n != 0 ? items[n - 1].key : sprox_str_lit("x");

    sprox_buf_init(&b, &fuzz_mem);
    sprox_list_write(&b, sprox_str_lit("b"), &req, items, n, 1, next);
    assert(sprox_buf_rc(&b) == SPROX_OK);

    memset(&back, 0, sizeof(back));
    back.items = items;
    back.n = n;

    p = sprox_list_parser_create(&fuzz_mem, url, back_item, &back);
    assert(p != NULL);

    rc = sprox_list_parser_feed(p, b.data, b.len);
    assert(rc == SPROX_OK);

    rc = sprox_list_parser_done(p, &page);
    assert(rc == SPROX_OK);
    assert(page.truncated);
    assert(req.version == 2 || sprox_str_eq(page.next, next));

    sprox_free(&fuzz_mem, (void *) page.next.data);
    sprox_list_parser_free(p);
    sprox_buf_free(&b);

    return 0;
}
