/*
 * The file store over a real directory: what is served and what is not, and
 * which bytes are one version.
 */

#include "store_fixture.h"

#include <sys/socket.h>
#include <sys/un.h>


#define TEST_NOBODY      65534


static void
test_object(void **state)
{
    char                long_body[3 * SPROX_STORE_CHUNK + 5], etag[128];
    size_t              i;
    test_answer_t       a;
    sprox_origin_req_t  req;

    (void) state;

    for (i = 0; i < sizeof(long_body); i++) {
        long_body[i] = (char) (i * 31 + i / 1000);
    }

    test_file("bkt/hello.TXT", "hello world");
    test_file("bkt/d/e.f/empty", "");
    assert_int_equal(test_write("bkt/long.parquet", long_body,
                                sizeof(long_body)), 0);

    test_get("bkt", "hello.TXT", &a);
    assert_int_equal(a.rc, SPROX_DONE);
    assert_int_equal(a.status, 200);
    assert_string_equal(a.body, "hello world");
    assert_non_null(strstr(a.headers, "Content-Length: 11\n"));
    assert_non_null(strstr(a.headers, "Content-Type: text/plain\n"));
    assert_non_null(strstr(a.headers, "Accept-Ranges: bytes\n"));
    assert_non_null(strstr(a.headers, "Last-Modified: Sun, 09 Sep 2001 "
                                      "01:46:40 GMT\n"));
    assert_null(strstr(a.headers, "Content-Range"));
    assert_non_null(strchr(a.etag, '-'));
    assert_int_equal(a.etag[0], '"');
    assert_int_equal(a.etag[strlen(a.etag) - 1], '"');
    assert_string_equal(a.what, "");
    strcpy(etag, a.etag);
    free(a.body);

    /* HEAD tells the same, without a body */

    test_req(&req, SPROX_OP_HEAD_OBJECT, "bkt", S("hello.TXT"));
    test_run(&req, &a);
    assert_int_equal(a.status, 200);
    assert_int_equal(a.len, 0);
    assert_string_equal(a.etag, etag);
    assert_non_null(strstr(a.headers, "Content-Length: 11\n"));
    free(a.body);

    /* conditions */

    req.op = SPROX_OP_GET_OBJECT;
    req.if_none_match = sprox_str_make(etag, strlen(etag));
    test_run(&req, &a);
    assert_int_equal(a.status, 304);
    assert_int_equal(a.len, 0);
    assert_string_equal(a.etag, etag);
    free(a.body);

    req.if_none_match = S("\"other\"");
    req.if_match = sprox_str_make(etag, strlen(etag));
    test_run(&req, &a);
    assert_int_equal(a.status, 200);
    free(a.body);

    req.if_none_match = sprox_str_null;
    req.if_match = S("\"other\"");
    test_run(&req, &a);
    assert_int_equal(a.status, 412);
    assert_string_equal(a.code, "PreconditionFailed");
    free(a.body);

    req.op = SPROX_OP_HEAD_OBJECT;
    test_run(&req, &a);
    assert_int_equal(a.status, 412);
    assert_int_equal(a.len, 0);
    free(a.body);

    /* long bodies come in pieces */

    test_get("bkt", "long.parquet", &a);
    assert_int_equal(a.rc, SPROX_DONE);
    assert_int_equal(a.len, sizeof(long_body));
    assert_memory_equal(a.body, long_body, sizeof(long_body));
    assert_non_null(strstr(a.headers, "application/vnd.apache.parquet"));
    free(a.body);

    test_req(&req, SPROX_OP_GET_OBJECT, "bkt", S("long.parquet"));
    req.range.kind = SPROX_RANGE_FROM_TO;
    req.range.first = SPROX_STORE_CHUNK - 1;
    req.range.last = 3 * SPROX_STORE_CHUNK;
    test_run(&req, &a);
    assert_int_equal(a.status, 206);
    assert_int_equal(a.len, 2 * SPROX_STORE_CHUNK + 2);
    assert_memory_equal(a.body, long_body + SPROX_STORE_CHUNK - 1, a.len);
    assert_non_null(strstr(a.headers,
                           "Content-Range: bytes 131071-393216/393221\n"));
    assert_non_null(strstr(a.headers, "Content-Length: 262146\n"));
    free(a.body);

    /* nothing in it */

    test_get("bkt", "d/e.f/empty", &a);
    assert_int_equal(a.status, 200);
    assert_int_equal(a.len, 0);
    assert_non_null(strstr(a.headers, "Content-Length: 0\n"));
    assert_non_null(strstr(a.headers, "Content-Type: binary/octet-stream\n"));
    free(a.body);
}


static void
test_ranges(void **state)
{
    size_t              i;
    test_answer_t       a;
    sprox_origin_req_t  req;

    static const struct {
        sprox_range_t   range;
        uint32_t        part;
        int             status;
        const char     *body;
        const char     *header;
    } cases[] = {
        { { SPROX_RANGE_FROM_TO, 0, 0 }, 0, 206, "0",
          "Content-Range: bytes 0-0/10\n" },
        { { SPROX_RANGE_FROM_TO, 2, 99 }, 0, 206, "23456789",
          "Content-Range: bytes 2-9/10\n" },
        { { SPROX_RANGE_FROM, 9, 0 }, 0, 206, "9",
          "Content-Range: bytes 9-9/10\n" },
        { { SPROX_RANGE_SUFFIX, 0, 3 }, 0, 206, "789",
          "Content-Range: bytes 7-9/10\n" },
        { { SPROX_RANGE_SUFFIX, 0, 30 }, 0, 206, "0123456789",
          "Content-Range: bytes 0-9/10\n" },
        { { SPROX_RANGE_NONE, 0, 0 }, 1, 206, "0123456789",
          "Content-Range: bytes 0-9/10\n" },
        { { SPROX_RANGE_FROM, 10, 0 }, 0, 416, NULL,
          "Content-Range: bytes */10\n" },
        { { SPROX_RANGE_SUFFIX, 0, 0 }, 0, 416, NULL,
          "Content-Range: bytes */10\n" },
        { { SPROX_RANGE_NONE, 0, 0 }, 2, 416, NULL, "Content-Length: " }
    };

    (void) state;

    test_file("bkt/digits", "0123456789");

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        test_req(&req, SPROX_OP_GET_OBJECT, "bkt", S("digits"));
        req.range = cases[i].range;
        req.part_number = cases[i].part;

        test_run(&req, &a);

        assert_int_equal(a.status, cases[i].status);
        assert_non_null(strstr(a.headers, cases[i].header));

        if (cases[i].body) {
            assert_string_equal(a.body, cases[i].body);
        }

        free(a.body);
    }

    test_file("bkt/none", "");
    test_req(&req, SPROX_OP_GET_OBJECT, "bkt", S("none"));
    req.part_number = 1;
    test_run(&req, &a);
    assert_int_equal(a.status, 200);
    free(a.body);
}


static void
test_outside(const char *dir)
{
    int                 fd;
    struct sockaddr_un  sun;

    assert_int_equal(symlink(test_path("secret"), test_path("bkt/link")), 0);
    assert_int_equal(symlink("../secret", test_path("bkt/relative")), 0);
    assert_int_equal(symlink("file", test_path("bkt/inside")), 0);
    assert_int_equal(symlink("/etc", test_path("bkt/etc")), 0);
    assert_int_equal(symlink("dir", test_path("bkt/dirlink")), 0);
    assert_int_equal(symlink("/proc/self/root", test_path("bkt/magic")), 0);
    assert_int_equal(symlink(dir, test_path("linked")), 0);
    assert_int_equal(symlink("nowhere", test_path("bkt/dangling")), 0);
    assert_int_equal(symlink("loop", test_path("bkt/loop")), 0);
    assert_int_equal(mkfifo(test_path("bkt/fifo"), 0666), 0);
    assert_int_equal(link(test_path("bkt/file"), test_path("bkt/hard")), 0);

    memset(&sun, 0, sizeof(sun));
    sun.sun_family = AF_UNIX;
    strcpy(sun.sun_path, test_path("bkt/socket"));
    fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *) &sun, sizeof(sun)), 0);
    close(fd);

    if (geteuid() == 0) {
        (void) mknod(test_path("bkt/null"), S_IFCHR|0666, 0x103);
    }
}


static void
test_hostile(void **state)
{
    char                long_name[300], long_key[1100];
    size_t              i;
    test_answer_t       a;
    sprox_origin_req_t  req;

    static const sprox_str_t  keys[] = {
        sprox_str(""), sprox_str("/"), sprox_str("//"), sprox_str("."),
        sprox_str(".."), sprox_str("./file"), sprox_str("dir/../file"),
        sprox_str("../secret"), sprox_str("dir/../../secret"),
        sprox_str("dir/./x"), sprox_str("dir//x"), sprox_str("/dir/x"),
        sprox_str("/etc/passwd"), sprox_str("dir"), sprox_str("dir/"),
        sprox_str("file/"), sprox_str("file/x"), sprox_str("file/.."),
        sprox_str("link"), sprox_str("relative"), sprox_str("inside"),
        sprox_str("etc/passwd"), sprox_str("etc"), sprox_str("dirlink/x"),
        sprox_str("magic/etc/passwd"), sprox_str("dangling"),
        sprox_str("loop"), sprox_str("loop/x"), sprox_str("fifo"),
        sprox_str("socket"), sprox_str("null"), sprox_str("fi\0le"),
        sprox_str("file\0"), sprox_str("file\0/x"), sprox_str("\0"),
        sprox_str(".sprox-tmp"), sprox_str("dir/.sproxtmp"),
        sprox_str(".sprox/x"), sprox_str("missing"), sprox_str("dir/missing"),
        sprox_str("File")
    };

    static const sprox_str_t  good[] = {
        sprox_str("file"), sprox_str("dir/x"), sprox_str("hard"),
        sprox_str(".dot"), sprox_str("..."), sprox_str("..a/b"),
        sprox_str("sp ace+%41\n\x01\xff&<"), sprox_str("\\"),
        sprox_str("?#")
    };

    (void) state;

    test_file("secret", "secret");
    test_file("bkt/file", "file");
    test_file("bkt/dir/x", "x");
    test_file("bkt/.sprox-tmp", "half");
    test_file("bkt/dir/.sproxtmp", "half");
    test_file("bkt/.sprox/x", "half");
    test_outside("bkt");

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        char  path[256];

        snprintf(path, sizeof(path), "bkt/%s", (char *) good[i].data);
        if (i > 2) {
            test_file(path, "good");
        }
    }

    for (test_plain = 0; test_plain < 2; test_plain++) {

        for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
            test_req(&req, SPROX_OP_GET_OBJECT, "bkt", keys[i]);
            test_run(&req, &a);

            if (a.status != 404 || strcmp(a.code, "NoSuchKey") != 0) {
                fail_msg("key %zu \"%s\": %d %s", i, (char *) keys[i].data,
                         a.status, a.code);
            }

            free(a.body);

            req.op = SPROX_OP_HEAD_OBJECT;
            test_run(&req, &a);
            assert_int_equal(a.status, 404);
            free(a.body);
        }

        for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
            test_req(&req, SPROX_OP_GET_OBJECT, "bkt", good[i]);
            test_run(&req, &a);

            if (a.status != 200) {
                fail_msg("key %zu \"%s\": %d %s", i, (char *) good[i].data,
                         a.status, a.code);
            }

            free(a.body);
        }

        /* the longest names, and longer ones */

        memset(long_name, 'n', sizeof(long_name));

        for (i = 254; i < 258; i++) {
            test_req(&req, SPROX_OP_GET_OBJECT, "bkt",
                     sprox_str_make(long_name, i));
            test_run(&req, &a);
            assert_int_equal(a.status, 404);
            assert_string_equal(a.what, "");
            free(a.body);
        }

        for (i = 0; i < sizeof(long_key); i++) {
            long_key[i] = (i % 2) ? '/' : 'k';
        }

        for (i = 1019; i < 1030; i += 2) {
            test_req(&req, SPROX_OP_GET_OBJECT, "bkt",
                     sprox_str_make(long_key, i));
            test_run(&req, &a);
            assert_int_equal(a.status, 404);
            assert_string_equal(a.what, "");
            free(a.body);
        }
    }

    test_plain = 0;
}


/* To open a FIFO would let its writer go on. */

static void
test_fifo_untouched(void **state)
{
    int            fd;
    test_answer_t  a;

    (void) state;

    test_file("bkt/file", "file");
    assert_int_equal(mkfifo(test_path("bkt/fifo"), 0666), 0);

    fd = open(test_path("bkt/fifo"), O_RDWR|O_NONBLOCK);
    assert_int_not_equal(fd, -1);
    assert_int_equal(write(fd, "abc", 3), 3);

    test_get("bkt", "fifo", &a);
    assert_int_equal(a.status, 404);
    free(a.body);

    close(fd);
}


static void
test_bucket_names(void **state)
{
    size_t              i;
    test_answer_t       a;
    sprox_origin_req_t  req;

    static const struct {
        const char  *bucket;
        int          status;
        const char  *code;
    } cases[] = {
        { "bkt", 200, "" },
        { "other.bucket-1", 200, "" },
        { "missing", 404, "NoSuchBucket" },
        { "linked", 404, "NoSuchBucket" },
        { "a-file", 404, "NoSuchBucket" },
        { "", 400, "InvalidBucketName" },
        { ".", 400, "InvalidBucketName" },
        { "..", 400, "InvalidBucketName" },
        { "../bkt", 400, "InvalidBucketName" },
        { "bkt/..", 400, "InvalidBucketName" },
        { "bkt/dir", 400, "InvalidBucketName" },
        { "Upper", 400, "InvalidBucketName" }
    };

    (void) state;

    test_file("bkt/dir/x", "x");
    test_file("Upper/x", "x");
    test_file("a-file", "x");
    test_file("other.bucket-1/x", "x");
    test_file(".sproxbucket/x", "x");
    assert_int_equal(symlink("bkt", test_path("linked")), 0);

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {

        test_req(&req, SPROX_OP_LIST_OBJECTS_V2, cases[i].bucket,
                 sprox_str_null);
        test_run(&req, &a);
        assert_int_equal(a.status, cases[i].status);
        assert_string_equal(a.code, cases[i].code);
        free(a.body);

        req.op = SPROX_OP_HEAD_BUCKET;
        test_run(&req, &a);
        assert_int_equal(a.status, cases[i].status);
        assert_int_equal(a.len, 0);
        free(a.body);
    }

    test_req(&req, SPROX_OP_LIST_BUCKETS, "", sprox_str_null);
    test_run(&req, &a);
    assert_int_equal(a.status, 200);
    assert_non_null(strstr(a.body, "<Name>bkt</Name>"));
    assert_non_null(strstr(a.body, "<Name>other.bucket-1</Name>"));
    assert_null(strstr(a.body, "linked"));
    assert_null(strstr(a.body, "Upper"));
    assert_null(strstr(a.body, "a-file"));
    assert_null(strstr(a.body, "sproxb"));
    assert_true(strstr(a.body, ">bkt<") < strstr(a.body, ">other"));
    free(a.body);

    test_req(&req, SPROX_OP_PURGE, "bkt", S("x"));
    test_run(&req, &a);
    assert_int_equal(a.status, 501);
    free(a.body);
}


/* A root that is not there is an outage, no proof of absence. */

static void
test_no_root(void **state)
{
    size_t              i;
    test_answer_t       a;
    sprox_origin_req_t  req;

    static const sprox_op_t  ops[] = {
        SPROX_OP_GET_OBJECT, SPROX_OP_HEAD_OBJECT, SPROX_OP_LIST_OBJECTS_V2,
        SPROX_OP_LIST_BUCKETS, SPROX_OP_HEAD_BUCKET
    };

    (void) state;

    strcat(test_root, "/gone");

    for (i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
        test_req(&req, ops[i], "bkt", S("key"));
        test_run(&req, &a);
        assert_int_equal(a.status, 503);
        assert_int_equal(a.err, ENOENT);
        assert_string_equal(a.what, "opening the root");
        free(a.body);
    }

    test_root[strlen(test_root) - 5] = '\0';
}


static void
test_denied(void **state)
{
    test_answer_t       a;
    sprox_origin_req_t  req;

    (void) state;

    test_file("bkt/a/b", "x");
    test_file("bkt/closed/x", "x");
    test_file("bkt/secret", "x");
    test_file("shut/x", "x");

    chmod(test_path("bkt/secret"), 0);
    chmod(test_path("bkt/closed"), 0);
    chmod(test_path("shut"), 0);

    if (geteuid() == 0 && seteuid(TEST_NOBODY) == -1) {
        skip();
    }

    test_get("bkt", "secret", &a);
    assert_int_equal(a.status, 403);
    assert_string_equal(a.code, "AccessDenied");
    assert_string_equal(a.what, "opening the file");
    assert_int_equal(a.err, EACCES);
    free(a.body);

    test_get("bkt", "closed/x", &a);
    assert_int_equal(a.status, 403);
    free(a.body);

    /* half a listing would pass for a whole one */

    test_req(&req, SPROX_OP_LIST_OBJECTS_V2, "bkt", sprox_str_null);
    test_run(&req, &a);
    assert_int_equal(a.status, 403);
    assert_string_equal(a.what, "opening the directory");
    free(a.body);

    req.delimiter = S("/");
    test_run(&req, &a);
    assert_int_equal(a.status, 403);
    free(a.body);

    req.prefix = S("a/");
    test_run(&req, &a);
    assert_int_equal(a.status, 200);
    free(a.body);

    test_req(&req, SPROX_OP_LIST_OBJECTS_V2, "shut", sprox_str_null);
    test_run(&req, &a);
    assert_int_equal(a.status, 403);
    free(a.body);

    if (getuid() == 0) {
        assert_int_equal(seteuid(0), 0);
    }

    chmod(test_path("bkt/closed"), 0755);
    chmod(test_path("shut"), 0755);
}


/* A file that changes between two steps, in each way that it can. */

static void
test_changes(void **state)
{
    int                 fd, way;
    char                body[3 * SPROX_STORE_CHUNK];
    sprox_rc_t          rc;
    struct timespec     times[2] = { { 1, 0 }, { 1100000000, 7 } };
    test_answer_t       a;
    sprox_store_op_t   *op;
    sprox_origin_req_t  req;

    (void) state;

    memset(body, 'a', sizeof(body));

    for (way = 0; way < 6; way++) {
        unlink(test_path("bkt/f"));
        assert_int_equal(test_write("bkt/f", body, sizeof(body)), 0);
        test_age("bkt/f");

        test_req(&req, SPROX_OP_GET_OBJECT, "bkt", S("f"));
        op = sprox_store_create(&test_mem.mem, test_root_str(), &req);

        assert_int_equal(sprox_store_step(op), SPROX_OK);

        rc = SPROX_INVALID;

        switch (way) {

        case 0:                                 /* written in place */
            fd = open(test_path("bkt/f"), O_WRONLY);
            assert_int_equal(pwrite(fd, "b", 1, 200000), 1);
            close(fd);
            break;

        case 1:
            assert_int_equal(truncate(test_path("bkt/f"), 1), 0);
            test_age("bkt/f");
            break;

        case 2:                                 /* grown, with the old time */
            fd = open(test_path("bkt/f"), O_WRONLY|O_APPEND);
            assert_int_equal(write(fd, "b", 1), 1);
            close(fd);
            test_age("bkt/f");
            break;

        case 3:
            utimensat(AT_FDCWD, test_path("bkt/f"), times, 0);
            break;

        case 4:                                 /* replaced: the old one goes
                                                   on */
            assert_int_equal(test_write("bkt/g", "new", 3), 0);
            rename(test_path("bkt/g"), test_path("bkt/f"));
            rc = SPROX_DONE;
            break;

        case 5:
            unlink(test_path("bkt/f"));
            rc = SPROX_DONE;
            break;
        }

        memset(&a, 0, sizeof(a));

        assert_int_equal(test_run_op(op, &a), rc);

        if (rc == SPROX_DONE) {
            assert_int_equal(a.len, sizeof(body) - SPROX_STORE_CHUNK);
            assert_memory_equal(a.body, body, a.len);

        } else {
            assert_string_equal(a.what, "the file changed while it was read");
        }

        free(a.body);
        sprox_store_free(op);
    }

    /* canceled */

    assert_int_equal(test_write("bkt/f", body, sizeof(body)), 0);
    op = sprox_store_create(&test_mem.mem, test_root_str(), &req);
    assert_int_equal(sprox_store_step(op), SPROX_OK);
    sprox_store_cancel(op);
    assert_int_equal(sprox_store_step(op), SPROX_INVALID);
    assert_null(sprox_store_answer(op)->what);
    sprox_store_free(op);
}


/*
 * One ETag never stands for two contents, however fast a writer is: files
 * are written in place, the same size, between two reads.
 */

static void
test_versions(void **state)
{
    int            i;
    char           text[32], etag[128];
    test_answer_t  a;

    (void) state;

    etag[0] = '\0';

    for (i = 0; i < 20; i++) {
        snprintf(text, sizeof(text), "%08d", i);
        assert_int_equal(test_write("bkt/f", text, 8), 0);

        test_get("bkt", "f", &a);
        assert_int_equal(a.status, 200);
        assert_string_equal(a.body, text);
        assert_string_not_equal(a.etag, etag);

        strcpy(etag, a.etag);
        free(a.body);
    }

    /* and it stays while nothing changes */

    test_get("bkt", "f", &a);
    assert_string_equal(a.etag, etag);
    free(a.body);
}


static sprox_rc_t
test_alloc_work(const sprox_mem_t *mem, void *data)
{
    sprox_rc_t         rc;
    test_answer_t      a;
    sprox_store_op_t  *op;

    op = sprox_store_create(mem, test_root_str(), data);
    if (op == NULL) {
        return SPROX_NOMEM;
    }

    memset(&a, 0, sizeof(a));

    rc = test_run_op(op, &a);

    free(a.body);
    sprox_store_free(op);

    return rc == SPROX_DONE ? SPROX_OK : rc;
}


static void
test_alloc(void **state)
{
    int                 i;
    char                path[64];
    size_t              k;
    sprox_origin_req_t  reqs[8];

    (void) state;

    for (i = 0; i < 40; i++) {
        snprintf(path, sizeof(path), "bkt/%d/%d/f-%d", i % 3, i % 5, i);
        test_file(path, "x");
    }

    test_file("bkt/obj", "object");
    mkdir(test_path("bkt/empty"), 0755);

    test_req(&reqs[0], SPROX_OP_GET_OBJECT, "bkt", S("obj"));
    test_req(&reqs[1], SPROX_OP_GET_OBJECT, "bkt", S("none"));
    test_req(&reqs[2], SPROX_OP_LIST_OBJECTS_V2, "bkt", sprox_str_null);
    reqs[3] = reqs[2];
    reqs[3].delimiter = S("/");
    reqs[4] = reqs[2];
    reqs[4].delimiter = S("-");
    reqs[4].max_keys = 2;
    reqs[5] = reqs[2];
    reqs[5].token = S("ATEvMA");                   /* 01 "1/0" */
    test_req(&reqs[6], SPROX_OP_LIST_BUCKETS, "", sprox_str_null);
    test_req(&reqs[7], SPROX_OP_HEAD_OBJECT, "bkt", S("obj"));

    for (k = 0; k < 8; k++) {
        assert_true(unit_each_alloc_fails(test_alloc_work, &reqs[k]) > 0);
    }
}


/* Nothing stays open, whatever happened. */

static size_t
test_fds(void)
{
    int     fd;
    size_t  n;

    n = 0;

    for (fd = 0; fd < 1024; fd++) {
        n += (fcntl(fd, F_GETFD) != -1);
    }

    return n;
}


static void
test_descriptors(void **state)
{
    size_t  before;

    before = test_fds();

    test_alloc(state);
    test_changes(state);

    assert_int_equal(test_fds(), before);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test_setup_teardown(test_object, test_setup,
                                        test_teardown),
        cmocka_unit_test_setup_teardown(test_ranges, test_setup,
                                        test_teardown),
        cmocka_unit_test_setup_teardown(test_hostile, test_setup,
                                        test_teardown),
        cmocka_unit_test_setup_teardown(test_fifo_untouched, test_setup,
                                        test_teardown),
        cmocka_unit_test_setup_teardown(test_bucket_names, test_setup,
                                        test_teardown),
        cmocka_unit_test_setup_teardown(test_no_root, test_setup,
                                        test_teardown),
        cmocka_unit_test_setup_teardown(test_denied, test_setup,
                                        test_teardown),
        cmocka_unit_test_setup_teardown(test_changes, test_setup,
                                        test_teardown),
        cmocka_unit_test_setup_teardown(test_versions, test_setup,
                                        test_teardown),
        cmocka_unit_test_setup_teardown(test_alloc, test_setup,
                                        test_teardown),
        cmocka_unit_test_setup_teardown(test_descriptors, test_setup,
                                        test_teardown)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
