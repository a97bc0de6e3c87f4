/*
 * Names of buckets: which are legal in an origin, and which one a Host
 * header means in virtual-hosted style.
 *
 *   host     logs.s3.example.com:9000
 *            ----                      bucket
 *                 --------------       domain, of sprox_domain
 *                               ----- port, ignored
 */

#include "sprox_op.h"


#define SPROX_IPV4_GROUPS       4
#define SPROX_IPV4_DIGITS_MAX   3


static int
sprox_bucket_edge(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}


/* Four groups of one to three digits: S3 refuses whatever looks like it. */

int
sprox_bucket_ipv4(sprox_str_t s)
{
    size_t  i, digits, groups;

    digits = 0;
    groups = 1;

    for (i = 0; i < s.len; i++) {

        if (s.data[i] == '.') {
            if (digits == 0) {
                return 0;
            }

            groups++;
            digits = 0;
            continue;
        }

        if (s.data[i] < '0' || s.data[i] > '9'
            || ++digits > SPROX_IPV4_DIGITS_MAX)
        {
            return 0;
        }
    }

    return groups == SPROX_IPV4_GROUPS && digits > 0;
}


int
sprox_bucket_valid(sprox_str_t bucket)
{
    size_t   i;
    uint8_t  c;

    if (bucket.len < SPROX_BUCKET_MIN || bucket.len > SPROX_BUCKET_MAX) {
        return 0;
    }

    if (!sprox_bucket_edge(bucket.data[0])
        || !sprox_bucket_edge(bucket.data[bucket.len - 1]))
    {
        return 0;
    }

    for (i = 0; i < bucket.len; i++) {
        c = bucket.data[i];

        if (c == '.') {
            if (bucket.data[i - 1] == '.') {
                return 0;
            }

            continue;
        }

        if (c != '-' && !sprox_bucket_edge(c)) {
            return 0;
        }
    }

    return !sprox_bucket_ipv4(bucket);
}


/* The host without ":port" and without the dot of a fully qualified name. */

static sprox_str_t
sprox_vhost_name(sprox_str_t host)
{
    size_t  i;

    for (i = host.len; i > 0; i--) {
        if (host.data[i - 1] == ':') {
            host.len = i - 1;
            break;
        }

        if (host.data[i - 1] < '0' || host.data[i - 1] > '9') {
            break;
        }
    }

    if (host.len > 0 && host.data[host.len - 1] == '.') {
        host.len--;
    }

    return host;
}


sprox_rc_t
sprox_vhost_bucket(sprox_str_t host, sprox_str_t domain, sprox_str_t *bucket)
{
    size_t       len;
    sprox_str_t  name;

    name = sprox_vhost_name(host);

    /* at least one byte and a dot before the domain */

    if (domain.len == 0 || name.len < domain.len + 2) {
        return SPROX_NOT_FOUND;
    }

    len = name.len - domain.len - 1;

    if (name.data[len] != '.'
        || !sprox_str_case_eq(sprox_str_from(name, len + 1), domain))
    {
        return SPROX_NOT_FOUND;
    }

    *bucket = sprox_str_make(name.data, len);

    return SPROX_OK;
}
