/*
 * Listings of the catalog: flat, by a delimiter, step by step and against a
 * naive one.
 */

#include "unit_catalog.h"


#define LIST_KEYS   300
#define LIST_ITEMS  (LIST_KEYS + 1)
#define LIST_KEY    6               /* bytes of a random key, at most */


typedef struct {
    size_t       n;
    size_t       stop;
    uint8_t      last[SPROX_KEY_MAX];
    sprox_str_t  key;
    char         text[256];         /* keys, each with a ',' */
} seen_t;


static sprox_rc_t
on_object(void *data, sprox_str_t key, const sprox_object_t *o)
{
    seen_t  *seen = data;

    assert_str(o->etag, MD5);
    assert_int_equal(o->size, key.len);

    memcpy(seen->last, key.data, key.len);
    seen->key = sprox_str_make(seen->last, key.len);

    if (key.len < 16) {
        strncat(seen->text, (const char *) key.data, key.len);
        strcat(seen->text, ",");
    }

    return ++seen->n == seen->stop ? SPROX_LIMIT : SPROX_OK;
}


static void
test_walk(void **state)
{
    size_t            i, n;
    seen_t            seen;
    uint32_t          s;
    sprox_rc_t        rc;
    sprox_object_t    o;
    sprox_catalog_t  *cat;

    sprox_catalog_cursor_t  cursor;

    static const char  *keys[] = {
        "b/2", "a", "b/1", "b", "c", "b/10", "b0", "b/", "a\xff", "\xff",
        "b/3/x", "gone", "b/gone", ""
    };

    static const struct {
        const char  *prefix, *after;
        size_t       n;
        sprox_rc_t   rc;
        const char  *text;
    } walks[] = {
        { "", "", 99, SPROX_DONE,
          "a,a\xff,b,b/,b/1,b/10,b/2,b/3/x,b0,c,\xff," },
        { "b/", "", 99, SPROX_DONE, "b/,b/1,b/10,b/2,b/3/x," },
        { "b/", "a", 99, SPROX_DONE, "b/,b/1,b/10,b/2,b/3/x," },
        { "b/", "b/", 99, SPROX_DONE, "b/1,b/10,b/2,b/3/x," },
        { "b/", "b/1", 99, SPROX_DONE, "b/10,b/2,b/3/x," },
        { "b/", "b/1", 2, SPROX_AGAIN, "b/10,b/2," },
        { "b/", "b/1", 3, SPROX_AGAIN, "b/10,b/2,b/3/x," },
        { "b/", "b/1", 4, SPROX_DONE, "b/10,b/2,b/3/x," },
        { "b/", "b/11", 99, SPROX_DONE, "b/2,b/3/x," },
        { "b/", "b/\xff", 99, SPROX_DONE, "" },
        { "b/", "c", 99, SPROX_DONE, "" },
        { "b/", "\xff\xff", 99, SPROX_DONE, "" },
        { "b/1", "", 99, SPROX_DONE, "b/1,b/10," },
        { "", "b0", 99, SPROX_DONE, "c,\xff," },
        { "", "c", 0, SPROX_AGAIN, "" },
        { "", "\xff", 0, SPROX_DONE, "" },
        { "\xff", "", 1, SPROX_DONE, "\xff," },
        { "\xff\xff", "", 1, SPROX_DONE, "" },
        { "x", "", 1, SPROX_DONE, "" },
        { "gone", "", 1, SPROX_DONE, "" },
        { "b/1", "b/2", 1, SPROX_DONE, "" },
    };

    (void) state;

    cat = make(SPROX_CATALOG_SIZE_MIN);
    s = space(cat, "s");

    for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        o = object(MD5, strlen(keys[i]), 1);
        o.absent = strstr(keys[i], "gone") != NULL;
        sprox_catalog_put_locked(cat, s,
            sprox_str_make(keys[i], strlen(keys[i])), &o);
    }

    check(cat);

    for (i = 0; i < sizeof(walks) / sizeof(walks[0]); i++) {
        memset(&seen, 0, sizeof(seen));
        rc = walk(cat, s,
                  sprox_str_make(walks[i].prefix, strlen(walks[i].prefix)),
                  sprox_str_make(walks[i].after, strlen(walks[i].after)),
                  walks[i].n, on_object, &seen);

        assert_string_equal(seen.text, walks[i].text);
        assert_int_equal(rc, walks[i].rc);
    }

    /* the visitor's own code ends it */

    memset(&seen, 0, sizeof(seen));
    seen.stop = 3;
    assert_int_equal(walk(cat, s, S(""), S(""), 9, on_object, &seen),
                     SPROX_LIMIT);
    assert_int_equal(seen.n, 3);

    /* step by step, with changes between */

    memset(&seen, 0, sizeof(seen));
    sprox_catalog_cursor_init(&cursor, S("b"), S(""), S(""));

    for (n = 0; n < 99; n++) {
        rc = sprox_catalog_list_locked(cat, s, &cursor, 1, on_object, &seen);
        if (rc == SPROX_DONE) {
            break;
        }

        assert_int_equal(rc, SPROX_AGAIN);
        (void) sprox_catalog_remove_locked(cat, s, seen.key);
    }

    assert_int_equal(n, 7);

    assert_string_equal(seen.text, "b,b/,b/1,b/10,b/2,b/3/x,b0,");
    check(cat);

    free(cat);
}


static void
test_keys(void **state)
{
    size_t            i, j;
    seen_t            seen;
    uint32_t          s;
    sprox_object_t    o, got;
    sprox_catalog_t  *cat;

    /* in byte order; NULs inside, prefixes of each other, bytes above 0x7f */

    static uint8_t            zeros[1024], ones[1024];
    static const sprox_str_t  keys[] = {
        { 0, zeros }, { 1, zeros }, { 2, zeros }, { 1024, zeros },
        sprox_str("\0\1"), sprox_str("\0a\0"), sprox_str("\n"),
        sprox_str("a"), sprox_str("a\0"), sprox_str("a\0b"), sprox_str("ab"),
        sprox_str("\x7f"), sprox_str("\x80"), sprox_str("\xc3\xa9"),
        { 1, ones }, { 1023, ones }, { 1024, ones }
    };

    (void) state;

    memset(ones, 0xff, sizeof(ones));

    cat = make(SPROX_CATALOG_SIZE_MIN);
    s = space(cat, "s");

    for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        j = i * 7 % (sizeof(keys) / sizeof(keys[0]));
        o = object(MD5, keys[j].len, 1);
        assert_int_equal(sprox_catalog_put_locked(cat, s, keys[j], &o),
                         SPROX_OK);
        check(cat);
    }

    memset(&seen, 0, sizeof(seen));

    for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        assert_int_equal(sprox_catalog_get_locked(cat, s, keys[i], &got, buf),
                         SPROX_OK);
        assert_int_equal(got.size, keys[i].len);

        /* no key is less than the empty one, which is never scanned */

        if (i) {
            (void) walk(cat, s, S(""), keys[i - 1], 1, on_object, &seen);
            assert_true(sprox_str_eq(seen.key, keys[i]));
        }
    }

    free(cat);
}


/* "a,b/," as a listing tells it, common prefixes in brackets. */

static sprox_rc_t
on_item(void *data, sprox_str_t key, const sprox_object_t *o)
{
    seen_t  *seen = data;

    if (++seen->n == seen->stop) {
        return SPROX_LIMIT;
    }

    strcat(seen->text, o ? "" : "[");
    strncat(seen->text, (const char *) key.data, key.len);
    strcat(seen->text, o ? "," : "],");

    return SPROX_OK;
}


static void
test_delimiter(void **state)
{
    size_t                   i, n;
    seen_t                   seen;
    uint32_t                 s;
    sprox_rc_t               rc;
    sprox_object_t           o;
    sprox_catalog_t         *cat;
    sprox_catalog_cursor_t   cursor;

    static const char  *keys[] = {
        "a", "a/1", "a/2", "a/b/", "a/b/3", "a/c/4", "a//5", "b/", "c-d-1",
        "c-d-2", "c-e", "d/gone", "e/", "e/gone", "f/\xff", "f/\xff/1",
        "g\xff", "g\xff/", "\xff\xff", "\xff\xff\xff"
    };

    /* "e/" is gone too: what is gone shows nothing, and hides nothing */

    static const struct {
        const char  *prefix, *delimiter, *after, *text;
    } lists[] = {
        { "", "/", "",
          "a,[a/],[b/],c-d-1,c-d-2,c-e,[f/],g\xff,[g\xff/],\xff\xff,"
          "\xff\xff\xff," },
        { "", "/", "a", "[a/],[b/],c-d-1,c-d-2,c-e,[f/],g\xff,[g\xff/],"
          "\xff\xff,\xff\xff\xff," },
        { "", "/", "a/", "[b/],c-d-1,c-d-2,c-e,[f/],g\xff,[g\xff/],"
          "\xff\xff,\xff\xff\xff," },

        /* not where a page ended: some key behind it rolls up */
        { "", "/", "a/2", "[a/],[b/],c-d-1,c-d-2,c-e,[f/],g\xff,[g\xff/],"
          "\xff\xff,\xff\xff\xff," },
        { "", "/", "a/c/4", "[b/],c-d-1,c-d-2,c-e,[f/],g\xff,[g\xff/],"
          "\xff\xff,\xff\xff\xff," },
        { "", "/", "a/b/", "[a/],[b/],c-d-1,c-d-2,c-e,[f/],g\xff,[g\xff/],"
          "\xff\xff,\xff\xff\xff," },

        { "a/", "/", "", "[a//],a/1,a/2,[a/b/],[a/c/]," },
        { "a/", "/", "a/", "[a//],a/1,a/2,[a/b/],[a/c/]," },
        { "a/", "/", "a//", "a/1,a/2,[a/b/],[a/c/]," },
        { "a/", "/", "a/b/", "[a/c/]," },
        { "a/", "/", "a/b", "[a/b/],[a/c/]," },
        { "a/b/", "/", "", "a/b/,a/b/3," },
        { "a/b/", "/", "a/b/", "a/b/3," },
        { "a", "/", "", "a,[a/]," },
        { "b/", "/", "", "b/," },
        { "c", "-", "", "[c-]," },
        { "c-", "-", "", "[c-d-],c-e," },
        { "c-", "-", "c-d-", "c-e," },
        { "", "d-", "c", "[c-d-],c-e,f/\xff,f/\xff/1,g\xff,g\xff/,"
          "\xff\xff,\xff\xff\xff," },
        { "", "none", "c-e", "f/\xff,f/\xff/1,g\xff,g\xff/,\xff\xff,"
          "\xff\xff\xff," },
        { "d/", "/", "", "" },
        { "e", "/", "", "" },
        { "", "\xff", "c-e", "[f/\xff],[g\xff],[\xff]," },
        { "\xff", "\xff", "", "[\xff\xff]," },
        { "\xff", "\xff", "\xff\xff", "" },
        { "h", "/", "", "" },
    };

    (void) state;

    cat = make(SPROX_CATALOG_SIZE_MIN);
    s = space(cat, "s");

    for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        o = object(MD5, strlen(keys[i]), 1);
        o.absent = strstr(keys[i], "gone") != NULL || keys[i][0] == 'e';
        sprox_catalog_put_locked(cat, s,
            sprox_str_make(keys[i], strlen(keys[i])), &o);
    }

    /* in one step, and one record a step: what is absent takes one too */

    for (i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        for (n = 1; n < 100; n += 98) {
            memset(&seen, 0, sizeof(seen));
            sprox_catalog_cursor_init(&cursor,
                sprox_str_make(lists[i].prefix, strlen(lists[i].prefix)),
                sprox_str_make(lists[i].delimiter,
                               strlen(lists[i].delimiter)),
                sprox_str_make(lists[i].after, strlen(lists[i].after)));

            do {
                rc = sprox_catalog_list_locked(cat, s, &cursor, n, on_item,
                                               &seen);
            } while (n == 1 && rc == SPROX_AGAIN);

            assert_int_equal(rc, SPROX_DONE);
            assert_string_equal(seen.text, lists[i].text);
        }
    }

    /* what the visitor refuses comes again */

    memset(&seen, 0, sizeof(seen));
    seen.stop = 2;
    sprox_catalog_cursor_init(&cursor, S("a/"), S("/"), S("a/2"));
    assert_int_equal(sprox_catalog_list_locked(cat, s, &cursor, 9, on_item,
                                               &seen), SPROX_LIMIT);
    assert_string_equal(seen.text, "[a/b/],");
    assert_int_equal(sprox_catalog_list_locked(cat, s, &cursor, 9, on_item,
                                               &seen), SPROX_DONE);
    assert_string_equal(seen.text, "[a/b/],[a/c/],");

    /* and a walk that is done stays so */

    assert_int_equal(sprox_catalog_list_locked(cat, s, &cursor, 9, on_item,
                                               &seen), SPROX_DONE);
    assert_string_equal(seen.text, "[a/b/],[a/c/],");

    free(cat);
}


/* An `after` longer than any key stands between the same keys when cut. */

static void
test_after_long(void **state)
{
    size_t                   n;
    uint8_t                  text[SPROX_KEY_MAX + 7];
    uint32_t                 s;
    sprox_object_t           o;
    sprox_catalog_t         *cat;
    sprox_catalog_cursor_t   cursor;

    (void) state;

    cat = make(SPROX_CATALOG_SIZE_MIN);
    s = space(cat, "s");
    memset(text, '/', sizeof(text));

    o = object(MD5, SPROX_KEY_MAX, 1);
    assert_int_equal(sprox_catalog_put_locked(cat, s,
                         sprox_str_make(text, SPROX_KEY_MAX), &o), SPROX_OK);
    text[SPROX_KEY_MAX - 1] = '0';
    assert_int_equal(sprox_catalog_put_locked(cat, s,
                         sprox_str_make(text, SPROX_KEY_MAX), &o), SPROX_OK);
    text[SPROX_KEY_MAX - 1] = '/';

    for (n = 0; n < 2; n++) {
        seen_t  seen = { 0 };

        sprox_catalog_cursor_init(&cursor, S("/"),
                                  n ? S("//") : sprox_str_null,
                                  sprox_str_make(text, sizeof(text)));
        assert_int_equal(sprox_catalog_list_locked(cat, s, &cursor, 9,
                                                   n ? on_item : on_object,
                                                   &seen), SPROX_DONE);
        assert_int_equal(seen.n, 1);
    }

    free(cat);
}


/* A naive listing: every rule said once more, about one key at a time. */

typedef struct {
    sprox_str_t  keys[LIST_KEYS];   /* in byte order */
    uint8_t      present[LIST_KEYS];
    size_t       n;
    sprox_str_t  items[LIST_ITEMS];
    uint8_t      rolled[LIST_ITEMS];
    size_t       nitems;
    uint64_t     seed;
} naive_t;

static uint32_t
any(naive_t *m, uint32_t n)
{
    m->seed = m->seed * 6364136223846793005ULL + 1442695040888963407ULL;

    return (uint32_t) (m->seed >> 33) % n;
}


static sprox_str_t
any_text(naive_t *m, uint8_t *p, size_t max)
{
    size_t  i, len;

    len = any(m, (uint32_t) max + 1);

    for (i = 0; i < len; i++) {
        p[i] = (uint8_t) "/a/b\0\xff"[any(m, 6)];
    }

    return sprox_str_make(p, len);
}


static void
naive_list(naive_t *m, sprox_str_t prefix, sprox_str_t delimiter,
    sprox_str_t after)
{
    int          rolled;
    size_t       i, at;
    sprox_str_t  key;

    m->nitems = 0;

    for (i = 0; i < m->n; i++) {
        key = m->keys[i];

        if (!m->present[i] || !sprox_str_starts(key, prefix)
            || sprox_str_cmp(key, after) <= 0)
        {
            continue;
        }

        if (delimiter.len && after.len >= prefix.len + delimiter.len
            && sprox_str_ends(after, delimiter)
            && sprox_str_starts(key, after))
        {
            continue;
        }

        at = delimiter.len ? sprox_str_find(key, delimiter, prefix.len)
                           : (size_t) -1;
        rolled = at != (size_t) -1;

        if (rolled) {
            key.len = at + delimiter.len;

            if (m->nitems && m->rolled[m->nitems - 1]
                && sprox_str_eq(m->items[m->nitems - 1], key))
            {
                continue;
            }
        }

        m->rolled[m->nitems] = (uint8_t) rolled;
        m->items[m->nitems++] = key;
    }
}


typedef struct {
    naive_t     *m;
    size_t       at;
    size_t       stop;
    sprox_str_t  last;
    uint8_t      text[SPROX_KEY_MAX];
} compare_t;


static sprox_rc_t
on_compare(void *data, sprox_str_t key, const sprox_object_t *o)
{
    compare_t  *c = data;

    if (c->at == c->stop) {
        return SPROX_LIMIT;
    }

    assert_true(c->at < c->m->nitems);
    assert_true(sprox_str_eq(key, c->m->items[c->at]));
    assert_int_equal(o == NULL, c->m->rolled[c->at]);

    memcpy(c->text, key.data, key.len);
    c->last = sprox_str_make(c->text, key.len);
    c->at++;

    return SPROX_OK;
}


static int
str_cmp(const void *a, const void *b)
{
    return sprox_str_cmp(*(const sprox_str_t *) a, *(const sprox_str_t *) b);
}


static void
random_keys(naive_t *m, sprox_catalog_t *cat, uint32_t s, uint8_t *text)
{
    size_t          i, n;
    sprox_object_t  o;

    for (i = 0; i < LIST_KEYS; i++) {
        m->keys[i] = any_text(m, text + i * LIST_KEY, LIST_KEY);
    }

    qsort(m->keys, LIST_KEYS, sizeof(sprox_str_t), str_cmp);

    for (n = 0, i = 0; i < LIST_KEYS; i++) {
        if (m->keys[i].len
            && (n == 0 || !sprox_str_eq(m->keys[n - 1], m->keys[i])))
        {
            m->keys[n++] = m->keys[i];
        }
    }

    m->n = n;

    for (i = 0; i < n; i++) {
        m->present[i] = any(m, 4) != 0;
        o = object(MD5, m->keys[i].len, 1);
        o.absent = !m->present[i];
        assert_int_equal(sprox_catalog_put_locked(cat, s, m->keys[i], &o),
                         SPROX_OK);
    }

    o = object(MD5, 0, 1);
    assert_int_equal(sprox_catalog_put_locked(cat, s, S(""), &o), SPROX_OK);
}


/*
 * Random listings in steps of random length; pages that end go on by the
 * cursor, or, as clients do, by the last item that they got.
 */

static void
test_naive(void **state)
{
    size_t                   i, steps;
    naive_t                 *m;
    uint8_t                  text[LIST_KEYS * LIST_KEY], a[8], b[8], c[8];
    uint32_t                 s;
    compare_t                cmp;
    sprox_rc_t               rc;
    sprox_str_t              prefix, delimiter;
    sprox_catalog_t         *cat;
    sprox_catalog_cursor_t   cursor;

    (void) state;

    m = calloc(1, sizeof(naive_t));
    m->seed = 42;

    cat = make(SPROX_CATALOG_SIZE_MIN);
    s = space(cat, "s");
    cmp.m = m;

    for (i = 0; i < 40000; i++) {
        if (i % 4000 == 0) {
            for (steps = 0; steps < m->n; steps++) {
                (void) sprox_catalog_remove_locked(cat, s, m->keys[steps]);
            }

            random_keys(m, cat, s, text);
        }

        prefix = any_text(m, a, 3);
        delimiter = any_text(m, b, 2);
        cmp.last = any_text(m, c, 4);
        cmp.at = 0;

        naive_list(m, prefix, delimiter, cmp.last);
        sprox_catalog_cursor_init(&cursor, prefix, delimiter, cmp.last);

        for (steps = 0; steps < 3 * LIST_KEYS; steps++) {
            cmp.stop = any(m, 3) ? (size_t) -1 : cmp.at + any(m, 5);

            rc = sprox_catalog_list_locked(cat, s, &cursor, 1 + any(m, 40),
                                           on_compare, &cmp);
            if (rc == SPROX_DONE) {
                break;
            }

            assert_true(rc == SPROX_AGAIN
                        || (rc == SPROX_LIMIT && cmp.at == cmp.stop));

            if (cmp.at && any(m, 2)) {
                sprox_catalog_cursor_init(&cursor, prefix, delimiter,
                                          cmp.last);
            }
        }

        assert_int_equal(rc, SPROX_DONE);
        assert_int_equal(cmp.at, m->nitems);
    }

    check(cat);
    free(cat);
    free(m);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_walk),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_delimiter),
        cmocka_unit_test(test_after_long),
        cmocka_unit_test(test_naive),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
