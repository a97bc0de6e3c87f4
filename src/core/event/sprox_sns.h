/*
 * What SNS adds around a message: the handshake that starts a subscription,
 * and a signature ("Verifying the signatures of Amazon SNS messages").
 *
 * A message names the URLs of its certificate and of its confirmation.  Who
 * asks what a message names lets its sender choose: only a URL that the
 * functions below take may be asked, over TLS with the host verified, no
 * redirect followed; and the confirmation only of a message whose signature
 * was found good and whose topic the operator expects.
 */

#ifndef SPROX_SNS_H
#define SPROX_SNS_H


#include "sprox_buf.h"


#define SPROX_SNS_URL_MAX        2048
#define SPROX_SNS_ARN_MAX        512
#define SPROX_SNS_TOKEN_MAX      1024
#define SPROX_SNS_TEXT_MAX       256    /* ids, subject, timestamp */
#define SPROX_SNS_SIGNATURE_MAX  1024   /* base64 */
#define SPROX_SNS_PEM_MAX        (64 * 1024)
#define SPROX_SNS_KEY_BITS_MIN   2048


typedef enum {
    SPROX_SNS_NONE = 0,
    SPROX_SNS_NOTIFICATION,
    SPROX_SNS_SUBSCRIPTION,         /* SubscriptionConfirmation */
    SPROX_SNS_UNSUBSCRIPTION        /* UnsubscribeConfirmation */
} sprox_sns_type_t;


/*
 * Nothing but message has control characters: the string that is signed
 * joins all by line feeds, and could else be cut in other places than SNS
 * has joined it.
 */

typedef struct {
    sprox_sns_type_t  type;
    sprox_str_t       message_id;
    sprox_str_t       topic_arn;
    sprox_str_t       message;
    sprox_str_t       subject;             /* data is NULL: there is none */
    sprox_str_t       timestamp;           /* as sent */
    int64_t           time;                /* the same, in milliseconds */
    sprox_str_t       token;               /* the confirmations only */
    sprox_str_t       subscribe_url;       /* the confirmations only */
    sprox_str_t       signature_version;   /* "1", "2"; empty: not signed */
    sprox_str_t       signature;           /* base64 */
    sprox_str_t       cert_url;            /* SigningCertURL */
} sprox_sns_t;


/* What to ask: https://host/target, on port 443.  Points into the URL. */

typedef struct {
    sprox_str_t  host;              /* sns.REGION.amazonaws.com[.cn] */
    sprox_str_t  region;
    sprox_str_t  target;            /* path and query, as sent */
} sprox_sns_url_t;


/*
 * Whether a certificate may be asked for at a URL: SPROX_OK, or
 * SPROX_INVALID: not https, a host that is not SNS's very own, a user, a port
 * but 443, a path without .pem at its end, a query or a fragment.
 */
sprox_rc_t sprox_sns_cert_url(sprox_str_t url, sprox_sns_url_t *out);

/* The same of a confirmation's URL, which is https://host/?Action=
   ConfirmSubscription&..., and nothing else that SNS can be asked to do. */
sprox_rc_t sprox_sns_subscribe_url(sprox_str_t url, sprox_sns_url_t *out);

/*
 * Whether the URL is of the topic's region, "arn:PARTITION:sns:REGION:...":
 * SNS names no other one.
 */
int sprox_sns_url_of(const sprox_sns_url_t *url, sprox_str_t topic_arn);

/*
 * Whether the first certificate in pem is one that verify() could take for
 * some message at `now` (seconds).  SPROX_OK, or SPROX_INVALID with *why, a
 * static text.
 */
sprox_rc_t sprox_sns_cert_check(sprox_str_t pem, int64_t now,
    const char **why);

/* Appends the string that SNS has signed.  SPROX_OK or SPROX_NOMEM. */
sprox_rc_t sprox_sns_canonical(sprox_buf_t *out, const sprox_sns_t *sns);

/*
 * Whether the signature (version 1: SHA-1, 2: SHA-256; RSA) is of the first
 * certificate in pem, which is valid at `now` (seconds).  Its chain is not
 * looked at: that it came from a URL as above, over TLS, vouches for it.
 *
 * SPROX_OK: it is.  SPROX_INVALID, *why is a static text: it is not.
 * SPROX_NOMEM.
 */
sprox_rc_t sprox_sns_verify(const sprox_mem_t *mem, const sprox_sns_t *sns,
    sprox_str_t pem, int64_t now, const char **why);


#endif /* SPROX_SNS_H */
