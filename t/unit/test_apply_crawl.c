/*
 * Events of keys of which nothing is known, and crawls that say so.
 */

#include "unit_apply.h"


/*
 * Of a region that was crawled: that nothing is known of a key says that
 * there was none when the crawl began.
 */

static void
test_crawled(void **state_)
{
    size_t            i;
    uint32_t          n, id;
    sprox_rc_t        rc;
    sprox_event_t     e;
    sprox_catalog_t  *cat;

    static const struct {
        const char   *prefix;        /* of what was crawled */
        int64_t       time;          /* of the event, against the crawl */
        unsigned      removed:1;
        sprox_rc_t    rc;
        const char   *state;
    } crawled[] = {
        { "", -1, 0, SPROX_AGAIN, "doubt" },
        { "ke", -1, 0, SPROX_AGAIN, "doubt" },
        { "ke", 0, 0, SPROX_OK, "a" },
        { "ke", 1, 0, SPROX_OK, "a" },
        { "key/", -1, 0, SPROX_OK, "a" },
        { "x", -1, 0, SPROX_OK, "a" },
        { "", -1, 1, SPROX_OK, "absent" }
    };

    (void) state_;

    for (i = 0; i < sizeof(crawled) / sizeof(crawled[0]); i++) {
        cat = make(SIZE);
        n = space(cat, "b");

        assert_int_equal(sprox_catalog_region_open_locked(cat, n,
                             sprox_str_make(crawled[i].prefix,
                                            strlen(crawled[i].prefix)), &id),
                         SPROX_OK);
        assert_int_equal(sprox_catalog_region_complete_locked(cat, n,
                             sprox_str_make(crawled[i].prefix,
                                            strlen(crawled[i].prefix)), id,
                             NOW - 60000), SPROX_OK);

        e = created(SPROX_SENDER_AWS, "A1", NOW - 60000 + crawled[i].time,
                    "\"a\"", 7);
        e.kind = crawled[i].removed ? SPROX_EVENT_REMOVED : e.kind;

        rc = apply(cat, n, &e, NOW);

        if (rc != crawled[i].rc || strcmp(state(cat, n), crawled[i].state)) {
            fail_msg("%u: %d %s", (unsigned) i, rc, state(cat, n));
        }

        check(cat);

        /* what the store then tells is so, and the event is settled */

        if (rc == SPROX_AGAIN) {
            told(cat, n, NULL, 0, 0, NOW);
            assert_string_equal(state(cat, n), "absent");
            assert_int_equal(sprox_event_settle_locked(cat, n, &e, NOW),
                             SPROX_OK);
        }

        free(cat);
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_crawled)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
