/*
 * Percent-coding as S3 uses it (RFC 3986 section 2; S3 API, "Signing and
 * authenticating REST requests", UriEncode()).
 */

#ifndef SPROX_URI_H
#define SPROX_URI_H


#include "sprox_buf.h"


/*
 * Appends s with everything but A-Z a-z 0-9 - . _ ~ as %XX in upper case;
 * '/' too stays when keep_slash is set.
 */
void sprox_uri_encode(sprox_buf_t *out, sprox_str_t s, int keep_slash);

/*
 * Decodes each %XX once; with plus_is_space, '+' becomes a space (queries
 * only).  dst must have room for s.len bytes and may be s.data itself.
 * A '%' that two hexadecimal digits do not follow: SPROX_INVALID.
 */
sprox_rc_t sprox_uri_decode(sprox_str_t s, int plus_is_space, uint8_t *dst,
    size_t *len);


/*
 * An endpoint: scheme://host[:port][/].  The strings point into the text.
 * host: a DNS name, an IPv4 address or a bracketed IPv6 address (without
 * the brackets in `host`); authority: host[:port] as it goes into a Host
 * header, without a port that is the scheme's default.
 */

typedef struct {
    unsigned     tls:1;
    unsigned     ipv6:1;
    unsigned     ipv4:1;
    sprox_str_t  host;
    uint16_t     port;
    sprox_str_t  authority;
} sprox_endpoint_t;

/* SPROX_OK, or SPROX_INVALID with *why set to a short static text. */
sprox_rc_t sprox_endpoint_parse(sprox_str_t text, sprox_endpoint_t *ep,
    const char **why);


#endif /* SPROX_URI_H */
