#!/bin/bash
#
# `make run`: nginx with sprox in the foreground, until Ctrl-C, and three
# lines to paste into another terminal. Standard output has those lines only.
#
#   conf/run.sh [BUILD]     where the module is, by default build
#
#   PORT=9000               of sprox
#   STORE_PORT=PORT+1       of the sample's store
#   RUN=BUILD/run           the folder for the cache, the sample and the logs
#   ORIGIN=s3://bucket/prefix
#                           that instead of the sample, by the usual
#                           AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY,
#                           AWS_SESSION_TOKEN, AWS_PROFILE, AWS_REGION,
#                           AWS_ENDPOINT_URL and AWS_CA_BUNDLE; read under
#                           its own name, so that only the endpoint differs

set -euo pipefail

cd "$(dirname "$0")/.."

BUILD=$(realpath "${1:-build}")
RUN=$(realpath -m "${RUN:-$BUILD/run}")
PORT=${PORT:-9000}
STORE_PORT=${STORE_PORT:-}
ORIGIN=${ORIGIN:-}
BIN=$(realpath -m .deps)/venv/bin

URL=http://127.0.0.1:$PORT


say()
{
    echo "run: $*" >&2
}


die()
{
    say "$@"
    exit 1
}


# In a subshell, so that the connection is closed at once.

in_use()
{
    (exec 3<> "/dev/tcp/127.0.0.1/$1") 2> /dev/null
}


check_port()
{
    case $2 in
        *[!0-9]* | ??????*) die "$1 is no port: $2" ;;
    esac

    if in_use "$2"; then
        die "port $2 is in use: stop what listens there, or choose another:" \
            "$1=$(($2 + 100)) make run"
    fi
}


find_nginx()
{
    local path

    for path in "$BUILD/nginx" "$(command -v nginx || true)" \
                /usr/sbin/nginx /usr/local/sbin/nginx
    do
        if [ -n "$path" ] && [ -x "$path" ]; then
            echo "$path"
            return 0
        fi
    done

    die "no nginx here: make deps"
}


# Made again when what makes it has changed.

make_sample()
{
    local want

    want=$(cat conf/sample.sql t/requirements-run.txt | sha256sum)

    if [ "$(cat "$RUN/sample.done" 2> /dev/null)" = "$want" ]; then
        return 0
    fi

    rm -rf "$RUN/store" "$RUN/cache"
    mkdir -p "$RUN/store"
    (cd "$RUN/store" && "$BIN/duckdb" > /dev/null) < conf/sample.sql
    echo "$want" > "$RUN/sample.done"
}


# ORIGIN's words are put into the configuration as they are, so they may hold
# nothing that nginx reads as more than a letter.

parse_origin()
{
    local word

    case $ORIGIN in
        s3://?*) ;;
        *) die "ORIGIN is s3://bucket or s3://bucket/prefix, not $ORIGIN" ;;
    esac

    for word in "$ORIGIN" "${AWS_REGION:-}" "${AWS_DEFAULT_REGION:-}" \
                "${AWS_ENDPOINT_URL:-}" "${AWS_ENDPOINT_URL_S3:-}" \
                "${AWS_CA_BUNDLE:-}"
    do
        case $word in *[!A-Za-z0-9._~:/=+@%,-]*)
            die "a character that cannot stand here, in $word" ;;
        esac
    done

    BUCKET=${ORIGIN#s3://}
    BUCKET=${BUCKET%%/*}
    PREFIX=${ORIGIN#"s3://$BUCKET"}
    PREFIX=${PREFIX#/}
    PREFIX=${PREFIX%/}
}


origin_block()
{
    local endpoint=${AWS_ENDPOINT_URL_S3:-${AWS_ENDPOINT_URL:-}}
    local region=${AWS_REGION:-${AWS_DEFAULT_REGION:-}}
    local place=$BUCKET${PREFIX:+/$PREFIX}

    echo '    sprox_origin s3 {'
    echo '        credentials chain;'
    [ -z "$endpoint" ] || echo "        endpoint $endpoint;"
    [ -z "$region" ] || echo "        region $region;"
    case $endpoint in http:*) ;; *)
        [ -z "${AWS_CA_BUNDLE:-}" ] \
            || echo "        trusted_certificate $AWS_CA_BUNDLE;"
    esac
    echo '    }'
    echo
    echo "    sprox_alias $place { target s3://$place/; }"
    echo
}


write_conf()
{
    sed "s/127\.0\.0\.1:9001/127.0.0.1:$STORE_PORT/
         s/127\.0\.0\.1:9000/127.0.0.1:$PORT/" conf/run.conf > "$RUN/nginx.conf"

    if [ -n "$ORIGIN" ]; then
        origin_block > "$RUN/origin.conf"
        sed -i -e '/# the origin:/r '"$RUN/origin.conf" \
            -e '/# the origin:/,/# end of the origin/d' "$RUN/nginx.conf"
    fi

    # so that DuckDB's line is short; the names of its folders are DuckDB's
    {
        echo ".output /dev/null"
        echo "LOAD '$(find -L "$BIN/.." -name httpfs.duckdb_extension -print \
                      -quit)';"
        echo "CREATE SECRET (TYPE s3, KEY_ID 'any', SECRET 'any'," \
             "ENDPOINT '127.0.0.1:$PORT', URL_STYLE 'path', USE_SSL false);"
        echo ".output"
    } > "$RUN/duckdb.sql"
}


wait_for_nginx()
{
    local tries

    for ((tries = 0; tries < 200; tries++)); do
        if ! kill -0 "$NGINX" 2> /dev/null; then
            break
        fi
        if in_use "$PORT"; then
            return 0
        fi
        sleep 0.05
    done

    die "nginx did not start: what it said is above, or in $RUN/error.log"
}


# ORIGIN's first Parquet file, or else its first object, among those that the
# first page of its listing has, as a URL has it. Names that a shell or SQL
# would take apart are passed over. Fails when the origin does not answer.

find_key()
{
    local answer plain='([A-Za-z0-9._/~-]|%(2C|3A|3D|40))+'

    answer=$(curl -sS "$URL/$BUCKET?list-type=2&encoding-type=url&prefix=$(
        echo "${PREFIX:+$PREFIX/}" | sed 's/%/%25/g; s/+/%2B/g')")

    case $answer in *'<ListBucketResult'*) ;; *)
        say "$ORIGIN cannot be listed: $(
            echo "$answer" | grep -o '<Code>[^<]*' | sed 's/<Code>//')"
        grep '\[error\]' "$RUN/error.log" | tail -n 1 >&2 || true
        return 1
    esac

    echo "$answer" | grep -o '<Key>[^<]*' | sed 's/<Key>//' > "$RUN/keys" || true
    grep -xE -m 1 "$plain\.parquet" "$RUN/keys" \
        || grep -xE -m 1 "$plain" "$RUN/keys" || true
}


print_lines()
{
    local key sql place

    if [ -z "$ORIGIN" ]; then
        BUCKET=sample
        PREFIX=
        key=year%3D2024/month%3D1/data_0.parquet
        sql="SELECT city, count(*) AS rides, round(avg(fare), 2) AS fare"
        sql+=" FROM 's3://sample/**/*.parquet' GROUP BY city ORDER BY city"
        place=s3://sample/

    else
        key=$(find_key) || exit 1
        place=s3://$BUCKET/${PREFIX:+$PREFIX/}
        case $key in
            *.parquet)
                sql="FROM 's3://$BUCKET/$(printf %b "${key//%/\\x}")' LIMIT 5" ;;
            *)
                sql="FROM glob('$place*') LIMIT 5" ;;
        esac
    fi

    echo "$BIN/duckdb -init $RUN/duckdb.sql -c \"$sql\""
    echo "env -u AWS_PROFILE AWS_ACCESS_KEY_ID=any AWS_SECRET_ACCESS_KEY=any" \
         "$BIN/aws --endpoint-url $URL --region us-east-1" \
         "s3 ls --recursive $place"
    echo "curl -sS -D - -o /dev/null" \
         "'$URL/$BUCKET/${key:-?list-type=2}'"
}


stop()
{
    trap '' INT TERM HUP
    kill -TERM "$NGINX" 2> /dev/null || true
    wait "$NGINX" || true
}


[ -f "$BUILD/ngx_http_sprox_module.so" ] \
    || die "no module in $BUILD: make"

NGINX_BIN=$(find_nginx)

check_port PORT "$PORT"
STORE_PORT=${STORE_PORT:-$((PORT + 1))}
[ -n "$ORIGIN" ] || check_port STORE_PORT "$STORE_PORT"

mkdir -p "$RUN/temp" "$RUN/modules"
ln -sf "$BUILD/ngx_http_sprox_module.so" "$RUN/modules/"

if [ -n "$ORIGIN" ]; then
    parse_origin
else
    make_sample
fi

write_conf

# root's workers would be nobody's, who may not enter root's folders

options=()
[ "$(id -u)" -ne 0 ] || options=(-g 'user root;')

"$NGINX_BIN" -p "$RUN" -c nginx.conf -e error.log "${options[@]}" >&2 &
NGINX=$!
trap stop EXIT
trap 'exit 0' INT TERM HUP

wait_for_nginx
print_lines
say "sprox listens on $URL (logs in $RUN); Ctrl-C stops it"

# a signal ends this wait
wait "$NGINX" && code=0 || code=$?
die "nginx ended with $code: see $RUN/error.log"
