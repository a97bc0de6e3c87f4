/*
 * Credential providers as state machines: each says what it wants to know
 * (a file, an environment variable), the caller performs it and hands the
 * answer in.  The network providers (imds, ecs, web_identity) will plug in
 * as further providers with a further kind of wish.
 *
 *   sprox_cred_init(&c, mem, SPROX_CRED_CHAIN, profile);
 *   while ((rc = sprox_cred_next(&c, &want)) == SPROX_AGAIN) {
 *       ... getenv(want.name) or read the file want.name ...
 *       sprox_cred_answer(&c, found, value);
 *   }
 *   SPROX_OK: c.credential holds;  SPROX_NOT_FOUND: no provider had any,
 *   c.why says what was looked for;  SPROX_INVALID: c.why says what is wrong
 *   and where (file, line), without any secret.
 *
 * The order: AWS_ACCESS_KEY_ID and its secret, then the profile in the
 * credentials file, then the profile in the config file; a place that has
 * but one of the two keys is an error.  The region: AWS_REGION,
 * AWS_DEFAULT_REGION, then the profile's.
 */

#ifndef SPROX_CRED_H
#define SPROX_CRED_H


#include "sprox_dialect.h"


#define SPROX_CRED_FILE_MAX      (256 * 1024)
#define SPROX_CRED_VALUE_MAX     8192


typedef enum {
    SPROX_CRED_ANONYMOUS = 0,
    SPROX_CRED_STATIC,
    SPROX_CRED_ENV,
    SPROX_CRED_SHARED,
    SPROX_CRED_CHAIN               /* env, then shared */
} sprox_cred_kind_t;


typedef enum {
    SPROX_WANT_ENV = 1,            /* the value of a variable */
    SPROX_WANT_FILE                /* the content of a file */
} sprox_cred_want_kind_t;


typedef struct {
    sprox_cred_want_kind_t  kind;
    sprox_str_t             name;      /* NUL-terminated beyond its length */
} sprox_cred_want_t;


typedef struct {
    /* out */
    sprox_credential_t  credential;    /* owned; see sprox_cred_free() */
    sprox_str_t         region;        /* of the profile or AWS_REGION; may
                                          be empty; owned */
    sprox_buf_t         why;           /* text for the log */

    /* in */
    sprox_cred_kind_t   kind;
    sprox_str_t         profile;       /* empty: AWS_PROFILE or "default" */

    /* private to cred.c */
    const sprox_mem_t  *mem;
    unsigned            state;
    sprox_str_t         env_profile;   /* AWS_PROFILE */
    sprox_str_t         path;
    sprox_str_t         config_path;
} sprox_cred_t;


/* profile is not copied: it must live as long as c. */
void sprox_cred_init(sprox_cred_t *c, const sprox_mem_t *mem,
    sprox_cred_kind_t kind, sprox_str_t profile);

/*
 * What SPROX_CRED_STATIC holds; token may be empty.  Copied.  SPROX_OK,
 * SPROX_NOMEM, or SPROX_INVALID with c->why: a key is empty, too long or
 * holds what no key has.
 */
sprox_rc_t sprox_cred_static(sprox_cred_t *c, sprox_str_t access_key,
    sprox_str_t secret_key, sprox_str_t token);

/*
 * SPROX_AGAIN: *want is to be answered; see above; the name is valid until
 * the answer.  SPROX_NOMEM: may be called again.
 */
sprox_rc_t sprox_cred_next(sprox_cred_t *c, sprox_cred_want_t *want);

/*
 * The value is read during the call and may be wiped after it.  found: 0
 * when the variable is not set, or there is no such file; an empty variable
 * counts as not set.  A file of which more than SPROX_CRED_FILE_MAX bytes
 * are handed in is refused.  SPROX_OK; SPROX_INVALID, as from next();
 * SPROX_NOMEM: the same question is still open.
 */
sprox_rc_t sprox_cred_answer(sprox_cred_t *c, int found, sprox_str_t value);

/* Wipes and frees everything. */
void sprox_cred_free(sprox_cred_t *c);


/*
 * One profile out of an AWS credentials or config file (ini; "[name]", or
 * "[profile name]" and "[default]" when config is set; '#' and ';' comments,
 * also behind a space at the end of a line; nested settings, which are
 * indented deeper, are passed over; CRLF).  Strings point into text.  The
 * last definition of a key wins.  SPROX_OK, SPROX_NOT_FOUND (no such
 * profile), SPROX_INVALID with *line (1-based) for a line that is no ini,
 * SPROX_LIMIT (SPROX_CRED_FILE_MAX).
 */

typedef struct {
    sprox_str_t  access_key;
    sprox_str_t  secret_key;
    sprox_str_t  token;
    sprox_str_t  region;
} sprox_profile_t;

sprox_rc_t sprox_profile_parse(sprox_str_t text, sprox_str_t profile,
    int config, sprox_profile_t *out, unsigned *line);


#endif /* SPROX_CRED_H */
