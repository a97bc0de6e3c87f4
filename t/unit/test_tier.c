/*
 * Which slices are hot, and the budget of promotions.
 */

#include "unit.h"
#include "sprox_tier.h"


#define MIB  (1024ULL * 1024)


static void
test_hot(void **state)
{
    size_t  i;

    static const struct {
        unsigned  uses;
        int64_t   used, now;
        int       hot;
    } cases[] = {
        { 0, 0, 0, 0 },
        { 1, 1000, 1000, 0 },           /* it was written just now */
        { 1, 0, 1000000, 0 },
        { 2, 1000, 1000, 1 },
        { 2, 1000, 1000 + SPROX_TIER_HOT, 1 },
        { 2, 1000, 1001 + SPROX_TIER_HOT, 0 },
        { 1023, 1000, 1060, 1 },
        { 1023, 1000, 9999, 0 },
        { 3, 1000, 990, 1 },            /* a clock that was set back */
    };

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(sprox_tier_hot(cases[i].uses, cases[i].used,
                                        cases[i].now),
                         cases[i].hot);
    }
}


static void
test_copies(void **state)
{
    unsigned             i;
    sprox_tier_budget_t  b;

    (void) state;

    sprox_tier_budget_init(&b, 5000);

    for (i = 0; i < SPROX_TIER_COPIES; i++) {
        assert_true(sprox_tier_budget_take(&b, 5000, 1));
    }

    assert_false(sprox_tier_budget_take(&b, 5000, 1));
    assert_false(sprox_tier_budget_take(&b, 999999, 1));

    sprox_tier_budget_done(&b);
    assert_true(sprox_tier_budget_take(&b, 5000000, 1));
    assert_false(sprox_tier_budget_take(&b, 5000000, 1));
}


static void
test_cancel(void **state)
{
    unsigned             i;
    sprox_tier_budget_t  b;

    (void) state;

    sprox_tier_budget_init(&b, 1);

    for (i = 0; i < 100; i++) {
        assert_true(sprox_tier_budget_take(&b, 1, 64 * MIB));
        sprox_tier_budget_cancel(&b, 64 * MIB);
    }

    assert_true(sprox_tier_budget_take(&b, 1, 64 * MIB));
    assert_false(sprox_tier_budget_take(&b, 1, 1));
}


/* Each step: the time, the bytes, whether they may be copied. */

static void
test_rate(void **state)
{
    size_t               i;
    sprox_tier_budget_t  b;

    static const struct {
        uint64_t  now, bytes;
        int       may;
    } steps[] = {
        { 1000, 32 * MIB, 1 },
        { 1000, 32 * MIB, 1 },
        { 1000, 1, 0 },                 /* a second's worth is gone */
        { 1001, 64 * MIB, 1 },          /* some room: the largest goes in */
        { 1001, 1, 0 },
        { 1500, 1, 0 },                 /* and is paid for */
        { 2000, 1, 0 },
        { 2001, 1, 1 },
        { 900000, 64 * MIB, 1 },        /* idle time is worth a second */
        { 900000, 1, 0 },
        { 900999, 64 * MIB, 1 },
        { 901000, 1, 0 },
        { 901002, 1, 1 },
    };

    (void) state;

    sprox_tier_budget_init(&b, 1000);

    for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {

        if (sprox_tier_budget_take(&b, steps[i].now, steps[i].bytes)
            != steps[i].may)
        {
            fail_msg("step %zu", i);
        }

        if (steps[i].may) {
            sprox_tier_budget_done(&b);
        }
    }
}


/* Whatever is asked and when: no second has more than its share. */

static void
test_bound(void **state)
{
    unsigned             i;
    uint64_t             now, took, slice;
    sprox_tier_budget_t  b;

    (void) state;

    for (slice = 64 * 1024; slice <= 64 * MIB; slice *= 4) {

        sprox_tier_budget_init(&b, 0);
        took = 0;
        now = 0;

        for (i = 0; i < 200000; i++) {
            now += i % 3 == 0 && i % 7 < 3;

            if (sprox_tier_budget_take(&b, now, slice)) {
                sprox_tier_budget_done(&b);
                took += slice;
            }

            assert_true(took <= SPROX_TIER_RATE
                                + now * SPROX_TIER_RATE / 1000 + slice);
        }

        /* and none of it is lost */

        assert_true(took + slice >= now * SPROX_TIER_RATE / 1000
                                    - now * SPROX_TIER_RATE / 1000 / 1000);
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_hot),
        cmocka_unit_test(test_copies),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_rate),
        cmocka_unit_test(test_bound),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
