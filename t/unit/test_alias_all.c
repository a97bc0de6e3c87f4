/*
 * Aliases over all names of a small alphabet, against a matcher that tries
 * everything: what matches, that listable aliases keep keys apart and in
 * order, and which patterns meet.
 */

#include "unit.h"
#include "sprox_alias.h"


#define TEXT_MAX        512
#define UNIVERSE_MAX    100000
#define TIES_MAX        32


typedef struct {
    unit_mem_t     um;
    sprox_alias_t  alias;
} fixture_t;


static sprox_str_t
text(const char *s)
{
    return sprox_str_make(s, strlen(s));
}


static void
open_alias(fixture_t *f, const char *pattern, const char *target)
{
    sprox_rc_t   rc;
    sprox_str_t  why;

    unit_mem_init(&f->um, 0);

    rc = sprox_alias_parse(&f->um.mem, text(pattern), text(target), &f->alias,
                           &why);

    if (rc != SPROX_OK) {
        fail_msg("%s %s: %.*s", pattern, target, (int) why.len,
                 (const char *) why.data);
    }
}


static void
close_alias(fixture_t *f)
{
    sprox_alias_free(&f->um.mem, &f->alias);
    assert_int_equal(f->um.live, 0);
}


/*
 * The reference: a pattern's text against a key, shortest values first, all
 * of them tried.  The target's text is written with what was found.
 */

typedef struct {
    const char  *name[SPROX_ALIAS_VARS_MAX];
    const char  *value[SPROX_ALIAS_VARS_MAX];
    size_t       len[SPROX_ALIAS_VARS_MAX];
    int          n;
} naive_t;


static const char *
naive_match(naive_t *m, const char *t, const char *s)
{
    size_t       len;
    const char  *rest;

    if (*t == '\0') {
        return s;
    }

    if (*t != '$') {
        return (*t == *s) ? naive_match(m, t + 1, s + 1) : NULL;
    }

    for (len = 1; s[len - 1] != '\0' && s[len - 1] != '/'; len++) {
        m->name[m->n] = t + 1;
        m->value[m->n] = s;
        m->len[m->n] = len;
        m->n++;

        rest = naive_match(m, t + 2, s + len);
        if (rest != NULL) {
            return rest;
        }

        m->n--;
    }

    return NULL;
}


/* Names of one letter, prefixes with their '/'; 0: no match. */

static int
naive_map(const char *prefix, const char *to_prefix, const char *key,
    char *out)
{
    int          i;
    naive_t      m;
    const char  *rest;

    m.n = 0;

    rest = naive_match(&m, prefix, key);
    if (rest == NULL) {
        return 0;
    }

    while (*to_prefix != '\0') {
        if (*to_prefix != '$') {
            *out++ = *to_prefix++;
            continue;
        }

        for (i = 0; i < m.n; i++) {
            if (*m.name[i] == to_prefix[1]) {
                memcpy(out, m.value[i], m.len[i]);
                out += m.len[i];
                break;
            }
        }

        to_prefix += 2;
    }

    strcpy(out, rest);

    return 1;
}


/* All texts over the alphabet up to a length, in byte order. */

typedef struct {
    char    (*texts)[12];
    size_t    n;
} universe_t;


static void
universe_grow(universe_t *u, const char *alphabet, char *word, int len,
    int max)
{
    const char  *c;

    assert_true(u->n < UNIVERSE_MAX);

    memcpy(u->texts[u->n], word, (size_t) len);
    u->texts[u->n][len] = '\0';
    u->n++;

    for (c = alphabet; len < max && *c != '\0'; c++) {
        word[len] = *c;
        universe_grow(u, alphabet, word, len + 1, max);
    }
}


static const struct {
    const char  *prefix;        /* of the pattern */
    const char  *to_prefix;
} exhaustive[] = {

    { "$a/", "-$a/" },
    { "$a/", "$a/-/" },
    { "$a/$b/", "$a/-$b/" },
    { "$a/$b/", "a/$a/$b/-/" },
    { "$a-$b/", "$a-$b/" },
    { "$a-$b/", "$a-a-$b/" },
    { "$a-$b/", "$a-/$b/" },
    { "$a--$b/", "$a---$b/" },
    { "$a-a/", "$a-a/" },
    { "$a-a/$b/", "-/$a-a/a$b/" },
    { "a$a-/$b/", "$a-/$b/" },
    { "$a/-/$b/", "$a/$b/" },
    { "$a/", "$a/$a/" },
    { "-/", "a/" },
    { "-$a/", "" },
    { "", "-/" },
};


static int
cmp_texts(const void *a, const void *b)
{
    return strcmp(a, b);
}


/*
 * Each key maps as the reference says; listable aliases keep order and turn
 * back; and an origin's key is visible exactly when some key maps onto it.
 */

static void
test_exhaustive(void **state)
{
    int           seen, ok;
    char          pattern[TEXT_MAX], target[TEXT_MAX], want[TEXT_MAX];
    char          last[TEXT_MAX], word[12];
    char        (*mapped)[32];
    size_t        i, k, n;
    fixture_t     f;
    sprox_rc_t    rc;
    universe_t    u;
    sprox_buf_t   to_bucket, to_key, key;

    (void) state;

    u.texts = malloc(UNIVERSE_MAX * sizeof(*u.texts));
    mapped = malloc(UNIVERSE_MAX * sizeof(*mapped));
    assert_non_null(u.texts);
    assert_non_null(mapped);

    u.n = 0;
    universe_grow(&u, "-/a", word, 0, 8);

    for (i = 0; i < sizeof(exhaustive) / sizeof(exhaustive[0]); i++) {
        sprintf(pattern, "tbl/%s", exhaustive[i].prefix);
        sprintf(target, "lake://bkt/%s", exhaustive[i].to_prefix);
        open_alias(&f, pattern, target);

        sprox_buf_init(&to_bucket, &f.um.mem);
        sprox_buf_init(&to_key, &f.um.mem);
        sprox_buf_init(&key, &f.um.mem);

        n = 0;
        last[0] = '\0';
        seen = 0;

        for (k = 0; k < u.n; k++) {
            to_key.len = 0;
            to_bucket.len = 0;
            key.len = 0;

            rc = sprox_alias_map(&f.alias, S("tbl"), text(u.texts[k]),
                                 &to_bucket, &to_key);

            ok = naive_map(exhaustive[i].prefix, exhaustive[i].to_prefix,
                           u.texts[k], want);

            if (u.texts[k][0] != '\0' && ok && want[0] == '\0') {
                ok = 0;
            }

            if (!ok) {
                assert_int_equal(rc, SPROX_NOT_FOUND);
                continue;
            }

            assert_int_equal(rc, SPROX_OK);
            assert_str(sprox_buf_get(&to_key), want);

            if (!f.alias.listable || u.texts[k][0] == '\0') {
                continue;
            }

            if (seen && strcmp(last, want) >= 0) {
                fail_msg("%s %s: %s after %s", pattern, target, want, last);
            }

            seen = 1;
            strcpy(last, want);
            strcpy(mapped[n++], want);

            rc = sprox_alias_invert(&f.alias, S("tbl"), text(want), &key);

            assert_int_equal(rc, SPROX_OK);
            assert_str(sprox_buf_get(&key), u.texts[k]);
        }

        for (k = 0; k < u.n && f.alias.listable; k++) {
            key.len = 0;

            rc = sprox_alias_invert(&f.alias, S("tbl"), text(u.texts[k]),
                                    &key);

            if (rc != SPROX_OK) {
                assert_int_equal(rc, SPROX_NOT_FOUND);
                assert_null(bsearch(u.texts[k], mapped, n, sizeof(*mapped),
                                    cmp_texts));
                continue;
            }

            sprox_buf_char(&key, '\0');
            assert_true(naive_map(exhaustive[i].prefix,
                                  exhaustive[i].to_prefix,
                                  (char *) key.data, want));
            assert_string_equal(want, u.texts[k]);
        }

        sprox_buf_free(&to_bucket);
        sprox_buf_free(&to_key);
        sprox_buf_free(&key);
        close_alias(&f);
    }

    free(mapped);
    free(u.texts);
}


static int
sign(int n)
{
    return (n > 0) - (n < 0);
}


/*
 * Every two of some patterns: they tie or not as the names say that match
 * both, and neither which is first nor the order as a whole contradicts
 * itself.  `left` is what may follow a pattern.
 */

static void
check_ties(const char *const *patterns, size_t n, const char *format,
    const char *left, const universe_t *u)
{
    int          rc, both;
    char         name[TEXT_MAX], full[TEXT_MAX], written[TIES_MAX][32];
    char        *matched;
    size_t       i, j, k;
    naive_t      m;
    fixture_t   *f;
    const char  *rest;

    f = malloc(n * sizeof(*f));
    matched = malloc(n * u->n);
    assert_non_null(f);
    assert_non_null(matched);
    assert_true(n <= TIES_MAX);

    for (i = 0; i < n; i++) {
        sprintf(written[i], format, patterns[i]);
        open_alias(&f[i], written[i], "lake://bkt");

        for (k = 0; k < u->n; k++) {
            m.n = 0;
            sprintf(name, "%s%s", patterns[i], left);
            sprintf(full, "%s%s", u->texts[k], left);

            rest = naive_match(&m, name, full);
            matched[i * u->n + k] = (rest != NULL);

            if (*left != '\0') {
                assert_int_equal(sprox_alias_has_bucket(&f[i].alias,
                                                        text(u->texts[k])),
                                 rest != NULL);
            }
        }
    }

    for (i = 0; i < n; i++) {
        for (j = 0; j < n; j++) {
            both = 0;

            for (k = 0; k < u->n && !both; k++) {
                both = matched[i * u->n + k] && matched[j * u->n + k];
            }

            rc = sprox_alias_cmp(&f[i].alias, &f[j].alias);

            assert_int_equal(sign(rc),
                             -sign(sprox_alias_cmp(&f[j].alias, &f[i].alias)));

            if (sprox_template_overlap(&f[i].alias.bucket, &f[j].alias.bucket,
                                       0) != both
                && *left != '\0')
            {
                fail_msg("%s, %s: %d", patterns[i], patterns[j], both);
            }

            if (sprox_template_overlap(&f[i].alias.prefix, &f[j].alias.prefix,
                                       1) != both
                && *left == '\0')
            {
                fail_msg("%s, %s: %d", patterns[i], patterns[j], both);
            }

            if (rc == 0 && !both) {
                fail_msg("%s, %s: a tie", patterns[i], patterns[j]);
            }
        }
    }

    for (i = 0; i < n; i++) {
        close_alias(&f[i]);
    }

    free(matched);
    free(f);
}


static void
test_ties(void **state)
{
    char        word[12];
    universe_t  u;

    static const char *const  prefixes[] = {
        "$a/", "a/", "-/", "a$a/", "-$a/", "$a-/", "$a-$b/", "a-$a/", "a-/",
        "$a/$b/", "$a/-/", "-/$a/", "$a--$b/", "$a-a/", "$a-a-$b/", "a/$a-/",
        "$a-/$b/", "a$a-a/a/"
    };

    static const char *const  buckets[] = {
        "$a", "a$a", "a-$a", "$a-a", "$a-$b", "aaa", "aa-a", "a$a-a",
        "$a--a", "$a--$b", "aa$a", "a$a-$b-a", "a--a"
    };

    (void) state;

    u.texts = malloc(UNIVERSE_MAX * sizeof(*u.texts));
    assert_non_null(u.texts);

    u.n = 0;
    universe_grow(&u, "-/a", word, 0, 8);
    check_ties(prefixes, sizeof(prefixes) / sizeof(prefixes[0]), "tbl/%s", "",
               &u);

    /* a variable stops at '/', so that one makes the whole bucket match */

    u.n = 0;
    universe_grow(&u, "-a", word, 0, 9);
    check_ties(buckets, sizeof(buckets) / sizeof(buckets[0]), "%s", "/", &u);

    free(u.texts);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_exhaustive),
        cmocka_unit_test(test_ties),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
