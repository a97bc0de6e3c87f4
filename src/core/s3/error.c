/*
 * The table of S3's errors, with S3's own words and statuses (but for
 * NotImplemented, where S3 speaks of headers alone), and the writer of the
 * document that clients get.
 *
 *   <Error><Code>NoSuchKey</Code><Message>...</Message>
 *     <Key>a/b</Key>                   or <BucketName>, or neither
 *     <Resource>/bucket/a/b</Resource>
 *     <RequestId>...</RequestId></Error>
 */

#include "sprox_error.h"
#include "sprox_xml.h"


static const sprox_error_info_t  sprox_errors[SPROX_ERR_MAX] = {

    [SPROX_ERR_NONE] = { sprox_str(""), 200, sprox_str("") },

    [SPROX_ERR_ACCESS_DENIED] =
        { sprox_str("AccessDenied"), 403, sprox_str("Access Denied") },

    [SPROX_ERR_AUTHORIZATION_HEADER_MALFORMED] =
        { sprox_str("AuthorizationHeaderMalformed"), 400,
          sprox_str("The authorization header you provided is invalid.") },

    [SPROX_ERR_BAD_DIGEST] =
        { sprox_str("BadDigest"), 400,
          sprox_str("The Content-MD5 you specified did not match what we "
                    "received.") },

    [SPROX_ERR_INTERNAL_ERROR] =
        { sprox_str("InternalError"), 500,
          sprox_str("We encountered an internal error. Please try again.") },

    [SPROX_ERR_INVALID_ARGUMENT] =
        { sprox_str("InvalidArgument"), 400, sprox_str("Invalid Argument") },

    [SPROX_ERR_INVALID_BUCKET_NAME] =
        { sprox_str("InvalidBucketName"), 400,
          sprox_str("The specified bucket is not valid.") },

    [SPROX_ERR_INVALID_PART_NUMBER] =
        { sprox_str("InvalidPartNumber"), 416,
          sprox_str("The requested partnumber is not satisfiable") },

    [SPROX_ERR_INVALID_RANGE] =
        { sprox_str("InvalidRange"), 416,
          sprox_str("The requested range is not satisfiable") },

    [SPROX_ERR_INVALID_REQUEST] =
        { sprox_str("InvalidRequest"), 400, sprox_str("Invalid Request") },

    [SPROX_ERR_INVALID_URI] =
        { sprox_str("InvalidURI"), 400,
          sprox_str("Couldn't parse the specified URI.") },

    [SPROX_ERR_KEY_TOO_LONG] =
        { sprox_str("KeyTooLongError"), 400,
          sprox_str("Your key is too long") },

    [SPROX_ERR_METADATA_TOO_LARGE] =
        { sprox_str("MetadataTooLarge"), 400,
          sprox_str("Your metadata headers exceed the maximum allowed "
                    "metadata size") },

    [SPROX_ERR_METHOD_NOT_ALLOWED] =
        { sprox_str("MethodNotAllowed"), 405,
          sprox_str("The specified method is not allowed against this "
                    "resource.") },

    [SPROX_ERR_NO_SUCH_BUCKET] =
        { sprox_str("NoSuchBucket"), 404,
          sprox_str("The specified bucket does not exist") },

    [SPROX_ERR_NO_SUCH_KEY] =
        { sprox_str("NoSuchKey"), 404,
          sprox_str("The specified key does not exist.") },

    [SPROX_ERR_NO_SUCH_VERSION] =
        { sprox_str("NoSuchVersion"), 404,
          sprox_str("The specified version does not exist.") },

    [SPROX_ERR_NOT_IMPLEMENTED] =
        { sprox_str("NotImplemented"), 501,
          sprox_str("This is not implemented here; objects can be read and "
                    "listed") },

    [SPROX_ERR_PRECONDITION_FAILED] =
        { sprox_str("PreconditionFailed"), 412,
          sprox_str("At least one of the pre-conditions you specified did "
                    "not hold") },

    [SPROX_ERR_REQUEST_HEADER_TOO_LARGE] =
        { sprox_str("RequestHeaderSectionTooLarge"), 400,
          sprox_str("Your request header and query parameters used to make "
                    "the request exceed the maximum allowed size.") },

    [SPROX_ERR_SERVICE_UNAVAILABLE] =
        { sprox_str("ServiceUnavailable"), 503,
          sprox_str("Service is unable to handle request.") },

    [SPROX_ERR_SLOW_DOWN] =
        { sprox_str("SlowDown"), 503,
          sprox_str("Please reduce your request rate.") },

    /* S3 has no origins, and no words for their failures */

    [SPROX_ERR_BAD_GATEWAY] =
        { sprox_str("BadGateway"), 502,
          sprox_str("The origin could not be reached, or its answer could "
                    "not be trusted.") },

    [SPROX_ERR_GATEWAY_TIMEOUT] =
        { sprox_str("GatewayTimeout"), 504,
          sprox_str("The origin did not answer in time.") },
};


const sprox_error_info_t *
sprox_error_info(sprox_error_code_t code)
{
    return &sprox_errors[code];
}


static sprox_str_t
sprox_error_message(sprox_str_t code)
{
    size_t  i;

    for (i = SPROX_ERR_NONE + 1; i < SPROX_ERR_MAX; i++) {
        if (sprox_str_eq(sprox_errors[i].code, code)) {
            return sprox_errors[i].message;
        }
    }

    return sprox_errors[SPROX_ERR_NONE].message;
}


void
sprox_error_write(sprox_buf_t *out, sprox_str_t code,
    sprox_str_t message, sprox_str_t bucket, sprox_str_t key,
    sprox_str_t request_id)
{
    if (message.len == 0) {
        message = sprox_error_message(code);
    }

    sprox_xml_head(out);
    sprox_buf_text(out, "<Error>");
    sprox_xml_element(out, "Code", code, SPROX_XML_PERCENT);
    sprox_xml_element(out, "Message", message, SPROX_XML_PERCENT);

    if (key.len != 0) {
        sprox_xml_element(out, "Key", key, SPROX_XML_PERCENT);

    } else if (bucket.len != 0) {
        sprox_xml_element(out, "BucketName", bucket, SPROX_XML_PERCENT);
    }

    sprox_buf_text(out, "<Resource>/");

    if (bucket.len != 0) {
        sprox_xml_text(out, bucket, SPROX_XML_PERCENT);
    }

    if (key.len != 0) {
        sprox_buf_char(out, '/');
        sprox_xml_text(out, key, SPROX_XML_PERCENT);
    }

    sprox_buf_text(out, "</Resource>");
    sprox_xml_element(out, "RequestId", request_id, SPROX_XML_PERCENT);
    sprox_buf_text(out, "</Error>");
}
