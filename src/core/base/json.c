/*
 * JSON in, by jansson.
 *
 * What jansson would take and this must not (depth, number of values) is
 * counted first, in one pass over the bytes that knows no more of JSON than
 * where a string ends: for a document that is none, jansson says so.
 *
 * When memory runs out while it reads a string, jansson goes on without the
 * character that it had no room for.  So the bytes of all strings are counted
 * too, before and after: an object's key is whole, or there is no document.
 *
 * jansson tells an error by the offset, in bytes, up to which it has read.
 * Errors that only the caller can see are told by their path: the places on
 * the way are linked, from the child to the root, and to the string that a
 * document within another came out of.
 */

#include <jansson.h>

#include "sprox_json.h"


#define SPROX_JSON_FLAGS                                                      \
    (JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL)


static const char *const  sprox_json_not[] = {
    "", "is no object", "is no array", "is no string"
};


/* An error's text may quote what it is about: one line, and no controls. */

static void
sprox_json_say(sprox_buf_t *why, const char *text)
{
    for ( /* void */ ; *text; text++) {
        sprox_buf_char(why, ((uint8_t) *text < 0x20 || *text == 0x7f)
                            ? '?' : *text);
    }
}


static void
sprox_json_path(sprox_buf_t *why, const sprox_json_t *json)
{
    if (json == NULL) {
        return;
    }

    sprox_json_path(why, json->parent);

    /* the root of a document is no step, only a way to what is around it */

    if (json->name == NULL && json->index == (size_t) -1) {
        return;
    }

    if (json->name == NULL) {
        sprox_buf_char(why, '[');
        sprox_buf_u64(why, json->index);
        sprox_buf_char(why, ']');
        return;
    }

    if (sprox_buf_get(why).len != 0) {
        sprox_buf_char(why, '.');
    }

    sprox_buf_text(why, json->name);
}


sprox_rc_t
sprox_json_bad(const sprox_json_t *json, const char *is)
{
    sprox_buf_free(json->why);

    sprox_json_path(json->why, json);

    if (sprox_buf_get(json->why).len == 0) {
        sprox_buf_text(json->why, "the document");
    }

    sprox_buf_char(json->why, ' ');
    sprox_buf_text(json->why, is);

    return sprox_buf_rc(json->why) == SPROX_OK ? SPROX_INVALID : SPROX_NOMEM;
}


static sprox_rc_t
sprox_json_bad_at(const sprox_json_t *root, size_t at, const char *text,
    sprox_rc_t rc)
{
    sprox_buf_free(root->why);

    sprox_json_path(root->why, root);

    if (sprox_buf_get(root->why).len != 0) {
        sprox_buf_text(root->why, ", ");
    }

    sprox_buf_text(root->why, "byte ");
    sprox_buf_u64(root->why, at);
    sprox_buf_text(root->why, ": ");
    sprox_json_say(root->why, text);

    return sprox_buf_rc(root->why) == SPROX_OK ? rc : SPROX_NOMEM;
}


/* The bytes that what follows a backslash stands for; *i: its last one. */

static size_t
sprox_json_escape(sprox_str_t text, size_t *i)
{
    int       digit;
    size_t    end;
    uint32_t  c;

    if (++*i >= text.len || text.data[*i] != 'u') {
        return 1;
    }

    c = 0;

    for (end = *i + 4; *i < end && *i + 1 < text.len; ++*i) {

        digit = sprox_hex_value(text.data[*i + 1]);
        if (digit < 0) {
            break;
        }

        c = (c << 4) | (uint32_t) digit;
    }

    /* two that are one character: the first is as long as both */

    if (c >= 0xd800 && c <= 0xdfff) {
        return (c < 0xdc00) ? 4 : 0;
    }

    return (c < 0x80) ? 1 : (c < 0x800) ? 2 : 3;
}


/* *bytes: in all strings together, names among them. */

static sprox_rc_t
sprox_json_bounds(const sprox_json_t *root, sprox_str_t text, size_t max,
    size_t *bytes)
{
    size_t    i, depth, values;
    unsigned  quoted;

    depth = 0;
    values = 0;
    quoted = 0;
    *bytes = 0;

    for (i = 0; i < text.len; i++) {

        if (text.data[i] == '"') {
            quoted = !quoted;
            continue;
        }

        if (quoted) {
            *bytes += (text.data[i] == '\\') ? sprox_json_escape(text, &i) : 1;
            continue;
        }

        switch (text.data[i]) {

        case '{':
        case '[':
            if (++depth > SPROX_JSON_DEPTH_MAX) {
                return sprox_json_bad_at(root, i, "nested too deeply",
                                         SPROX_LIMIT);
            }

            /* fall through */

        case ',':
            if (++values > max) {
                return sprox_json_bad_at(root, i, "too many values",
                                         SPROX_LIMIT);
            }

            break;

        case '}':
        case ']':
            depth -= (depth != 0);
            break;
        }
    }

    return SPROX_OK;
}


/* The same of what jansson has made of it; as deep as bounds() allow. */

static size_t
sprox_json_bytes(json_t *value)
{
    size_t       i, n;
    json_t      *child;
    const char  *name;

    n = json_string_length(value);

    json_object_foreach(value, name, child) {
        n += strlen(name) + sprox_json_bytes(child);
    }

    json_array_foreach(value, i, child) {
        n += sprox_json_bytes(child);
    }

    return n;
}


sprox_rc_t
sprox_json_load(sprox_json_t *root, sprox_str_t text,
    const sprox_json_t *parent, sprox_buf_t *why)
{
    return sprox_json_load_max(root, text, parent, SPROX_JSON_VALUES_MAX,
                               why);
}


sprox_rc_t
sprox_json_load_max(sprox_json_t *root, sprox_str_t text,
    const sprox_json_t *parent, size_t max, sprox_buf_t *why)
{
    size_t        bytes;
    sprox_rc_t    rc;
    json_error_t  error;

    root->value = NULL;
    root->parent = parent;
    root->name = NULL;
    root->index = (size_t) -1;
    root->why = why;

    rc = sprox_json_bounds(root, text, max, &bytes);
    if (rc != SPROX_OK) {
        return rc;
    }

    root->value = json_loadb(text.len ? (const char *) text.data : "",
                             text.len, SPROX_JSON_FLAGS, &error);

    if (root->value != NULL) {

        if (sprox_json_bytes(root->value) == bytes) {
            return SPROX_OK;
        }

        sprox_json_free(root);
        return SPROX_NOMEM;
    }

    /* what jansson has no words for is a want of memory */

    if (error.text[0] == '\0') {
        return SPROX_NOMEM;
    }

    return sprox_json_bad_at(root, (size_t) error.position, error.text,
                             SPROX_INVALID);
}


void
sprox_json_free(sprox_json_t *root)
{
    json_decref(root->value);
    root->value = NULL;
}


sprox_json_kind_t
sprox_json_kind(const sprox_json_t *json)
{
    switch (json_typeof((const json_t *) json->value)) {

    case JSON_OBJECT:
        return SPROX_JSON_OBJECT;

    case JSON_ARRAY:
        return SPROX_JSON_ARRAY;

    case JSON_STRING:
        return SPROX_JSON_STRING;

    default:
        return SPROX_JSON_ANY;
    }
}


static sprox_rc_t
sprox_json_check(const sprox_json_t *json, sprox_json_kind_t kind)
{
    if (kind == SPROX_JSON_ANY || sprox_json_kind(json) == kind) {
        return SPROX_OK;
    }

    return sprox_json_bad(json, sprox_json_not[kind]);
}


sprox_rc_t
sprox_json_get(const sprox_json_t *parent, const char *name,
    sprox_json_kind_t kind, sprox_json_t *child)
{
    child->parent = parent;
    child->name = name;
    child->index = 0;
    child->why = parent->why;
    child->value = json_object_get(parent->value, name);

    if (child->value == NULL || json_is_null((const json_t *) child->value)) {
        return SPROX_NOT_FOUND;
    }

    return sprox_json_check(child, kind);
}


sprox_rc_t
sprox_json_need(const sprox_json_t *parent, const char *name,
    sprox_json_kind_t kind, sprox_json_t *child)
{
    sprox_rc_t  rc;

    rc = sprox_json_get(parent, name, kind, child);

    return rc == SPROX_NOT_FOUND ? sprox_json_bad(child, "is missing") : rc;
}


size_t
sprox_json_count(const sprox_json_t *array)
{
    return json_array_size(array->value);
}


sprox_rc_t
sprox_json_item(const sprox_json_t *array, size_t i, sprox_json_kind_t kind,
    sprox_json_t *child)
{
    child->parent = array;
    child->name = NULL;
    child->index = i;
    child->why = array->why;
    child->value = json_array_get(array->value, i);

    if (child->value == NULL) {
        return sprox_json_bad(child, "is missing");
    }

    return sprox_json_check(child, kind);
}


sprox_str_t
sprox_json_str(const sprox_json_t *string)
{
    return sprox_str_make(json_string_value(string->value),
                          json_string_length(string->value));
}


sprox_rc_t
sprox_json_u64(const sprox_json_t *json, uint64_t *n)
{
    json_int_t  value;

    if (json_is_integer((const json_t *) json->value)) {

        value = json_integer_value(json->value);
        if (value >= 0) {
            *n = (uint64_t) value;
            return SPROX_OK;
        }

    } else if (json_is_string((const json_t *) json->value)
               && sprox_str_u64(sprox_json_str(json), n) == SPROX_OK
               && *n <= INT64_MAX)
    {
        return SPROX_OK;
    }

    return sprox_json_bad(json, "is no whole number from 0 to 2^63 - 1");
}
