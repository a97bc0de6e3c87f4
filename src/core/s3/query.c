/*
 * The query of a request, split at '&' and '=', then decoded once.
 *
 *   raw      a=1&&b=%2B+c&d        (empty parts are passed over)
 *
 *   block    | arg a | arg b | arg d | a 1 b + c d ... |
 *              args[0]                 decoded bytes, never longer than raw
 *
 * Splitting comes before decoding: %26 and %3D are bytes of a value.
 */

#include "sprox_query.h"
#include "sprox_uri.h"


static size_t
sprox_query_part(sprox_str_t raw, size_t off)
{
    const uint8_t  *p;

    if (off >= raw.len) {
        return raw.len;
    }

    p = memchr(raw.data + off, '&', raw.len - off);

    return p == NULL ? raw.len : (size_t) (p - raw.data);
}


static size_t
sprox_query_count(sprox_str_t raw)
{
    size_t  n, off, end;

    n = 0;

    for (off = 0; off < raw.len; off = end + 1) {
        end = sprox_query_part(raw, off);

        if (end > off) {
            n++;
        }
    }

    return n;
}


static sprox_rc_t
sprox_query_decode(sprox_str_t s, uint8_t **bytes, sprox_str_t *out)
{
    size_t      len;
    sprox_rc_t  rc;

    len = 0;

    rc = sprox_uri_decode(s, 1, *bytes, &len);
    if (rc != SPROX_OK) {
        return rc;
    }

    *out = sprox_str_make(*bytes, len);
    *bytes += len;

    return SPROX_OK;
}


static sprox_rc_t
sprox_query_arg(sprox_str_t part, uint8_t **bytes, sprox_query_arg_t *arg)
{
    sprox_rc_t      rc;
    sprox_str_t     name, value;
    const uint8_t  *p;

    name = part;
    value = sprox_str_from(part, part.len);

    p = memchr(part.data, '=', part.len);

    if (p != NULL) {
        name.len = p - part.data;
        value = sprox_str_from(part, name.len + 1);
    }

    rc = sprox_query_decode(name, bytes, &arg->name);
    if (rc != SPROX_OK) {
        return rc;
    }

    return sprox_query_decode(value, bytes, &arg->value);
}


sprox_rc_t
sprox_query_parse(const sprox_mem_t *mem, sprox_str_t raw,
    sprox_query_t *query)
{
    size_t              n, off, end;
    uint8_t            *bytes;
    sprox_rc_t          rc;
    sprox_query_arg_t  *args;

    query->args = NULL;
    query->nargs = 0;

    if (raw.len > SPROX_QUERY_MAX) {
        return SPROX_LIMIT;
    }

    n = sprox_query_count(raw);

    if (n == 0) {
        return SPROX_OK;
    }

    if (n > SPROX_QUERY_ARGS_MAX) {
        return SPROX_LIMIT;
    }

    args = sprox_alloc(mem, n * sizeof(sprox_query_arg_t) + raw.len);
    if (args == NULL) {
        return SPROX_NOMEM;
    }

    bytes = (uint8_t *) (args + n);
    n = 0;

    for (off = 0; off < raw.len; off = end + 1) {
        end = sprox_query_part(raw, off);

        if (end == off) {
            continue;
        }

        rc = sprox_query_arg(sprox_str_make(raw.data + off, end - off),
                             &bytes, &args[n++]);
        if (rc != SPROX_OK) {
            sprox_free(mem, args);
            return rc;
        }
    }

    query->args = args;
    query->nargs = n;

    return SPROX_OK;
}


const sprox_query_arg_t *
sprox_query_get(const sprox_query_t *query, sprox_str_t name)
{
    size_t  i;

    for (i = 0; i < query->nargs; i++) {
        if (sprox_str_eq(query->args[i].name, name)) {
            return &query->args[i];
        }
    }

    return NULL;
}
