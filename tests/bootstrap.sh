# What `tests/run` and `tests/demo` do first on a machine that may have nothing but git and curl: programs, uv, and the
# tests' environment. To be sourced, in the root of the repository; POSIX sh.
# shellcheck shell=sh

# bootstrap 'COMMAND:PACKAGE ...': brings these programs, uv, and a Python with the tests' packages, first on PATH.
bootstrap() {
    # The environment of another project is not ours.
    unset VIRTUAL_ENV
    install_tools "$1"
    uv=$(sh scripts/install_uv.sh)
    "$uv/uv" sync --quiet --project tests --locked
    PATH=$PWD/tests/.venv/bin:$uv:$PATH
    export PATH
}

# fail STATUS MESSAGE [MEND]
fail() {
    printf 'error: %s\n' "$2" >&2
    [ -z "${3:-}" ] || printf '  To mend it: %s\n' "$3" >&2
    exit "$1"
}

# install_tools 'COMMAND:PACKAGE ...'
install_tools() {
    packages=''
    for pair in $1; do
        command -v "${pair%%:*}" >/dev/null || packages="$packages ${pair#*:}"
    done
    has_python || packages="$packages python3"
    [ -n "$packages" ] || return 0
    packages=${packages# }
    command -v apt-get >/dev/null || fail 2 "the tests need: $packages" "install them with this system's package manager"
    as_root=''
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || fail 2 "the tests need: $packages" "as root: apt-get install -y $packages"
        as_root=sudo
    fi
    echo "installing $packages" >&2
    # shellcheck disable=SC2086 # one package a word
    {
        $as_root apt-get update -qq &&
            $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages
    } >/dev/null || fail 2 "apt-get couldn't install: $packages" "see what it says above"
}

# Whether a Python that the tests run on is here; without one in the distribution, uv downloads its own.
has_python() {
    for python in python3 python3.11 python3.12 python3.13 python3.14; do
        if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            return 0
        fi
    done
    return 1
}
