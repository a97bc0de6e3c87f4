/*
 * The content handler of sprox_admin: who may ask, and for what.
 *
 * nginx's own allow and deny come before.  Where a token is asked for, it is
 * compared by digests, in a time that tells nothing of it.
 *
 * A page in an operator's browser must not change anything: its requests
 * come from an address that is allowed.  Browsers send Origin with each
 * POST and DELETE, and Sec-Fetch-Site with every request of a page: what has
 * one of them is refused, unless it has the token, which no page knows.
 *
 * Who sends events cannot always send a header: the token may be in the
 * query there, and what SNS has signed needs none.
 */

#include "ngx_http_sprox_admin_private.h"
#include "ngx_http_sprox_error.h"
#include "ngx_http_sprox_events.h"
#include "sprox_digest.h"
#include <openssl/crypto.h>


typedef struct {
    sprox_str_t          name;
    ngx_int_t          (*handler)(ngx_http_request_t *r, sprox_str_t rest);
} ngx_http_sprox_admin_route_t;


static sprox_str_t ngx_http_sprox_admin_path(ngx_http_request_t *r);
static ngx_uint_t ngx_http_sprox_admin_known(ngx_http_request_t *r,
    sprox_str_t path);
static ngx_uint_t ngx_http_sprox_admin_token(ngx_http_request_t *r,
    sprox_str_t token);
static ngx_uint_t ngx_http_sprox_admin_tells(ngx_http_request_t *r,
    ngx_array_t *tokens);
static ngx_uint_t ngx_http_sprox_admin_page(ngx_http_request_t *r);
static ngx_int_t ngx_http_sprox_admin_unknown(ngx_http_request_t *r);
static ngx_int_t ngx_http_sprox_admin_method(ngx_http_request_t *r,
    const char *allow);
static ngx_int_t ngx_http_sprox_admin_route_jobs(ngx_http_request_t *r,
    sprox_str_t rest);
static ngx_int_t ngx_http_sprox_admin_route_aliases(ngx_http_request_t *r,
    sprox_str_t rest);
static ngx_int_t ngx_http_sprox_admin_arg(ngx_http_request_t *r,
    const char *name, sprox_str_t *arg);
static ngx_http_sprox_alias_t *ngx_http_sprox_admin_find(
    ngx_http_request_t *r, sprox_str_t name);
static ngx_int_t ngx_http_sprox_admin_crawl(ngx_http_request_t *r,
    ngx_http_sprox_alias_t *alias);


/* The first step of the path; a handler takes the rest. */

static ngx_http_sprox_admin_route_t  ngx_http_sprox_admin_routes[] = {
    { sprox_str("jobs"), ngx_http_sprox_admin_route_jobs },
    { sprox_str("aliases"), ngx_http_sprox_admin_route_aliases },
    { sprox_str(""), NULL }
};


static const sprox_str_t  ngx_http_sprox_admin_events = sprox_str("events");


ngx_int_t
ngx_http_sprox_admin_handler(ngx_http_request_t *r)
{
    ngx_str_t                      name, value;
    sprox_str_t                    path;
    ngx_uint_t                     known, events;
    ngx_http_sprox_loc_conf_t     *slcf;
    ngx_http_sprox_admin_route_t  *route;

    slcf = ngx_http_get_module_loc_conf(r, ngx_http_sprox_module);

    path = ngx_http_sprox_admin_path(r);
    known = ngx_http_sprox_admin_known(r, path);
    events = sprox_str_eq(path, ngx_http_sprox_admin_events);

    if (!known && !(events && ngx_http_sprox_events_signed(r))) {
        ngx_str_set(&name, "WWW-Authenticate");
        ngx_str_set(&value, "Bearer");

        if (ngx_http_sprox_add_header(r, name, value) != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        return ngx_http_sprox_admin_message(r, NGX_HTTP_UNAUTHORIZED,
                   "this location asks for the token in its token_file: "
                   "send it in \"Authorization: Bearer TOKEN\"");
    }

    if (slcf->token == NULL && !(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))
        && ngx_http_sprox_admin_page(r))
    {
        return ngx_http_sprox_admin_message(r, NGX_HTTP_FORBIDDEN,
                   "a page in a browser may not change anything here "
                   "without a token");
    }

    if (events) {
        return r->method == NGX_HTTP_POST
               ? ngx_http_sprox_events_handler(r, known)
               : ngx_http_sprox_admin_method(r, "POST");
    }

    for (route = ngx_http_sprox_admin_routes; route->handler; route++) {

        if (sprox_str_starts(path, route->name)
            && (path.len == route->name.len
                || path.data[route->name.len] == '/'))
        {
            return route->handler(r, sprox_str_from(path,
                                                    route->name.len + 1));
        }
    }

    return ngx_http_sprox_admin_unknown(r);
}


/* What stands behind the location's name. */

static sprox_str_t
ngx_http_sprox_admin_path(ngx_http_request_t *r)
{
    sprox_str_t                path;
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    path = sprox_str_from(ngx_http_sprox_to_core(r->uri), clcf->name.len);

    if (path.len && path.data[0] == '/') {
        path = sprox_str_from(path, 1);
    }

    return path;
}


/* Whether there is a token at all, and the request has it. */

static ngx_uint_t
ngx_http_sprox_admin_known(ngx_http_request_t *r, sprox_str_t path)
{
    sprox_str_t                 token, query;
    ngx_http_sprox_loc_conf_t  *slcf;

    slcf = ngx_http_get_module_loc_conf(r, ngx_http_sprox_module);

    if (slcf->token == NULL) {
        return 1;
    }

    query = sprox_str_null;

    if (sprox_str_eq(path, ngx_http_sprox_admin_events)) {
        (void) ngx_http_sprox_admin_arg(r, "token", &query);

        if (ngx_http_sprox_admin_tells(r, NULL)) {
            ngx_http_sprox_hide_query(r);
        }
    }

    if (r->headers_in.authorization) {
        token = ngx_http_sprox_to_core(r->headers_in.authorization->value);

        return token.len > sizeof("Bearer ") - 1
               && ngx_strncasecmp((u_char *) token.data,
                                  (u_char *) "Bearer ",
                                  sizeof("Bearer ") - 1)
                  == 0
               && ngx_http_sprox_admin_token(r,
                      sprox_str_trim(sprox_str_from(token,
                                                    sizeof("Bearer ") - 1)));
    }

    return query.len && ngx_http_sprox_admin_token(r, query);
}


static ngx_uint_t
ngx_http_sprox_admin_token(ngx_http_request_t *r, sprox_str_t token)
{
    uint8_t                     digest[SPROX_SHA256_LEN];
    ngx_http_sprox_loc_conf_t  *slcf;

    slcf = ngx_http_get_module_loc_conf(r, ngx_http_sprox_module);

    return sprox_sha256(token, digest) == SPROX_OK
           && CRYPTO_memcmp(digest, slcf->token, SPROX_SHA256_LEN) == 0;
}


ngx_int_t
ngx_http_sprox_admin_hide(ngx_http_request_t *r)
{
    ngx_http_sprox_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_sprox_module);

    if (mcf->tokens.nelts && ngx_http_sprox_admin_tells(r, &mcf->tokens)) {
        ngx_http_sprox_hide_query(r);
    }

    return NGX_DECLINED;
}


/*
 * Whether an argument is a token, or may be, as what cannot be decoded; NULL
 * for tokens: whether there is such an argument at all.  Of several, nginx
 * would find but the first.
 */

static ngx_uint_t
ngx_http_sprox_admin_tells(ngx_http_request_t *r, ngx_array_t *tokens)
{
    u_char       *p, *end, **token;
    size_t        len;
    uint8_t       digest[SPROX_SHA256_LEN];
    ngx_uint_t    i;
    sprox_str_t   args, arg, name;

    name = sprox_str_lit("token=");
    args = ngx_http_sprox_to_core(r->args);

    for ( /* void */ ; args.len; args = sprox_str_from(args, arg.len + 1)) {
        end = ngx_strlchr((u_char *) args.data,
                          (u_char *) args.data + args.len, '&');

        arg = sprox_str_make(args.data,
                             end ? (size_t) (end - args.data) : args.len);

        if (arg.len <= name.len
            || !sprox_str_case_eq(sprox_str_make(arg.data, name.len), name))
        {
            continue;
        }

        p = tokens ? ngx_pnalloc(r->pool, arg.len) : NULL;

        if (p == NULL
            || sprox_uri_decode(sprox_str_from(arg, name.len), 1, p, &len)
               != SPROX_OK
            || sprox_sha256(sprox_str_make(p, len), digest) != SPROX_OK)
        {
            return 1;
        }

        token = tokens->elts;

        for (i = 0; i < tokens->nelts; i++) {
            if (CRYPTO_memcmp(digest, token[i], SPROX_SHA256_LEN) == 0) {
                return 1;
            }
        }
    }

    return 0;
}


/* A page in a browser asks. */

static ngx_uint_t
ngx_http_sprox_admin_page(ngx_http_request_t *r)
{
    ngx_uint_t        i;
    sprox_str_t       name, value;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *header;

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        header = part->elts;

        for (i = 0; i < part->nelts; i++) {
            name = ngx_http_sprox_to_core(header[i].key);
            value = ngx_http_sprox_to_core(header[i].value);

            /* "none": somebody typed it */

            if (sprox_str_case_eq(name, sprox_str_lit("Origin"))
                || (sprox_str_case_eq(name, sprox_str_lit("Sec-Fetch-Site"))
                    && !sprox_str_eq(value, sprox_str_lit("none"))))
            {
                return 1;
            }
        }
    }

    return 0;
}


ngx_int_t
ngx_http_sprox_admin_message(ngx_http_request_t *r, ngx_uint_t status,
    const char *message)
{
    ngx_int_t  rc;

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    return ngx_http_sprox_admin_send(r, status,
                                     json_pack("{s:s}", "message", message));
}


static ngx_int_t
ngx_http_sprox_admin_unknown(ngx_http_request_t *r)
{
    return ngx_http_sprox_admin_message(r, NGX_HTTP_NOT_FOUND,
               "there are jobs, jobs/ID, aliases, aliases/NAME, "
               "aliases/NAME/crawl and events");
}


static ngx_int_t
ngx_http_sprox_admin_method(ngx_http_request_t *r, const char *allow)
{
    ngx_str_t  name, value;

    ngx_str_set(&name, "Allow");
    value.data = (u_char *) allow;
    value.len = ngx_strlen(allow);

    if (ngx_http_sprox_add_header(r, name, value) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_sprox_admin_message(r, NGX_HTTP_NOT_ALLOWED,
               "the method is not one for this path: see Allow");
}


static ngx_int_t
ngx_http_sprox_admin_route_jobs(ngx_http_request_t *r, sprox_str_t rest)
{
    uint64_t                   id;
    ngx_int_t                  rc;
    ngx_http_sprox_job_info_t  info;

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    if (rest.len == 0) {

        if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
            return ngx_http_sprox_admin_method(r, "GET, HEAD");
        }

        return ngx_http_sprox_admin_jobs(r);
    }

    if (sprox_str_u64(rest, &id) != SPROX_OK) {
        return ngx_http_sprox_admin_message(r, NGX_HTTP_BAD_REQUEST,
                                            "the id of a job is a number");
    }

    if (r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD)) {
        rc = ngx_http_sprox_job_get(id, &info);

    } else if (r->method & NGX_HTTP_DELETE) {
        rc = ngx_http_sprox_job_cancel(id, &info);

    } else {
        return ngx_http_sprox_admin_method(r, "GET, HEAD, DELETE");
    }

    if (rc == NGX_DECLINED) {
        return ngx_http_sprox_admin_message(r, NGX_HTTP_NOT_FOUND,
                   "there is no such job; of those that ended, the last are "
                   "kept");
    }

    return ngx_http_sprox_admin_send(r, rc == NGX_DONE ? NGX_HTTP_CONFLICT
                                                       : NGX_HTTP_OK,
                                     rc == NGX_DONE
                                     ? json_pack("{s:s}", "message",
                                                 "the job has ended before")
                                     : ngx_http_sprox_admin_job(&info));
}


static ngx_int_t
ngx_http_sprox_admin_route_aliases(ngx_http_request_t *r, sprox_str_t rest)
{
    ngx_int_t                rc;
    sprox_str_t              bucket, crawl;
    ngx_http_sprox_alias_t  *alias;

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    if (rest.len == 0) {

        if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
            return ngx_http_sprox_admin_method(r, "GET, HEAD");
        }

        return ngx_http_sprox_admin_aliases(r);
    }

    /* an alias' name may end so itself: only a POST is about a crawl */

    crawl = sprox_str_lit("/crawl");
    alias = ngx_http_sprox_admin_find(r, rest);

    if (sprox_str_ends(rest, crawl)
        && (alias == NULL || r->method == NGX_HTTP_POST))
    {
        rest.len -= crawl.len;
        alias = ngx_http_sprox_admin_find(r, rest);

        if (alias != NULL && r->method != NGX_HTTP_POST) {
            return ngx_http_sprox_admin_method(r, "POST");
        }

        if (alias != NULL) {
            return ngx_http_sprox_admin_crawl(r, alias);
        }
    }

    if (alias == NULL) {
        return ngx_http_sprox_admin_message(r, NGX_HTTP_NOT_FOUND,
                   "there is no alias of that name: it is the text behind "
                   "sprox_alias");
    }

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return ngx_http_sprox_admin_method(r, "GET, HEAD");
    }

    if (ngx_http_sprox_admin_arg(r, "bucket", &bucket) != NGX_OK
        || (bucket.len
            && ngx_http_sprox_region(alias, bucket, &crawl) != NGX_OK))
    {
        return ngx_http_sprox_admin_message(r, NGX_HTTP_BAD_REQUEST,
                   "the target of the alias is never in that bucket");
    }

    return ngx_http_sprox_admin_count(r, alias, bucket);
}


/* An argument of the query, or nothing.  NGX_OK or NGX_ERROR. */

static ngx_int_t
ngx_http_sprox_admin_arg(ngx_http_request_t *r, const char *name,
    sprox_str_t *arg)
{
    u_char     *p;
    size_t      len;
    ngx_str_t   value;

    *arg = sprox_str_null;

    if (ngx_http_arg(r, (u_char *) name, ngx_strlen(name), &value) != NGX_OK
        || value.len == 0)
    {
        return NGX_OK;
    }

    p = ngx_pnalloc(r->pool, value.len);

    if (p == NULL
        || sprox_uri_decode(ngx_http_sprox_to_core(value), 1, p, &len)
           != SPROX_OK)
    {
        return NGX_ERROR;
    }

    *arg = sprox_str_make(p, len);

    return NGX_OK;
}


static ngx_http_sprox_alias_t *
ngx_http_sprox_admin_find(ngx_http_request_t *r, sprox_str_t name)
{
    ngx_uint_t                    i;
    ngx_http_sprox_alias_t      **alias;
    ngx_http_sprox_main_conf_t   *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_sprox_module);
    alias = mcf->aliases.elts;

    for (i = 0; i < mcf->aliases.nelts; i++) {
        if (sprox_str_eq(ngx_http_sprox_to_core(alias[i]->pattern), name)) {
            return alias[i];
        }
    }

    return NULL;
}


static ngx_int_t
ngx_http_sprox_admin_crawl(ngx_http_request_t *r,
    ngx_http_sprox_alias_t *alias)
{
    ngx_int_t                  rc;
    sprox_str_t                bucket, prefix;
    ngx_http_sprox_job_info_t  info;

    rc = ngx_http_sprox_admin_arg(r, "bucket", &bucket);

    if (rc == NGX_OK && bucket.len == 0
        && ngx_http_sprox_region_bucket(alias, &bucket) != NGX_OK)
    {
        return ngx_http_sprox_admin_message(r, NGX_HTTP_BAD_REQUEST,
                   "the bucket of the target depends on a variable: add "
                   "?bucket=NAME");
    }

    if (rc != NGX_OK
        || ngx_http_sprox_region(alias, bucket, &prefix) != NGX_OK)
    {
        return ngx_http_sprox_admin_message(r, NGX_HTTP_BAD_REQUEST,
                   "the target of the alias is never in that bucket");
    }

    rc = ngx_http_sprox_crawl_ask(alias, bucket, &info);

    if (rc == NGX_BUSY) {
        return ngx_http_sprox_admin_message(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                            "too many jobs are queued");
    }

    if (rc != NGX_OK && rc != NGX_DECLINED) {
        return ngx_http_sprox_admin_message(r,
                                            NGX_HTTP_INTERNAL_SERVER_ERROR,
                                            "there are no jobs here");
    }

    return ngx_http_sprox_admin_send(r, NGX_HTTP_ACCEPTED,
                                     ngx_http_sprox_admin_job(&info));
}
