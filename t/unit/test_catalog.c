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
    uint32_t          n, first, i, made, maybe;
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

    /* for what may be none, one half of the room */

    for (i = 0; /* void */ ; i++) {
        snprintf(name, sizeof(name), "maybe %u", i);
        rc = sprox_catalog_space_locked(cat, sprox_str_make(name,
                                            strlen(name)),
                                        SPROX_SPACE_MAYBE, &n);
        if (rc != SPROX_OK) {
            break;
        }

        assert_int_equal(n, ++made);
    }

    assert_int_equal(rc, SPROX_FULL);
    maybe = made;
    assert_int_equal(sprox_catalog_space_locked(cat, S("maybe 0"),
                                                SPROX_SPACE_MAYBE, &n),
                     SPROX_OK);

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
    assert_in_range(made - maybe, maybe / 2, 2 * maybe);
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
        assert_int_equal(walk(cat, n, S(""), S(""), 1, NULL, NULL),
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
                o.sequencer = filled('v', lengths[k] % 65);
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
                assert_true(sprox_str_eq(got.sequencer, o.sequencer));
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
    o.sequencer = filled('e', SPROX_SEQUENCER_MAX + 1);
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
    o.sequencer = filled('e', SPROX_SEQUENCER_MAX);
    o.headers = filled('e', SPROX_HEADERS_MAX);
    o.headed = 1;
    assert_int_equal(sprox_catalog_put_locked(cat, s,
                         filled('e', SPROX_KEY_MAX), &o), SPROX_OK);
    assert_int_equal(sprox_catalog_get_locked(cat, s,
                         filled('e', SPROX_KEY_MAX), &o, buf), SPROX_OK);
    assert_int_equal(o.headers.len, SPROX_HEADERS_MAX);
    assert_int_equal(o.sequencer.len, SPROX_SEQUENCER_MAX);
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
    const char  *flags;             /* l, h, s, t, a, # and a sequencer */
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

    /* an event's time is not the store's, which holds when it is known */
    { { MD5, 5, 1234, 10, "", "A", "lhs" },
      { MD5, 5, 9000, 20, "v1", "", "t#5A" }, SPROX_OK,
      { MD5, 5, 1234, 20, "v1", "A", "lhs#5A" }, 10 },
    { { MD5, 5, 9000, 10, "", "", "t#5A" },
      { MD5, 5, 1234, 20, "", "A", "l" }, SPROX_OK,
      { MD5, 5, 1234, 20, "", "A", "l#5A" }, -1 },
    { { MD5, 5, 9000, 20, "", "", "t#5A" },
      { MD5, 5, 1000, 10, "", "A", "hs" }, SPROX_OK,
      { MD5, 5, 1000, 20, "", "A", "hs#5A" }, 10 },
    { { MD5, 5, 9000, 10, "", "", "t#5A" },
      { MD5, 5, 9000, 20, "", "", "h" }, SPROX_OK,
      { MD5, 5, 9000, 20, "", "", "h#5A" }, 20 },

    /* two events: the later one's */
    { { MD5, 5, 9000, 10, "", "", "t#5A" },
      { MD5, 5, 8000, 20, "", "", "t#5B" }, SPROX_OK,
      { MD5, 5, 8000, 20, "", "", "t#5B" }, -1 },
    { { MD5, 5, 9000, 20, "", "", "t#5A" },
      { MD5, 5, 8000, 10, "", "", "t#5B" }, SPROX_OK,
      { MD5, 5, 9000, 20, "", "", "t#5A" }, -1 },
    { { MD5, 5, 9001, 20, "", "", "t" },
      { MD5, 5, 9000, 30, "", "", "t#5B" }, SPROX_OK,
      { MD5, 5, 9001, 30, "", "", "t#5B" }, -1 },

    /* where the ETag says little, times count */
    { { "W/\"x\"", 5, 1000, 10, "", "", "h" },
      { "W/\"x\"", 5, 2000, 20, "", "", "t" }, SPROX_OK,
      { "W/\"x\"", 5, 2000, 20, "", "", "t" }, -1 },
    { { "", 5, 1000, 10, "", "", "h" }, { "", 5, 2000, 20, "", "", "t" },
      SPROX_OK, { "", 5, 2000, 20, "", "", "t" }, -1 },
    { { "", 5, 1000, 10, "", "", "h" }, { "", 5, 1000, 20, "", "", "t" },
      SPROX_OK, { "", 5, 1000, 20, "", "", "h" }, 10 },

    /* another version takes the sequencer with it */
    { { MD5, 5, 1000, 10, "", "", "t#5A" }, { MD5_B, 5, 1000, 20, "", "",
      "l" }, SPROX_OK, { MD5_B, 5, 1000, 20, "", "", "l" }, -1 },

    /* what an event tells of one that is gone */
    { { MD5, 5, 1000, 10, "v", "A", "h" }, { MD5, 5, 7000, 20, "v", "A",
      "lhsta#5A" }, SPROX_OK, { "", 0, 7000, 20, "", "", "ta#5A" }, -1 },
    { { "", 0, 7000, 10, "", "", "ta#5A" }, { "", 0, 5, 20, "", "", "a" },
      SPROX_OK, { "", 0, 0, 20, "", "", "a#5A" }, -1 },
    { { "", 0, 5, 10, "", "", "a" }, { "", 0, 7000, 20, "", "", "ta#5A" },
      SPROX_OK, { "", 0, 7000, 20, "", "", "ta#5A" }, -1 },
    { { "", 0, 7000, 10, "", "", "ta#5A" }, { "", 0, 6000, 20, "", "",
      "ta#5B" }, SPROX_OK, { "", 0, 6000, 20, "", "", "ta#5B" }, -1 },
    { { "", 0, 7000, 20, "", "", "ta#5A" }, { "", 0, 5, 10, "", "", "a" },
      SPROX_OK, { "", 0, 7000, 20, "", "", "ta#5A" }, -1 },
};


static sprox_str_t
fact_sequencer(const fact_t *f)
{
    const char  *p;

    p = strchr(f->flags, '#');

    return p ? sprox_str_make(p + 1, strlen(p + 1)) : sprox_str_null;
}


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
    o.told = strchr(f->flags, 't') != NULL;
    o.absent = strchr(f->flags, 'a') != NULL;

    o.sequencer = fact_sequencer(f);

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
        assert_true(sprox_str_eq(got.sequencer, fact_sequencer(f)));
        assert_int_equal(got.settled, strchr(f->flags, 's') != NULL);
        assert_int_equal(got.told, strchr(f->flags, 't') != NULL);
        assert_int_equal(got.absent, strchr(f->flags, 'a') != NULL);
    }

    free(cat);
}


static sprox_rc_t
on_doubted(void *data, sprox_str_t key, const sprox_object_t *o)
{
    (void) key;

    *(int64_t *) data = o->doubted ? -1 : o->proved;

    return SPROX_OK;
}


/* Known, listed, and not believed, until a later request proves it. */

static void
test_doubt(void **state)
{
    int64_t           listed;
    uint32_t          s;
    sprox_object_t    o, got;
    sprox_catalog_t  *cat;

    (void) state;

    cat = make(SPROX_CATALOG_SIZE_MIN);
    s = space(cat, "s");

    assert_int_equal(sprox_catalog_doubt_locked(cat, s, S("k"), 20),
                     SPROX_NOT_FOUND);
    assert_int_equal(sprox_catalog_doubt_locked(cat, s + 1, S("k"), 20),
                     SPROX_NOT_FOUND);

    o = object(MD5, 1, 10);
    assert_int_equal(sprox_catalog_put_locked(cat, s, S("k"), &o), SPROX_OK);
    assert_int_equal(sprox_catalog_doubt_locked(cat, s, S("k"), 20),
                     SPROX_OK);
    assert_int_equal(sprox_catalog_get_locked(cat, s, S("k"), &got, buf),
                     SPROX_OK);
    assert_int_equal(got.doubted, 1);
    assert_int_equal(got.proved, 0);
    assert_str(got.etag, MD5);
    (void) walk(cat, s, S(""), S(""), 1, on_doubted, &listed);
    assert_int_equal(listed, -1);
    check(cat);

    /* a request of before tells of another version, or of the same */

    o = object(MD5_B, 1, 19);
    assert_int_equal(sprox_catalog_put_locked(cat, s, S("k"), &o),
                     SPROX_DONE);
    o = object(MD5, 1, 19);
    o.headed = 1;
    assert_int_equal(sprox_catalog_put_locked(cat, s, S("k"), &o), SPROX_OK);
    assert_int_equal(sprox_catalog_get_locked(cat, s, S("k"), &got, buf),
                     SPROX_OK);
    assert_int_equal(got.doubted, 1);
    assert_int_equal(got.headed, 1);

    /* what a caller got and has proved is put back as it was got */

    got.proved = 20;
    assert_int_equal(sprox_catalog_put_locked(cat, s, S("k"), &got),
                     SPROX_OK);
    assert_int_equal(sprox_catalog_get_locked(cat, s, S("k"), &got, buf),
                     SPROX_OK);
    assert_int_equal(got.doubted, 0);
    assert_int_equal(got.proved, 20);

    /* a doubt of before leaves the later proof as a bound */

    assert_int_equal(sprox_catalog_doubt_locked(cat, s, S("k"), 5), SPROX_OK);
    o = object(MD5_B, 1, 19);
    assert_int_equal(sprox_catalog_put_locked(cat, s, S("k"), &o),
                     SPROX_DONE);
    o.proved = 20;
    assert_int_equal(sprox_catalog_put_locked(cat, s, S("k"), &o), SPROX_OK);
    (void) walk(cat, s, S(""), S(""), 1, on_doubted, &listed);
    assert_int_equal(listed, 20);

    /* and absence can be doubted, and doubt be put (a snapshot does) */

    o.absent = 1;
    assert_int_equal(sprox_catalog_put_locked(cat, s, S("k"), &o), SPROX_OK);
    assert_int_equal(sprox_catalog_doubt_locked(cat, s, S("k"), 30),
                     SPROX_OK);
    assert_int_equal(sprox_catalog_get_locked(cat, s, S("k"), &got, buf),
                     SPROX_OK);
    assert_true(got.absent && got.doubted && got.proved == 0);
    assert_int_equal(sprox_catalog_put_locked(cat, s, S("l"), &got),
                     SPROX_OK);
    assert_int_equal(sprox_catalog_get_locked(cat, s, S("l"), &got, buf),
                     SPROX_OK);
    assert_true(got.absent && got.doubted);
    check(cat);

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


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_create),
        cmocka_unit_test(test_spaces),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_merge),
        cmocka_unit_test(test_doubt),
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_size),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
