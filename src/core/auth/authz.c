/*
 * Reading the signature that a client sent.
 *
 *   AWS4-HMAC-SHA256 Credential=AKID/20130524/us-east-1/s3/aws4_request,
 *       SignedHeaders=host;x-amz-date, Signature=f0e8...
 *
 * Signers differ in what they write between the parts ("," or ", ") and in
 * their order; S3 takes both.
 */

#include "sprox_sigv4.h"


#define SPROX_AUTHZ_DATE_LEN   8


typedef struct {
    sprox_str_t  name;
    sprox_rc_t   (*read)(sprox_str_t value, sprox_authz_t *authz);
} sprox_authz_part_t;


static sprox_rc_t sprox_authz_signed_headers(sprox_str_t value,
    sprox_authz_t *authz);
static sprox_rc_t sprox_authz_signature(sprox_str_t value,
    sprox_authz_t *authz);
static int sprox_authz_split(sprox_str_t *rest, sprox_str_t *last);
static int sprox_authz_visible(sprox_str_t s);


static const sprox_authz_part_t  sprox_authz_parts[] = {
    { sprox_str("Credential"), sprox_authz_credential },
    { sprox_str("SignedHeaders"), sprox_authz_signed_headers },
    { sprox_str("Signature"), sprox_authz_signature }
};

#define SPROX_AUTHZ_PARTS                                                     \
    (sizeof(sprox_authz_parts) / sizeof(sprox_authz_parts[0]))


sprox_rc_t
sprox_authz_parse(sprox_str_t value, sprox_authz_t *authz)
{
    size_t       i, end, equals;
    unsigned     seen;
    sprox_str_t  rest, part;

    static const sprox_str_t  algorithm = sprox_str("AWS4-HMAC-SHA256");

    memset(authz, 0, sizeof(sprox_authz_t));

    value = sprox_str_trim(value);

    if (!sprox_str_starts(value, algorithm)) {
        return SPROX_INVALID;
    }

    rest = sprox_str_from(value, algorithm.len);

    if (rest.len == 0 || (rest.data[0] != ' ' && rest.data[0] != '\t')) {
        return SPROX_INVALID;
    }

    seen = 0;

    while (rest.len != 0) {

        end = sprox_str_find(rest, sprox_str_lit(","), 0);

        if (end == (size_t) -1) {
            end = rest.len;
        }

        part = sprox_str_trim(sprox_str_make(rest.data, end));
        rest = sprox_str_from(rest, end + 1);

        equals = sprox_str_find(part, sprox_str_lit("="), 0);

        if (equals == (size_t) -1) {
            return SPROX_INVALID;
        }

        for (i = 0; i < SPROX_AUTHZ_PARTS; i++) {
            if (sprox_str_eq(sprox_str_make(part.data, equals),
                             sprox_authz_parts[i].name))
            {
                break;
            }
        }

        if (i == SPROX_AUTHZ_PARTS || (seen & (1U << i))) {
            return SPROX_INVALID;
        }

        seen |= 1U << i;

        if (sprox_authz_parts[i].read(sprox_str_from(part, equals + 1), authz)
            != SPROX_OK)
        {
            return SPROX_INVALID;
        }
    }

    return (seen == (1U << SPROX_AUTHZ_PARTS) - 1) ? SPROX_OK : SPROX_INVALID;
}


/* From the right: an access key may hold '/', the scope never does. */

sprox_rc_t
sprox_authz_credential(sprox_str_t value, sprox_authz_t *authz)
{
    size_t       i;
    sprox_str_t  end;

    if (!sprox_authz_visible(value)
        || !sprox_authz_split(&value, &end)
        || !sprox_str_eq(end, sprox_str_lit("aws4_request"))
        || !sprox_authz_split(&value, &authz->service)
        || !sprox_authz_split(&value, &authz->region)
        || !sprox_authz_split(&value, &authz->date)
        || value.len == 0
        || authz->date.len != SPROX_AUTHZ_DATE_LEN)
    {
        return SPROX_INVALID;
    }

    for (i = 0; i < authz->date.len; i++) {
        if (authz->date.data[i] < '0' || authz->date.data[i] > '9') {
            return SPROX_INVALID;
        }
    }

    authz->access_key = value;

    return SPROX_OK;
}


/* Cuts "/last", which may not be empty, off the end. */

static int
sprox_authz_split(sprox_str_t *rest, sprox_str_t *last)
{
    size_t  i;

    for (i = rest->len; i > 0; i--) {
        if (rest->data[i - 1] == '/') {
            break;
        }
    }

    if (i == 0 || i == rest->len) {
        return 0;
    }

    *last = sprox_str_from(*rest, i);
    rest->len = i - 1;

    return 1;
}


static int
sprox_authz_visible(sprox_str_t s)
{
    size_t  i;

    for (i = 0; i < s.len; i++) {
        if (s.data[i] <= ' ' || s.data[i] >= 0x7f) {
            return 0;
        }
    }

    return s.len != 0;
}


/* Names in lower case, none empty. */

static sprox_rc_t
sprox_authz_signed_headers(sprox_str_t value, sprox_authz_t *authz)
{
    size_t   i;
    uint8_t  c, before;

    if (!sprox_authz_visible(value)) {
        return SPROX_INVALID;
    }

    before = ';';

    for (i = 0; i < value.len; i++) {

        c = value.data[i];

        if ((c >= 'A' && c <= 'Z') || c == ':' || (c == ';' && before == ';'))
        {
            return SPROX_INVALID;
        }

        before = c;
    }

    if (before == ';') {
        return SPROX_INVALID;
    }

    authz->signed_headers = value;

    return SPROX_OK;
}


static sprox_rc_t
sprox_authz_signature(sprox_str_t value, sprox_authz_t *authz)
{
    size_t   i;
    uint8_t  c;

    if (value.len != SPROX_SIGV4_LEN) {
        return SPROX_INVALID;
    }

    for (i = 0; i < value.len; i++) {

        c = value.data[i];

        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) {
            return SPROX_INVALID;
        }
    }

    authz->signature = value;

    return SPROX_OK;
}
