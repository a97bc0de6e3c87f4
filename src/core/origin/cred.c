/*
 * Where keys come from.  One table of steps, gone through in order; each is
 * one question to the caller, who alone may read files and variables.
 *
 *   AWS_ACCESS_KEY_ID             env, chain
 *   AWS_SECRET_ACCESS_KEY         env, chain
 *   AWS_SESSION_TOKEN             when both were there
 *   AWS_REGION                    all
 *   AWS_DEFAULT_REGION            while there is no region
 *   AWS_PROFILE                   shared, chain: unless configured
 *   AWS_SHARED_CREDENTIALS_FILE   shared, chain
 *   AWS_CONFIG_FILE               shared, chain
 *   HOME                          when one of the two needs it
 *   <credentials file>            while there are no keys
 *   <config file>                 while there are no keys or no region
 *      |
 *      +-- SPROX_OK: both keys are there
 *      `-- SPROX_NOT_FOUND
 *
 * A step that meets something wrong goes to the state BAD, which wipes what
 * was found so far.  A step that gets no memory changes nothing and is
 * simply asked again.
 */

#include "sprox_cred.h"
#include "sprox_digest.h"


#define SPROX_CRED_STATE_BAD   ((unsigned) -1)


typedef struct {
    sprox_cred_want_kind_t   kind;
    sprox_str_t              name;     /* of the variable */
    int                    (*skip)(const sprox_cred_t *c);
    sprox_rc_t             (*take)(sprox_cred_t *c, sprox_str_t name,
                                   sprox_str_t value);
} sprox_cred_step_t;


static sprox_rc_t sprox_cred_take_id(sprox_cred_t *c, sprox_str_t name,
    sprox_str_t value);
static sprox_rc_t sprox_cred_take_secret(sprox_cred_t *c, sprox_str_t name,
    sprox_str_t value);
static sprox_rc_t sprox_cred_take_token(sprox_cred_t *c, sprox_str_t name,
    sprox_str_t value);
static sprox_rc_t sprox_cred_take_region(sprox_cred_t *c, sprox_str_t name,
    sprox_str_t value);
static sprox_rc_t sprox_cred_take_profile(sprox_cred_t *c, sprox_str_t name,
    sprox_str_t value);
static sprox_rc_t sprox_cred_take_path(sprox_cred_t *c, sprox_str_t name,
    sprox_str_t value);
static sprox_rc_t sprox_cred_take_config_path(sprox_cred_t *c,
    sprox_str_t name, sprox_str_t value);
static sprox_rc_t sprox_cred_take_home(sprox_cred_t *c, sprox_str_t name,
    sprox_str_t value);
static sprox_rc_t sprox_cred_take_file(sprox_cred_t *c, sprox_str_t name,
    sprox_str_t value);
static sprox_rc_t sprox_cred_take_config(sprox_cred_t *c, sprox_str_t name,
    sprox_str_t value);

static sprox_rc_t sprox_cred_text(sprox_cred_t *c, sprox_str_t *field,
    sprox_str_t name, sprox_str_t value);
static sprox_rc_t sprox_cred_key(sprox_cred_t *c, sprox_str_t *field,
    sprox_str_t name, sprox_str_t value);
static sprox_rc_t sprox_cred_take_ini(sprox_cred_t *c, sprox_str_t path,
    int config, sprox_str_t text);
static sprox_rc_t sprox_cred_take_keys(sprox_cred_t *c, sprox_str_t path,
    const sprox_profile_t *p);
static sprox_rc_t sprox_cred_resolve(const sprox_cred_t *c, sprox_str_t home,
    sprox_str_t path, const char *standard, sprox_str_t *out);
static sprox_rc_t sprox_cred_not_found(sprox_cred_t *c);
static sprox_rc_t sprox_cred_bad(sprox_cred_t *c);
static void sprox_cred_where(sprox_cred_t *c, sprox_str_t path);
static void sprox_cred_quote(sprox_buf_t *out, sprox_str_t s);
static void sprox_cred_drop(const sprox_mem_t *mem, sprox_str_t *s);
static void sprox_cred_drop_keys(sprox_cred_t *c);


static inline int
sprox_cred_complete(const sprox_cred_t *c)
{
    return c->credential.access_key.len != 0
           && c->credential.secret_key.len != 0;
}


/* Which questions need not be asked. */


static int
sprox_cred_skip_env(const sprox_cred_t *c)
{
    return c->kind == SPROX_CRED_SHARED;
}


static int
sprox_cred_skip_token(const sprox_cred_t *c)
{
    return c->kind == SPROX_CRED_SHARED || !sprox_cred_complete(c);
}


static int
sprox_cred_skip_region(const sprox_cred_t *c)
{
    return c->region.len != 0;
}


static int
sprox_cred_skip_shared(const sprox_cred_t *c)
{
    return c->kind == SPROX_CRED_ENV
           || (sprox_cred_complete(c) && c->region.len != 0);
}


static int
sprox_cred_skip_profile(const sprox_cred_t *c)
{
    return sprox_cred_skip_shared(c) || c->profile.len != 0;
}


static int
sprox_cred_skip_home(const sprox_cred_t *c)
{
    sprox_str_t  tilde;

    tilde = sprox_str_lit("~/");

    return sprox_cred_skip_shared(c)
           || (c->path.len != 0 && !sprox_str_starts(c->path, tilde)
               && c->config_path.len != 0
               && !sprox_str_starts(c->config_path, tilde));
}


static int
sprox_cred_skip_file(const sprox_cred_t *c)
{
    return sprox_cred_skip_shared(c) || sprox_cred_complete(c)
           || c->path.len == 0;
}


static int
sprox_cred_skip_config(const sprox_cred_t *c)
{
    return sprox_cred_skip_shared(c) || c->config_path.len == 0;
}


static const sprox_cred_step_t  sprox_cred_steps[] = {
    { SPROX_WANT_ENV, sprox_str("AWS_ACCESS_KEY_ID"),
      sprox_cred_skip_env, sprox_cred_take_id },
    { SPROX_WANT_ENV, sprox_str("AWS_SECRET_ACCESS_KEY"),
      sprox_cred_skip_env, sprox_cred_take_secret },
    { SPROX_WANT_ENV, sprox_str("AWS_SESSION_TOKEN"),
      sprox_cred_skip_token, sprox_cred_take_token },
    { SPROX_WANT_ENV, sprox_str("AWS_REGION"),
      sprox_cred_skip_region, sprox_cred_take_region },
    { SPROX_WANT_ENV, sprox_str("AWS_DEFAULT_REGION"),
      sprox_cred_skip_region, sprox_cred_take_region },
    { SPROX_WANT_ENV, sprox_str("AWS_PROFILE"),
      sprox_cred_skip_profile, sprox_cred_take_profile },
    { SPROX_WANT_ENV, sprox_str("AWS_SHARED_CREDENTIALS_FILE"),
      sprox_cred_skip_shared, sprox_cred_take_path },
    { SPROX_WANT_ENV, sprox_str("AWS_CONFIG_FILE"),
      sprox_cred_skip_shared, sprox_cred_take_config_path },
    { SPROX_WANT_ENV, sprox_str("HOME"),
      sprox_cred_skip_home, sprox_cred_take_home },
    { SPROX_WANT_FILE, sprox_str(""),
      sprox_cred_skip_file, sprox_cred_take_file },
    { SPROX_WANT_FILE, sprox_str(""),
      sprox_cred_skip_config, sprox_cred_take_config }
};

#define SPROX_CRED_STEPS                                                      \
    (sizeof(sprox_cred_steps) / sizeof(sprox_cred_steps[0]))

#define SPROX_CRED_STEP_CONFIG   (SPROX_CRED_STEPS - 1)


static inline sprox_str_t
sprox_cred_profile(const sprox_cred_t *c)
{
    if (c->profile.len != 0) {
        return c->profile;
    }

    return (c->env_profile.len != 0) ? c->env_profile
                                     : sprox_str_lit("default");
}


void
sprox_cred_init(sprox_cred_t *c, const sprox_mem_t *mem,
    sprox_cred_kind_t kind, sprox_str_t profile)
{
    memset(c, 0, sizeof(sprox_cred_t));

    c->kind = kind;
    c->profile = profile;
    c->mem = mem;

    sprox_buf_init(&c->why, mem);
}


sprox_rc_t
sprox_cred_static(sprox_cred_t *c, sprox_str_t access_key,
    sprox_str_t secret_key, sprox_str_t token)
{
    sprox_rc_t  rc;

    if (access_key.len == 0 || secret_key.len == 0) {
        sprox_buf_text(&c->why, "static credentials need an access key and a "
                                "secret key");
        return sprox_cred_bad(c);
    }

    rc = sprox_cred_key(c, &c->credential.access_key,
                        sprox_str_lit("the access key"), access_key);
    if (rc == SPROX_OK) {
        rc = sprox_cred_key(c, &c->credential.secret_key,
                            sprox_str_lit("the secret key"), secret_key);
    }

    if (rc == SPROX_OK) {
        rc = sprox_cred_key(c, &c->credential.token,
                            sprox_str_lit("the session token"), token);
    }

    if (rc != SPROX_OK) {
        sprox_cred_drop_keys(c);
    }

    return rc;
}


sprox_rc_t
sprox_cred_next(sprox_cred_t *c, sprox_cred_want_t *want)
{
    const sprox_cred_step_t  *step;

    if (c->state == SPROX_CRED_STATE_BAD) {
        return SPROX_INVALID;
    }

    if (c->kind == SPROX_CRED_ANONYMOUS) {
        c->credential.anonymous = 1;
        return SPROX_OK;
    }

    if (c->kind == SPROX_CRED_STATIC) {
        return sprox_cred_complete(c) ? SPROX_OK : sprox_cred_not_found(c);
    }

    for ( /* void */ ; c->state < SPROX_CRED_STEPS; c->state++) {

        step = &sprox_cred_steps[c->state];

        if (step->skip(c)) {
            continue;
        }

        want->kind = step->kind;
        want->name = step->name;

        if (step->kind == SPROX_WANT_FILE) {
            want->name = (c->state == SPROX_CRED_STEP_CONFIG) ? c->config_path
                                                              : c->path;
        }

        return SPROX_AGAIN;
    }

    return sprox_cred_complete(c) ? SPROX_OK : sprox_cred_not_found(c);
}


sprox_rc_t
sprox_cred_answer(sprox_cred_t *c, int found, sprox_str_t value)
{
    sprox_rc_t                rc;
    const sprox_cred_step_t  *step;

    if (c->state >= SPROX_CRED_STEPS) {
        return SPROX_INVALID;
    }

    step = &sprox_cred_steps[c->state];

    if (!found) {

        /* an empty file says no less than none */

        value = sprox_str_null;

    } else if (step->kind == SPROX_WANT_ENV
               && value.len > SPROX_CRED_VALUE_MAX)
    {
        sprox_buf_str(&c->why, step->name);
        sprox_buf_text(&c->why, " is longer than ");
        sprox_buf_u64(&c->why, SPROX_CRED_VALUE_MAX);
        sprox_buf_text(&c->why, " bytes");

        return sprox_cred_bad(c);
    }

    rc = step->take(c, step->name, value);

    if (rc == SPROX_OK) {
        c->state++;
    }

    return rc;
}


void
sprox_cred_free(sprox_cred_t *c)
{
    sprox_cred_drop_keys(c);

    sprox_cred_drop(c->mem, &c->region);
    sprox_cred_drop(c->mem, &c->env_profile);
    sprox_cred_drop(c->mem, &c->path);
    sprox_cred_drop(c->mem, &c->config_path);

    sprox_buf_wipe(&c->why);
}


/* What the answers are good for. */


static sprox_rc_t
sprox_cred_take_id(sprox_cred_t *c, sprox_str_t name,
    sprox_str_t value)
{
    return sprox_cred_key(c, &c->credential.access_key, name, value);
}


static sprox_rc_t
sprox_cred_take_secret(sprox_cred_t *c, sprox_str_t name,
    sprox_str_t value)
{
    if ((c->credential.access_key.len == 0) == (value.len == 0)) {
        return sprox_cred_key(c, &c->credential.secret_key, name, value);
    }

    sprox_buf_text(&c->why, (value.len == 0)
                   ? "AWS_ACCESS_KEY_ID is set, AWS_SECRET_ACCESS_KEY is not"
                   : "AWS_SECRET_ACCESS_KEY is set, AWS_ACCESS_KEY_ID is not");

    return sprox_cred_bad(c);
}


static sprox_rc_t
sprox_cred_take_token(sprox_cred_t *c, sprox_str_t name,
    sprox_str_t value)
{
    return sprox_cred_key(c, &c->credential.token, name, value);
}


static sprox_rc_t
sprox_cred_take_region(sprox_cred_t *c, sprox_str_t name,
    sprox_str_t value)
{
    if (value.len == 0 || sprox_region_valid(value)) {
        return sprox_cred_text(c, &c->region, name, value);
    }

    sprox_buf_str(&c->why, name);
    sprox_buf_text(&c->why, " is no name of a region");

    return sprox_cred_bad(c);
}


static sprox_rc_t
sprox_cred_take_profile(sprox_cred_t *c, sprox_str_t name,
    sprox_str_t value)
{
    return sprox_cred_text(c, &c->env_profile, name, value);
}


static sprox_rc_t
sprox_cred_take_path(sprox_cred_t *c, sprox_str_t name,
    sprox_str_t value)
{
    return sprox_cred_text(c, &c->path, name, value);
}


static sprox_rc_t
sprox_cred_take_config_path(sprox_cred_t *c, sprox_str_t name,
    sprox_str_t value)
{
    return sprox_cred_text(c, &c->config_path, name, value);
}


static sprox_rc_t
sprox_cred_take_home(sprox_cred_t *c, sprox_str_t name,
    sprox_str_t value)
{
    sprox_rc_t   rc;
    sprox_str_t  path, config_path;

    (void) name;
    if (value.len == 0 || sprox_str_find(value, sprox_str_make("", 1), 0)
                          != (size_t) -1)
    {
        return SPROX_OK;
    }

    rc = sprox_cred_resolve(c, value, c->path, "/.aws/credentials", &path);
    if (rc != SPROX_OK) {
        return rc;
    }

    rc = sprox_cred_resolve(c, value, c->config_path, "/.aws/config",
                            &config_path);
    if (rc != SPROX_OK) {
        sprox_cred_drop(c->mem, &path);
        return rc;
    }

    sprox_cred_drop(c->mem, &c->path);
    sprox_cred_drop(c->mem, &c->config_path);

    c->path = path;
    c->config_path = config_path;

    return SPROX_OK;
}


/* A path without "~/", or the standard one below home. */

static sprox_rc_t
sprox_cred_resolve(const sprox_cred_t *c, sprox_str_t home, sprox_str_t path,
    const char *standard, sprox_str_t *out)
{
    sprox_buf_t  b;

    sprox_buf_init(&b, c->mem);

    if (path.len == 0) {
        sprox_buf_str(&b, home);
        sprox_buf_text(&b, standard);

    } else if (sprox_str_starts(path, sprox_str_lit("~/"))) {
        sprox_buf_str(&b, home);
        sprox_buf_str(&b, sprox_str_from(path, 1));

    } else {
        sprox_buf_str(&b, path);
    }

    sprox_buf_char(&b, '\0');

    if (sprox_buf_rc(&b) != SPROX_OK) {
        sprox_buf_free(&b);
        return SPROX_NOMEM;
    }

    /* the memory goes from the buffer to the string, which owns it */

    *out = sprox_str_make(b.data, b.len - 1);

    return SPROX_OK;
}


static sprox_rc_t
sprox_cred_take_file(sprox_cred_t *c, sprox_str_t name,
    sprox_str_t value)
{
    (void) name;

    return sprox_cred_take_ini(c, c->path, 0, value);
}


static sprox_rc_t
sprox_cred_take_config(sprox_cred_t *c, sprox_str_t name,
    sprox_str_t value)
{
    (void) name;

    return sprox_cred_take_ini(c, c->config_path, 1, value);
}


static sprox_rc_t
sprox_cred_take_ini(sprox_cred_t *c, sprox_str_t path, int config,
    sprox_str_t text)
{
    unsigned         line;
    sprox_rc_t       rc;
    sprox_profile_t  p;

    rc = sprox_profile_parse(text, sprox_cred_profile(c), config, &p, &line);

    switch (rc) {

    case SPROX_OK:
        break;

    case SPROX_NOT_FOUND:
        return SPROX_OK;

    case SPROX_LIMIT:
        sprox_cred_quote(&c->why, path);
        sprox_buf_text(&c->why, " is larger than ");
        sprox_buf_u64(&c->why, SPROX_CRED_FILE_MAX);
        sprox_buf_text(&c->why, " bytes");

        return sprox_cred_bad(c);

    default:
        sprox_cred_quote(&c->why, path);
        sprox_buf_text(&c->why, ", line ");
        sprox_buf_u64(&c->why, line);
        sprox_buf_text(&c->why, ": neither a section nor \"name = value\"");

        return sprox_cred_bad(c);
    }

    if (c->region.len == 0 && p.region.len != 0
        && !sprox_region_valid(p.region))
    {
        sprox_buf_text(&c->why, "region is no name of a region");
        sprox_cred_where(c, path);
        return sprox_cred_bad(c);
    }

    /* keys last: without memory the file is asked for again, if it has none */

    if (c->region.len == 0) {

        rc = sprox_cred_text(c, &c->region, sprox_str_lit("region"), p.region);
        if (rc != SPROX_OK) {
            return rc;
        }
    }

    return sprox_cred_complete(c) ? SPROX_OK
                                  : sprox_cred_take_keys(c, path, &p);
}


static sprox_rc_t
sprox_cred_take_keys(sprox_cred_t *c, sprox_str_t path,
    const sprox_profile_t *p)
{
    sprox_rc_t  rc;

    if ((p->access_key.len == 0) != (p->secret_key.len == 0)) {

        sprox_buf_text(&c->why, (p->secret_key.len == 0)
                       ? "aws_access_key_id has no aws_secret_access_key"
                       : "aws_secret_access_key has no aws_access_key_id");
        sprox_cred_where(c, path);

        return sprox_cred_bad(c);
    }

    if (p->access_key.len == 0) {
        return SPROX_OK;
    }

    rc = sprox_cred_key(c, &c->credential.access_key,
                        sprox_str_lit("aws_access_key_id"), p->access_key);
    if (rc == SPROX_OK) {
        rc = sprox_cred_key(c, &c->credential.token,
                            sprox_str_lit("aws_session_token"), p->token);
    }

    if (rc == SPROX_OK) {
        rc = sprox_cred_key(c, &c->credential.secret_key,
                            sprox_str_lit("aws_secret_access_key"),
                            p->secret_key);
    }

    if (rc != SPROX_OK) {
        sprox_cred_drop_keys(c);
    }

    return rc;
}


/* A copy of the value, which may hold anything but control characters. */

static sprox_rc_t
sprox_cred_text(sprox_cred_t *c, sprox_str_t *field, sprox_str_t name,
    sprox_str_t value)
{
    size_t       i;
    sprox_str_t  copy;

    if (value.len == 0) {
        return SPROX_OK;
    }

    for (i = 0; i < value.len; i++) {

        if (value.data[i] < 0x20 || value.data[i] == 0x7f) {
            sprox_buf_str(&c->why, name);
            sprox_buf_text(&c->why, " holds a control character");
            return sprox_cred_bad(c);
        }
    }

    copy = sprox_str_dup(c->mem, value);
    if (copy.data == NULL) {
        return SPROX_NOMEM;
    }

    sprox_cred_drop(c->mem, field);
    *field = copy;

    return SPROX_OK;
}


/* As above, for what goes into headers: visible ASCII only. */

static sprox_rc_t
sprox_cred_key(sprox_cred_t *c, sprox_str_t *field, sprox_str_t name,
    sprox_str_t value)
{
    size_t  i;

    if (value.len > SPROX_CRED_VALUE_MAX) {
        sprox_buf_str(&c->why, name);
        sprox_buf_text(&c->why, " is longer than ");
        sprox_buf_u64(&c->why, SPROX_CRED_VALUE_MAX);
        sprox_buf_text(&c->why, " bytes");
        return sprox_cred_bad(c);
    }

    for (i = 0; i < value.len; i++) {

        if (value.data[i] <= ' ' || value.data[i] >= 0x7f) {
            sprox_buf_str(&c->why, name);
            sprox_buf_text(&c->why, " holds a space or another character "
                                    "that no key has");
            return sprox_cred_bad(c);
        }
    }

    return sprox_cred_text(c, field, name, value);
}


static sprox_rc_t
sprox_cred_not_found(sprox_cred_t *c)
{
    sprox_buf_free(&c->why);

    sprox_buf_text(&c->why, "no credentials");

    if (c->kind == SPROX_CRED_ENV || c->kind == SPROX_CRED_CHAIN) {
        sprox_buf_text(&c->why, "; AWS_ACCESS_KEY_ID is not set");
    }

    if (c->kind == SPROX_CRED_SHARED || c->kind == SPROX_CRED_CHAIN) {

        if (c->path.len == 0 && c->config_path.len == 0) {
            sprox_buf_text(&c->why, "; HOME is not set, so that there is no "
                                    "file to look into");

        } else {
            sprox_buf_text(&c->why, "; no keys of profile \"");
            sprox_cred_quote(&c->why, sprox_cred_profile(c));
            sprox_buf_text(&c->why, "\" in ");
            sprox_cred_quote(&c->why, c->path);

            if (c->path.len != 0 && c->config_path.len != 0) {
                sprox_buf_text(&c->why, ", ");
            }

            sprox_cred_quote(&c->why, c->config_path);
        }
    }

    if (sprox_buf_rc(&c->why) != SPROX_OK) {
        sprox_buf_free(&c->why);
        return SPROX_NOMEM;
    }

    return SPROX_NOT_FOUND;
}


/*
 * What is wrong stands in why.  Without memory for the text the step has
 * not been taken: asked again, it will come here again.
 */

static sprox_rc_t
sprox_cred_bad(sprox_cred_t *c)
{
    if (sprox_buf_rc(&c->why) != SPROX_OK) {
        sprox_buf_free(&c->why);
        return SPROX_NOMEM;
    }

    sprox_cred_drop_keys(c);
    c->state = SPROX_CRED_STATE_BAD;

    return SPROX_INVALID;
}


static void
sprox_cred_where(sprox_cred_t *c, sprox_str_t path)
{
    sprox_buf_text(&c->why, " in profile \"");
    sprox_cred_quote(&c->why, sprox_cred_profile(c));
    sprox_buf_text(&c->why, "\" of ");
    sprox_cred_quote(&c->why, path);
}


/* For a log line: no control characters. */

static void
sprox_cred_quote(sprox_buf_t *out, sprox_str_t s)
{
    size_t  i;

    for (i = 0; i < s.len; i++) {
        sprox_buf_char(out, (s.data[i] < 0x20 || s.data[i] == 0x7f)
                            ? '?' : s.data[i]);
    }
}


static void
sprox_cred_drop(const sprox_mem_t *mem, sprox_str_t *s)
{
    void  *p;

    if (s->data == NULL) {
        return;
    }

    /* owned here, so that taking const off is in order */

    p = (void *) (uintptr_t) s->data;

    sprox_wipe(p, s->len);
    sprox_free(mem, p);

    *s = sprox_str_null;
}


static void
sprox_cred_drop_keys(sprox_cred_t *c)
{
    sprox_cred_drop(c->mem, &c->credential.access_key);
    sprox_cred_drop(c->mem, &c->credential.secret_key);
    sprox_cred_drop(c->mem, &c->credential.token);
}
