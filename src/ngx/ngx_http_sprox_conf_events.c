/*
 * sprox_events: where events are fetched from, and whose are believed.
 *
 *   sprox_events sqs://HOST[:PORT]/ACCOUNT/QUEUE origin=NAME ...
 *   sprox_events arn:...:sns:... origin=NAME ...
 *
 * The origins that they name may be written later: they are looked up when
 * all is read, and what is to be asked becomes an origin of its own.
 */

#include "ngx_http_sprox_conf.h"
#include "ngx_http_sprox_events_private.h"


typedef struct {
    ngx_str_t   origin;
    ngx_str_t   region;
    ngx_str_t   trusted_certificate;
    ngx_uint_t  tls;
} ngx_http_sprox_conf_events_t;


static char *ngx_http_sprox_conf_params(ngx_conf_t *cf,
    ngx_http_sprox_conf_events_t *params);
static char *ngx_http_sprox_conf_queue(ngx_conf_t *cf,
    ngx_http_sprox_main_conf_t *mcf, ngx_http_sprox_conf_events_t *params);
static char *ngx_http_sprox_conf_topic(ngx_conf_t *cf,
    ngx_http_sprox_main_conf_t *mcf, ngx_http_sprox_conf_events_t *params);
static ngx_http_sprox_origin_t *ngx_http_sprox_conf_store(ngx_conf_t *cf,
    ngx_http_sprox_main_conf_t *mcf, ngx_str_t *name, ngx_str_t *file,
    ngx_uint_t line);
static ngx_int_t ngx_http_sprox_conf_queue_bind(ngx_conf_t *cf,
    ngx_http_sprox_main_conf_t *mcf, ngx_http_sprox_queue_t *queue);


char *
ngx_http_sprox_set_events(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_sprox_main_conf_t  *mcf = conf;

    char                          *rv;
    ngx_str_t                     *value;
    ngx_http_sprox_conf_events_t   params;

    value = cf->args->elts;

    rv = ngx_http_sprox_conf_params(cf, &params);

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    mcf->told = 1;

    if (ngx_strncmp(value[1].data, "arn:", 4) == 0) {
        return ngx_http_sprox_conf_topic(cf, mcf, &params);
    }

    return ngx_http_sprox_conf_queue(cf, mcf, &params);
}


static char *
ngx_http_sprox_conf_params(ngx_conf_t *cf,
    ngx_http_sprox_conf_events_t *params)
{
    size_t       len;
    ngx_str_t   *value, *out;
    ngx_uint_t   i, k;

    static const char  *names[] = {
        "origin=", "region=", "trusted_certificate="
    };

    ngx_memzero(params, sizeof(ngx_http_sprox_conf_events_t));
    params->tls = 1;

    value = cf->args->elts;

    for (i = 2; i < cf->args->nelts; i++) {

        if (ngx_strcmp(value[i].data, "tls=off") == 0) {
            params->tls = 0;
            continue;
        }

        if (ngx_strcmp(value[i].data, "tls=on") == 0) {
            continue;
        }

        for (k = 0; k < sizeof(names) / sizeof(names[0]); k++) {
            len = ngx_strlen(names[k]);
            out = k == 0 ? &params->origin
                         : k == 1 ? &params->region
                                  : &params->trusted_certificate;

            if (value[i].len > len && out->len == 0
                && ngx_strncmp(value[i].data, names[k], len) == 0)
            {
                out->data = value[i].data + len;
                out->len = value[i].len - len;
                break;
            }
        }

        if (k == sizeof(names) / sizeof(names[0])) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\" in \"sprox_events\":"
                               " there are origin=NAME, region=REGION, "
                               "trusted_certificate=FILE and tls=off, each "
                               "once", &value[i]);
            return NGX_CONF_ERROR;
        }
    }

    if (params->origin.len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"sprox_events %V\" does not say whose events "
                           "these are: add origin=NAME", &value[1]);
        return NGX_CONF_ERROR;
    }

    if (params->region.len
        && !sprox_region_valid(ngx_http_sprox_to_core(params->region)))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid region \"%V\" in \"sprox_events\": write "
                           "one such as eu-west-1", &params->region);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_sprox_conf_queue(ngx_conf_t *cf, ngx_http_sprox_main_conf_t *mcf,
    ngx_http_sprox_conf_events_t *params)
{
    ngx_str_t                *value;
    ngx_uint_t                i;
    const char               *why;
    sprox_sqs_url_t           url;
    ngx_http_sprox_queue_t   *queue, **slot;

    value = cf->args->elts;

    if (sprox_sqs_url(ngx_http_sprox_to_core(value[1]), &url, &why)
        != SPROX_OK)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid source \"%V\" in \"sprox_events\": %s; "
                           "write sqs://HOST/ACCOUNT/QUEUE, as the queue's "
                           "URL behind https://, or the ARN of an SNS topic",
                           &value[1], why);
        return NGX_CONF_ERROR;
    }

    slot = mcf->queues.elts;

    for (i = 0; i < mcf->queues.nelts; i++) {
        if (sprox_str_eq(ngx_http_sprox_to_core(slot[i]->url),
                         ngx_http_sprox_to_core(value[1])))
        {
            return "is duplicate: a queue is polled once";
        }
    }

    queue = ngx_pcalloc(cf->pool, sizeof(ngx_http_sprox_queue_t));
    slot = queue ? ngx_array_push(&mcf->queues) : NULL;

    if (slot == NULL) {
        return NGX_CONF_ERROR;
    }

    *slot = queue;

    queue->url = value[1];
    queue->path = ngx_http_sprox_to_ngx(url.path);
    queue->authority = ngx_http_sprox_to_ngx(url.authority);
    queue->region = params->region.len ? params->region
                                       : ngx_http_sprox_to_ngx(url.region);
    queue->origin_name = params->origin;
    queue->trusted_certificate = params->trusted_certificate;
    queue->tls = params->tls;

    ngx_http_sprox_conf_where(cf, &queue->file, &queue->line);

    return NGX_CONF_OK;
}


static char *
ngx_http_sprox_conf_topic(ngx_conf_t *cf, ngx_http_sprox_main_conf_t *mcf,
    ngx_http_sprox_conf_events_t *params)
{
    ngx_str_t               *value;
    ngx_uint_t               i;
    ngx_http_sprox_topic_t  *topic;

    value = cf->args->elts;
    topic = mcf->topics.elts;

    if (ngx_strstr(value[1].data, ":sns:") == NULL
        || value[1].len > SPROX_SNS_ARN_MAX)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid source \"%V\" in \"sprox_events\": write "
                           "the ARN of an SNS topic, such as "
                           "arn:aws:sns:eu-west-1:123456789012:NAME",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    if (params->region.len || !params->tls) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"region=\" and \"tls=\" in \"sprox_events\" are "
                           "for queues: leave them out");
        return NGX_CONF_ERROR;
    }

    for (i = 0; i < mcf->topics.nelts; i++) {

        if (sprox_str_eq(ngx_http_sprox_to_core(topic[i].arn),
                         ngx_http_sprox_to_core(value[1])))
        {
            return "is duplicate";
        }

        if (!sprox_str_eq(
                ngx_http_sprox_to_core(topic[i].trusted_certificate),
                ngx_http_sprox_to_core(params->trusted_certificate)))
        {
            return "has another trusted_certificate than the one before: "
                   "all topics are of one SNS";
        }
    }

    topic = ngx_array_push(&mcf->topics);
    if (topic == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(topic, sizeof(ngx_http_sprox_topic_t));

    topic->arn = value[1];
    topic->origin_name = params->origin;
    topic->trusted_certificate = params->trusted_certificate;

    ngx_http_sprox_conf_where(cf, &topic->file, &topic->line);

    return NGX_CONF_OK;
}


ngx_int_t
ngx_http_sprox_conf_events(ngx_conf_t *cf, ngx_http_sprox_main_conf_t *mcf)
{
    ngx_str_t                 endpoint, region;
    ngx_uint_t                i;
    ngx_http_sprox_queue_t  **queue;
    ngx_http_sprox_topic_t   *topic;

    static ngx_str_t  name = ngx_string("sns://");

    topic = mcf->topics.elts;

    for (i = 0; i < mcf->topics.nelts; i++) {

        topic[i].origin = ngx_http_sprox_conf_store(cf, mcf,
                                                    &topic[i].origin_name,
                                                    &topic[i].file,
                                                    topic[i].line);
        if (topic[i].origin == NULL) {
            return NGX_ERROR;
        }
    }

    if (mcf->topics.nelts) {

        /* hosts and regions are those of each message */

        endpoint = ngx_http_sprox_to_ngx(sprox_dialect_sns.endpoint);
        region = ngx_http_sprox_to_ngx(sprox_dialect_sns.region);

        mcf->sns = ngx_http_sprox_conf_service(cf, mcf, &sprox_dialect_sns,
                       &name, &endpoint, &region, &topic->trusted_certificate,
                       NULL, &topic->file, topic->line);

        if (mcf->sns == NULL) {
            return NGX_ERROR;
        }
    }

    queue = mcf->queues.elts;

    for (i = 0; i < mcf->queues.nelts; i++) {
        if (ngx_http_sprox_conf_queue_bind(cf, mcf, queue[i]) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* The origin whose events they are: it must be one that is read from. */

static ngx_http_sprox_origin_t *
ngx_http_sprox_conf_store(ngx_conf_t *cf, ngx_http_sprox_main_conf_t *mcf,
    ngx_str_t *name, ngx_str_t *file, ngx_uint_t line)
{
    ngx_uint_t                i;
    ngx_http_sprox_origin_t **origin;

    origin = mcf->origins.elts;

    for (i = 0; i < mcf->origins.nelts; i++) {

        if (origin[i]->used
            && sprox_str_eq(ngx_http_sprox_to_core(origin[i]->name),
                            ngx_http_sprox_to_core(*name)))
        {
            return origin[i];
        }
    }

    ngx_http_sprox_conf_refuse(cf, file, line,
        "\"origin=%V\" in \"sprox_events\" is no origin that a sprox_alias "
        "has as its target", name);

    return NULL;
}


static ngx_int_t
ngx_http_sprox_conf_queue_bind(ngx_conf_t *cf,
    ngx_http_sprox_main_conf_t *mcf, ngx_http_sprox_queue_t *queue)
{
    u_char     *p;
    ngx_str_t   endpoint;

    queue->store = ngx_http_sprox_conf_store(cf, mcf, &queue->origin_name,
                                             &queue->file, queue->line);
    if (queue->store == NULL) {
        return NGX_ERROR;
    }

    if (queue->region.len == 0) {
        queue->region = queue->store->region;
    }

    p = ngx_pnalloc(cf->pool, sizeof("https://") + queue->authority.len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    endpoint.data = p;
    endpoint.len = ngx_sprintf(p, "http%s://%V", queue->tls ? "s" : "",
                               &queue->authority)
                   - p;

    queue->origin = ngx_http_sprox_conf_service(cf, mcf, &sprox_dialect_sqs,
                        &queue->url, &endpoint, &queue->region,
                        &queue->trusted_certificate, queue->store,
                        &queue->file, queue->line);

    return queue->origin ? NGX_OK : NGX_ERROR;
}
