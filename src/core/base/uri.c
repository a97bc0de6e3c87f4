/*
 * Percent-coding, and the endpoints that operators write.
 *
 *   https://s3.example.com:9000/        http://[::1]:9000
 *   |  |   |              |    |                |  |
 *   scheme |              |    nothing but '/'  host: ::1
 *          host           port
 *          \-- authority -----/                 authority: [::1]:9000
 */

#include "sprox_uri.h"


#define SPROX_HOST_MAX         253
#define SPROX_LABEL_MAX        63
#define SPROX_IPV6_GROUPS      8
#define SPROX_PORT_MAX         65535
#define SPROX_PORT_HTTP        80
#define SPROX_PORT_HTTPS       443


static int sprox_host_valid(sprox_str_t host, int *address);
static int sprox_ipv4_valid(sprox_str_t s);
static int sprox_ipv6_valid(sprox_str_t s);
static const char *sprox_endpoint_host(sprox_str_t rest, sprox_endpoint_t *ep,
    size_t *end);
static const char *sprox_endpoint_port(sprox_str_t rest, sprox_endpoint_t *ep,
    size_t *end);


static inline int
sprox_uri_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}


static inline int
sprox_uri_alnum(uint8_t c)
{
    return sprox_uri_digit(c) || (c >= 'a' && c <= 'z')
           || (c >= 'A' && c <= 'Z');
}


static inline int
sprox_uri_unreserved(uint8_t c)
{
    return sprox_uri_alnum(c) || c == '-' || c == '.' || c == '_' || c == '~';
}


void
sprox_uri_encode(sprox_buf_t *out, sprox_str_t s, int keep_slash)
{
    size_t   i, from;
    uint8_t  c, escape[3];

    static const uint8_t  hex[] = "0123456789ABCDEF";

    from = 0;
    escape[0] = '%';

    for (i = 0; i < s.len; i++) {

        c = s.data[i];

        if (sprox_uri_unreserved(c) || (c == '/' && keep_slash)) {
            continue;
        }

        if (i != from) {
            sprox_buf_add(out, s.data + from, i - from);
        }

        escape[1] = hex[c >> 4];
        escape[2] = hex[c & 0xf];

        sprox_buf_add(out, escape, sizeof(escape));
        from = i + 1;
    }

    if (s.len != from) {
        sprox_buf_add(out, s.data + from, s.len - from);
    }
}


sprox_rc_t
sprox_uri_decode(sprox_str_t s, int plus_is_space, uint8_t *dst, size_t *len)
{
    int      hi, lo;
    size_t   i, n;
    uint8_t  c;

    n = 0;

    for (i = 0; i < s.len; i++) {

        c = s.data[i];

        if (c == '%') {

            if (s.len - i < 3) {
                return SPROX_INVALID;
            }

            hi = sprox_hex_value(s.data[i + 1]);
            lo = sprox_hex_value(s.data[i + 2]);

            if (hi < 0 || lo < 0) {
                return SPROX_INVALID;
            }

            c = (uint8_t) ((hi << 4) | lo);
            i += 2;

        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }

        dst[n++] = c;
    }

    *len = n;

    return SPROX_OK;
}


/*
 * A DNS name: labels of letters, digits, '-' and '_' (which names of
 * containers have), or an IPv4 address.  A name whose last label is a
 * number can only be meant as an address.
 */

static int
sprox_host_valid(sprox_str_t host, int *address)
{
    int      number;
    size_t   i, label;
    uint8_t  c;

    if (host.len == 0 || host.len > SPROX_HOST_MAX) {
        return 0;
    }

    label = 0;
    number = 1;

    for (i = 0; i < host.len; i++) {

        c = host.data[i];

        if (c == '.') {

            if (i == label || host.data[i - 1] == '-') {
                return 0;
            }

            label = i + 1;
            number = 1;
            continue;
        }

        if (!sprox_uri_alnum(c) && c != '_' && (c != '-' || i == label)) {
            return 0;
        }

        if (i - label >= SPROX_LABEL_MAX) {
            return 0;
        }

        if (!sprox_uri_digit(c)) {
            number = 0;
        }
    }

    if (label == host.len || host.data[host.len - 1] == '-') {
        return 0;
    }

    *address = number;

    return number ? sprox_ipv4_valid(host) : 1;
}


static int
sprox_ipv4_valid(sprox_str_t s)
{
    size_t    i, digits, octets;
    unsigned  n;

    n = 0;
    digits = 0;
    octets = 1;

    for (i = 0; i < s.len; i++) {

        if (s.data[i] == '.') {

            if (digits == 0 || ++octets > 4) {
                return 0;
            }

            n = 0;
            digits = 0;
            continue;
        }

        /* a leading zero is octal to some readers */

        if (!sprox_uri_digit(s.data[i]) || (digits == 1 && n == 0)) {
            return 0;
        }

        n = n * 10 + (unsigned) (s.data[i] - '0');
        digits++;

        if (n > 255) {
            return 0;
        }
    }

    return octets == 4 && digits != 0;
}


/* RFC 4291 section 2.2, without a zone: groups, one "::", an IPv4 tail. */

static int
sprox_ipv6_valid(sprox_str_t s)
{
    size_t    i, start, groups;
    unsigned  gap;

    i = 0;
    gap = 0;
    groups = 0;

    if (s.len >= 2 && s.data[0] == ':' && s.data[1] == ':') {
        gap = 1;
        i = 2;
    }

    while (i < s.len) {

        start = i;

        while (i < s.len && sprox_hex_value(s.data[i]) >= 0) {
            i++;
        }

        if (i < s.len && s.data[i] == '.') {

            if (!sprox_ipv4_valid(sprox_str_from(s, start))) {
                return 0;
            }

            groups += 2;
            break;
        }

        if (i == start || i - start > 4) {
            return 0;
        }

        groups++;

        if (i == s.len) {
            break;
        }

        if (s.data[i++] != ':' || i == s.len) {
            return 0;
        }

        if (s.data[i] == ':') {

            if (gap) {
                return 0;
            }

            gap = 1;
            i++;
        }
    }

    return gap ? groups < SPROX_IPV6_GROUPS : groups == SPROX_IPV6_GROUPS;
}


sprox_rc_t
sprox_endpoint_parse(sprox_str_t text, sprox_endpoint_t *ep, const char **why)
{
    size_t       host_end, end;
    uint16_t     standard;
    sprox_str_t  rest;

    static const sprox_str_t  http = sprox_str("http://");
    static const sprox_str_t  https = sprox_str("https://");

    memset(ep, 0, sizeof(sprox_endpoint_t));

    if (text.len >= https.len
        && sprox_str_case_eq(sprox_str_make(text.data, https.len), https))
    {
        ep->tls = 1;
        standard = SPROX_PORT_HTTPS;
        rest = sprox_str_from(text, https.len);

    } else if (text.len >= http.len
               && sprox_str_case_eq(sprox_str_make(text.data, http.len),
                                    http))
    {
        standard = SPROX_PORT_HTTP;
        rest = sprox_str_from(text, http.len);

    } else {
        *why = "it must begin with http:// or https://";
        return SPROX_INVALID;
    }

    *why = sprox_endpoint_host(rest, ep, &host_end);

    if (*why != NULL) {
        return SPROX_INVALID;
    }

    end = host_end;
    ep->port = standard;

    if (end < rest.len && rest.data[end] == ':') {

        *why = sprox_endpoint_port(rest, ep, &end);

        if (*why != NULL) {
            return SPROX_INVALID;
        }
    }

    if (end != rest.len && (rest.data[end] != '/' || end + 1 != rest.len)) {
        *why = "nothing may follow the host and port";
        return SPROX_INVALID;
    }

    ep->authority = sprox_str_make(rest.data,
                                   (ep->port == standard) ? host_end : end);

    return SPROX_OK;
}


/* Finds the host; *end is behind it.  NULL, or what is wrong. */

static const char *
sprox_endpoint_host(sprox_str_t rest, sprox_endpoint_t *ep, size_t *end)
{
    int     address;
    size_t  i;

    *end = 0;

    if (rest.len != 0 && rest.data[0] == '[') {

        i = sprox_str_find(rest, sprox_str_lit("]"), 1);

        if (i == (size_t) -1) {
            return "the IPv6 address has no closing bracket";
        }

        ep->ipv6 = 1;
        ep->host = sprox_str_make(rest.data + 1, i - 1);
        *end = i + 1;

        return sprox_ipv6_valid(ep->host) ? NULL
                                          : "the IPv6 address is not valid";
    }

    for (i = 0; i < rest.len; i++) {

        if (rest.data[i] == '@') {
            return "user and password are not taken in an endpoint";
        }

        if (rest.data[i] == ':' || rest.data[i] == '/' || rest.data[i] == '?'
            || rest.data[i] == '#')
        {
            break;
        }
    }

    ep->host = sprox_str_make(rest.data, i);
    *end = i;

    if (i == 0) {
        return "the host is missing";
    }

    if (!sprox_host_valid(ep->host, &address)) {
        return "the host is not valid";
    }

    ep->ipv4 = address ? 1 : 0;

    return NULL;
}


/* *end is at the ':' and then behind the port.  NULL, or what is wrong. */

static const char *
sprox_endpoint_port(sprox_str_t rest, sprox_endpoint_t *ep, size_t *end)
{
    size_t       i;
    uint64_t     n;
    sprox_str_t  port;

    for (i = *end + 1; i < rest.len && sprox_uri_digit(rest.data[i]); i++) {
        /* void */
    }

    port = sprox_str_make(rest.data + *end + 1, i - *end - 1);

    /* a leading zero would make the Host header differ from the port */

    if (sprox_str_u64(port, &n) != SPROX_OK || n > SPROX_PORT_MAX
        || port.data[0] == '0')
    {
        return "the port must be 1 to 65535";
    }

    ep->port = (uint16_t) n;
    *end = i;

    return NULL;
}
