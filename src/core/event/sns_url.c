/*
 * Which URLs of those that an SNS message names may be asked.
 *
 *   https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0a1b.pem
 *   https://sns.cn-north-1.amazonaws.com.cn:443/?Action=ConfirmSubscription&
 *           --- ---------- ----------------
 *           own  region    of the region's partition
 *
 * The host is compared, not searched: all that another reader of URLs could
 * take for another host (a user, a backslash, a space, an escape before the
 * path) is no part of these names.
 */

#include "sprox_dialect.h"
#include "sprox_sns.h"


#define SPROX_SNS_PORT         443
#define SPROX_SNS_ARN_REGION   3        /* colons in front of it */


static const sprox_str_t  sprox_sns_service = sprox_str("sns.");
static const sprox_str_t  sprox_sns_domain = sprox_str(".amazonaws.com");
static const sprox_str_t  sprox_sns_domain_cn = sprox_str(".amazonaws.com.cn");


static int
sprox_sns_host(sprox_str_t host, sprox_str_t *region)
{
    int          china;
    sprox_str_t  domain;

    china = sprox_str_ends(host, sprox_sns_domain_cn);
    domain = china ? sprox_sns_domain_cn : sprox_sns_domain;

    if (!sprox_str_starts(host, sprox_sns_service)
        || !sprox_str_ends(host, domain)
        || host.len <= sprox_sns_service.len + domain.len)
    {
        return 0;
    }

    *region = sprox_str_make(host.data + sprox_sns_service.len,
                             host.len - sprox_sns_service.len - domain.len);

    return sprox_region_valid(*region)
           && sprox_str_starts(*region, sprox_str_lit("cn-")) == china;
}


static sprox_rc_t
sprox_sns_url(sprox_str_t url, sprox_sns_url_t *out)
{
    size_t            i, slash;
    const char       *why;
    sprox_endpoint_t  ep;

    static const sprox_str_t  https = sprox_str("https://");

    if (url.len > SPROX_SNS_URL_MAX || !sprox_str_starts(url, https)) {
        return SPROX_INVALID;
    }

    for (i = 0; i < url.len; i++) {
        if (url.data[i] <= ' ' || url.data[i] >= 0x7f || url.data[i] == '\\'
            || url.data[i] == '#')
        {
            return SPROX_INVALID;
        }
    }

    slash = sprox_str_find(url, sprox_str_lit("/"), https.len);

    if (slash == (size_t) -1
        || sprox_endpoint_parse(sprox_str_make(url.data, slash), &ep, &why)
           != SPROX_OK
        || ep.port != SPROX_SNS_PORT
        || !sprox_sns_host(ep.host, &out->region))
    {
        return SPROX_INVALID;
    }

    out->host = ep.host;
    out->target = sprox_str_from(url, slash);

    return SPROX_OK;
}


sprox_rc_t
sprox_sns_cert_url(sprox_str_t url, sprox_sns_url_t *out)
{
    if (sprox_sns_url(url, out) != SPROX_OK
        || !sprox_str_ends(out->target, sprox_str_lit(".pem"))
        || memchr(out->target.data, '?', out->target.len) != NULL)
    {
        return SPROX_INVALID;
    }

    return SPROX_OK;
}


sprox_rc_t
sprox_sns_subscribe_url(sprox_str_t url, sprox_sns_url_t *out)
{
    static const sprox_str_t  action =
        sprox_str("/?Action=ConfirmSubscription&");

    if (sprox_sns_url(url, out) != SPROX_OK
        || !sprox_str_starts(out->target, action)
        || sprox_str_find(out->target, sprox_str_lit("Action="), action.len)
           != (size_t) -1)
    {
        return SPROX_INVALID;
    }

    return SPROX_OK;
}


int
sprox_sns_url_of(const sprox_sns_url_t *url, sprox_str_t topic_arn)
{
    size_t    at, end;
    unsigned  i;

    at = 0;

    for (i = 0; i < SPROX_SNS_ARN_REGION; i++) {
        at = sprox_str_find(topic_arn, sprox_str_lit(":"), at);

        if (at == (size_t) -1) {
            return 0;
        }

        at++;
    }

    end = sprox_str_find(topic_arn, sprox_str_lit(":"), at);

    return end != (size_t) -1
           && sprox_str_eq(sprox_str_make(topic_arn.data + at, end - at),
                           url->region);
}
