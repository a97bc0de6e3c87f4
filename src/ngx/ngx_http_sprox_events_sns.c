/*
 * What SNS signed, and the handshake that begins a subscription.
 *
 *   message -> topic listened to? -> certificate -> signature good?
 *                                      ^    |            |
 *                        fetched once -+    |            v
 *                        for all who wait   |     a confirmation that is
 *                                           |     asked for: fetched
 *
 * An answer that holds no certificate that will do is not kept: it may be of
 * a moment.  Messages are refused for now until it is asked for again.
 *
 * Nothing is asked but URLs that sprox_sns.h takes for SNS's own, over TLS
 * that is verified, and of the topic's region; a certificate only for a topic
 * that is listened to, and a confirmation only when the message that wants it
 * is signed.
 *
 * Anybody may post a message that names a certificate which he has made up.
 * One that has signed something keeps its place, which it is fetched into
 * again; there is a place for each topic, and some more for what is new, of
 * which one topic does not get all.
 */

#include "ngx_http_sprox_events_private.h"


/* Kept by a worker beside one of each topic; half of it are under way for one
   topic, and the last for one that has none good. */
#define NGX_HTTP_SPROX_CERTS_NEW    8

#define NGX_HTTP_SPROX_CERT_VALID   3600000   /* ms */

/* Until one that will not do is asked for again: doubled each time, in ms. */
#define NGX_HTTP_SPROX_CERT_AGAIN   1000
#define NGX_HTTP_SPROX_CERT_DOUBLED 6


typedef struct {
    ngx_queue_t               queue;
    ngx_queue_t               waiters;
    ngx_http_sprox_fetch_t   *fetch;          /* NULL: it is there */
    ngx_http_sprox_topic_t   *topic;          /* whose message asked for it */
    sprox_buf_t               pem;
    ngx_msec_t                fetched;        /* read */
    ngx_uint_t                bad;            /* answers in a row, which held
                                                 none that will do */
    const char               *why;            /* bad */
    unsigned                  good:1;         /* something was signed by it */
    size_t                    len;            /* of the URL, which follows */
} ngx_http_sprox_cert_t;


static ngx_http_sprox_cert_t *ngx_http_sprox_cert_find(sprox_str_t url);
static ngx_uint_t ngx_http_sprox_cert_old(ngx_http_sprox_cert_t *cert);
static ngx_http_sprox_cert_t *ngx_http_sprox_cert_fetch(sprox_str_t url,
    const sprox_sns_url_t *parsed, ngx_http_sprox_topic_t *topic);
static ngx_int_t ngx_http_sprox_cert_place(ngx_http_sprox_topic_t *topic);
static ngx_int_t ngx_http_sprox_cert_again(ngx_http_sprox_cert_t *cert,
    const sprox_sns_url_t *parsed);
static ngx_http_sprox_fetch_t *ngx_http_sprox_sns_fetch(
    const sprox_sns_url_t *url, sprox_op_t op,
    const ngx_http_sprox_fetch_handler_t *handler, void *data);
static void ngx_http_sprox_cert_free(ngx_http_sprox_cert_t *cert);
static ngx_int_t ngx_http_sprox_cert_header(ngx_http_sprox_fetch_t *f);
static ngx_int_t ngx_http_sprox_cert_body(ngx_http_sprox_fetch_t *f,
    u_char *p, size_t n);
static void ngx_http_sprox_cert_done(ngx_http_sprox_fetch_t *f,
    ngx_int_t rc);
static ngx_int_t ngx_http_sprox_sns_verify(ngx_http_sprox_sns_t *s,
    ngx_http_sprox_cert_t *cert);
static ngx_int_t ngx_http_sprox_sns_header(ngx_http_sprox_fetch_t *f);
static ngx_int_t ngx_http_sprox_sns_body(ngx_http_sprox_fetch_t *f,
    u_char *p, size_t n);
static void ngx_http_sprox_sns_confirmed(ngx_http_sprox_fetch_t *f,
    ngx_int_t rc);


static const ngx_http_sprox_fetch_handler_t  ngx_http_sprox_cert_handler = {
    ngx_http_sprox_cert_header,
    ngx_http_sprox_cert_body,
    ngx_http_sprox_cert_done
};


static const ngx_http_sprox_fetch_handler_t  ngx_http_sprox_sns_handler = {
    ngx_http_sprox_sns_header,
    ngx_http_sprox_sns_body,
    ngx_http_sprox_sns_confirmed
};


/* Of this worker; the one that was fetched last in front. */
static ngx_queue_t  ngx_http_sprox_certs;
static ngx_uint_t   ngx_http_sprox_ncerts;


void
ngx_http_sprox_sns_init(void)
{
    ngx_queue_init(&ngx_http_sprox_certs);
    ngx_http_sprox_ncerts = 0;
}


ngx_int_t
ngx_http_sprox_sns_check(ngx_http_sprox_sns_t *s)
{
    sprox_str_t             url;
    sprox_sns_url_t         parsed, confirm;
    ngx_http_sprox_cert_t  *cert;

    s->topic = ngx_http_sprox_sns_topic(s->sns->topic_arn);

    if (s->topic == NULL) {
        s->why = "no sprox_events listens to this topic";
        return NGX_DECLINED;
    }

    url = s->sns->cert_url;

    if (sprox_sns_cert_url(url, &parsed) != SPROX_OK) {
        s->why = "the URL of the certificate is not one of SNS";
        return NGX_DECLINED;
    }

    if (s->sns->type == SPROX_SNS_SUBSCRIPTION
        && sprox_sns_subscribe_url(s->sns->subscribe_url, &confirm)
           != SPROX_OK)
    {
        s->why = "the URL of the confirmation is not one of SNS";
        return NGX_DECLINED;
    }

    if (!sprox_sns_url_of(&parsed, s->sns->topic_arn)
        || (s->sns->type == SPROX_SNS_SUBSCRIPTION
            && !sprox_sns_url_of(&confirm, s->sns->topic_arn)))
    {
        s->why = "it names a URL of another region than the topic's";
        return NGX_DECLINED;
    }

    cert = ngx_http_sprox_cert_find(url);

    if (cert && cert->fetch == NULL && !cert->bad
        && !ngx_http_sprox_cert_old(cert))
    {
        return ngx_http_sprox_sns_verify(s, cert);
    }

    if (cert && cert->fetch == NULL
        && ngx_http_sprox_cert_again(cert, &parsed) != NGX_OK)
    {
        s->why = cert->why;
        return NGX_ERROR;
    }

    if (cert == NULL) {
        cert = ngx_http_sprox_cert_fetch(url, &parsed, s->topic);
    }

    if (cert == NULL) {
        s->why = "its certificate cannot be fetched now";
        return NGX_ERROR;
    }

    s->waiting = 1;
    ngx_queue_insert_tail(&cert->waiters, &s->queue);

    return NGX_AGAIN;
}


void
ngx_http_sprox_sns_cancel(ngx_http_sprox_sns_t *s)
{
    if (s->waiting) {
        s->waiting = 0;
        ngx_queue_remove(&s->queue);
    }

    if (s->fetch) {
        ngx_http_sprox_fetch_cancel(s->fetch);
        s->fetch = NULL;
    }
}


ngx_http_sprox_topic_t *
ngx_http_sprox_sns_topic(sprox_str_t arn)
{
    ngx_uint_t                   i;
    ngx_http_sprox_topic_t      *topic;
    ngx_http_sprox_main_conf_t  *mcf;

    mcf = ngx_http_cycle_get_module_main_conf(ngx_cycle,
                                              ngx_http_sprox_module);
    topic = mcf->topics.elts;

    for (i = 0; i < mcf->topics.nelts; i++) {
        if (sprox_str_eq(ngx_http_sprox_to_core(topic[i].arn), arn)) {
            return &topic[i];
        }
    }

    return NULL;
}


/* The certificate of that URL: there, perhaps old or bad, or under way. */

static ngx_http_sprox_cert_t *
ngx_http_sprox_cert_find(sprox_str_t url)
{
    ngx_queue_t            *q;
    ngx_http_sprox_cert_t  *cert;

    for (q = ngx_queue_head(&ngx_http_sprox_certs);
         q != ngx_queue_sentinel(&ngx_http_sprox_certs);
         q = ngx_queue_next(q))
    {
        cert = ngx_queue_data(q, ngx_http_sprox_cert_t, queue);

        if (sprox_str_eq(sprox_str_make(cert + 1, cert->len), url)) {
            return cert;
        }
    }

    return NULL;
}


static ngx_uint_t
ngx_http_sprox_cert_old(ngx_http_sprox_cert_t *cert)
{
    return ngx_current_msec - cert->fetched >= NGX_HTTP_SPROX_CERT_VALID;
}


/*
 * Makes room for one more.  NGX_DECLINED: as many as there may be are under
 * way, which nobody wants but who makes them up.
 */

static ngx_int_t
ngx_http_sprox_cert_place(ngx_http_sprox_topic_t *topic)
{
    ngx_uint_t                   busy, own, old;
    ngx_queue_t                 *q;
    ngx_http_sprox_cert_t       *cert, *out;
    ngx_http_sprox_main_conf_t  *mcf;

    mcf = ngx_http_cycle_get_module_main_conf(ngx_cycle,
                                              ngx_http_sprox_module);
    busy = 0;
    own = 0;
    out = NULL;
    old = 0;

    for (q = ngx_queue_last(&ngx_http_sprox_certs);
         q != ngx_queue_sentinel(&ngx_http_sprox_certs);
         q = ngx_queue_prev(q))
    {
        cert = ngx_queue_data(q, ngx_http_sprox_cert_t, queue);

        if (cert->fetch) {

            if (!cert->good) {
                busy++;
                own += cert->topic == topic;
            }

            continue;
        }

        /* the oldest: of those that are no good, of the old, of all */

        if (out == NULL
            || (out->good
                && (!cert->good
                    || (!old && ngx_http_sprox_cert_old(cert)))))
        {
            out = cert;
            old = ngx_http_sprox_cert_old(cert);
        }
    }

    if (own >= NGX_HTTP_SPROX_CERTS_NEW / 2
        || busy >= NGX_HTTP_SPROX_CERTS_NEW
        || (topic->good && busy == NGX_HTTP_SPROX_CERTS_NEW - 1))
    {
        return NGX_DECLINED;
    }

    if (ngx_http_sprox_ncerts
        < mcf->topics.nelts + NGX_HTTP_SPROX_CERTS_NEW)
    {
        return NGX_OK;
    }

    /* a name that somebody made up drives out none that is good */

    if (out == NULL || (out->good && !old && busy)) {
        return NGX_DECLINED;
    }

    ngx_http_sprox_cert_free(out);

    return NGX_OK;
}


/* NULL: there is no place, or no memory. */

static ngx_http_sprox_cert_t *
ngx_http_sprox_cert_fetch(sprox_str_t url, const sprox_sns_url_t *parsed,
    ngx_http_sprox_topic_t *topic)
{
    ngx_http_sprox_cert_t  *cert;

    if (ngx_http_sprox_cert_place(topic) != NGX_OK) {
        return NULL;
    }

    cert = ngx_calloc(sizeof(ngx_http_sprox_cert_t) + url.len,
                      ngx_cycle->log);
    if (cert == NULL) {
        return NULL;
    }

    cert->topic = topic;
    cert->len = url.len;
    ngx_memcpy(cert + 1, url.data, url.len);
    sprox_buf_init(&cert->pem, &ngx_http_sprox_mem_heap);
    ngx_queue_init(&cert->waiters);

    cert->fetch = ngx_http_sprox_sns_fetch(parsed, SPROX_OP_GET_CERTIFICATE,
                                           &ngx_http_sprox_cert_handler,
                                           cert);
    if (cert->fetch == NULL) {
        ngx_free(cert);
        return NULL;
    }

    ngx_queue_insert_head(&ngx_http_sprox_certs, &cert->queue);
    ngx_http_sprox_ncerts++;

    return cert;
}


/*
 * Of one that is old or bad.  NGX_OK: it is under way; NGX_DECLINED: not yet,
 * or there is no memory.
 */

static ngx_int_t
ngx_http_sprox_cert_again(ngx_http_sprox_cert_t *cert,
    const sprox_sns_url_t *parsed)
{
    ngx_msec_t  pause;

    if (cert->bad) {
        pause = (ngx_msec_t) NGX_HTTP_SPROX_CERT_AGAIN
                << ngx_min(cert->bad - 1, NGX_HTTP_SPROX_CERT_DOUBLED);

        if (ngx_current_msec - cert->fetched < pause) {
            return NGX_DECLINED;
        }
    }

    sprox_buf_free(&cert->pem);
    sprox_buf_init(&cert->pem, &ngx_http_sprox_mem_heap);

    cert->fetch = ngx_http_sprox_sns_fetch(parsed, SPROX_OP_GET_CERTIFICATE,
                                           &ngx_http_sprox_cert_handler,
                                           cert);

    if (cert->fetch == NULL) {
        cert->why = "its certificate cannot be fetched now";
        return NGX_DECLINED;
    }

    return NGX_OK;
}


static ngx_http_sprox_fetch_t *
ngx_http_sprox_sns_fetch(const sprox_sns_url_t *url, sprox_op_t op,
    const ngx_http_sprox_fetch_handler_t *handler, void *data)
{
    size_t                       query;
    sprox_str_t                  path;
    ngx_http_sprox_fetch_t      *f;
    ngx_http_sprox_main_conf_t  *mcf;

    mcf = ngx_http_cycle_get_module_main_conf(ngx_cycle,
                                              ngx_http_sprox_module);

    f = ngx_http_sprox_fetch_create(mcf->sns, ngx_cycle->log);
    if (f == NULL) {
        return NULL;
    }

    path = sprox_str_from(url->target, 1);
    query = sprox_str_find(path, sprox_str_lit("?"), 0);

    f->req.op = op;
    f->req.bucket = sprox_str_dup(&f->mem, url->host);

    if (query != (size_t) -1) {
        f->req.query = sprox_str_dup(&f->mem,
                                     sprox_str_from(path, query + 1));
        path.len = query;

    } else {
        f->req.query = sprox_str_lit("");
    }

    f->req.key = sprox_str_dup(&f->mem, path);
    f->handler = handler;
    f->data = data;

    if (f->req.bucket.data == NULL || f->req.query.data == NULL
        || f->req.key.data == NULL)
    {
        ngx_http_sprox_fetch_cancel(f);
        return NULL;
    }

    ngx_http_sprox_fetch_start(f);

    return f;
}


static void
ngx_http_sprox_cert_free(ngx_http_sprox_cert_t *cert)
{
    ngx_queue_remove(&cert->queue);
    ngx_http_sprox_ncerts--;

    sprox_buf_free(&cert->pem);
    ngx_free(cert);
}


static ngx_int_t
ngx_http_sprox_cert_header(ngx_http_sprox_fetch_t *f)
{
    return NGX_OK;
}


static ngx_int_t
ngx_http_sprox_cert_body(ngx_http_sprox_fetch_t *f, u_char *p, size_t n)
{
    ngx_http_sprox_cert_t *cert = f->data;

    /* one that is too large is none: what there is of it will not be read */

    n = ngx_min(n, SPROX_SNS_PEM_MAX - cert->pem.len);
    sprox_buf_add(&cert->pem, p, n);

    return cert->pem.len < SPROX_SNS_PEM_MAX ? NGX_OK : NGX_DONE;
}


static void
ngx_http_sprox_cert_done(ngx_http_sprox_fetch_t *f, ngx_int_t rc)
{
    ngx_queue_t            *q, over;
    ngx_uint_t              keep;
    const char             *why;
    ngx_http_sprox_sns_t   *s;
    ngx_http_sprox_cert_t  *cert = f->data;

    cert->fetch = NULL;
    cert->why = "its certificate cannot be fetched now";

    if (rc == NGX_OK && sprox_buf_rc(&cert->pem) != SPROX_OK) {
        rc = NGX_ERROR;
    }

    /* one that was good keeps its place, and is old as before */

    keep = (rc == NGX_OK || cert->good);

    if (rc == NGX_OK) {
        cert->fetched = ngx_current_msec;

        ngx_queue_remove(&cert->queue);
        ngx_queue_insert_head(&ngx_http_sprox_certs, &cert->queue);

        if (sprox_sns_cert_check(sprox_buf_get(&cert->pem), ngx_time(),
                                 &cert->why)
            == SPROX_OK)
        {
            cert->bad = 0;

        } else {
            cert->bad++;
            rc = NGX_ERROR;
        }
    }

    why = cert->why;

    /* whom done() tells may ask for others, and this one may go for them */

    ngx_queue_init(&over);

    while (!ngx_queue_empty(&cert->waiters)) {
        q = ngx_queue_head(&cert->waiters);
        s = ngx_queue_data(q, ngx_http_sprox_sns_t, queue);

        ngx_queue_remove(q);

        if (rc == NGX_OK) {
            s->rc = ngx_http_sprox_sns_verify(s, cert);

        } else {
            s->rc = NGX_ERROR;
            s->why = why;
        }

        if (s->rc == NGX_AGAIN) {
            s->waiting = 0;

        } else {
            ngx_queue_insert_tail(&over, q);
        }
    }

    if (!keep) {
        ngx_http_sprox_cert_free(cert);
    }

    while (!ngx_queue_empty(&over)) {
        q = ngx_queue_head(&over);
        s = ngx_queue_data(q, ngx_http_sprox_sns_t, queue);

        ngx_queue_remove(q);
        s->waiting = 0;

        s->done(s->data, s->rc);
    }
}


/* NGX_AGAIN: it is good, and what it wants confirmed is being so. */

static ngx_int_t
ngx_http_sprox_sns_verify(ngx_http_sprox_sns_t *s,
    ngx_http_sprox_cert_t *cert)
{
    sprox_rc_t       rc;
    sprox_sns_url_t  url;

    rc = sprox_sns_verify(&ngx_http_sprox_mem_heap, s->sns,
                          sprox_buf_get(&cert->pem), ngx_time(), &s->why);

    if (rc == SPROX_INVALID) {
        return NGX_DECLINED;
    }

    if (rc != SPROX_OK) {
        s->why = "out of memory";
        return NGX_ERROR;
    }

    cert->good = 1;
    s->topic->good = 1;

    if (s->sns->type != SPROX_SNS_SUBSCRIPTION) {
        return NGX_OK;
    }

    if (sprox_sns_subscribe_url(s->sns->subscribe_url, &url) == SPROX_OK) {
        s->fetch = ngx_http_sprox_sns_fetch(&url,
                                            SPROX_OP_CONFIRM_SUBSCRIPTION,
                                            &ngx_http_sprox_sns_handler, s);
    }

    if (s->fetch == NULL) {
        s->why = "the subscription cannot be confirmed now";
        return NGX_ERROR;
    }

    return NGX_AGAIN;
}


static ngx_int_t
ngx_http_sprox_sns_header(ngx_http_sprox_fetch_t *f)
{
    return NGX_OK;
}


static ngx_int_t
ngx_http_sprox_sns_body(ngx_http_sprox_fetch_t *f, u_char *p, size_t n)
{
    return NGX_OK;
}


static void
ngx_http_sprox_sns_confirmed(ngx_http_sprox_fetch_t *f, ngx_int_t rc)
{
    ngx_http_sprox_sns_t *s = f->data;

    s->fetch = NULL;

    if (rc == NGX_OK) {
        ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                      "sprox: subscribed to \"%V\"", &s->topic->arn);

    } else {
        s->why = "the subscription could not be confirmed";
    }

    s->done(s->data, rc == NGX_OK ? NGX_OK : NGX_ERROR);
}
