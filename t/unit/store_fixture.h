/*
 * What the tests of the file store share: a directory of their own under
 * /tmp, and whole answers.
 */

#ifndef SPROX_STORE_FIXTURE_H
#define SPROX_STORE_FIXTURE_H


#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "unit.h"
#include "sprox_store.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>


/* One whole answer. */

typedef struct {
    sprox_rc_t   rc;
    int          status;
    char        *body;
    size_t       len;
    char         etag[128];
    char         headers[1024];
    char         what[128];
    int          err;
    char         code[64];         /* of an error document */
} test_answer_t;


static char        test_root[64];
static int         test_plain;        /* as without openat2() */
static unit_mem_t  test_mem;


static inline int
test_unlink(const char *path, const struct stat *st, int type,
    struct FTW *ftw)
{
    (void) st;
    (void) type;
    (void) ftw;

    return remove(path);
}


static inline int
test_setup(void **state)
{
    (void) state;

    snprintf(test_root, sizeof(test_root), "/tmp/sprox-store-XXXXXX");
    unit_mem_init(&test_mem, 0);

    if (mkdtemp(test_root) == NULL) {
        return -1;
    }

    return chmod(test_root, 0755);
}


static inline int
test_teardown(void **state)
{
    (void) state;

    assert_int_equal(test_mem.live, 0);

    return nftw(test_root, test_unlink, 16, FTW_DEPTH|FTW_PHYS);
}


static inline sprox_str_t
test_root_str(void)
{
    return sprox_str_make(test_root, strlen(test_root));
}


static inline const char *
test_path(const char *path)
{
    static char  buf[4][PATH_MAX];
    static int   i;

    i = (i + 1) % 4;
    snprintf(buf[i], PATH_MAX, "%s/%s", test_root, path);

    return buf[i];
}


/* Makes the directories above path; not through symbolic links. */

static inline int
test_above(const char *path)
{
    char         buf[PATH_MAX], *p;
    struct stat  st;

    snprintf(buf, sizeof(buf), "%s", test_path(path));

    for (p = buf + strlen(test_root) + 1; (p = strchr(p, '/')); p++) {
        *p = '\0';

        if (mkdir(buf, 0755) == -1
            && (errno != EEXIST || lstat(buf, &st) == -1
                || !S_ISDIR(st.st_mode)))
        {
            return -1;
        }

        *p = '/';
    }

    return 0;
}


static inline int
test_write(const char *path, const char *data, size_t len)
{
    int  fd;

    if (test_above(path) == -1) {
        return -1;
    }

    fd = open(test_path(path), O_WRONLY|O_CREAT|O_TRUNC|O_NOFOLLOW, 0644);
    if (fd == -1) {
        return -1;
    }

    assert_int_equal(write(fd, data, len), len);
    close(fd);

    return 0;
}


/* An old time, so that a read need not wait for it to pass. */

static inline void
test_age(const char *path)
{
    struct timespec  times[2] = { { 1000000000, 1 }, { 1000000000, 1 } };

    assert_int_equal(utimensat(AT_FDCWD, test_path(path), times, 0), 0);
}


static inline void
test_file(const char *path, const char *text)
{
    assert_int_equal(test_write(path, text, strlen(text)), 0);
    test_age(path);
}


static inline void
test_headers(test_answer_t *a, const sprox_store_answer_t *answer)
{
    size_t                       i;
    const sprox_store_header_t  *h;

    a->headers[0] = '\0';
    a->etag[0] = '\0';

    for (i = 0; i < answer->nheaders; i++) {
        h = &answer->headers[i];

        assert_true(h->value.len < SPROX_STORE_VALUE_MAX);

        sprintf(a->headers + strlen(a->headers), "%.*s: %.*s\n",
                (int) h->name.len, (char *) h->name.data,
                (int) h->value.len, (char *) h->value.data);

        if (sprox_str_eq(h->name, S("ETag"))) {
            sprintf(a->etag, "%.*s", (int) h->value.len,
                    (char *) h->value.data);
        }
    }
}


static inline void
test_error_code(test_answer_t *a)
{
    char  *p;

    a->code[0] = '\0';

    p = strstr(a->body, "<Code>");
    if (p) {
        sscanf(p, "<Code>%63[^<]", a->code);
    }
}


/* All steps of one op. */

static inline sprox_rc_t
test_run_op(sprox_store_op_t *op, test_answer_t *a)
{
    sprox_rc_t                   rc;
    const sprox_store_answer_t  *answer;

    do {
        rc = sprox_store_step(op);
        answer = sprox_store_answer(op);

        if (rc != SPROX_OK && rc != SPROX_DONE) {
            break;
        }

        a->body = realloc(a->body, a->len + answer->len + 1);

        if (answer->len) {
            memcpy(a->body + a->len, answer->data, answer->len);
            a->len += answer->len;
        }

        if (a->len % 2) {
            sprox_store_used(op);
        }

    } while (rc == SPROX_OK);

    if (a->body) {
        a->body[a->len] = '\0';
        test_error_code(a);
    }

    a->status = answer->status;
    a->err = answer->err;
    snprintf(a->what, sizeof(a->what), "%s", answer->what ? answer->what : "");
    test_headers(a, answer);

    return rc;
}


static inline void
test_run(const sprox_origin_req_t *req, test_answer_t *a)
{
    sprox_store_op_t  *op;

    memset(a, 0, sizeof(test_answer_t));

    op = sprox_store_create(&test_mem.mem, test_root_str(), req);
    assert_non_null(op);

    if (test_plain) {
        sprox_store_plain(op);
    }

    a->rc = test_run_op(op, a);

    sprox_store_free(op);
    assert_int_equal(test_mem.live, 0);
}


static inline void
test_req(sprox_origin_req_t *req, sprox_op_t op, const char *bucket,
    sprox_str_t key)
{
    memset(req, 0, sizeof(sprox_origin_req_t));

    req->op = op;
    req->bucket = sprox_str_make(bucket, strlen(bucket));
    req->key = key;
}


static inline void
test_get(const char *bucket, const char *key, test_answer_t *a)
{
    sprox_origin_req_t  req;

    test_req(&req, SPROX_OP_GET_OBJECT, bucket,
             sprox_str_make(key, strlen(key)));
    test_run(&req, a);
}


#endif /* SPROX_STORE_FIXTURE_H */
