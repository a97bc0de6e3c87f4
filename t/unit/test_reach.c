/*
 * Which aliases lead to an object: the few that are looked up against all
 * that are walked.
 */

#include "unit.h"
#include "sprox_reach.h"


#define ALIASES  60
#define TRIALS   300
#define ASKED    200


static uint32_t    seed = 7;
static unit_mem_t  um;


static unsigned
any(unsigned n)
{
    seed = seed * 1664525 + 1013904223;

    return (seed >> 16) % n;
}


static sprox_str_t
text(const char *s)
{
    return sprox_str_make(s, strlen(s));
}


static const char *
one_of(const char *const *words, size_t n)
{
    return words[any((unsigned) n)];
}


/* Buckets and prefixes that are beginnings of each other. */

static void
make_alias(sprox_alias_t *alias, char pattern[64], char target[128])
{
    sprox_str_t  why;

    static const char *const  buckets[] = { "b11", "b111", "c11", "$v",
                                            "b1$v", "b11-$v" };
    static const char *const  prefixes[] = { "", "a", "a/b", "a/b/c", "ab",
                                             "a/$w", "a/$w/c", "a/b$w" };

    (void) snprintf(pattern, 64, "p$v/$w");
    (void) snprintf(target, 128, "o://%s/%s",
                    one_of(buckets, sizeof(buckets) / sizeof(buckets[0])),
                    one_of(prefixes, sizeof(prefixes) / sizeof(prefixes[0])));

    assert_int_equal(sprox_alias_parse(&um.mem, text(pattern),
                                       text(target), alias, &why), SPROX_OK);
}


static int
begins(sprox_str_t head, sprox_str_t bucket, sprox_str_t key)
{
    char  name[256];
    int   n;

    n = snprintf(name, sizeof(name), "%.*s%c%.*s", (int) bucket.len,
                 (const char *) bucket.data, '\0', (int) key.len,
                 (const char *) key.data);

    return sprox_str_starts(sprox_str_make(name, (size_t) n), head);
}


static void
ask(sprox_reach_t *entries, size_t n, sprox_str_t bucket, sprox_str_t key)
{
    size_t                i;
    uint8_t               found[ALIASES];
    sprox_reach_walk_t    walk;
    const sprox_reach_t  *entry;

    memset(found, 0, sizeof(found));
    sprox_reach_walk(&walk, entries, n, bucket, key);

    while ((entry = sprox_reach_next(&walk)) != NULL) {
        i = (size_t) (entry - entries);
        assert_true(i < n);
        assert_false(found[i]);
        found[i] = 1;
    }

    assert_null(sprox_reach_next(&walk));

    for (i = 0; i < n; i++) {
        assert_int_equal(found[i],
                         sprox_alias_reaches(entries[i].alias, bucket, key));
    }

    /* and those that only begin like it */

    memset(found, 0, sizeof(found));
    sprox_reach_walk(&walk, entries, n, bucket, key);

    while ((entry = sprox_reach_next_head(&walk)) != NULL) {
        i = (size_t) (entry - entries);
        assert_false(found[i]);
        found[i] = 1;
    }

    for (i = 0; i < n; i++) {
        assert_int_equal(found[i], begins(entries[i].head, bucket, key));
    }
}


static void
test_against_all(void **state)
{
    char            patterns[ALIASES][64], targets[ALIASES][128];
    size_t          i, n, trial, asked;
    sprox_alias_t  *aliases;
    sprox_reach_t   entries[ALIASES];

    static const char *const  buckets[] = { "b11", "b111", "b11-x", "b1x",
                                            "c11", "d", "", "b1" };
    static const char *const  keys[] = { "", "a", "a/", "a/b", "a/b/", "a/b/c",
                                         "a/b/c/", "a/b/c/d", "ab/", "ab/c/",
                                         "a/x/c/", "a/bx/", "\xff", "x/y" };

    (void) state;

    unit_mem_init(&um, 0);
    aliases = calloc(ALIASES, sizeof(sprox_alias_t));
    assert_non_null(aliases);

    for (trial = 0; trial < TRIALS; trial++) {
        n = any(ALIASES + 1);

        for (i = 0; i < n; i++) {
            make_alias(&aliases[i], patterns[i], targets[i]);
            assert_int_equal(sprox_reach_set(&um.mem, &entries[i],
                                             &aliases[i], &aliases[i]),
                             SPROX_OK);
        }

        sprox_reach_sort(entries, n);

        for (asked = 0; asked < ASKED; asked++) {
            ask(entries, n,
                text(one_of(buckets, sizeof(buckets) / sizeof(buckets[0]))),
                text(one_of(keys, sizeof(keys) / sizeof(keys[0]))));
        }

        for (i = 0; i < n; i++) {
            assert_ptr_equal(entries[i].data, entries[i].alias);
            sprox_free(&um.mem, (void *) entries[i].head.data);
            sprox_alias_free(&um.mem, &aliases[i]);
        }
    }

    assert_int_equal(um.live, 0);
    free(aliases);
}


static void
test_long_names(void **state)
{
    char                 pattern[64], target[128];
    uint8_t              name[SPROX_REACH_KEY_MAX + 1];
    sprox_str_t          why;
    sprox_alias_t        alias;
    sprox_reach_t        entry;
    sprox_reach_walk_t   walk;

    (void) state;

    unit_mem_init(&um, 0);
    memset(name, 'x', sizeof(name));
    (void) snprintf(pattern, sizeof(pattern), "$v");
    (void) snprintf(target, sizeof(target), "o://$v/");

    assert_int_equal(sprox_alias_parse(&um.mem, text(pattern),
                                       text(target), &alias, &why), SPROX_OK);
    assert_int_equal(sprox_reach_set(&um.mem, &entry, &alias, NULL),
                     SPROX_OK);
    assert_int_equal(entry.head.len, 0);

    sprox_reach_walk(&walk, &entry, 1,
                     sprox_str_make(name, SPROX_REACH_BUCKET_MAX),
                     sprox_str_make(name, SPROX_REACH_KEY_MAX));
    assert_ptr_equal(sprox_reach_next(&walk), &entry);
    assert_null(sprox_reach_next(&walk));

    sprox_reach_walk(&walk, &entry, 1,
                     sprox_str_make(name, SPROX_REACH_BUCKET_MAX + 1),
                     text("k"));
    assert_null(sprox_reach_next(&walk));

    sprox_reach_walk(&walk, &entry, 1, text("b"),
                     sprox_str_make(name, SPROX_REACH_KEY_MAX + 1));
    assert_null(sprox_reach_next(&walk));

    sprox_reach_walk(&walk, &entry, 0, text("b"), text("k"));
    assert_null(sprox_reach_next(&walk));

    sprox_alias_free(&um.mem, &alias);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_against_all),
        cmocka_unit_test(test_long_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
