/*
 * Credentials: the ini reader, and the chain over a table of variables and
 * files.
 */

#include "unit.h"
#include "sprox_cred.h"


#define ID      "AKIAIOSFODNN7EXAMPLE"
#define SECRET  "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
#define NO      { NULL, NULL }


typedef struct {
    const char  *name;
    const char  *value;
} pair_t;


typedef struct {
    const char         *title;
    sprox_cred_kind_t   kind;
    const char         *profile;
    pair_t              world[10];      /* variables, and files by path */

    sprox_rc_t          rc;
    const char         *id;
    const char         *secret;
    const char         *token;
    const char         *region;
    const char         *why;            /* a part of it */
    const char         *asked;          /* initials of what was asked for */
} case_t;


static const case_t  cases[] = {
    { "anonymous", SPROX_CRED_ANONYMOUS, "",
      { { "AWS_ACCESS_KEY_ID", ID }, { "AWS_SECRET_ACCESS_KEY", SECRET }, NO },
      SPROX_OK, "", "", "", "", NULL, "" },

    { "env, all", SPROX_CRED_ENV, "",
      { { "AWS_ACCESS_KEY_ID", ID }, { "AWS_SECRET_ACCESS_KEY", SECRET },
        { "AWS_SESSION_TOKEN", "tok" }, { "AWS_REGION", "eu-west-1" },
        { "AWS_DEFAULT_REGION", "us-west-1" }, NO },
      SPROX_OK, ID, SECRET, "tok", "eu-west-1", NULL, "istr" },

    { "env, default region", SPROX_CRED_ENV, "",
      { { "AWS_ACCESS_KEY_ID", ID }, { "AWS_SECRET_ACCESS_KEY", SECRET },
        { "AWS_REGION", "" }, { "AWS_DEFAULT_REGION", "us-west-1" }, NO },
      SPROX_OK, ID, SECRET, "", "us-west-1", NULL, "istrd" },

    { "env, nothing", SPROX_CRED_ENV, "", { NO },
      SPROX_NOT_FOUND, "", "", "", "", "AWS_ACCESS_KEY_ID is not set",
      "isrd" },

    { "env, empty is not set", SPROX_CRED_ENV, "",
      { { "AWS_ACCESS_KEY_ID", "" }, { "AWS_SECRET_ACCESS_KEY", "" }, NO },
      SPROX_NOT_FOUND, "", "", "", "", "AWS_ACCESS_KEY_ID is not set",
      "isrd" },

    { "env, no secret", SPROX_CRED_ENV, "",
      { { "AWS_ACCESS_KEY_ID", ID }, NO },
      SPROX_INVALID, "", "", "", "",
      "AWS_ACCESS_KEY_ID is set, AWS_SECRET_ACCESS_KEY is not", "is" },

    { "chain, no secret", SPROX_CRED_CHAIN, "",
      { { "AWS_ACCESS_KEY_ID", ID }, { "AWS_SECRET_ACCESS_KEY", "" },
        { "HOME", "/h" }, { "/h/.aws/credentials", "[default]\n"
          "aws_access_key_id=a\naws_secret_access_key=b\n" }, NO },
      SPROX_INVALID, "", "", "", "",
      "AWS_ACCESS_KEY_ID is set, AWS_SECRET_ACCESS_KEY is not", "is" },

    { "env, no id", SPROX_CRED_ENV, "",
      { { "AWS_SECRET_ACCESS_KEY", SECRET }, NO },
      SPROX_INVALID, "", "", "", "",
      "AWS_SECRET_ACCESS_KEY is set, AWS_ACCESS_KEY_ID is not", "is" },

    { "env, a newline behind the secret", SPROX_CRED_ENV, "",
      { { "AWS_ACCESS_KEY_ID", ID },
        { "AWS_SECRET_ACCESS_KEY", SECRET "\n" }, NO },
      SPROX_INVALID, "", "", "", "",
      "AWS_SECRET_ACCESS_KEY holds a space or another character", "is" },

    { "env, a bad token", SPROX_CRED_ENV, "",
      { { "AWS_ACCESS_KEY_ID", ID }, { "AWS_SECRET_ACCESS_KEY", SECRET },
        { "AWS_SESSION_TOKEN", "a\r\nX: y" }, NO },
      SPROX_INVALID, "", "", "", "", "AWS_SESSION_TOKEN holds", "ist" },

    { "env, a bad region", SPROX_CRED_ENV, "",
      { { "AWS_ACCESS_KEY_ID", ID }, { "AWS_SECRET_ACCESS_KEY", SECRET },
        { "AWS_REGION", "EU" }, NO },
      SPROX_INVALID, "", "", "", "", "AWS_REGION is no name of a region",
      "istr" },

    { "shared, standard places", SPROX_CRED_SHARED, "",
      { { "AWS_ACCESS_KEY_ID", "unused" }, { "HOME", "/h" },
        { "/h/.aws/credentials", "[default]\naws_access_key_id = " ID "\n"
          "aws_secret_access_key = " SECRET "\naws_session_token = t\n" },
        { "/h/.aws/config", "[default]\nregion = eu-west-1\n"
          "aws_access_key_id = other\naws_secret_access_key = other\n" }, NO },
      SPROX_OK, ID, SECRET, "t", "eu-west-1", NULL, "rdpfchFC" },

    { "shared, region of the environment: no need of the config",
      SPROX_CRED_SHARED, "",
      { { "AWS_REGION", "eu-west-1" }, { "HOME", "/h" },
        { "/h/.aws/credentials", "[default]\naws_access_key_id = " ID "\n"
          "aws_secret_access_key = " SECRET "\n" }, NO },
      SPROX_OK, ID, SECRET, "", "eu-west-1", NULL, "rpfchF" },

    { "shared, keys of the config", SPROX_CRED_SHARED, "lake",
      { { "HOME", "/h" }, { "AWS_PROFILE", "unused" },
        { "/h/.aws/credentials", "[default]\naws_access_key_id = x\n"
          "aws_secret_access_key = y\n" },
        { "/h/.aws/config", "[profile lake]\naws_access_key_id = " ID "\n"
          "aws_secret_access_key = " SECRET "\n" }, NO },
      SPROX_OK, ID, SECRET, "", "", NULL, "rdfchFC" },

    { "shared, AWS_PROFILE and other files", SPROX_CRED_SHARED, "",
      { { "AWS_PROFILE", "lake" },
        { "AWS_SHARED_CREDENTIALS_FILE", "/etc/c" },
        { "AWS_CONFIG_FILE", "/etc/f" },
        { "/etc/c", "[lake]\naws_access_key_id=" ID "\n"
          "aws_secret_access_key=" SECRET "\nregion=us-east-2\n" },
        { "/etc/f", "[profile lake]\nregion=eu-west-1\n" }, NO },
      SPROX_OK, ID, SECRET, "", "us-east-2", NULL, "rdpfcF" },

    { "shared, a tilde", SPROX_CRED_SHARED, "",
      { { "HOME", "/h" }, { "AWS_SHARED_CREDENTIALS_FILE", "~/c" },
        { "AWS_CONFIG_FILE", "/etc/f" },
        { "/h/c", "[default]\naws_access_key_id=" ID "\n"
          "aws_secret_access_key=" SECRET "\n" }, NO },
      SPROX_OK, ID, SECRET, "", "", NULL, "rdpfchFC" },

    { "shared, no home", SPROX_CRED_SHARED, "", { NO },
      SPROX_NOT_FOUND, "", "", "", "", "HOME is not set", "rdpfch" },

    { "shared, no files", SPROX_CRED_SHARED, "", { { "HOME", "/h" }, NO },
      SPROX_NOT_FOUND, "", "", "", "",
      "no keys of profile \"default\" in /h/.aws/credentials, /h/.aws/config",
      "rdpfchFC" },

    { "shared, half a pair", SPROX_CRED_SHARED, "",
      { { "HOME", "/h" },
        { "/h/.aws/credentials", "[default]\naws_access_key_id=" ID "\n" },
        { "/h/.aws/config", "[default]\naws_access_key_id=" ID "\n"
          "aws_secret_access_key=" SECRET "\n" }, NO },
      SPROX_INVALID, "", "", "", "", "aws_access_key_id has no "
      "aws_secret_access_key in profile \"default\" of /h/.aws/credentials",
      "rdpfchF" },

    { "shared, the other half", SPROX_CRED_SHARED, "",
      { { "HOME", "/h" }, { "/h/.aws/credentials",
          "[default]\naws_secret_access_key=" SECRET "\n" }, NO },
      SPROX_INVALID, "", "", "", "", "aws_secret_access_key has no", "rdpfchF"
    },

    { "shared, no ini", SPROX_CRED_SHARED, "",
      { { "HOME", "/h" }, { "/h/.aws/credentials",
          "[default]\n\n" SECRET "\n" }, NO },
      SPROX_INVALID, "", "", "", "", "/h/.aws/credentials, line 3: ",
      "rdpfchF" },

    { "shared, a bad region", SPROX_CRED_SHARED, "",
      { { "HOME", "/h" }, { "/h/.aws/credentials",
          "[default]\nregion=eu west\n" }, NO },
      SPROX_INVALID, "", "", "", "", "region is no name of a region in "
      "profile \"default\"", "rdpfchF" },

    { "shared, a bad key", SPROX_CRED_SHARED, "",
      { { "HOME", "/h" }, { "/h/.aws/credentials",
          "[default]\naws_access_key_id=" ID "\n"
          "aws_secret_access_key=a b\n" }, NO },
      SPROX_INVALID, "", "", "", "", "aws_secret_access_key holds", "rdpfchF"
    },

    { "shared, a name that would break the log", SPROX_CRED_SHARED, "a\nb",
      { { "HOME", "/h" }, NO },
      SPROX_NOT_FOUND, "", "", "", "", "profile \"a?b\"", "rdfchFC" },

    { "shared, a path with a newline", SPROX_CRED_SHARED, "",
      { { "AWS_CONFIG_FILE", "a\nb" }, NO },
      SPROX_INVALID, "", "", "", "", "AWS_CONFIG_FILE holds a control",
      "rdpfc" },

    { "chain, env wins", SPROX_CRED_CHAIN, "",
      { { "AWS_ACCESS_KEY_ID", ID }, { "AWS_SECRET_ACCESS_KEY", SECRET },
        { "HOME", "/h" },
        { "/h/.aws/credentials", "[default]\naws_access_key_id=x\n"
          "aws_secret_access_key=y\naws_session_token=z\n" },
        { "/h/.aws/config", "[default]\nregion=eu-west-1\n"
          "aws_session_token=z\n" }, NO },
      SPROX_OK, ID, SECRET, "", "eu-west-1", NULL, "istrdpfchC" },

    { "chain, env is all", SPROX_CRED_CHAIN, "",
      { { "AWS_ACCESS_KEY_ID", ID }, { "AWS_SECRET_ACCESS_KEY", SECRET },
        { "AWS_REGION", "eu-west-1" }, NO },
      SPROX_OK, ID, SECRET, "", "eu-west-1", NULL, "istr" },

    { "chain, shared", SPROX_CRED_CHAIN, "",
      { { "HOME", "/h" }, { "AWS_SESSION_TOKEN", "stray" },
        { "/h/.aws/credentials", "[default]\naws_access_key_id=" ID "\n"
          "aws_secret_access_key=" SECRET "\n" }, NO },
      SPROX_OK, ID, SECRET, "", "", NULL, "isrdpfchFC" },

    { "chain, a broken config wipes", SPROX_CRED_CHAIN, "",
      { { "AWS_ACCESS_KEY_ID", ID }, { "AWS_SECRET_ACCESS_KEY", SECRET },
        { "HOME", "/h" }, { "/h/.aws/config", "[default\n" }, NO },
      SPROX_INVALID, "", "", "", "", "/h/.aws/config, line 1: ",
      "istrdpfchC" },

    { "chain, nothing", SPROX_CRED_CHAIN, "", { NO },
      SPROX_NOT_FOUND, "", "", "", "",
      "no credentials; AWS_ACCESS_KEY_ID is not set; HOME is not set",
      "isrdpfch" }
};


static const char *
look_up(const case_t *t, sprox_str_t name)
{
    size_t  i;

    assert_int_equal(name.data[name.len], '\0');

    for (i = 0; t->world[i].name != NULL; i++) {
        if (name.len == strlen(t->world[i].name)
            && memcmp(name.data, t->world[i].name, name.len) == 0)
        {
            return t->world[i].value;
        }
    }

    return NULL;
}


static char
initial(const sprox_cred_want_t *want, const sprox_cred_t *c)
{
    static const pair_t  names[] = {
        { "AWS_ACCESS_KEY_ID", "i" }, { "AWS_SECRET_ACCESS_KEY", "s" },
        { "AWS_SESSION_TOKEN", "t" }, { "AWS_REGION", "r" },
        { "AWS_DEFAULT_REGION", "d" }, { "AWS_PROFILE", "p" },
        { "AWS_SHARED_CREDENTIALS_FILE", "f" }, { "AWS_CONFIG_FILE", "c" },
        { "HOME", "h" }
    };

    size_t  i;

    if (want->kind == SPROX_WANT_FILE) {
        return want->name.data == c->path.data ? 'F' : 'C';
    }

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp((const char *) want->name.data, names[i].name) == 0) {
            return names[i].value[0];
        }
    }

    return '?';
}


/* Goes through the machine; the answers' memory is wiped after each. */

static sprox_rc_t
run(sprox_cred_t *c, const case_t *t, char *asked)
{
    char               *copy;
    size_t              n, len;
    sprox_rc_t          rc, answer;
    const char         *value;
    sprox_cred_want_t   want;

    n = 0;

    while ((rc = sprox_cred_next(c, &want)) == SPROX_AGAIN) {

        asked[n++] = initial(&want, c);
        asked[n] = '\0';
        assert_true(n < 30);

        value = look_up(t, want.name);

        if (value == NULL) {
            answer = sprox_cred_answer(c, 0, sprox_str_null);

        } else {
            len = strlen(value);
            copy = malloc(len + 1);
            memcpy(copy, value, len);
            answer = sprox_cred_answer(c, 1, sprox_str_make(copy, len));
            memset(copy, 'x', len);
            free(copy);
        }

        if (answer != SPROX_OK) {
            return answer;
        }
    }

    return rc;
}


static void
assert_field(sprox_str_t s, const char *text)
{
    if (text[0] == '\0') {
        assert_int_equal(s.len, 0);
        assert_null(s.data);
        return;
    }

    assert_str(s, text);
}


static int
contains(sprox_str_t s, const char *text)
{
    return sprox_str_find(s, sprox_str_make(text, strlen(text)), 0)
           != (size_t) -1;
}


static void
test_cases(void **state)
{
    char                asked[64];
    size_t              i;
    sprox_rc_t          rc;
    unit_mem_t          um;
    sprox_cred_t        c;
    const case_t       *t;
    sprox_cred_want_t   want;

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        t = &cases[i];

        unit_mem_init(&um, 0);
        sprox_cred_init(&c, &um.mem, t->kind,
                        sprox_str_make(t->profile, strlen(t->profile)));

        asked[0] = '\0';
        rc = run(&c, t, asked);

        if (rc != t->rc || strcmp(asked, t->asked) != 0) {
            fail_msg("%s: %d, asked %s, why %.*s", t->title, rc, asked,
                     (int) c.why.len, (const char *) c.why.data);
        }

        assert_field(c.credential.access_key, t->id);
        assert_field(c.credential.secret_key, t->secret);
        assert_field(c.credential.token, t->token);
        assert_int_equal(c.credential.anonymous,
                         t->kind == SPROX_CRED_ANONYMOUS);

        if (rc == SPROX_OK) {
            assert_field(c.region, t->region);
        }

        if (t->why != NULL) {
            if (!contains(sprox_buf_get(&c.why), t->why)) {
                fail_msg("%s: why %.*s", t->title, (int) c.why.len,
                         (const char *) c.why.data);
            }

            assert_false(contains(sprox_buf_get(&c.why), SECRET));
            assert_false(contains(sprox_buf_get(&c.why), ID));
        }

        /* asked once more, it says the same */

        assert_int_equal(sprox_cred_next(&c, &want), t->rc);

        sprox_cred_free(&c);
        sprox_cred_free(&c);
        assert_int_equal(um.live, 0);
    }
}


static sprox_rc_t
work(const sprox_mem_t *mem, void *data)
{
    char          asked[64];
    sprox_rc_t    rc;
    sprox_cred_t  c;

    sprox_cred_init(&c, mem, ((const case_t *) data)->kind, sprox_str_null);

    rc = run(&c, data, asked);

    /* every end but a lack of memory counts as one for the counting loop */

    if (rc == SPROX_INVALID || rc == SPROX_NOT_FOUND) {
        rc = SPROX_OK;
    }

    sprox_cred_free(&c);

    return rc;
}


static void
test_alloc(void **state)
{
    size_t  i;

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        (void) unit_each_alloc_fails(work, (void *) &cases[i]);
    }
}


/* One failure, and then the same question again: nothing is lost. */

static void *
once_alloc(void *ctx, size_t size)
{
    long  *left = ctx;

    if (--*left == 0) {
        return NULL;
    }

    return malloc(size);
}


static void
once_free(void *ctx, void *p)
{
    (void) ctx;
    free(p);
}


static void
test_again(void **state)
{
    char               asked[64];
    long               left;
    size_t             i, n;
    sprox_rc_t         rc;
    sprox_mem_t        mem = { once_alloc, once_free, &left };
    sprox_cred_t       c;
    const case_t      *t;

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        t = &cases[i];

        for (n = 1; n < 20; n++) {
            left = (long) n;
            sprox_cred_init(&c, &mem, t->kind,
                            sprox_str_make(t->profile, strlen(t->profile)));

            rc = run(&c, t, asked);

            if (rc == SPROX_NOMEM) {
                rc = run(&c, t, asked);
            }

            assert_int_equal(rc, t->rc);
            assert_field(c.credential.access_key, t->id);
            assert_field(c.credential.secret_key, t->secret);
            assert_field(c.credential.token, t->token);

            if (rc == SPROX_OK) {
                assert_field(c.region, t->region);
            }

            if (t->why != NULL) {
                assert_true(contains(sprox_buf_get(&c.why), t->why));
            }

            sprox_cred_free(&c);
        }
    }
}


static sprox_rc_t
work_static(const sprox_mem_t *mem, void *data)
{
    sprox_rc_t         rc;
    sprox_cred_t       c;
    sprox_cred_want_t  want;

    (void) data;

    sprox_cred_init(&c, mem, SPROX_CRED_STATIC, sprox_str_null);
    rc = sprox_cred_static(&c, S(ID), S(SECRET), S("tok"));

    if (rc == SPROX_OK) {
        assert_int_equal(sprox_cred_next(&c, &want), SPROX_OK);
        assert_str(c.credential.access_key, ID);
        assert_str(c.credential.secret_key, SECRET);
        assert_str(c.credential.token, "tok");

    } else {
        assert_null(c.credential.access_key.data);
    }

    sprox_cred_free(&c);

    return rc;
}


static void
test_static(void **state)
{
    size_t             i;
    unit_mem_t         um;
    sprox_cred_t       c;
    sprox_cred_want_t  want;

    static const struct {
        sprox_str_t  id, secret, token;
    } bad[] = {
        { sprox_str(""), sprox_str(SECRET), sprox_str("") },
        { sprox_str(ID), sprox_str(""), sprox_str("") },
        { sprox_str("a b"), sprox_str(SECRET), sprox_str("") },
        { sprox_str(ID), sprox_str("a\n"), sprox_str("") },
        { sprox_str(ID), sprox_str(SECRET), sprox_str("t\xff") }
    };

    (void) state;

    assert_int_equal(unit_each_alloc_fails(work_static, NULL), 3);

    unit_mem_init(&um, 0);

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        sprox_cred_init(&c, &um.mem, SPROX_CRED_STATIC, sprox_str_null);
        assert_int_equal(sprox_cred_static(&c, bad[i].id, bad[i].secret,
                                           bad[i].token), SPROX_INVALID);
        assert_int_equal(sprox_cred_next(&c, &want), SPROX_INVALID);
        assert_null(c.credential.access_key.data);
        assert_null(c.credential.secret_key.data);
        assert_true(c.why.len != 0);
        assert_false(contains(sprox_buf_get(&c.why), SECRET));
        sprox_cred_free(&c);
    }

    sprox_cred_init(&c, &um.mem, SPROX_CRED_STATIC, sprox_str_null);
    assert_int_equal(sprox_cred_next(&c, &want), SPROX_NOT_FOUND);
    sprox_cred_free(&c);

    assert_int_equal(um.live, 0);
}


static void
test_limits(void **state)
{
    char               *big;
    unit_mem_t          um;
    sprox_cred_t        c;
    sprox_cred_want_t   want;

    (void) state;

    big = malloc(SPROX_CRED_FILE_MAX + 1);
    memset(big, '\n', SPROX_CRED_FILE_MAX + 1);

    unit_mem_init(&um, 0);
    sprox_cred_init(&c, &um.mem, SPROX_CRED_ENV, sprox_str_null);
    assert_int_equal(sprox_cred_next(&c, &want), SPROX_AGAIN);
    assert_int_equal(sprox_cred_answer(&c, 1,
                         sprox_str_make(big, SPROX_CRED_VALUE_MAX + 1)),
                     SPROX_INVALID);
    assert_true(contains(sprox_buf_get(&c.why),
                         "AWS_ACCESS_KEY_ID is longer than 8192 bytes"));
    assert_int_equal(sprox_cred_answer(&c, 1, S("x")), SPROX_INVALID);
    sprox_cred_free(&c);

    sprox_cred_init(&c, &um.mem, SPROX_CRED_SHARED, S("p"));

    while (sprox_cred_next(&c, &want) == SPROX_AGAIN
           && want.kind == SPROX_WANT_ENV)
    {
        assert_int_equal(sprox_cred_answer(&c, 1, S("/x")),
                         want.name.len == 10 ? SPROX_INVALID : SPROX_OK);
        if (c.state == (unsigned) -1) {
            break;
        }
    }

    sprox_cred_free(&c);

    sprox_cred_init(&c, &um.mem, SPROX_CRED_SHARED, S("p"));

    while (sprox_cred_next(&c, &want) == SPROX_AGAIN
           && want.kind == SPROX_WANT_ENV)
    {
        assert_int_equal(sprox_cred_answer(&c, want.name.len == 4, S("/x")),
                         SPROX_OK);
    }

    assert_str(want.name, "/x/.aws/credentials");
    assert_int_equal(sprox_cred_answer(&c, 1,
                         sprox_str_make(big, SPROX_CRED_FILE_MAX + 1)),
                     SPROX_INVALID);
    assert_true(contains(sprox_buf_get(&c.why),
                         "/x/.aws/credentials is larger than 262144 bytes"));
    sprox_cred_free(&c);

    assert_int_equal(um.live, 0);
    free(big);
}


/* Memory that held a secret is given back empty. */

static char  last_freed[64];


static void *
wide_alloc(void *ctx, size_t size)
{
    (void) ctx;

    return calloc(1, size < 64 ? 64 : size);
}


static void
watch_free(void *ctx, void *p)
{
    (void) ctx;

    if (p != NULL) {
        memcpy(last_freed, p, sizeof(last_freed));
        assert_true(strstr(last_freed, "wJalr") == NULL);
    }

    free(p);
}


static void
test_wiped(void **state)
{
    char          asked[64];
    size_t        i;
    sprox_cred_t  c;

    static const sprox_mem_t  mem = { wide_alloc, watch_free, NULL };

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        sprox_cred_init(&c, &mem, cases[i].kind, sprox_str_null);
        (void) run(&c, &cases[i], asked);
        sprox_cred_free(&c);
    }
}


static void
test_profile(void **state)
{
    size_t           i;
    unsigned         line;
    sprox_profile_t  p;

    static const struct {
        const char  *text;
        int          config;
        sprox_rc_t   rc;
        const char  *id;            /* or the number of the line */
        const char  *secret;
    } rows[] = {
        { "[p]\naws_access_key_id=a\naws_secret_access_key=b", 0, SPROX_OK,
          "a", "b" },
        { "\xef\xbb\xbf[p]\r\nAWS_Access_Key_ID =\ta \r\n"
          "aws_secret_access_key= b==\r\n", 0, SPROX_OK, "a", "b==" },
        { "# c\n; c\n\n   # c\n[ p ] # c\naws_access_key_id = a # c\n"
          "aws_secret_access_key = b#c ;c\n", 0, SPROX_OK, "a", "b#c" },
        { "[q]\naws_access_key_id=x\n[p]\naws_access_key_id=a\n[r]\n"
          "aws_secret_access_key=x\n", 0, SPROX_OK, "a", "" },
        { "[p]\naws_access_key_id=a\n[p]\naws_access_key_id=b\n", 0, SPROX_OK,
          "b", "" },
        { "[p]\ns3 =\n  aws_access_key_id = nested\n\n\tx = y\n"
          "aws_access_key_id = a\n", 0, SPROX_OK, "a", "" },
        { "[p]\n  aws_access_key_id = a\n  aws_secret_access_key = b\n"
          "    deeper\n  [q]\n  aws_access_key_id = c\n", 0, SPROX_OK,
          "a", "b" },
        { "[p]\naws_access_key_id=\n", 0, SPROX_OK, "", "" },
        { "[profile p]\naws_access_key_id=a\n", 0, SPROX_NOT_FOUND, "", "" },
        { "[profile p]\naws_access_key_id=a\n", 1, SPROX_OK, "a", "" },
        { "[profile\t \"p\"]\naws_access_key_id=a\n", 1, SPROX_OK, "a", "" },
        { "[p]\naws_access_key_id=a\n", 1, SPROX_NOT_FOUND, "", "" },
        { "[profilep]\naws_access_key_id=a\n", 1, SPROX_NOT_FOUND, "", "" },
        { "[sso-session p]\naws_access_key_id=a\n", 1, SPROX_NOT_FOUND,
          "", "" },
        { "[default]\naws_access_key_id=a\n", 1, SPROX_NOT_FOUND, "", "" },
        { "", 0, SPROX_NOT_FOUND, "", "" },
        { "\n\r\n \n", 0, SPROX_NOT_FOUND, "", "" },
        { "[p]", 0, SPROX_OK, "", "" },
        { "a=b\n", 0, SPROX_INVALID, "1", "" },
        { "[p]\nx\n", 0, SPROX_INVALID, "2", "" },
        { "[p]\n=x\n", 0, SPROX_INVALID, "2", "" },
        { "[p\n", 0, SPROX_INVALID, "1", "" },
        { "\n\n[]\n", 0, SPROX_INVALID, "3", "" },
        { "[ ]\n", 0, SPROX_INVALID, "1", "" },
        { "[p]x\n", 0, SPROX_INVALID, "1", "" },
        { "[p]\naws_access_key_id=a\n[q]\nbroken\n", 0, SPROX_INVALID,
          "4", "" }
    };

    (void) state;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        sprox_rc_t  rc = sprox_profile_parse(
                             sprox_str_make(rows[i].text,
                                            strlen(rows[i].text)),
                             S("p"), rows[i].config, &p, &line);

        if (rc != rows[i].rc) {
            fail_msg("row %zu: %d, line %u", i, rc, line);
        }

        if (rc == SPROX_INVALID) {
            assert_int_equal(line, atoi(rows[i].id));
            assert_int_equal(p.access_key.len, 0);
            continue;
        }

        assert_int_equal(p.access_key.len, strlen(rows[i].id));
        assert_int_equal(p.secret_key.len, strlen(rows[i].secret));

        if (p.access_key.len != 0) {
            assert_str(p.access_key, rows[i].id);
        }

        if (p.secret_key.len != 0) {
            assert_str(p.secret_key, rows[i].secret);
        }
    }

    assert_int_equal(sprox_profile_parse(
                         S("[default]\naws_access_key_id=a\n"
                           "[profile default]\nregion=r\n"),
                         S("default"), 1, &p, &line), SPROX_OK);
    assert_str(p.access_key, "a");
    assert_str(p.region, "r");

    assert_int_equal(sprox_profile_parse(
                         S("[profile 'my name']\naws_session_token=a\n"),
                         S("my name"), 1, &p, &line), SPROX_OK);
    assert_str(p.token, "a");

    assert_int_equal(sprox_profile_parse(sprox_str_null, S("p"), 0, &p, &line),
                     SPROX_NOT_FOUND);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_profile),
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_alloc),
        cmocka_unit_test(test_again),
        cmocka_unit_test(test_static),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_wiped)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
