/* The reader of JSON, and where it says that an error is: base/json.c. */

#include <jansson.h>

#include "unit.h"
#include "sprox_json.h"


static sprox_str_t
text_of(const char *s)
{
    return sprox_str_make(s, strlen(s));
}


static void
test_load(void **state)
{
    size_t        i;
    sprox_rc_t    rc;
    unit_mem_t    um;
    sprox_buf_t   why;
    sprox_json_t  root;

    static const struct {
        const char  *text;
        const char  *why;          /* its beginning; NULL: it is read */
    } rows[] = {
        { "{}", NULL },
        { " [1, -2.5e3, true, null, \"\\u00e4\\ud83d\\ude00\"] \n", NULL },
        { "{\"a\":\"\xc3\xa4\"}", NULL },
        { "[\"\\u007f\\u0080\\u07ff\\u0800\\uD7FF\\uE000\\uffff\"]", NULL },
        { "[\"\\u0000\\\"\\\\\\/\\b\\f\\n\\r\\t"
          "\\uDBFF\\uDFFF\\\\u0041\"]", NULL },
        { "[\"\\u12\"]", "byte 7: invalid escape" },
        { "[\"\\", "byte 3: " },
        { "[\"\\u", "byte 4: " },
        { "[\"\\udc00\"]", "byte 9: invalid Unicode" },
        { "", "byte 0: " },
        { "7", "byte 1: " },
        { "{\"a\":1", "byte 6: " },
        { "{\"a\":1}}", "byte 8: " },
        { "{\"a\":1,\"a\":2}", "byte 10: duplicate object key" },
        { "{\"a\":\"\\x\"}", "byte 8: invalid escape" },
        { "{\"a\":\"\\ud800\"}", "byte 13: invalid Unicode" },
        { "[\"a\xff\"]", "byte 3: " },
        { "[\"\xc0\xaf\"]", "byte 2: " },
        { "[99999999999999999999]", "byte 21: too big integer" },
        { "[1e999]", "byte 6: " },
        { "[\"a\nb\"]", "byte 3: " },
        { "[\x01]", "byte 2: invalid token near '?'" },
        { "{\"\\u0000\":1}", "byte 9: " }
    };

    (void) state;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        unit_mem_init(&um, 0);
        sprox_buf_init(&why, &um.mem);

        rc = sprox_json_load(&root, text_of(rows[i].text), NULL, &why);

        if (rows[i].why == NULL) {
            assert_int_equal(rc, SPROX_OK);
            assert_int_equal(why.len, 0);
            sprox_json_free(&root);

        } else {
            assert_int_equal(rc, SPROX_INVALID);
            assert_null(root.value);

            if (!sprox_str_starts(sprox_buf_get(&why), text_of(rows[i].why))) {
                fail_msg("%s: %.*s", rows[i].text, (int) why.len, why.data);
            }
        }

        sprox_buf_free(&why);
        assert_int_equal(um.live, 0);
    }
}


/* n times `open`, then n times `close`, in brackets */

static sprox_rc_t
load_repeated(const char *open, const char *close, size_t n, sprox_buf_t *why)
{
    size_t        i;
    sprox_rc_t    rc;
    sprox_buf_t   b;
    sprox_json_t  root;

    sprox_buf_init(&b, why->mem);
    sprox_buf_char(&b, '[');

    for (i = 0; i < n; i++) {
        sprox_buf_text(&b, open);
    }

    for (i = 0; i < n; i++) {
        sprox_buf_text(&b, close);
    }

    sprox_buf_text(&b, "1]");

    rc = sprox_json_load(&root, sprox_buf_get(&b), NULL, why);

    if (rc == SPROX_OK) {
        sprox_json_free(&root);
    }

    sprox_buf_free(&b);

    return rc;
}


static void
test_bounds(void **state)
{
    unit_mem_t   um;
    sprox_buf_t  why;

    (void) state;

    unit_mem_init(&um, 0);
    sprox_buf_init(&why, &um.mem);

    assert_int_equal(load_repeated("[", "],", 1, &why), SPROX_OK);
    assert_int_equal(load_repeated("[", "]", SPROX_JSON_DEPTH_MAX, &why),
                     SPROX_LIMIT);
    assert_str(sprox_buf_get(&why), "byte 32: nested too deeply");

    assert_int_equal(load_repeated("{\"a\":", "}", 1000000, &why),
                     SPROX_LIMIT);

    /* one for the bracket, then the commas */

    assert_int_equal(load_repeated("1,", "", SPROX_JSON_VALUES_MAX - 1, &why),
                     SPROX_OK);
    assert_int_equal(load_repeated("1,", "", SPROX_JSON_VALUES_MAX, &why),
                     SPROX_LIMIT);
    assert_str(sprox_buf_get(&why), "byte 131072: too many values");

    /* what stands in strings counts for nothing */

    assert_int_equal(load_repeated("\"[[{,\\\"[\\\\\",", "", 1000, &why),
                     SPROX_OK);

    sprox_buf_free(&why);
    assert_int_equal(um.live, 0);
}


#define DOC                                                                   \
    "{\"a\":{\"b\":[\"x\",7,{\"c\":null}]},\"n\":null,\"s\":\"a\\u0000b\"}"


static void
test_places(void **state)
{
    unit_mem_t    um;
    sprox_buf_t   why;
    sprox_json_t  root, a, b, item, child, inner;

    (void) state;

    unit_mem_init(&um, 0);
    sprox_buf_init(&why, &um.mem);

    assert_int_equal(sprox_json_load(&root, S(DOC), NULL, &why), SPROX_OK);
    assert_int_equal(sprox_json_kind(&root), SPROX_JSON_OBJECT);
    assert_int_equal(sprox_json_need(&root, "a", SPROX_JSON_OBJECT, &a),
                     SPROX_OK);
    assert_int_equal(sprox_json_need(&a, "b", SPROX_JSON_ARRAY, &b), SPROX_OK);
    assert_int_equal(sprox_json_count(&b), 3);

    assert_int_equal(sprox_json_item(&b, 0, SPROX_JSON_STRING, &item),
                     SPROX_OK);
    assert_str(sprox_json_str(&item), "x");

    assert_int_equal(sprox_json_item(&b, 1, SPROX_JSON_STRING, &item),
                     SPROX_INVALID);
    assert_str(sprox_buf_get(&why), "a.b[1] is no string");

    assert_int_equal(sprox_json_item(&b, 3, SPROX_JSON_ANY, &item),
                     SPROX_INVALID);
    assert_str(sprox_buf_get(&why), "a.b[3] is missing");

    assert_int_equal(sprox_json_item(&b, 2, SPROX_JSON_OBJECT, &item),
                     SPROX_OK);
    assert_int_equal(sprox_json_get(&item, "c", SPROX_JSON_STRING, &child),
                     SPROX_NOT_FOUND);
    assert_int_equal(sprox_json_need(&item, "c", SPROX_JSON_STRING, &child),
                     SPROX_INVALID);
    assert_str(sprox_buf_get(&why), "a.b[2].c is missing");

    assert_int_equal(sprox_json_get(&root, "n", SPROX_JSON_OBJECT, &child),
                     SPROX_NOT_FOUND);
    assert_int_equal(sprox_json_need(&root, "a", SPROX_JSON_ARRAY, &child),
                     SPROX_INVALID);
    assert_str(sprox_buf_get(&why), "a is no array");

    assert_int_equal(sprox_json_get(&root, "s", SPROX_JSON_STRING, &child),
                     SPROX_OK);
    assert_true(sprox_str_eq(sprox_json_str(&child), S("a\0b")));

    /* a document in a string */

    assert_int_equal(sprox_json_load(&inner, S("[{]"), &child, &why),
                     SPROX_INVALID);
    assert_str(sprox_buf_get(&why),
               "s, byte 3: string or '}' expected near ']'");

    assert_int_equal(sprox_json_load(&inner, S("{\"x\":[]}"), &child, &why),
                     SPROX_OK);
    assert_int_equal(sprox_json_need(&inner, "x", SPROX_JSON_STRING, &a),
                     SPROX_INVALID);
    assert_str(sprox_buf_get(&why), "s.x is no string");
    sprox_json_free(&inner);

    assert_int_equal(sprox_json_bad(&root, "is odd"), SPROX_INVALID);
    assert_str(sprox_buf_get(&why), "the document is odd");

    sprox_json_free(&root);
    sprox_buf_free(&why);
    assert_int_equal(um.live, 0);
}


static void
test_numbers(void **state)
{
    size_t        i;
    uint64_t      n;
    sprox_rc_t    rc;
    unit_mem_t    um;
    sprox_buf_t   why;
    sprox_json_t  root, item;

    static const struct {
        const char  *text;
        uint64_t     n;            /* -1: none */
    } rows[] = {
        { "[0]", 0 }, { "[\"0\"]", 0 }, { "[\"007\"]", 7 },
        { "[9223372036854775807]", INT64_MAX },
        { "[\"9223372036854775807\"]", INT64_MAX },
        { "[\"9223372036854775808\"]", -1 },
        { "[\"99999999999999999999\"]", -1 }, { "[-1]", -1 },
        { "[\"-1\"]", -1 }, { "[\"+1\"]", -1 }, { "[\"\"]", -1 },
        { "[\"1 \"]", -1 }, { "[\"0x1\"]", -1 }, { "[1.0]", -1 },
        { "[1e3]", -1 }, { "[true]", -1 }, { "[null]", -1 }, { "[[]]", -1 }
    };

    (void) state;

    unit_mem_init(&um, 0);
    sprox_buf_init(&why, &um.mem);

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(sprox_json_load(&root, text_of(rows[i].text), NULL,
                                         &why), SPROX_OK);
        assert_int_equal(sprox_json_item(&root, 0, SPROX_JSON_ANY, &item),
                         SPROX_OK);

        n = 1234;
        rc = sprox_json_u64(&item, &n);

        if (rows[i].n == (uint64_t) -1) {
            assert_int_equal(rc, SPROX_INVALID);
            assert_str(sprox_buf_get(&why),
                       "[0] is no whole number from 0 to 2^63 - 1");

        } else {
            assert_int_equal(rc, SPROX_OK);
            assert_int_equal(n, rows[i].n);
        }

        sprox_json_free(&root);
    }

    sprox_buf_free(&why);
    assert_int_equal(um.live, 0);
}


static sprox_rc_t
bad_work(const sprox_mem_t *mem, void *data)
{
    sprox_rc_t    rc;
    sprox_buf_t   why;
    sprox_json_t  root, child;

    sprox_buf_init(&why, mem);

    rc = sprox_json_load(&root, S("{\"a\":[{}]}"), NULL, &why);
    assert_int_equal(rc, SPROX_OK);

    rc = data == NULL ? sprox_json_need(&root, "b", SPROX_JSON_ANY, &child)
                      : sprox_json_load(&child, S("{"), &root, &why);

    sprox_json_free(&root);
    sprox_buf_free(&why);

    return rc == SPROX_INVALID ? SPROX_OK : rc;
}


static void
test_no_memory(void **state)
{
    assert_true(unit_each_alloc_fails(bad_work, NULL) > 0);
    assert_true(unit_each_alloc_fails(bad_work, state) > 0);
}


/* jansson's own memory: one allocation fails, or all from one on. */

static long      jansson_count;
static long      jansson_fail_at;
static unsigned  jansson_once;


static void *
jansson_alloc(size_t size)
{
    jansson_count++;

    if (jansson_once ? jansson_count == jansson_fail_at
                     : jansson_count >= jansson_fail_at)
    {
        return NULL;
    }

    return malloc(size);
}


#define LONG   "0123456789abcdefghijklmnopqrstuvwxyz"
#define MIXED  "\\u0041\\u00e4\\u20ac\\ud83d\\ude00\\n\\\"\\\\"
#define PLAIN  "A\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\n\"\\"


static void
test_jansson_no_memory(void **state)
{
    long          refused;
    unit_mem_t    um;
    sprox_rc_t    rc;
    sprox_buf_t   why;
    sprox_json_t  root, list, item, name;

    (void) state;

    unit_mem_init(&um, 0);
    json_set_alloc_funcs(jansson_alloc, free);

    for (jansson_once = 0; jansson_once < 2; jansson_once++) {

        refused = 0;

        for (jansson_fail_at = 1; ; jansson_fail_at++) {
            sprox_buf_init(&why, &um.mem);
            jansson_count = 0;

            rc = sprox_json_load(&root, S("{\"" LONG "\":[\"" LONG LONG MIXED
                                          "\",{\"b\":\"" LONG "\"}]}"),
                                 NULL, &why);
            sprox_buf_free(&why);

            if (rc != SPROX_OK) {
                refused++;
                continue;
            }

            /* what is read is whole */

            assert_int_equal(sprox_json_need(&root, LONG, SPROX_JSON_ARRAY,
                                             &list), SPROX_OK);
            assert_int_equal(sprox_json_item(&list, 0, SPROX_JSON_STRING,
                                             &item), SPROX_OK);
            assert_str(sprox_json_str(&item), LONG LONG PLAIN);
            assert_int_equal(sprox_json_item(&list, 1, SPROX_JSON_OBJECT,
                                             &item), SPROX_OK);
            assert_int_equal(sprox_json_need(&item, "b", SPROX_JSON_STRING,
                                             &name), SPROX_OK);
            assert_str(sprox_json_str(&name), LONG);
            sprox_json_free(&root);

            if (jansson_count < jansson_fail_at) {
                break;
            }
        }

        assert_true(refused > 5);
    }

    json_set_alloc_funcs(malloc, free);
    assert_int_equal(um.live, 0);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_load),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_jansson_no_memory)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
