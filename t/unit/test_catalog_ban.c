/*
 * Bans of the catalog: what they hide, refuse and outlive, and what becomes
 * of them when there is no room.
 */

#include "unit_catalog.h"
#include "sprox_ban.h"


#define NAIVE_MAX  400


static uint64_t
ban(sprox_catalog_t *cat, const char *name, const char *prefix, int64_t time)
{
    uint64_t     id;
    sprox_ban_t  b;

    memset(&b, 0, sizeof(b));
    b.name = sprox_str_make(name, strlen(name));
    b.prefix = sprox_str_make(prefix, strlen(prefix));
    b.time = time;

    assert_int_equal(sprox_catalog_ban_locked(cat, &b, &id), SPROX_OK);
    check(cat);

    return id;
}


static int
banned(sprox_catalog_t *cat, const char *name, const char *key,
    int64_t proved)
{
    return sprox_catalog_banned_locked(cat,
               sprox_str_make(name, strlen(name)),
               sprox_str_make(key, strlen(key)), proved);
}


static sprox_rc_t
on_ban(void *data, const sprox_ban_t *b)
{
    char  *text = data;

    if (b->all) {
        assert_true(b->id == 0 && b->name.len == 0 && b->prefix.len == 0);
        sprintf(text + strlen(text), "*=%d,", (int) b->time);
        return SPROX_OK;
    }

    sprintf(text + strlen(text), "%.*s:%.*s=%d,", (int) b->name.len,
            b->name.data, (int) b->prefix.len, b->prefix.data,
            (int) b->time);

    return SPROX_OK;
}


static const char *
bans(sprox_catalog_t *cat)
{
    static char  text[65536];

    text[0] = '\0';
    assert_int_equal(sprox_catalog_bans_locked(cat, on_ban, text),
                     SPROX_DONE);

    return text;
}


static void
test_covers(void **state)
{
    uint64_t          seq, id;
    sprox_ban_t       b;
    sprox_catalog_t  *cat;

    (void) state;

    cat = make(SPROX_CATALOG_SIZE_MIN);
    assert_int_equal(sprox_catalog_bans_seq(cat), 0);
    assert_false(banned(cat, "s", "a/b", -5));

    (void) ban(cat, "s", "a/", 10);
    seq = sprox_catalog_bans_seq(cat);
    assert_int_not_equal(seq, 0);
    assert_true(banned(cat, "s", "a/", 9));
    assert_true(banned(cat, "s", "a/b", 9));
    assert_false(banned(cat, "s", "a/b", 10));
    assert_false(banned(cat, "s", "a", 9));
    assert_false(banned(cat, "s", "b/", 9));
    assert_false(banned(cat, "s2", "a/b", 9));
    assert_false(banned(cat, "", "a/b", 9));

    /* a narrower one, also of before; others between them in the order */

    (void) ban(cat, "s", "a/b", 5);
    (void) ban(cat, "s", "a/c", 20);
    (void) ban(cat, "s", "a/b/1", 30);
    (void) ban(cat, "s2", "", 15);
    assert_int_not_equal(sprox_catalog_bans_seq(cat), seq);
    assert_string_equal(bans(cat), "s:a/=10,s:a/b=5,s:a/b/1=30,s:a/c=20,"
                                   "s2:=15,");
    assert_true(banned(cat, "s", "a/b/2", 9));
    assert_false(banned(cat, "s", "a/b/2", 10));
    assert_true(banned(cat, "s", "a/b/1x", 29));
    assert_true(banned(cat, "s", "a/c", 19));
    assert_false(banned(cat, "s", "a/d", 19));
    assert_true(banned(cat, "s2", "", 14));
    assert_true(banned(cat, "s2", "x", 14));

    /* a wider one takes the place of what is not later */

    (void) ban(cat, "s", "a", 20);
    assert_string_equal(bans(cat), "s:a=20,s:a/b/1=30,s2:=15,");

    /* the later time holds, whichever comes last */

    (void) ban(cat, "s", "a", 12);
    assert_string_equal(bans(cat), "s:a=20,s:a/b/1=30,s2:=15,");
    (void) ban(cat, "s", "a", 21);
    assert_string_equal(bans(cat), "s:a=21,s:a/b/1=30,s2:=15,");

    /* everything, of which what is not later is a part */

    memset(&b, 0, sizeof(b));
    b.all = 1;
    b.time = 20;
    assert_int_equal(sprox_catalog_ban_locked(cat, &b, &id), SPROX_OK);
    assert_int_equal(id, 0);
    assert_string_equal(bans(cat), "*=20,s:a=21,s:a/b/1=30,");
    b.time = 19;
    assert_int_equal(sprox_catalog_ban_locked(cat, &b, &id), SPROX_OK);
    assert_int_equal(ban(cat, "s5", "x", 20), 0);
    assert_string_equal(bans(cat), "*=20,s:a=21,s:a/b/1=30,");
    assert_true(banned(cat, "s9", "z", 19));
    assert_false(banned(cat, "s9", "z", 20));
    check(cat);

    /* limits */

    b.all = 0;
    b.name = filled('n', SPROX_CATALOG_NAME_MAX + 1);
    assert_int_equal(sprox_catalog_ban_locked(cat, &b, &id), SPROX_LIMIT);
    b.name = S("s");
    b.prefix = filled('p', SPROX_KEY_MAX + 1);
    assert_int_equal(sprox_catalog_ban_locked(cat, &b, &id), SPROX_LIMIT);

    free(cat);
}


static void
test_unban(void **state)
{
    uint64_t          a, b, c;
    sprox_catalog_t  *cat;

    (void) state;

    cat = make(SPROX_CATALOG_SIZE_MIN);
    assert_int_equal(sprox_catalog_unban_locked(cat, 0), SPROX_NOT_FOUND);
    assert_int_equal(sprox_catalog_unban_locked(cat, 1), SPROX_NOT_FOUND);

    a = ban(cat, "s", "a", 10);
    b = ban(cat, "s", "a/b", 20);
    assert_int_not_equal(a, b);
    assert_int_equal(sprox_catalog_unban_locked(cat, a), SPROX_OK);
    assert_int_equal(sprox_catalog_unban_locked(cat, a), SPROX_NOT_FOUND);
    assert_string_equal(bans(cat), "s:a/b=20,");
    assert_false(banned(cat, "s", "a/c", 9));

    /* who ends an earlier one does not end what came in its place */

    c = ban(cat, "s", "a/b", 30);
    assert_int_equal(sprox_catalog_unban_locked(cat, b), SPROX_NOT_FOUND);
    assert_string_equal(bans(cat), "s:a/b=30,");
    a = ban(cat, "s", "", 40);
    assert_int_equal(sprox_catalog_unban_locked(cat, c), SPROX_NOT_FOUND);
    assert_true(banned(cat, "s", "a/b", 39));
    assert_int_equal(sprox_catalog_unban_locked(cat, a), SPROX_OK);
    assert_string_equal(bans(cat), "");
    assert_int_equal(sprox_catalog_bans_seq(cat), 0);
    assert_false(banned(cat, "s", "a/b", 39));
    check(cat);

    free(cat);
}


static sprox_rc_t
on_key(void *data, sprox_str_t key, const sprox_object_t *o)
{
    (void) o;

    strncat(data, (const char *) key.data, key.len);
    strcat(data, ",");

    return SPROX_OK;
}


/* What is banned is unknown: got, listed, put, merged. */

static void
test_objects(void **state)
{
    char                     text[64];
    uint32_t                 s;
    uint64_t                 id;
    sprox_object_t           o, got;
    sprox_catalog_t         *cat;
    sprox_catalog_cursor_t   cursor;

    (void) state;

    cat = make(SPROX_CATALOG_SIZE_MIN);
    s = space(cat, "s");

    o = object(MD5, 1, 10);
    o.headed = 1;
    o.headers = S("a: b\r\n");
    sprox_catalog_put_locked(cat, s, S("a/1"), &o);
    o.proved = 20;
    sprox_catalog_put_locked(cat, s, S("a/2"), &o);
    o.proved = 10;
    sprox_catalog_put_locked(cat, s, S("b/1"), &o);
    sprox_catalog_put_locked(cat, s, S(""), &o);

    id = ban(cat, "s", "a/", 15);
    (void) ban(cat, "other", "", 50);

    assert_int_equal(sprox_catalog_get_locked(cat, s, S("a/1"), &got, buf),
                     SPROX_NOT_FOUND);
    assert_int_equal(sprox_catalog_get_locked(cat, s, S("a/2"), &got, buf),
                     SPROX_OK);
    assert_int_equal(sprox_catalog_get_locked(cat, s, S("b/1"), &got, buf),
                     SPROX_OK);
    assert_int_equal(sprox_catalog_get_locked(cat, s, S(""), &got, buf),
                     SPROX_OK);

    text[0] = '\0';
    assert_int_equal(walk(cat, s, S(""), S(""), 9, on_key, text), SPROX_DONE);
    assert_string_equal(text, "a/2,b/1,");

    /* nobody may tell of before, of what is known or not */

    o.proved = 14;
    assert_int_equal(sprox_catalog_put_locked(cat, s, S("a/1"), &o),
                     SPROX_DONE);
    assert_int_equal(sprox_catalog_put_locked(cat, s, S("a/2"), &o),
                     SPROX_DONE);
    assert_int_equal(sprox_catalog_put_locked(cat, s, S("a/3"), &o),
                     SPROX_DONE);
    assert_int_equal(sprox_catalog_get_locked(cat, s, S("a/3"), &got, buf),
                     SPROX_NOT_FOUND);

    /* and what was known before adds nothing to what comes */

    o = object(MD5, 1, 15);
    assert_int_equal(sprox_catalog_put_locked(cat, s, S("a/1"), &o),
                     SPROX_OK);
    assert_int_equal(sprox_catalog_get_locked(cat, s, S("a/1"), &got, buf),
                     SPROX_OK);
    assert_int_equal(got.headed, 0);
    check(cat);

    /* common prefixes are made of what is left */

    (void) ban(cat, "s", "b", 11);
    text[0] = '\0';
    sprox_catalog_cursor_init(&cursor, S(""), S("/"), S(""));
    assert_int_equal(sprox_catalog_list_locked(cat, s, &cursor, 9, on_key,
                                               text), SPROX_DONE);
    assert_string_equal(text, "a/,");
    (void) ban(cat, "s", "", 11);
    assert_int_equal(sprox_catalog_get_locked(cat, s, S(""), &got, buf),
                     SPROX_NOT_FOUND);

    assert_int_equal(sprox_catalog_unban_locked(cat, id), SPROX_OK);
    o.proved = 14;
    assert_int_equal(sprox_catalog_put_locked(cat, s, S("a/3"), &o),
                     SPROX_OK);

    /* emptying forgets objects, and no ban */

    cat->changing = 1;
    s = space(cat, "s");
    o.proved = 10;
    assert_int_equal(sprox_catalog_put_locked(cat, s, S("a/3"), &o),
                     SPROX_DONE);
    assert_true(banned(cat, "other", "x", 49));
    check(cat);

    free(cat);
}


static int
covered(sprox_catalog_t *cat, uint32_t s, const char *prefix)
{
    int64_t  crawled;

    return sprox_catalog_covered_locked(cat, s,
               sprox_str_make(prefix, strlen(prefix)), &crawled) == SPROX_OK;
}


static void
test_regions(void **state)
{
    uint32_t          s, a, all;
    uint64_t          id;
    sprox_region_t    r;
    sprox_catalog_t  *cat;

    (void) state;

    cat = make(SPROX_CATALOG_SIZE_MIN);
    s = space(cat, "s");
    sprox_catalog_region_open_locked(cat, s, S(""), &all);
    sprox_catalog_region_open_locked(cat, s, S("a/"), &a);
    assert_int_equal(sprox_catalog_region_complete_locked(cat, s, S(""), all,
                                                          20), SPROX_OK);
    assert_int_equal(sprox_catalog_region_complete_locked(cat, s, S("a/"), a,
                                                          10), SPROX_OK);

    /* the crawl of all was later than this */

    (void) ban(cat, "s", "a/", 15);
    assert_true(covered(cat, s, "a/"));
    sprox_catalog_region_get_locked(cat, s, S("a/"), &r);
    assert_int_equal(r.complete, 0);
    assert_int_equal(r.crawled, 10);
    sprox_catalog_region_get_locked(cat, s, S(""), &r);
    assert_int_equal(r.complete, 1);

    id = ban(cat, "s", "a/b/c", 25);
    assert_false(covered(cat, s, "a/b/c/d"));
    assert_false(covered(cat, s, "a/b/"));
    assert_false(covered(cat, s, ""));
    assert_true(covered(cat, s, "a/c"));
    assert_true(covered(cat, s, "b"));
    (void) ban(cat, "s2", "", 99);
    assert_true(covered(cat, s, "b"));

    /* lifted: what it deleted is missing in crawls of before */

    assert_int_equal(sprox_catalog_unban_locked(cat, id), SPROX_OK);
    assert_false(covered(cat, s, "b"));
    assert_int_equal(sprox_catalog_region_complete_locked(cat, s, S(""), all,
                                                          24),
                     SPROX_NOT_FOUND);
    assert_int_equal(sprox_catalog_region_complete_locked(cat, s, S(""), all,
                                                          25), SPROX_OK);
    assert_true(covered(cat, s, "a/b/c"));
    check(cat);

    /* one that a later crawl has overtaken takes nothing away */

    id = ban(cat, "s", "a/x", 24);
    assert_true(covered(cat, s, "a/x"));
    assert_int_equal(sprox_catalog_unban_locked(cat, id), SPROX_OK);
    assert_true(covered(cat, s, "a/x"));

    free(cat);
}


/* A worker that is killed while it bans leaves what was, or what comes. */

static void
test_killed(void **state)
{
    char              text[256];
    uint64_t          id;
    sprox_bans_t     *t;
    sprox_catalog_t  *cat;

    (void) state;

    cat = make(SPROX_CATALOG_SIZE_MIN);
    (void) ban(cat, "s", "a", 10);
    id = ban(cat, "s", "b", 10);
    strcpy(text, bans(cat));

    /* in the middle of writing */

    t = sprox_unit(cat, cat->bans + !cat->bans_active * cat->bans_units / 2);
    memset(t, 0xee, cat->bans_units / 2 * SPROX_UNIT);
    check(cat);
    cat->changing = 1;
    (void) sprox_catalog_epoch_locked(cat);
    check(cat);
    assert_string_equal(bans(cat), text);

    /* and the next change has a place */

    (void) ban(cat, "s", "c", 10);
    assert_string_equal(bans(cat), "s:a=10,s:b=10,s:c=10,");

    /* the table in use is damaged: the one before; both: none, and an id
       that was given is not given again */

    t = sprox_unit(cat, cat->bans + cat->bans_active * cat->bans_units / 2);
    t->n++;
    assert_non_null(sprox_catalog_check_locked(cat));
    cat->changing = 1;
    (void) sprox_catalog_epoch_locked(cat);
    check(cat);
    assert_string_equal(bans(cat), text);

    memset(sprox_unit(cat, cat->bans), 0xee, cat->bans_units * SPROX_UNIT);
    cat->bans_active = 0xee;
    cat->changing = 1;
    (void) sprox_catalog_epoch_locked(cat);
    check(cat);
    assert_string_equal(bans(cat), "");
    assert_int_equal(sprox_catalog_bans_seq(cat), 0);
    assert_true(ban(cat, "s", "a", 10) > id + 1);

    free(cat);
}


/*
 * Many at random against a list of them all.  With no room what was asked for
 * is banned, and perhaps more; with room, exactly that.
 */

typedef struct {
    int          name;
    sprox_str_t  prefix;
    uint8_t      text[64];
    int64_t      time;
    uint64_t     id;
} naive_ban_t;


static uint64_t  seed;


static uint32_t
any(uint32_t n)
{
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;

    return (uint32_t) (seed >> 33) % n;
}


static sprox_str_t
any_text(uint8_t *p, size_t max, int few)
{
    size_t  i, len;

    len = any((uint32_t) max + 1);

    for (i = 0; i < len; i++) {
        p[i] = (uint8_t) "/a\xff"[any(few ? 2 : 3)];
    }

    return sprox_str_make(p, len);
}


static int
naive_banned(const naive_ban_t *list, size_t n, int name, sprox_str_t key,
    int64_t proved)
{
    size_t  i;

    for (i = 0; i < n; i++) {
        if (list[i].name == name && sprox_str_starts(key, list[i].prefix)
            && proved < list[i].time)
        {
            return 1;
        }
    }

    return 0;
}


static void
random_bans(size_t names, size_t longest, size_t rounds, int exact)
{
    char              name[16];
    size_t            i, j, n, more;
    int64_t           proved;
    uint8_t           text[64];
    uint64_t          id;
    sprox_rc_t        rc;
    sprox_str_t       key;
    sprox_ban_t       b;
    naive_ban_t      *list;
    sprox_catalog_t  *cat;

    cat = make(SPROX_CATALOG_SIZE_MIN);
    list = calloc(NAIVE_MAX, sizeof(naive_ban_t));
    n = 0;
    more = 0;

    for (i = 0; i < rounds; i++) {
        memset(&b, 0, sizeof(b));

        if (n == NAIVE_MAX || (n && any(3) == 0)) {
            j = any((uint32_t) n);
            rc = sprox_catalog_unban_locked(cat, list[j].id);
            assert_true(rc == SPROX_OK || rc == SPROX_NOT_FOUND);

            /* not found: a wider or later one still does the same */

            if (rc == SPROX_OK) {
                list[j] = list[--n];
                list[j].prefix.data = list[j].text;

            } else if (n == NAIVE_MAX) {
                break;
            }

        } else {
            list[n].name = (int) any((uint32_t) names);
            list[n].prefix = any_text(list[n].text, longest, 1);
            list[n].time = 1 + any(50);

            snprintf(name, sizeof(name), "s%d", list[n].name);
            b.name = sprox_str_make(name, strlen(name));
            b.prefix = list[n].prefix;
            b.time = list[n].time;

            assert_int_equal(sprox_catalog_ban_locked(cat, &b, &list[n].id),
                             SPROX_OK);

            /* what it takes the place of is not asked for apart any more */

            id = list[n].id;

            for (j = 0; j < n; j++) {
                if (list[j].name == list[n].name
                    && sprox_str_eq(list[j].prefix, list[n].prefix)
                    && list[j].time > list[n].time)
                {
                    list[n].time = list[j].time;
                }
            }

            n++;

            for (j = 0; j + 1 < n; /* void */ ) {
                if (id && list[j].name == list[n - 1].name
                    && sprox_str_starts(list[j].prefix, list[n - 1].prefix)
                    && list[j].time <= list[n - 1].time)
                {
                    naive_ban_t  last = list[n - 1];

                    list[j] = list[n - 2];
                    list[n - 2] = last;
                    n--;
                    list[j].prefix.data = list[j].text;
                    list[n - 1].prefix.data = list[n - 1].text;
                    continue;
                }

                j++;
            }
        }

        check(cat);

        for (j = 0; j < 20; j++) {
            key = any_text(text, longest + 2, 0);
            proved = any(52);
            snprintf(name, sizeof(name), "s%u", any((uint32_t) names));
            rc = naive_banned(list, n, atoi(name + 1), key, proved);

            if (sprox_catalog_banned_locked(cat, sprox_str_make(name,
                                            strlen(name)), key, proved))
            {
                more += !rc;
                assert_true(rc || !exact);

            } else {
                assert_false(rc);
            }
        }
    }

    print_message("%zu rounds, %zu bans at the end, %zu times more than "
                  "asked\n", i, n, more);

    free(list);
    free(cat);
}


static void
test_random(void **state)
{
    (void) state;

    seed = 5;
    random_bans(2, 6, 8000, 1);
    random_bans(5, 4, 8000, 1);
}


static void
test_no_room(void **state)
{
    char              text[16];
    unsigned          i, n;
    sprox_catalog_t  *cat;

    (void) state;

    /* in two spaces, and in each its own */

    seed = 6;
    random_bans(2, 60, 1500, 0);
    random_bans(1000, 60, 1500, 0);

    cat = make(SPROX_CATALOG_SIZE_MIN);

    for (i = 0; i < 300; i++) {
        snprintf(text, sizeof(text), "x/%c/%03u", "ab"[i % 2], i);
        (void) ban(cat, "s", text, 100 + (int) i);
        assert_true(banned(cat, "s", text, 99 + (int) i));
    }

    /* what nobody asked for was not widened to all */

    assert_false(banned(cat, "s", "y", 1));
    assert_false(banned(cat, "s", "x", 1));
    assert_false(banned(cat, "t", "x/a/000", 1));

    for (i = 0; i < 300; i++) {
        snprintf(text, sizeof(text), "x/%c/%03u", "ab"[i % 2], i);
        assert_true(banned(cat, "s", text, 99 + (int) i));
    }

    /* of spaces that have nothing in common, the earliest: not the last */

    for (n = 0; !banned(cat, "t", "x", 1); n++) {
        assert_true(n < 1000);
        snprintf(text, sizeof(text), "n%u", n);
        (void) ban(cat, text, "x", 10 + (int) n);
    }

    assert_true(banned(cat, text, "x", 9 + (int) n - 1));
    assert_false(banned(cat, "t", "x", 400));

    free(cat);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_covers),
        cmocka_unit_test(test_unban),
        cmocka_unit_test(test_objects),
        cmocka_unit_test(test_regions),
        cmocka_unit_test(test_killed),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_no_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
