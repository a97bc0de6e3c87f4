/*
 * From the request line to an operation of S3.
 *
 *   target   [http://host]/bucket/key?query       path style
 *            [http://host]/key?query              the Host names the bucket
 *
 *   level    service     no bucket
 *            bucket      no key: "/bucket" and "/bucket/"
 *            object      the rest of the path, as it is: "//", "." and
 *                        ".." are bytes of keys
 *
 * Then two tables, in this order: sub-resources that are not served, and
 * operations.  What is in neither is an operation that S3 has not.
 */

#include "sprox_op.h"
#include "sprox_uri.h"


#define SPROX_LEVEL_SERVICE  1
#define SPROX_LEVEL_BUCKET   2
#define SPROX_LEVEL_OBJECT   4


typedef struct {
    sprox_str_t         method;
    unsigned            level;
    sprox_str_t         arg;       /* must be in the query; empty: any */
    sprox_str_t         value;     /* and have this value; empty: any */
    sprox_op_t          op;
    sprox_error_code_t  err;       /* when op is SPROX_OP_NONE */
} sprox_op_rule_t;


typedef struct {
    unsigned            levels;
    sprox_str_t         arg;
} sprox_op_subresource_t;


/* The first row that fits wins. */

static const sprox_op_rule_t  sprox_op_rules[] = {

    { sprox_str("GET"), SPROX_LEVEL_SERVICE, sprox_str(""), sprox_str(""),
      SPROX_OP_LIST_BUCKETS, SPROX_ERR_NONE },

    { sprox_str("GET"), SPROX_LEVEL_BUCKET, sprox_str("location"),
      sprox_str(""), SPROX_OP_GET_BUCKET_LOCATION, SPROX_ERR_NONE },

    { sprox_str("GET"), SPROX_LEVEL_BUCKET, sprox_str("list-type"),
      sprox_str("2"), SPROX_OP_LIST_OBJECTS_V2, SPROX_ERR_NONE },

    { sprox_str("GET"), SPROX_LEVEL_BUCKET, sprox_str("list-type"),
      sprox_str(""), SPROX_OP_NONE, SPROX_ERR_INVALID_ARGUMENT },

    { sprox_str("GET"), SPROX_LEVEL_BUCKET, sprox_str(""), sprox_str(""),
      SPROX_OP_LIST_OBJECTS, SPROX_ERR_NONE },

    { sprox_str("HEAD"), SPROX_LEVEL_BUCKET, sprox_str(""), sprox_str(""),
      SPROX_OP_HEAD_BUCKET, SPROX_ERR_NONE },

    { sprox_str("GET"), SPROX_LEVEL_OBJECT, sprox_str(""), sprox_str(""),
      SPROX_OP_GET_OBJECT, SPROX_ERR_NONE },

    { sprox_str("HEAD"), SPROX_LEVEL_OBJECT, sprox_str(""), sprox_str(""),
      SPROX_OP_HEAD_OBJECT, SPROX_ERR_NONE },

    { sprox_str("PURGE"), SPROX_LEVEL_OBJECT, sprox_str(""), sprox_str(""),
      SPROX_OP_PURGE, SPROX_ERR_NONE },
    { sprox_str("PURGE"), SPROX_LEVEL_BUCKET, sprox_str(""), sprox_str(""),
      SPROX_OP_PURGE, SPROX_ERR_NONE },
};


/* Methods by which S3 writes: it knows them, sprox does not serve them. */

static const sprox_str_t  sprox_op_writes[] = {
    sprox_str("PUT"),
    sprox_str("POST"),
    sprox_str("DELETE"),
};


#define BUCKET  SPROX_LEVEL_BUCKET
#define OBJECT  SPROX_LEVEL_OBJECT

/*
 * A word that S3 gives a meaning which sprox cannot give it: the object or
 * the list would be a wrong answer.  On a level that S3 does not give it
 * one, it is an unknown word and is ignored.
 */

static const sprox_op_subresource_t  sprox_op_subresources[] = {
    { BUCKET,          sprox_str("abac") },
    { BUCKET,          sprox_str("accelerate") },
    { BUCKET | OBJECT, sprox_str("acl") },
    { BUCKET,          sprox_str("analytics") },
    { OBJECT,          sprox_str("annotation") },
    { OBJECT,          sprox_str("attributes") },
    { BUCKET,          sprox_str("cors") },
    { BUCKET,          sprox_str("delete") },
    { BUCKET | OBJECT, sprox_str("encryption") },
    { BUCKET,          sprox_str("intelligent-tiering") },
    { BUCKET,          sprox_str("inventory") },
    { OBJECT,          sprox_str("legal-hold") },
    { BUCKET,          sprox_str("lifecycle") },
    { BUCKET,          sprox_str("logging") },
    { BUCKET,          sprox_str("metadataConfiguration") },
    { BUCKET,          sprox_str("metadataInventoryTable") },
    { BUCKET,          sprox_str("metadataJournalTable") },
    { BUCKET,          sprox_str("metadataTable") },
    { BUCKET,          sprox_str("metrics") },
    { BUCKET,          sprox_str("notification") },
    { BUCKET,          sprox_str("object-lock") },
    { BUCKET,          sprox_str("ownershipControls") },
    { BUCKET,          sprox_str("policy") },
    { BUCKET,          sprox_str("policyStatus") },
    { BUCKET,          sprox_str("publicAccessBlock") },
    { OBJECT,          sprox_str("renameObject") },
    { BUCKET,          sprox_str("replication") },
    { BUCKET,          sprox_str("requestPayment") },
    { OBJECT,          sprox_str("restore") },
    { OBJECT,          sprox_str("retention") },
    { OBJECT,          sprox_str("select") },
    { BUCKET,          sprox_str("session") },
    { BUCKET | OBJECT, sprox_str("tagging") },
    { OBJECT,          sprox_str("torrent") },
    { OBJECT,          sprox_str("uploadId") },
    { BUCKET | OBJECT, sprox_str("uploads") },
    { BUCKET,          sprox_str("versioning") },
    { BUCKET,          sprox_str("versions") },
    { BUCKET,          sprox_str("website") },
};

#undef BUCKET
#undef OBJECT


static const sprox_str_t  sprox_op_names[SPROX_OP_MAX] = {
    [SPROX_OP_NONE]                = sprox_str("None"),
    [SPROX_OP_LIST_BUCKETS]        = sprox_str("ListBuckets"),
    [SPROX_OP_HEAD_BUCKET]         = sprox_str("HeadBucket"),
    [SPROX_OP_GET_BUCKET_LOCATION] = sprox_str("GetBucketLocation"),
    [SPROX_OP_LIST_OBJECTS]        = sprox_str("ListObjects"),
    [SPROX_OP_LIST_OBJECTS_V2]     = sprox_str("ListObjectsV2"),
    [SPROX_OP_HEAD_OBJECT]         = sprox_str("HeadObject"),
    [SPROX_OP_GET_OBJECT]          = sprox_str("GetObject"),
    [SPROX_OP_PURGE]               = sprox_str("Purge"),
    [SPROX_OP_RECEIVE_MESSAGE]     = sprox_str("ReceiveMessage"),
    [SPROX_OP_DELETE_MESSAGE]      = sprox_str("DeleteMessage"),
    [SPROX_OP_GET_CERTIFICATE]     = sprox_str("GetCertificate"),
    [SPROX_OP_CONFIRM_SUBSCRIPTION] = sprox_str("ConfirmSubscription"),
};


#define sprox_op_n(table)  (sizeof(table) / sizeof((table)[0]))


sprox_str_t
sprox_op_name(sprox_op_t op)
{
    return sprox_op_names[(unsigned) op < SPROX_OP_MAX ? op : SPROX_OP_NONE];
}


/* Path and query of a target; 0: it has no path. */

static int
sprox_op_split(sprox_str_t target, sprox_str_t *path, sprox_str_t *query)
{
    size_t          i;
    const uint8_t  *p;

    static const sprox_str_t  schemes[] = {
        sprox_str("http://"),
        sprox_str("https://")
    };

    *path = sprox_str_null;
    *query = sprox_str_null;

    if (target.len == 0) {
        return 0;
    }

    for (i = 0; i < sprox_op_n(schemes); i++) {
        if (target.len > schemes[i].len
            && sprox_str_case_eq(sprox_str_make(target.data, schemes[i].len),
                                 schemes[i]))
        {
            target = sprox_str_from(target, schemes[i].len);

            /* the authority: whoever reads the Host knows about it */

            while (target.len != 0
                   && target.data[0] != '/' && target.data[0] != '?')
            {
                target = sprox_str_from(target, 1);
            }

            if (target.len == 0 || target.data[0] == '?') {
                *path = sprox_str_lit("/");
            }

            break;
        }
    }

    p = target.len ? memchr(target.data, '?', target.len) : NULL;

    if (p != NULL) {
        *query = sprox_str_from(target, p - target.data + 1);
        target.len = p - target.data;
    }

    if (path->len == 0) {
        *path = target;
    }

    if (path->len == 0 || path->data[0] != '/') {
        return 0;
    }

    /*
     * No client sends a bare '#'.  Servers end the path there, and would
     * allow what is left of it, not what is asked for.
     */

    return memchr(path->data, '#', path->len) == NULL;
}


static int
sprox_op_bucket_plausible(sprox_str_t bucket)
{
    size_t   i;
    uint8_t  c;

    if (bucket.len == 0 || bucket.len > SPROX_VBUCKET_MAX) {
        return 0;
    }

    for (i = 0; i < bucket.len; i++) {
        c = bucket.data[i];

        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
            || (c >= '0' && c <= '9') || c == '_')
        {
            continue;
        }

        if (i == 0 || (c != '.' && c != '-')) {
            return 0;
        }
    }

    return 1;
}


/* Decodes path style's bucket into the block; *path is left after its '/'. */

static sprox_error_code_t
sprox_op_bucket(sprox_str_t *path, uint8_t *block, sprox_str_t *bucket)
{
    size_t          len;
    sprox_str_t     raw;
    const uint8_t  *slash;

    raw = *path;
    slash = memchr(raw.data, '/', raw.len);

    if (slash != NULL) {
        raw.len = slash - raw.data;
    }

    if (sprox_uri_decode(raw, 0, block, &len) != SPROX_OK) {
        return SPROX_ERR_INVALID_URI;
    }

    *bucket = sprox_str_make(block, len);
    *path = sprox_str_from(*path, raw.len + 1);

    return len == 0 ? SPROX_ERR_INVALID_BUCKET_NAME : SPROX_ERR_NONE;
}


static sprox_error_code_t
sprox_op_key(sprox_str_t path, uint8_t *block, sprox_str_t *key)
{
    size_t  len;

    if (sprox_uri_decode(path, 0, block, &len) != SPROX_OK) {
        return SPROX_ERR_INVALID_URI;
    }

    *key = sprox_str_make(block, len);

    if (len > SPROX_KEY_MAX) {
        return SPROX_ERR_KEY_TOO_LONG;
    }

    /*
     * A name that ends elsewhere for C's functions than for S3 is two
     * names: what one of them is allowed, the other would get.
     */

    if (len != 0 && memchr(block, '\0', len) != NULL) {
        return SPROX_ERR_INVALID_URI;
    }

    return SPROX_ERR_NONE;
}


/* Bucket and key, decoded into one block: decoding never lengthens. */

static sprox_rc_t
sprox_op_names_parse(const sprox_mem_t *mem, sprox_str_t path,
    sprox_str_t vhost, sprox_s3_request_t *req, sprox_error_code_t *err)
{
    uint8_t  *block;

    req->bucket = vhost;

    if (path.len > SPROX_PATH_MAX) {
        *err = SPROX_ERR_KEY_TOO_LONG;
        return SPROX_INVALID;
    }

    path = sprox_str_from(path, 1);

    if (path.len != 0) {

        block = sprox_alloc(mem, path.len);
        if (block == NULL) {
            return SPROX_NOMEM;
        }

        req->names = block;

        if (vhost.len == 0) {
            *err = sprox_op_bucket(&path, block, &req->bucket);
            block += req->bucket.len;
        }

        if (*err == SPROX_ERR_NONE) {
            *err = sprox_op_key(path, block, &req->key);
        }
    }

    if (*err == SPROX_ERR_NONE
        && req->bucket.len != 0
        && !sprox_op_bucket_plausible(req->bucket))
    {
        *err = SPROX_ERR_INVALID_BUCKET_NAME;
    }

    return *err == SPROX_ERR_NONE ? SPROX_OK : SPROX_INVALID;
}


/* Presigned, by version 4 or by version 2 of the signature. */

static unsigned
sprox_op_signed(const sprox_query_t *query)
{
    size_t  i;

    for (i = 0; i < query->nargs; i++) {
        if (sprox_str_case_eq(query->args[i].name,
                              sprox_str_lit("X-Amz-Signature")))
        {
            return 1;
        }
    }

    return sprox_query_get(query, sprox_str_lit("Signature")) != NULL
           && sprox_query_get(query, sprox_str_lit("AWSAccessKeyId")) != NULL;
}


static sprox_rc_t
sprox_op_query_parse(const sprox_mem_t *mem, sprox_str_t raw,
    sprox_s3_request_t *req, sprox_error_code_t *err)
{
    sprox_rc_t  rc;

    rc = sprox_query_parse(mem, raw, &req->query);

    switch (rc) {

    case SPROX_OK:
        req->signed_query = sprox_op_signed(&req->query);
        return SPROX_OK;

    case SPROX_NOMEM:
        return SPROX_NOMEM;

    case SPROX_LIMIT:
        *err = SPROX_ERR_REQUEST_HEADER_TOO_LARGE;
        return SPROX_INVALID;

    default:
        *err = SPROX_ERR_INVALID_URI;
        return SPROX_INVALID;
    }
}


/* What S3 does with the method, whatever it is asked for. */

static sprox_error_code_t
sprox_op_method(sprox_str_t method)
{
    size_t  i;

    for (i = 0; i < sprox_op_n(sprox_op_writes); i++) {
        if (sprox_str_eq(method, sprox_op_writes[i])) {
            return SPROX_ERR_NOT_IMPLEMENTED;
        }
    }

    for (i = 0; i < sprox_op_n(sprox_op_rules); i++) {
        if (sprox_str_eq(method, sprox_op_rules[i].method)) {
            return SPROX_ERR_NONE;
        }
    }

    return SPROX_ERR_METHOD_NOT_ALLOWED;
}


static int
sprox_op_served(const sprox_query_t *query, unsigned level)
{
    size_t                         i;
    const sprox_query_arg_t       *arg;
    const sprox_op_subresource_t  *sub;

    for (i = 0; i < sprox_op_n(sprox_op_subresources); i++) {
        sub = &sprox_op_subresources[i];

        if ((sub->levels & level) && sprox_query_get(query, sub->arg)) {
            return 0;
        }
    }

    if (level != SPROX_LEVEL_OBJECT) {
        return 1;
    }

    /* "null" is the only version of an object in a bucket without versions */

    arg = sprox_query_get(query, sprox_str_lit("versionId"));

    return arg == NULL
           || arg->value.len == 0
           || sprox_str_eq(arg->value, sprox_str_lit("null"));
}


static sprox_rc_t
sprox_op_find(sprox_str_t method, sprox_s3_request_t *req,
    sprox_error_code_t *err)
{
    size_t                    i;
    unsigned                  level;
    const sprox_op_rule_t    *rule;
    const sprox_query_arg_t  *arg;

    level = req->bucket.len == 0 ? SPROX_LEVEL_SERVICE
            : req->key.len == 0 ? SPROX_LEVEL_BUCKET
            : SPROX_LEVEL_OBJECT;

    if (!sprox_op_served(&req->query, level)) {
        *err = SPROX_ERR_NOT_IMPLEMENTED;
        return SPROX_INVALID;
    }

    for (i = 0; i < sprox_op_n(sprox_op_rules); i++) {
        rule = &sprox_op_rules[i];

        if (rule->level != level || !sprox_str_eq(rule->method, method)) {
            continue;
        }

        if (rule->arg.len != 0) {
            arg = sprox_query_get(&req->query, rule->arg);

            if (arg == NULL
                || (rule->value.len != 0
                    && !sprox_str_eq(arg->value, rule->value)))
            {
                continue;
            }
        }

        if (rule->op == SPROX_OP_NONE) {
            *err = rule->err;
            return SPROX_INVALID;
        }

        req->op = rule->op;

        return SPROX_OK;
    }

    *err = SPROX_ERR_METHOD_NOT_ALLOWED;

    return SPROX_INVALID;
}


static sprox_rc_t
sprox_op_parse(const sprox_mem_t *mem, sprox_str_t method,
    sprox_str_t target, sprox_str_t vhost, sprox_s3_request_t *req,
    sprox_error_code_t *err)
{
    sprox_rc_t          rc;
    sprox_str_t         path, query;
    sprox_error_code_t  refused;

    if (sprox_op_split(target, &path, &query)) {
        rc = sprox_op_names_parse(mem, path, vhost, req, err);

    } else {
        *err = SPROX_ERR_INVALID_URI;
        rc = SPROX_INVALID;
    }

    if (rc == SPROX_NOMEM) {
        return rc;
    }

    /* a method is refused before a bad target: "OPTIONS *" has none */

    refused = sprox_op_method(method);

    if (refused != SPROX_ERR_NONE) {
        *err = refused;
        return SPROX_INVALID;
    }

    if (rc == SPROX_OK) {
        rc = sprox_op_query_parse(mem, query, req, err);
    }

    if (rc == SPROX_OK) {
        rc = sprox_op_find(method, req, err);
    }

    return rc;
}


sprox_rc_t
sprox_s3_parse(const sprox_mem_t *mem, sprox_str_t method,
    sprox_str_t target, sprox_str_t vhost, sprox_s3_request_t *req,
    sprox_error_code_t *err)
{
    sprox_rc_t          rc;
    sprox_error_code_t  found;

    memset(req, 0, sizeof(sprox_s3_request_t));
    found = SPROX_ERR_NONE;

    rc = sprox_op_parse(mem, method, target, vhost, req, &found);

    if (rc == SPROX_NOMEM) {
        sprox_s3_request_free(mem, req);
        found = SPROX_ERR_INTERNAL_ERROR;
    }

    /* what a caller has put there for its own later errors stays */

    if (rc != SPROX_OK) {
        *err = found;
    }

    return rc;
}


void
sprox_s3_request_free(const sprox_mem_t *mem, sprox_s3_request_t *req)
{
    sprox_free(mem, req->names);
    sprox_free(mem, req->query.args);

    memset(req, 0, sizeof(sprox_s3_request_t));
}
