/*
 * The catalog, rule by rule.  test_catalog_room.c fills it and breaks it,
 * test_catalog_model.c compares it with a naive one.
 */

#include "unit_catalog.h"


static void
test_create(void **state)
{
    void             *m;
    sprox_catalog_t  *cat;

    (void) state;

    m = aligned_alloc(16, 2 * SPROX_CATALOG_SIZE_MIN);
    memset(m, 0, 2 * SPROX_CATALOG_SIZE_MIN);

    assert_null(sprox_catalog_attach(m, SPROX_CATALOG_SIZE_MIN));
    assert_null(sprox_catalog_create(m, SPROX_CATALOG_SIZE_MIN - 1));
    assert_null(sprox_catalog_create((uint8_t *) m + 8,
                                     SPROX_CATALOG_SIZE_MIN));

    cat = sprox_catalog_create(m, SPROX_CATALOG_SIZE_MIN + 7);
    assert_non_null(cat);
    check(cat);

    assert_ptr_equal(sprox_catalog_attach(m, SPROX_CATALOG_SIZE_MIN + 7), cat);
    assert_null(sprox_catalog_attach(m, SPROX_CATALOG_SIZE_MIN));
    assert_null(sprox_catalog_attach(m, 0));

    cat->format++;
    assert_null(sprox_catalog_attach(m, SPROX_CATALOG_SIZE_MIN + 7));

    free(m);
}


static void
test_spaces(void **state)
{
    char              name[32];
    uint32_t          n, first, i, made;
    sprox_rc_t        rc;
    sprox_object_t    o;
    sprox_catalog_t  *cat;

    (void) state;

    cat = make(SPROX_CATALOG_SIZE_MIN);

    assert_int_equal(sprox_catalog_space_locked(cat, S("a b"), 0, &n),
                     SPROX_NOT_FOUND);
    first = space(cat, "a b");
    assert_int_equal(space(cat, "a b"), first);
    assert_int_not_equal(space(cat, "a"), first);
    assert_int_not_equal(space(cat, ""), first);
    assert_int_equal(sprox_catalog_space_locked(cat,
                         filled('x', SPROX_CATALOG_NAME_MAX + 1), 1, &n),
                     SPROX_LIMIT);
    assert_int_equal(sprox_catalog_space_locked(cat,
                         filled('x', SPROX_CATALOG_NAME_MAX), 1, &n),
                     SPROX_OK);

    made = 4;

    for (i = 0; /* void */ ; i++) {
        snprintf(name, sizeof(name), "s3 %u", i * 7919 % 1000);
        rc = sprox_catalog_space_locked(cat, sprox_str_make(name,
                                            strlen(name)), 1, &n);
        if (rc != SPROX_OK) {
            break;
        }

        assert_int_equal(n, ++made);
    }

    assert_int_equal(rc, SPROX_FULL);
    assert_in_range(made, 64, 1000);
    check(cat);

    /* full of spaces, there is still room for objects; the same key in two
       spaces is two objects */

    o = object(MD5, 1, 1);
    assert_int_equal(sprox_catalog_put_locked(cat, first, S("k"), &o),
                     SPROX_OK);
    assert_int_equal(sprox_catalog_get_locked(cat, made, S("k"), &o, buf),
                     SPROX_NOT_FOUND);
    o.size = 2;
    assert_int_equal(sprox_catalog_put_locked(cat, made, S("k"), &o),
                     SPROX_OK);
    assert_int_equal(sprox_catalog_get_locked(cat, first, S("k"), &o, buf),
                     SPROX_OK);
    assert_int_equal(o.size, 1);
    check(cat);

    /* no such space */

    for (i = 0; i < 3; i++) {
        n = i == 0 ? 0 : i == 1 ? made + 1 : UINT32_MAX;

        assert_int_equal(sprox_catalog_get_locked(cat, n, S("k"), &o, buf),
                         SPROX_NOT_FOUND);
        assert_int_equal(sprox_catalog_put_locked(cat, n, S("k"), &o),
                         SPROX_NOT_FOUND);
        assert_int_equal(sprox_catalog_remove_locked(cat, n, S("k")),
                         SPROX_NOT_FOUND);
        assert_int_equal(sprox_catalog_scan_locked(cat, n, S(""), S(""), 1,
                                                   NULL, NULL),
                         SPROX_NOT_FOUND);
    }

    free(cat);
}


/* Whatever is put comes back byte for byte. */

static void
test_strings(void **state)
{
    size_t            i, j, k;
    uint32_t          s;
    sprox_object_t    o, got;
    sprox_catalog_t  *cat;

    static const char  *etags[] = {
        "", "\"\"", "\"a\"", MD5, MD5_B, PARTS, "W/" MD5,
        "\"D41D8CD98F00B204E9800998ECF8427E\"",      /* upper case */
        "\"d41d8cd98f00b204e9800998ecf8427\"",       /* 31 */
        "\"d41d8cd98f00b204e9800998ecf8427e0\"",     /* 33 */
        "d41d8cd98f00b204e9800998ecf8427e",
        "\"d41d8cd98f00b204e9800998ecf8427e",
        "d41d8cd98f00b204e9800998ecf8427e\"",
        "\"d41d8cd98f00b204e9800998ecf8427e-\"",
        "\"d41d8cd98f00b204e9800998ecf8427e-0\"",
        "\"d41d8cd98f00b204e9800998ecf8427e-01\"",
        "\"d41d8cd98f00b204e9800998ecf8427e-1\"",
        "\"d41d8cd98f00b204e9800998ecf8427e-10000\"",
        "\"d41d8cd98f00b204e9800998ecf8427e-65535\"",
        "\"d41d8cd98f00b204e9800998ecf8427e-65536\"",
        "\"d41d8cd98f00b204e9800998ecf8427e-99999999999999999999\"",
        "\"d41d8cd98f00b204e9800998ecf8427e-1x\"",
        "\"d41d8cd98f00b204e9800998ecf8427e-1-2\"",
        "\"d41d8cd98f00b204e9800998ecf8427g-1\"",
        "\"-CKih16GjycICEAE=\"",
    };

    static const char  *classes[] = {
        "", "STANDARD", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING",
        "GLACIER", "GLACIER_IR", "DEEP_ARCHIVE", "REDUCED_REDUNDANCY",
        "EXPRESS_ONEZONE", "OUTPOSTS", "SNOW", "FSX_OPENZFS", "NEARLINE",
        "COLDLINE", "ARCHIVE", "Archive", "Hot", "standard", "MY_OWN_CLASS",
    };

    static const size_t  lengths[] = {
        0, 1, 32, 239, 240, 241, 480, 1024, 1025, 8191, 8192,
    };

    (void) state;

    cat = make(SPROX_CATALOG_SIZE_MIN);
    s = space(cat, "s");

    for (i = 0; i < sizeof(etags) / sizeof(etags[0]); i++) {
        for (j = 0; j < sizeof(classes) / sizeof(classes[0]); j++) {
            for (k = 0; k < sizeof(lengths) / sizeof(lengths[0]); k++) {
                o = object(etags[i], UINT64_MAX - i, (int64_t) (i * 1000 + j));
                o.last_modified = INT64_MIN + (int64_t) k;
                o.storage_class = sprox_str_make(classes[j],
                                                 strlen(classes[j]));
                o.version = filled('v', lengths[k] <= 1024 ? lengths[k] : 7);
                o.headers = filled('v', lengths[k]);
                o.headed = 1;
                o.listed = k & 1;

                (void) sprox_catalog_remove_locked(cat, s, S("key"));
                assert_int_equal(sprox_catalog_put_locked(cat, s, S("key"),
                                                          &o), SPROX_OK);
                assert_int_equal(sprox_catalog_get_locked(cat, s, S("key"),
                                                          &got, buf),
                                 SPROX_OK);

                assert_str(got.etag, etags[i]);
                assert_str(got.storage_class, classes[j]);
                assert_true(sprox_str_eq(got.version, o.version));
                assert_true(sprox_str_eq(got.headers, o.headers));
                assert_true(got.size == o.size);
                assert_true(got.last_modified == o.last_modified);
                assert_true(got.proved == o.proved);
                assert_int_equal(got.listed, o.listed);
                assert_int_equal(got.headed, 1);
                assert_int_equal(got.absent, 0);
                check(cat);
            }
        }
    }

    free(cat);
}


static void
test_limits(void **state)
{
    uint32_t          s;
    sprox_object_t    o;
    sprox_catalog_t  *cat;

    (void) state;

    cat = make(SPROX_CATALOG_SIZE_MIN);
    s = space(cat, "s");

    o = object(MD5, 1, 1);
    assert_int_equal(sprox_catalog_put_locked(cat, s,
                         filled('k', SPROX_KEY_MAX + 1), &o), SPROX_LIMIT);

    o.etag = filled('e', SPROX_ETAG_MAX + 1);
    assert_int_equal(sprox_catalog_put_locked(cat, s, S("k"), &o),
                     SPROX_LIMIT);

    o = object(MD5, 1, 1);
    o.storage_class = filled('e', SPROX_CLASS_MAX + 1);
    assert_int_equal(sprox_catalog_put_locked(cat, s, S("k"), &o),
                     SPROX_LIMIT);

    o = object(MD5, 1, 1);
    o.version = filled('e', SPROX_VERSION_MAX + 1);
    assert_int_equal(sprox_catalog_put_locked(cat, s, S("k"), &o),
                     SPROX_LIMIT);

    o = object(MD5, 1, 1);
    o.headed = 1;
    o.headers = filled('e', SPROX_HEADERS_MAX + 1);
    assert_int_equal(sprox_catalog_put_locked(cat, s, S("k"), &o),
                     SPROX_LIMIT);

    assert_int_equal(sprox_catalog_get_locked(cat, s, S("k"), &o, buf),
                     SPROX_NOT_FOUND);

    /* the largest of all fits, and into the caller's buffer */

    o = object("", 1, 1);
    o.etag = filled('e', SPROX_ETAG_MAX);
    o.storage_class = filled('e', SPROX_CLASS_MAX);
    o.version = filled('e', SPROX_VERSION_MAX);
    o.headers = filled('e', SPROX_HEADERS_MAX);
    o.headed = 1;
    assert_int_equal(sprox_catalog_put_locked(cat, s,
                         filled('e', SPROX_KEY_MAX), &o), SPROX_OK);
    assert_int_equal(sprox_catalog_get_locked(cat, s,
                         filled('e', SPROX_KEY_MAX), &o, buf), SPROX_OK);
    assert_int_equal(o.headers.len, SPROX_HEADERS_MAX);
    check(cat);

    free(cat);
}


/*
 * Merging: "etag size lm proved flags" of what is known and of what comes,
 * and what is known then.  A headed one has its proof in its headers.
 */

typedef struct {
    const char  *etag;
    uint64_t     size;
    int64_t      lm;
    int64_t      proved;
    const char  *version;
    const char  *class;
    const char  *flags;             /* l, h, s, a */
} fact_t;

typedef struct {
    fact_t       known, comes;
    sprox_rc_t   rc;
    fact_t       then;
    int64_t      headers;           /* whose headers, by proof; -1: none */
} merge_t;


static const merge_t  merges[] = {

    /* a listing, then a HEAD of the same version: both count */
    { { MD5, 5, 1234, 10, "", "STANDARD", "l" },
      { MD5, 5, 1000, 20, "v1", "", "h" }, SPROX_OK,
      { MD5, 5, 1234, 20, "v1", "STANDARD", "lh" }, 20 },

    /* a HEAD, then a listing: the headers stay, milliseconds come */
    { { MD5, 5, 1000, 10, "v1", "", "h" },
      { MD5, 5, 1234, 20, "", "STANDARD", "l" }, SPROX_OK,
      { MD5, 5, 1234, 20, "v1", "STANDARD", "lh" }, 10 },

    /* two HEADs: the later one's headers, in either order */
    { { MD5, 5, 1000, 10, "", "", "h" }, { MD5, 5, 1000, 20, "", "", "h" },
      SPROX_OK, { MD5, 5, 1000, 20, "", "", "h" }, 20 },
    { { MD5, 5, 1000, 20, "", "", "h" }, { MD5, 5, 1000, 10, "", "", "h" },
      SPROX_OK, { MD5, 5, 1000, 20, "", "", "h" }, 20 },

    /* a HEAD that was slower than the listing still brings its headers */
    { { MD5, 5, 1000, 20, "", "A", "l" }, { MD5, 5, 1000, 10, "", "B", "h" },
      SPROX_OK, { MD5, 5, 1000, 20, "", "A", "lh" }, 10 },

    /* what one of the same version settled stays so; no other's does */
    { { "", 5, 1000, 10, "", "", "hs" }, { "", 5, 1234, 20, "", "", "l" },
      SPROX_OK, { "", 5, 1234, 20, "", "", "lhs" }, 10 },
    { { "", 5, 1234, 20, "", "", "l" }, { "", 5, 1000, 10, "", "", "hs" },
      SPROX_OK, { "", 5, 1234, 20, "", "", "lhs" }, 10 },
    { { "", 5, 1000, 10, "", "", "hs" }, { "", 5, 2000, 20, "", "", "h" },
      SPROX_OK, { "", 5, 2000, 20, "", "", "h" }, 20 },
    { { "", 5, 1000, 10, "", "", "hs" }, { "", 0, 0, 20, "", "", "as" },
      SPROX_OK, { "", 0, 0, 20, "", "", "a" }, -1 },

    /* at the same moment the one that comes counts */
    { { MD5, 5, 1000, 10, "", "A", "" }, { MD5, 5, 1000, 10, "", "B", "" },
      SPROX_OK, { MD5, 5, 1000, 10, "", "B", "" }, -1 },
    { { MD5, 5, 1000, 10, "", "", "lh" }, { MD5_B, 5, 1000, 10, "", "", "" },
      SPROX_OK, { MD5_B, 5, 1000, 10, "", "", "" }, -1 },

    /* another version replaces all, or is too old */
    { { MD5, 5, 1000, 10, "v1", "A", "lh" }, { MD5_B, 5, 1000, 11, "", "",
      "l" }, SPROX_OK, { MD5_B, 5, 1000, 11, "", "", "l" }, -1 },
    { { MD5, 5, 1000, 10, "v1", "A", "lh" }, { MD5_B, 5, 1000, 9, "", "",
      "l" }, SPROX_DONE, { MD5, 5, 1000, 10, "v1", "A", "lh" }, 10 },
    { { MD5, 5, 1000, 10, "", "", "h" }, { MD5, 6, 1000, 11, "", "", "" },
      SPROX_OK, { MD5, 6, 1000, 11, "", "", "" }, -1 },
    { { MD5, 5, 1999, 10, "", "", "h" }, { MD5, 5, 2000, 11, "", "", "" },
      SPROX_OK, { MD5, 5, 2000, 11, "", "", "" }, -1 },
    { { MD5, 5, -1, 10, "", "", "h" }, { MD5, 5, 0, 11, "", "", "" },
      SPROX_OK, { MD5, 5, 0, 11, "", "", "" }, -1 },
    { { MD5, 5, -1, 10, "", "", "h" }, { MD5, 5, -1000, 11, "", "", "" },
      SPROX_OK, { MD5, 5, -1, 11, "", "", "h" }, 10 },
    { { MD5, 5, 1000, 10, "v1", "", "h" }, { MD5, 5, 1000, 11, "v2", "", "" },
      SPROX_OK, { MD5, 5, 1000, 11, "v2", "", "" }, -1 },
    { { MD5, 5, 1000, 10, "v1", "", "h" }, { MD5, 5, 1000, 9, "v2", "", "" },
      SPROX_DONE, { MD5, 5, 1000, 10, "v1", "", "h" }, 10 },

    /* absence, of which nothing else holds */
    { { MD5, 5, 1000, 10, "v1", "A", "lh" }, { MD5, 5, 1000, 11, "v", "A",
      "lha" }, SPROX_OK, { "", 0, 0, 11, "", "", "a" }, -1 },
    { { MD5, 5, 1000, 10, "v1", "A", "lh" }, { "", 0, 0, 9, "", "", "a" },
      SPROX_DONE, { MD5, 5, 1000, 10, "v1", "A", "lh" }, 10 },
    { { "", 0, 0, 10, "", "", "a" }, { MD5, 5, 1000, 11, "", "", "l" },
      SPROX_OK, { MD5, 5, 1000, 11, "", "", "l" }, -1 },
    { { "", 0, 0, 10, "", "", "a" }, { MD5, 5, 1000, 9, "", "", "l" },
      SPROX_DONE, { "", 0, 0, 10, "", "", "a" }, -1 },
    { { "", 0, 0, 10, "", "", "a" }, { "", 0, 0, 9, "", "", "a" },
      SPROX_OK, { "", 0, 0, 10, "", "", "a" }, -1 },
    { { "", 0, 0, 10, "", "", "a" }, { "", 0, 0, 12, "", "", "a" },
      SPROX_OK, { "", 0, 0, 12, "", "", "a" }, -1 },
};


static sprox_object_t
fact_object(const fact_t *f, char headers[64])
{
    sprox_object_t  o;

    o = object(f->etag, f->size, f->proved);
    o.last_modified = f->lm;
    o.version = sprox_str_make(f->version, strlen(f->version));
    o.storage_class = sprox_str_make(f->class, strlen(f->class));
    o.listed = strchr(f->flags, 'l') != NULL;
    o.headed = strchr(f->flags, 'h') != NULL;
    o.settled = strchr(f->flags, 's') != NULL;
    o.absent = strchr(f->flags, 'a') != NULL;

    /* that headers hold is told by headed alone */

    snprintf(headers, 64, "x: %lld\r\n", (long long) f->proved);
    o.headers = sprox_str_make(headers, strlen(headers));

    return o;
}


static void
test_merge(void **state)
{
    char              text[64], headers[64];
    size_t            i;
    uint32_t          s;
    const fact_t     *f;
    sprox_object_t    o, got;
    sprox_catalog_t  *cat;

    (void) state;

    cat = make(SPROX_CATALOG_SIZE_MIN);
    s = space(cat, "s");

    for (i = 0; i < sizeof(merges) / sizeof(merges[0]); i++) {
        (void) sprox_catalog_remove_locked(cat, s, S("k"));

        o = fact_object(&merges[i].known, text);
        assert_int_equal(sprox_catalog_put_locked(cat, s, S("k"), &o),
                         SPROX_OK);

        o = fact_object(&merges[i].comes, text);
        assert_int_equal(sprox_catalog_put_locked(cat, s, S("k"), &o),
                         merges[i].rc);

        assert_int_equal(sprox_catalog_get_locked(cat, s, S("k"), &got, buf),
                         SPROX_OK);
        check(cat);

        f = &merges[i].then;
        headers[0] = '\0';

        if (merges[i].headers != -1) {
            snprintf(headers, 64, "x: %lld\r\n",
                     (long long) merges[i].headers);
        }

        assert_str(got.etag, f->etag);
        assert_int_equal(got.size, f->size);
        assert_int_equal(got.last_modified, f->lm);
        assert_int_equal(got.proved, f->proved);
        assert_str(got.version, f->version);
        assert_str(got.storage_class, f->class);
        assert_str(got.headers, headers);
        assert_int_equal(got.listed, strchr(f->flags, 'l') != NULL);
        assert_int_equal(got.headed, strchr(f->flags, 'h') != NULL);
        assert_int_equal(got.settled, strchr(f->flags, 's') != NULL);
        assert_int_equal(got.absent, strchr(f->flags, 'a') != NULL);
    }

    free(cat);
}


static void
test_counts(void **state)
{
    uint32_t               s;
    uint64_t               used;
    sprox_object_t         o;
    sprox_catalog_t       *cat;
    sprox_catalog_stats_t  st;

    (void) state;

    cat = make(SPROX_CATALOG_SIZE_MIN);
    s = space(cat, "s");

    sprox_catalog_stats_locked(cat, &st);
    used = st.bytes_used;
    assert_int_equal(st.bytes_total, SPROX_CATALOG_SIZE_MIN);

    o = object(MD5, 1, 1);
    o.headed = 1;
    o.headers = filled('h', 1000);
    sprox_catalog_put_locked(cat, s, S("a"), &o);
    sprox_catalog_put_locked(cat, s, S("b"), &o);

    o.absent = 1;
    o.proved = 2;
    sprox_catalog_put_locked(cat, s, S("b"), &o);
    sprox_catalog_put_locked(cat, s, S("c"), &o);

    /* no object has the empty key, whatever is kept under it */

    o.absent = 0;
    assert_int_equal(sprox_catalog_put_locked(cat, s, S(""), &o), SPROX_OK);
    o.absent = 1;
    o.proved = 3;
    assert_int_equal(sprox_catalog_put_locked(cat, s, S(""), &o), SPROX_OK);
    o.absent = 0;
    o.proved = 4;
    assert_int_equal(sprox_catalog_put_locked(cat, s, S(""), &o), SPROX_OK);
    check(cat);

    sprox_catalog_stats_locked(cat, &st);
    assert_int_equal(st.objects, 1);
    assert_int_equal(st.absent, 3);
    assert_int_equal(sprox_catalog_remove_locked(cat, s, S("")), SPROX_OK);

    sprox_catalog_stats_locked(cat, &st);
    assert_int_equal(st.objects, 1);
    assert_int_equal(st.absent, 2);
    assert_true(st.bytes_used > used + 1000);

    assert_int_equal(sprox_catalog_remove_locked(cat, s, S("a")), SPROX_OK);
    assert_int_equal(sprox_catalog_remove_locked(cat, s, S("a")),
                     SPROX_NOT_FOUND);
    assert_int_equal(sprox_catalog_remove_locked(cat, s, S("b")), SPROX_OK);
    assert_int_equal(sprox_catalog_remove_locked(cat, s, S("c")), SPROX_OK);

    sprox_catalog_stats_locked(cat, &st);
    assert_int_equal(st.objects, 0);
    assert_int_equal(st.absent, 0);
    assert_int_equal(st.bytes_used, used);
    assert_int_equal(st.evicted, 0);
    check(cat);

    free(cat);
}


/* At most 96 bytes for an object beside its key, of whatever length. */

static void
test_size(void **state)
{
    size_t                 len;
    uint32_t               s;
    uint64_t               used;
    sprox_object_t         o;
    sprox_catalog_t       *cat;
    sprox_catalog_stats_t  st;

    (void) state;

    cat = make(SPROX_CATALOG_SIZE_MIN);
    s = space(cat, "s");

    for (len = 0; len <= SPROX_KEY_MAX; len++) {
        o = object(len & 1 ? MD5 : PARTS, 1, 1);
        o.storage_class = S("INTELLIGENT_TIERING");
        o.listed = 1;

        sprox_catalog_stats_locked(cat, &st);
        used = st.bytes_used;

        assert_int_equal(sprox_catalog_put_locked(cat, s, filled('k', len),
                                                  &o), SPROX_OK);

        sprox_catalog_stats_locked(cat, &st);
        assert_in_range(st.bytes_used - used, len, len + 96);

        sprox_catalog_remove_locked(cat, s, filled('k', len));
    }

    free(cat);
}


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
test_scan(void **state)
{
    size_t            i, n;
    seen_t            seen;
    uint32_t          s;
    sprox_rc_t        rc;
    sprox_object_t    o;
    sprox_catalog_t  *cat;

    static const char  *keys[] = {
        "b/2", "a", "b/1", "b", "c", "b/10", "b0", "b/", "a\xff", "\xff",
        "b/3/x", "gone", "b/gone", ""
    };

    static const struct {
        const char  *prefix, *after;
        size_t       n;
        sprox_rc_t   rc;
        const char  *text;
    } scans[] = {
        { "", "", 99, SPROX_DONE,
          "a,a\xff,b,b/,b/1,b/10,b/2,b/3/x,b0,c,\xff," },
        { "b/", "", 99, SPROX_DONE, "b/,b/1,b/10,b/2,b/3/x," },
        { "b/", "a", 99, SPROX_DONE, "b/,b/1,b/10,b/2,b/3/x," },
        { "b/", "b/", 99, SPROX_DONE, "b/1,b/10,b/2,b/3/x," },
        { "b/", "b/1", 99, SPROX_DONE, "b/10,b/2,b/3/x," },
        { "b/", "b/1", 2, SPROX_AGAIN, "b/10,b/2," },
        { "b/", "b/1", 3, SPROX_DONE, "b/10,b/2,b/3/x," },
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

    for (i = 0; i < sizeof(scans) / sizeof(scans[0]); i++) {
        memset(&seen, 0, sizeof(seen));
        rc = sprox_catalog_scan_locked(cat, s,
                 sprox_str_make(scans[i].prefix, strlen(scans[i].prefix)),
                 sprox_str_make(scans[i].after, strlen(scans[i].after)),
                 scans[i].n, on_object, &seen);

        assert_string_equal(seen.text, scans[i].text);
        assert_int_equal(rc, scans[i].rc);
    }

    /* the visitor's own code ends it */

    memset(&seen, 0, sizeof(seen));
    seen.stop = 3;
    assert_int_equal(sprox_catalog_scan_locked(cat, s, S(""), S(""), 9,
                                               on_object, &seen),
                     SPROX_LIMIT);
    assert_int_equal(seen.n, 3);

    /* step by step, with changes between */

    memset(&seen, 0, sizeof(seen));
    seen.key = sprox_str_make(seen.last, 0);

    for (n = 0; /* void */ ; n++) {
        rc = sprox_catalog_scan_locked(cat, s, S("b"), seen.key, 1, on_object,
                                       &seen);
        if (rc == SPROX_DONE) {
            break;
        }

        assert_int_equal(rc, SPROX_AGAIN);
        assert_int_equal(sprox_catalog_remove_locked(cat, s, seen.key),
                         SPROX_OK);
    }

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
            (void) sprox_catalog_scan_locked(cat, s, S(""), keys[i - 1], 1,
                                             on_object, &seen);
            assert_true(sprox_str_eq(seen.key, keys[i]));
        }
    }

    free(cat);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_create),
        cmocka_unit_test(test_spaces),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_merge),
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_size),
        cmocka_unit_test(test_scan),
        cmocka_unit_test(test_keys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
