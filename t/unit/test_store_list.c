/*
 * Listings of the file store, against a naive model over all keys.
 */

#include "store_fixture.h"


#define TEST_KEYS_MAX    4096
#define TEST_MANY        100000


typedef struct {
    char     *key;
    size_t    len;
    unsigned  prefix:1;
    uint64_t  size;
    char      etag[128];
} test_item_t;


typedef struct {
    test_item_t  items[SPROX_LIST_KEYS_MAX + 1];
    size_t       n;
    int          truncated;
    char         next[SPROX_TOKEN_MAX + 1];
} test_page_t;


static char   *test_keys[TEST_KEYS_MAX];
static size_t  test_nkeys;


static sprox_rc_t
test_on_item(void *data, const sprox_list_item_t *item)
{
    test_item_t  *it;
    test_page_t  *page = data;

    assert_true(page->n <= SPROX_LIST_KEYS_MAX);

    it = &page->items[page->n++];
    it->key = malloc(item->key.len + 1);
    memcpy(it->key, item->key.data, item->key.len);
    it->key[item->key.len] = '\0';
    it->len = item->key.len;
    it->prefix = item->is_prefix;
    it->size = item->size;
    snprintf(it->etag, sizeof(it->etag), "%.*s", (int) item->etag.len,
             (char *) item->etag.data);

    return SPROX_OK;
}


static int
test_item_cmp(const void *a, const void *b)
{
    const test_item_t  *x = a, *y = b;

    return sprox_str_cmp(sprox_str_make(x->key, x->len),
                         sprox_str_make(y->key, y->len));
}


static void
test_page_free(test_page_t *page)
{
    while (page->n) {
        free(page->items[--page->n].key);
    }
}


static void
test_list(const sprox_origin_req_t *req, test_page_t *page)
{
    test_answer_t         a;
    sprox_list_page_t     done;
    sprox_list_parser_t  *p;

    page->n = 0;

    test_run(req, &a);
    assert_int_equal(a.rc, SPROX_DONE);
    assert_int_equal(a.status, 200);

    p = sprox_list_parser_create(&test_mem.mem, 1, test_on_item, page);
    assert_int_equal(sprox_list_parser_feed(p, a.body, a.len), SPROX_OK);
    assert_int_equal(sprox_list_parser_done(p, &done), SPROX_OK);

    page->truncated = done.truncated;
    snprintf(page->next, sizeof(page->next), "%.*s", (int) done.next.len,
             (char *) done.next.data);

    sprox_free(&test_mem.mem, (void *) done.next.data);
    sprox_list_parser_free(p);
    free(a.body);

    qsort(page->items, page->n, sizeof(test_item_t), test_item_cmp);
}


static int
test_key_cmp(const void *a, const void *b)
{
    return strcmp(*(char * const *) a, *(char * const *) b);
}


/* What S3 would answer, from the sorted array of all keys. */

static void
test_model(const sprox_origin_req_t *req, sprox_str_t after,
    test_page_t *page)
{
    size_t        i, at;
    sprox_str_t   key;
    test_item_t  *it;

    page->n = 0;
    page->truncated = 0;

    for (i = 0; i < test_nkeys; i++) {
        key = sprox_str_make(test_keys[i], strlen(test_keys[i]));

        if (!sprox_str_starts(key, req->prefix)
            || sprox_str_cmp(key, after) <= 0)
        {
            continue;
        }

        at = (size_t) -1;

        if (req->delimiter.len) {
            at = sprox_str_find(key, req->delimiter, req->prefix.len);
        }

        if (at != (size_t) -1) {
            key.len = at + req->delimiter.len;

            it = page->n ? &page->items[page->n - 1] : NULL;

            if (sprox_str_eq(key, after)
                || (it && sprox_str_eq(key, sprox_str_make(it->key, it->len))))
            {
                continue;
            }
        }

        if (page->n == req->max_keys) {
            page->truncated = 1;
            return;
        }

        it = &page->items[page->n++];
        it->key = malloc(key.len + 1);
        memcpy(it->key, key.data, key.len);
        it->key[key.len] = '\0';
        it->len = key.len;
        it->prefix = (at != (size_t) -1);
    }
}


static void
test_keys_free(void)
{
    while (test_nkeys) {
        free(test_keys[--test_nkeys]);
    }
}


static const char  *test_names[] = {
    "a", "b", "ab", "a-", "a.", "a0", "a-b", "-", ".h", "b\xff", "\xff",
    " ", "+", "c%41", "\x01", "..."
};

#define TEST_NAMES  (sizeof(test_names) / sizeof(test_names[0]))


static void
test_random_path(char *path)
{
    int  depth;

    depth = 1 + rand() % 4;

    while (depth--) {
        strcat(path, test_names[(size_t) rand() % TEST_NAMES]);

        if (depth) {
            strcat(path, "/");
        }
    }
}


static void
test_random_tree(int n)
{
    char  path[256];
    int   i;

    mkdir(test_path("bkt"), 0755);

    for (i = 0; i < n; i++) {
        strcpy(path, "bkt/");
        test_random_path(path);

        switch (rand() % 12) {

        case 0:                                     /* a directory, empty */
            if (test_above(path) == 0) {
                mkdir(test_path(path), 0755);
            }
            break;

        case 1:                                     /* names that are none */
            strcat(path, rand() % 2 ? "/.sprox-1" : "/.sprox/x");
            (void) test_write(path, "x", 1);
            break;

        case 2:
            if (test_above(path) == 0) {
                (void) !symlink("..", test_path(path));
            }
            break;

        case 3:
            if (test_above(path) == 0) {
                (void) mkfifo(test_path(path), 0644);
            }
            break;

        default:
            if (access(test_path(path), F_OK) == -1
                && test_write(path, path, strlen(path)) == 0)
            {
                test_keys[test_nkeys++] = strdup(path + 4);
            }
        }
    }

    qsort(test_keys, test_nkeys, sizeof(char *), test_key_cmp);
}


static void
test_compare(const sprox_origin_req_t *req, test_page_t *got,
    test_page_t *want)
{
    size_t  i;

    for (i = 0; i < got->n && i < want->n; i++) {
        if (test_item_cmp(&got->items[i], &want->items[i]) != 0
            || got->items[i].prefix != want->items[i].prefix)
        {
            break;
        }

        if (!got->items[i].prefix) {
            assert_int_equal(got->items[i].size, got->items[i].len + 4);
        }
    }

    if (i < got->n || i < want->n || got->truncated != want->truncated) {
        fail_msg("prefix \"%.*s\" delimiter \"%.*s\" after \"%.*s\" max %u: "
                 "item %zu of %zu is \"%s\", expected \"%s\" of %zu; "
                 "truncated %d %d",
                 (int) req->prefix.len, (char *) req->prefix.data,
                 (int) req->delimiter.len, (char *) req->delimiter.data,
                 (int) req->start_after.len, (char *) req->start_after.data,
                 req->max_keys, i, got->n,
                 i < got->n ? got->items[i].key : "",
                 i < want->n ? want->items[i].key : "", want->n,
                 got->truncated, want->truncated);
    }
}


/* A key, a part of one, or nothing of the kind. */

static void
test_random_word(char *word)
{
    size_t  len;

    word[0] = '\0';

    switch (rand() % 5) {

    case 0:
        break;

    case 1:
        test_random_path(word);
        break;

    default:
        strcpy(word, test_keys[(size_t) rand() % test_nkeys]);
        len = strlen(word);
        word[(size_t) rand() % (len + 1)] = '\0';

        if (rand() % 8 == 0) {
            strcat(word, "/");
        }
    }
}


static void
test_brute_force(void **state)
{
    int                  tree, n;
    char                 prefix[256], after[256];
    sprox_origin_req_t   req;
    static test_page_t   got, want;

    static const char  *delimiters[] = {
        "", "/", "/", "/", "-", "a", "b/", "/a", "//", "ab", "\xff"
    };

    (void) state;

    srand(20240501);

    for (tree = 0; tree < 4; tree++) {
        test_random_tree(40 << (tree * 2));
        test_plain = tree % 2;

        for (n = 0; n < 600; n++) {
            test_req(&req, SPROX_OP_LIST_OBJECTS_V2, "bkt", sprox_str_null);

            test_random_word(prefix);
            test_random_word(after);

            req.prefix = sprox_str_make(prefix, strlen(prefix));
            req.start_after = sprox_str_make(after, strlen(after));
            req.delimiter.data = (uint8_t *) delimiters[rand() % 11];
            req.delimiter.len = strlen((char *) req.delimiter.data);
            req.max_keys = (uint32_t) (rand() % 3 ? 1000 : 1 + rand() % 5);

            test_list(&req, &got);
            test_model(&req, req.start_after, &want);
            test_compare(&req, &got, &want);

            test_page_free(&got);
            test_page_free(&want);
        }

        test_keys_free();
        nftw(test_path("bkt"), test_unlink, 16, FTW_DEPTH|FTW_PHYS);
    }

    test_plain = 0;
}


/* All pages by their tokens are the whole, and agree with HEAD. */

static void
test_pages(void **state)
{
    size_t              i, n;
    test_answer_t       a;
    sprox_origin_req_t  req, head;
    static test_page_t  page;

    (void) state;

    srand(7);
    test_random_tree(1500);

    for (i = 1; i < 200; i = i * 3 + 1) {

        test_req(&req, SPROX_OP_LIST_OBJECTS_V2, "bkt", sprox_str_null);
        req.max_keys = (uint32_t) i;
        n = 0;

        do {
            char    token[SPROX_TOKEN_MAX + 1];
            size_t  k;

            test_list(&req, &page);

            for (k = 0; k < page.n; k++) {
                assert_string_equal(page.items[k].key, test_keys[n++]);

                if (i == 1) {
                    test_req(&head, SPROX_OP_HEAD_OBJECT, "bkt",
                             sprox_str_make(page.items[k].key,
                                            page.items[k].len));
                    test_run(&head, &a);
                    assert_int_equal(a.status, 200);
                    assert_string_equal(a.etag, page.items[k].etag);
                    free(a.body);
                }
            }

            strcpy(token, page.next);
            req.token = sprox_str_make(token, strlen(token));
            req.start_after = S("zzz");          /* the token is further on */
            test_page_free(&page);

            if (page.truncated) {
                assert_true(req.token.len > 0);
            }

        } while (page.truncated);

        assert_int_equal(n, test_nkeys);
    }

    req.token = S("no!token");
    test_run(&req, &a);
    assert_int_equal(a.status, 400);
    assert_string_equal(a.code, "InvalidArgument");
    free(a.body);

    test_keys_free();
}


static void
test_odd_lists(void **state)
{
    char                deep[1100], base[PATH_MAX];
    size_t              i;
    sprox_origin_req_t  req;
    static test_page_t  page;

    static const sprox_str_t  nothing[] = {
        sprox_str("/"), sprox_str("../"), sprox_str("./"), sprox_str("a//"),
        sprox_str("a/../"), sprox_str("\0/"), sprox_str("a\0"),
        sprox_str(".sprox/"), sprox_str(".sprox"), sprox_str("file/"),
        sprox_str("link/"), sprox_str("nowhere/"), sprox_str("empty/")
    };

    (void) state;

    test_file("bkt/a/x", "x");
    test_file("bkt/file", "x");
    test_file("bkt/.sprox/x", "x");
    mkdir(test_path("bkt/empty"), 0755);
    mkdir(test_path("bkt/empty/too"), 0755);
    assert_int_equal(symlink("a", test_path("bkt/link")), 0);

    for (i = 0; i < sizeof(nothing) / sizeof(nothing[0]); i++) {
        test_req(&req, SPROX_OP_LIST_OBJECTS_V2, "bkt", sprox_str_null);
        req.prefix = nothing[i];
        test_list(&req, &page);
        assert_int_equal(page.n, 0);
        assert_int_equal(page.truncated, 0);
    }

    memset(deep, 'p', sizeof(deep));
    req.prefix = sprox_str_make(deep, sizeof(deep));
    test_list(&req, &page);
    assert_int_equal(page.n, 0);

    /* the deepest key that there can be: 512 directories and one more */

    snprintf(base, sizeof(base), "%s", test_path("bkt"));
    assert_int_equal(chdir(base), 0);

    for (i = 0; i < 514; i++) {

        if (i >= 510) {
            assert_int_equal(close(open("f", O_CREAT|O_WRONLY, 0644)), 0);
        }

        assert_int_equal(mkdir("d", 0755), 0);
        assert_int_equal(chdir("d"), 0);
    }

    assert_int_equal(chdir("/"), 0);

    test_req(&req, SPROX_OP_LIST_OBJECTS_V2, "bkt", sprox_str_null);
    req.prefix = S("d");
    test_list(&req, &page);
    assert_int_equal(page.n, 2);              /* 1,021 and 1,023 bytes */
    assert_int_equal(page.items[0].len + page.items[1].len, 1021 + 1023);

    for (i = 0; i < page.n; i++) {
        test_answer_t  a;

        test_get("bkt", page.items[i].key, &a);
        assert_int_equal(a.status, 200);
        free(a.body);
    }

    test_page_free(&page);
}


static double
test_now(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);

    return (double) ts.tv_sec * 1000 + (double) ts.tv_nsec / 1000000;
}


static void
test_many(void **state)
{
    int                 dir, fd, i;
    char                name[32], token[SPROX_TOKEN_MAX + 1];
    double              begin, page_begin, slowest, last;
    size_t              n, pages;
    sprox_origin_req_t  req;
    static test_page_t  page;

    (void) state;

    test_file("bkt/dir/x", "x");
    dir = open(test_path("bkt/dir"), O_RDONLY|O_DIRECTORY);

    for (i = 0; i < TEST_MANY; i++) {
        snprintf(name, sizeof(name), "part-%06d", (i * 7919) % TEST_MANY);
        fd = openat(dir, name, O_CREAT|O_WRONLY, 0644);
        assert_int_not_equal(fd, -1);
        close(fd);
    }

    close(dir);

    test_req(&req, SPROX_OP_LIST_OBJECTS_V2, "bkt", sprox_str_null);
    req.prefix = S("dir/part-");

    n = 0;
    pages = 0;
    slowest = 0;
    begin = test_now();

    do {
        page_begin = test_now();
        test_list(&req, &page);
        last = test_now() - page_begin;
        slowest = last > slowest ? last : slowest;
        pages++;

        for (i = 0; i < (int) page.n; i++) {
            snprintf(name, sizeof(name), "dir/part-%06zu", n++);
            assert_string_equal(page.items[i].key, name);
        }

        strcpy(token, page.next);
        req.token = sprox_str_make(token, strlen(token));
        test_page_free(&page);

    } while (page.truncated);

    assert_int_equal(n, TEST_MANY);

    print_message("%zu pages of %d files in one directory: %.0f ms, the "
                  "slowest %.1f ms\n", pages, TEST_MANY, test_now() - begin,
                  slowest);

    test_req(&req, SPROX_OP_LIST_OBJECTS_V2, "bkt", sprox_str_null);
    req.delimiter = S("/");
    begin = test_now();
    test_list(&req, &page);
    assert_int_equal(page.n, 1);
    print_message("the common prefix above them: %.2f ms\n",
                  test_now() - begin);
    test_page_free(&page);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test_setup_teardown(test_brute_force, test_setup,
                                        test_teardown),
        cmocka_unit_test_setup_teardown(test_pages, test_setup,
                                        test_teardown),
        cmocka_unit_test_setup_teardown(test_odd_lists, test_setup,
                                        test_teardown),
        cmocka_unit_test_setup_teardown(test_many, test_setup,
                                        test_teardown)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
