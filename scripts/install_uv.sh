#!/bin/sh
# Installs a verified uv and prints the folder that holds uv and uvx. POSIX sh; needs no Python.
#
#   bin=$(sh install_uv.sh --version 0.13.9) && "$bin/uv" --version
#
# Exit: 0 fine · 2 wrong use, or something that this machine lacks · 3 a wheel with a wrong hash · 4 not authorised ·
# 5 no connection, or an index without the wheel.

set -u

# The uv that this release was made with, and the oldest that the components support: 0.8.18 is the first that locks
# its cache against a pruner.
DEFAULT_VERSION=0.13.9
OLDEST_SUPPORTED=0.8.18

ATTEMPTS=3        # of one download, where trying again can help
TIME_LIMIT=600    # seconds that all downloads of one run may take

usage() {
    cat <<'USAGE'
usage: install_uv.sh [options]

Installs a verified uv and prints the folder that holds uv and uvx.
Every option can also be given by the variable beside it; an empty one counts as not given.

  --version VERSION       UV_ACTIONS_UV_VERSION        0.13.9, or a range: '>=0.12,<0.14', '==0.13.*', '~=0.13.2'.
                          The newest known version of a range is taken. Without it: required-version of the project,
                          else the uv on PATH if it is new enough, else the version this release was made with
  --checksum SHA256       UV_ACTIONS_UV_CHECKSUM       sha256 of the wheel, instead of the one in the versions file;
                          several (an OS matrix) by repeating it or one a line: any may match
  --versions-file FILE    UV_ACTIONS_UV_VERSIONS_FILE  known versions and hashes; default: uv_versions.tsv beside this file
  --index-url URL         UV_ACTIONS_UV_INDEX_URL      package index (simple API) to take the wheel from; default:
                          UV_ACTIONS_MIRROR, else the index in the first line of the versions file
  --file WHEEL            UV_ACTIONS_UV_FILE           take this wheel, without network
  --tool-dir DIR          UV_ACTIONS_TOOL_DIR          folder of the installed versions; default: uv-actions/uv in
                          RUNNER_TOOL_CACHE or in the user's cache folder
  --fresh                 UV_ACTIONS_UV_FRESH=true     take nothing that is installed already: a new install in a new
                          folder, in --tool-dir or else in RUNNER_TEMP,
                          UV_ACTIONS_TEMP, TMPDIR or /tmp
  --project DIR           UV_ACTIONS_UV_PROJECT        where to look for required-version, and upwards; default: .
  --print-path            only print where that uv is; fails if it isn't installed
  --help

Credentials of an index come from netrc (NETRC, ~/.netrc) or from UV_ACTIONS_UV_INDEX_USERNAME and
UV_ACTIONS_UV_INDEX_PASSWORD. HTTPS_PROXY, HTTP_PROXY, NO_PROXY, SSL_CERT_FILE, CURL_CA_BUNDLE and UV_HTTP_TIMEOUT
(seconds without an answer, default 30) are honoured.
USAGE
}

# ----------------------------------------------------------------------------------------------------------------------
# Talking to people

say() {
    printf '%s\n' "$1" >&2
}

one_line() {
    printf '%s' "$1" | tr '\n\r\t' '   '
}

for_github() {
    one_line "$1" | sed 's/%/%25/g'
}

warn() {
    if [ "${GITHUB_ACTIONS-}" = true ]; then
        say "::warning title=install_uv::$(for_github "$1")"
    else
        say "warning: $1"
    fi
}

# fail CODE MESSAGE MEND
fail() {
    if [ "${GITHUB_ACTIONS-}" = true ]; then
        say "::error title=install_uv::$(for_github "$2")%0ATo mend it: $(for_github "$3")"
    else
        say "error: $(one_line "$2")"
        say "  To mend it: $(one_line "$3")"
    fi
    exit "$1"
}

have() {
    command -v "$1" >/dev/null 2>&1
}

# ----------------------------------------------------------------------------------------------------------------------
# Options

read_options() {
    version=${UV_ACTIONS_UV_VERSION-}
    checksums=${UV_ACTIONS_UV_CHECKSUM-}
    versions_file=${UV_ACTIONS_UV_VERSIONS_FILE-}
    index_url=${UV_ACTIONS_UV_INDEX_URL:-${UV_ACTIONS_MIRROR-}}
    wheel_file=${UV_ACTIONS_UV_FILE-}
    tool_dir=${UV_ACTIONS_TOOL_DIR-}
    fresh=${UV_ACTIONS_UV_FRESH:-false}
    project=${UV_ACTIONS_UV_PROJECT:-.}
    print_path=false
    given_checksums=

    while [ $# -gt 0 ]; do
        option=$1
        shift
        case $option in
            --help | -h) usage; exit 0 ;;
            --fresh) fresh=true; continue ;;
            --print-path) print_path=true; continue ;;
            --*=*) value=${option#*=} option=${option%%=*} ;;
            --version | --checksum | --versions-file | --index-url | --file | --tool-dir | --project)
                [ $# -gt 0 ] || fail 2 "$option needs a value" "install_uv.sh --help shows the options"
                value=$1
                shift
                ;;
            *) fail 2 "there is no option \`$option\`" "install_uv.sh --help shows the options" ;;
        esac
        case $option in
            --version) version=$value ;;
            --checksum) given_checksums="$given_checksums $value" ;;
            --versions-file) versions_file=$value ;;
            --index-url) index_url=$value ;;
            --file) wheel_file=$value ;;
            --tool-dir) tool_dir=$value ;;
            --project) project=${value:-.} ;;
            *) fail 2 "there is no option \`$option\` with a value" "install_uv.sh --help shows the options" ;;
        esac
    done

    case $fresh in
        true | false) ;;
        *) fail 2 "UV_ACTIONS_UV_FRESH is \`$fresh\`, but must be \`true\` or \`false\`" "set it to \`true\` or \`false\`" ;;
    esac
    if [ "$fresh$print_path" = truetrue ]; then
        fail 2 "--fresh takes nothing that is installed, so --print-path has nothing to print" "leave one of them out"
    fi
    checksums=${given_checksums:-$checksums}
    [ -z "$checksums" ] || read_checksums
    [ -z "$index_url" ] || check_url "$index_url"
    case $0 in
        */*) beside=${0%/*} ;;
        *) beside=. ;;
    esac
    versions_file=${versions_file:-$beside/uv_versions.tsv}
    versions_file=$(native_path "$versions_file")
    wheel_file=$(native_path "$wheel_file")
    project=$(native_path "$project")
}

# Leaves `checksums` as lower-case digests with a space on each side.
read_checksums() {
    # What is no digest becomes an `x`, so that nothing is left that the shell would expand.
    normal=$(printf '%s' "$checksums" | tr ',\n\r\t' '    ' | tr '[:upper:]' '[:lower:]')
    checksums=' '
    for digest in $(printf '%s' "$normal" | tr -c '[:alnum:]: ' 'x'); do
        digest=${digest#sha256:}
        case $digest in
            *[!0-9a-f]*) digest= ;;
        esac
        [ ${#digest} -eq 64 ] || fail 2 "\`checksum\` holds something that is not a sha256" \
            "give the 64 hexadecimal digits of the wheel's sha256, one a line"
        checksums="$checksums$digest "
    done
}

check_url() {
    rest=${1#*://}
    case ${rest%%/*} in
        *@*) fail 2 "the index URL holds user information, which would end in logs" \
            "give the URL without it, and the credentials by netrc or UV_ACTIONS_UV_INDEX_USERNAME and UV_ACTIONS_UV_INDEX_PASSWORD" ;;
    esac
    case $1 in
        *[!A-Za-z0-9._~:/?#@!\$\&\'\(\)*+,\;=%\[\]-]*) rest= ;;
        http://?* | https://?*) ;;
        *) rest= ;;
    esac
    [ -n "$rest" ] || fail 2 "\`index-url\` is \`$(shown "$1")\`, which is not an http or https URL" \
        "give the URL of a package index: https://host/simple/"
}

# A URL as it may be printed: without query, which may hold a token.
shown() {
    printf '%s' "${1%%\?*}"
}

# A path of Windows in the form that this sh can use; any other path as it is.
native_path() {
    case $1 in
        [A-Za-z]:* | *\\*) if have cygpath; then cygpath -u "$1"; else printf '%s\n' "$1"; fi ;;
        *) printf '%s\n' "$1" ;;
    esac
}

# ----------------------------------------------------------------------------------------------------------------------
# Which version

choose_version() {
    why=
    if [ -n "$version" ]; then
        why="option \`version\`"
    elif [ -n "$wheel_file" ]; then
        version=$(wheel_version) || exit
        why="name of \`$wheel_file\`"
    else
        find_required_version
    fi
    if [ -z "$version" ] && [ "$fresh" = false ] && find_on_path && at_least "$path_version" "$OLDEST_SUPPORTED"; then
        version=$path_version
        return
    fi
    if [ -z "$version" ]; then
        version=$DEFAULT_VERSION
        return
    fi

    wanted=$version
    case $version in
        ===*) version=${version#===} ;;
        ==*[*,]*) ;;
        ==*) version=${version#==} ;;
    esac
    version=${version# }
    if ! is_version "$version"; then
        case $wanted in
            [=!\<\>~]*) version=$(newest_in_range "$wanted") || exit ;;
            *) fail 2 "$why is \`$wanted\`, which is neither a version nor a range" \
                "write a version as 0.13.9, or a range as '>=0.12,<0.14' or '==0.13.*'" ;;
        esac
    fi
    at_least "$version" "$OLDEST_SUPPORTED" ||
        warn "uv $version ($why) is older than $OLDEST_SUPPORTED, the oldest that the components support"
}

is_version() {
    case $1 in
        *[!0-9a-z.]*) return 1 ;;
    esac
    printf '%s\n' "$1" | grep -Eqx '(0|[1-9][0-9]{0,5})(\.(0|[1-9][0-9]{0,5})){2}((a|b|rc|\.post|\.dev)[0-9]{1,6})?'
}

# at_least A B: whether version A is B or newer.
at_least() {
    [ "$(version_number "$1")" -ge "$(version_number "$2")" ]
}

version_number() {
    patch=${1#*.*.}
    minor=${1#*.}
    minor=${minor%%.*}
    echo $((${1%%.*} * 1000000000000 + minor * 1000000 + ${patch%%[!0-9]*}))
}

# Looks for required-version in the project's folder and upwards, to the workspace's root or the repository's.
find_required_version() {
    folder=$(CDPATH='' cd -- "$project" 2>/dev/null && pwd -P) ||
        fail 2 "the project's folder \`$project\` doesn't exist" "correct \`working-directory\`, or --project"
    while :; do
        root=
        for file in uv.toml pyproject.toml; do
            [ -f "$folder/$file" ] || continue
            found=$(read_toml "$folder/$file") ||
                fail 2 "$folder/$file can't be read" "give this user the right to read it"
            root="$root${found#*|}"
            version=${found%%|*}
            if [ -n "$version" ]; then
                why="required-version in $folder/$file"
                return
            fi
        done
        if [ -n "$root" ] || [ -e "$folder/.git" ] || [ "$folder" = / ]; then
            return
        fi
        folder=${folder%/*}
        folder=${folder:-/}
    done
}

# Prints `<required-version>|<"root" if the file makes its folder a workspace's root>`.
read_toml() {
    case $1 in
        */uv.toml) prefix='' ;;
        *) prefix=tool.uv. ;;
    esac
    awk -v prefix="$prefix" '
        function bare(key) { gsub(/["\047 \t]/, "", key); return key }
        { sub(/\r$/, "") }
        NR == 1 { sub(/^\357\273\277/, "") }
        multiline != "" {
            end = index($0, multiline)
            if (!end) next
            $0 = substr($0, end + 3)
            multiline = ""
            rest_of_value = 1
        }
        depth == 0 && !rest_of_value && /^[ \t]*\[/ {
            table = $0
            sub(/^[ \t]*\[+/, "", table)
            sub(/\].*/, "", table)
            table = bare(table) "."
            if (table == "tool.uv.workspace.") root = "root"
        }
        depth == 0 && !rest_of_value && /^[ \t]*[A-Za-z0-9_"\047]/ {
            equals = index($0, "=")
            key = table bare(substr($0, 1, equals - 1))
            value = substr($0, equals + 1)
            if (key == prefix "required-version" && match(value, /^[ \t]*("[^"]*"|\047[^\047]*\047)/)) {
                value = substr(value, RSTART, RLENGTH)
                gsub(/^[ \t]*.|.$/, "", value)
                required = value
            }
            if (index(key, "tool.uv.workspace.") == 1 || key == "tool.uv.workspace") root = "root"
        }
        {
            rest_of_value = 0
            line = $0
            while (match(line, /"""|\047\047\047|"([^"\\]|\\.)*"|\047[^\047]*\047|#.*|[][{}]/)) {
                token = substr(line, RSTART, RLENGTH)
                line = substr(line, RSTART + RLENGTH)
                if (token == "\"\"\"" || token == "\047\047\047") {
                    end = index(line, token)
                    if (!end) { multiline = token; next }
                    line = substr(line, end + 3)
                } else if (token == "[" || token == "{") depth++
                else if (token == "]" || token == "}") depth--
            }
        }
        END { print required "|" root }
    ' "$1"
}

# Prints the newest version of the versions file that fits a range of PEP 440.
newest_in_range() {
    need_versions_file
    chosen=$(awk -F '\t' -v range="$1" '
        function number(version, part) {
            split(version, part, ".")
            return part[1] * 1e12 + part[2] * 1e6 + part[3]
        }
        function fits(version, n, i, starts) {
            n = number(version)
            for (i = 1; i <= clauses; i++) {
                starts = index(version ".", prefix[i] ".") == 1
                if (operator[i] == "==" && !(prefix[i] != "" ? starts : n == bound[i])) return 0
                if (operator[i] == "!=" && (prefix[i] != "" ? starts : n == bound[i])) return 0
                if (operator[i] == ">=" && n < bound[i]) return 0
                if (operator[i] == "<=" && n > bound[i]) return 0
                if (operator[i] == ">" && n <= bound[i]) return 0
                if (operator[i] == "<" && n >= bound[i]) return 0
                if (operator[i] == "~=" && (n < bound[i] || !starts)) return 0
            }
            return 1
        }
        BEGIN {
            gsub(/[ \t]/, "", range)
            clauses = split(range, clause, ",")
            for (i = 1; i <= clauses; i++) {
                if (!match(clause[i], /^(==|!=|>=|<=|~=|>|<)/)) { malformed = 1; exit }
                operator[i] = substr(clause[i], 1, RLENGTH)
                version = substr(clause[i], RLENGTH + 1)
                wildcard = version ~ /\.\*$/ && operator[i] ~ /^[=!]=$/
                if (wildcard) sub(/\.\*$/, "", version)
                if (version !~ /^[0-9]+(\.[0-9]+)*$/ || split(version, part, ".") > 3) { malformed = 1; exit }
                bound[i] = number(version)
                if (wildcard) prefix[i] = version
                if (operator[i] == "~=") {
                    if (version !~ /\./) { malformed = 1; exit }
                    prefix[i] = version
                    sub(/\.[0-9]+$/, "", prefix[i])
                }
            }
        }
        $1 != last && $1 ~ /^[0-9]+\.[0-9]+\.[0-9]+$/ {
            last = $1
            if (fits(last) && number(last) >= newest) { newest = number(last); chosen = last }
        }
        END {
            if (malformed) print "malformed"
            else print chosen
        }
    ' "$versions_file")
    case $chosen in
        malformed) fail 2 "$why is \`$1\`, which is not a range that can be read" \
            "write it as '>=0.12,<0.14', '==0.13.*' or '~=0.13.2'" ;;
        '') fail 2 "no known version of uv fits \`$1\` ($why)" \
            "widen the range, or give an exact version with its checksum; $versions_file holds the known ones" ;;
    esac
    printf '%s\n' "$chosen"
}

need_versions_file() {
    [ -r "$versions_file" ] || fail 2 "the versions file \`$versions_file\` can't be read" \
        "give its path by --versions-file, or an exact version with --checksum and --index-url"
}

# ----------------------------------------------------------------------------------------------------------------------
# Which platform

# Sets `system` (linux, macos, windows), `machine` and `libc` as wheel tags spell them, `platform` and `exe`.
detect_platform() {
    kernel=$(uname -s)
    machine=$(uname -m)
    libc='' exe=''
    case $kernel in
        Linux)
            system=linux
            detect_linux
            platform=linux-$machine-$libc
            ;;
        Darwin)
            system=macos
            # Under Rosetta an arm Mac calls itself x86_64.
            if [ "$machine" = x86_64 ] && [ "$(sysctl -n sysctl.proc_translated 2>/dev/null)" = 1 ]; then
                machine=arm64
            fi
            platform=macos-$machine
            ;;
        MINGW* | MSYS* | CYGWIN*)
            system=windows
            exe=.exe
            # Git's sh is an x86 program under emulation on arm: the kernel's name tells, or Windows' own variables.
            case "$kernel ${PROCESSOR_ARCHITEW6432:-${PROCESSOR_ARCHITECTURE:-$machine}}" in
                *-ARM64* | *' ARM64' | *' aarch64') machine=arm64 ;;
                *' AMD64' | *' x86_64') machine=amd64 ;;
                *) machine=32 ;;
            esac
            platform=windows-$machine
            ;;
        *) fail 2 "there is no wheel of uv for $kernel" "install uv yourself and put it on PATH" ;;
    esac
}

detect_linux() {
    # The programs' loader tells libc and word size; uname knows the kernel only. A static /bin/sh has none: then what
    # is installed decides, and where nothing is, only a static uv runs, which is what the musl wheels hold.
    loader=$(head -c 4096 /bin/sh 2>/dev/null | LC_ALL=C tr -c '[:graph:]' '\n' | grep -E '/ld(-linux|64|-musl-)' | head -n 1)
    [ -n "$loader" ] || loader=$(ls -d /lib/ld-linux* /lib/ld64* /lib64/ld-linux* /lib64/ld64* 2>/dev/null)
    case $loader in
        *ld-musl-* | '') libc=musl ;;
        *) libc=glibc ;;
    esac
    case $machine in
        x86_64 | amd64)
            case $loader in
                *ld-linux.so.2 | *ld-musl-i386*) machine=i686 ;;
                *) machine=x86_64 ;;
            esac
            ;;
        i?86) machine=i686 ;;
        aarch64 | arm64 | armv8*)
            case $machine:$loader in
                armv8*:* | *armhf*) machine=armv7l ;;
                *) machine=aarch64 ;;
            esac
            ;;
        armv7*) machine=armv7l ;;
    esac
}

# Reads lines whose first field is a wheel's platform tag, and prints the line that suits this platform best.
pick_wheel() {
    glibc=$(getconf GNU_LIBC_VERSION 2>/dev/null)
    awk -F '\t' -v os="$system" -v machine="$machine" -v libc="$libc" -v glibc="${glibc##*.}" '
        # 0: does not run here; else the smaller the better.
        function rank(part, tag, minor) {
            if (os == "macos") return part ~ "^macosx_[0-9]+_[0-9]+_(" machine "|universal2)$"
            if (os == "windows") {
                if (part == (machine == 32 ? "win32" : "win_" machine)) return 1
                return machine == "arm64" && part == "win_amd64" ? 2 : 0
            }
            if (part ~ "^musllinux_[0-9]+_[0-9]+_" machine "$") return libc == "musl" ? 1 : 3
            if (part == "linux_" machine) return 4
            if (libc == "glibc" && part ~ "^manylinux_2_[0-9]+_" machine "$") {
                minor = substr(part, 13) + 0
                if (glibc == "" || minor <= glibc + 0) return tag ~ /musllinux/ ? 2 : 1
            }
            return 0
        }
        {
            parts = split($1, part, ".")
            for (i = 1; i <= parts; i++) {
                r = rank(part[i], $1)
                if (r && (!best || r < best)) { best = r; line = $0 }
            }
        }
        END { if (best) print line }
    '
}

# ----------------------------------------------------------------------------------------------------------------------
# What is installed already

# Sets `path_version` and `path_folder`. A version manager's shim is no uv: what it starts depends on the folder.
find_on_path() {
    path_uv=$(command -v uv) || return 1
    path_folder=${path_uv%/*}
    case $path_uv in
        */shims/*) return 1 ;;
        /*) ;;
        *) path_folder=$(CDPATH='' cd -- "$path_folder" 2>/dev/null && pwd) || return 1 ;;
    esac
    [ -x "$path_folder/uvx" ] || [ -x "$path_folder/uvx.exe" ] || return 1
    path_version=$("$path_uv" --version 2>/dev/null) || return 1
    path_version=${path_version#uv }
    path_version=${path_version%% *}
    is_version "$path_version"
}

is_installed() {
    [ -s "$1/uv$exe" ] && [ -x "$1/uv$exe" ] && [ -s "$1/uvx$exe" ] && [ -x "$1/uvx$exe" ]
}

choose_tool_dir() {
    if [ -n "$tool_dir" ]; then
        :
    elif [ "$fresh" = true ]; then
        tool_dir=${RUNNER_TEMP:-${UV_ACTIONS_TEMP:-${TMPDIR:-/tmp}}}
    elif [ -n "${RUNNER_TOOL_CACHE-}" ]; then
        tool_dir=$RUNNER_TOOL_CACHE/uv-actions/uv
    elif [ -n "${XDG_CACHE_HOME-}" ]; then
        tool_dir=$XDG_CACHE_HOME/uv-actions/uv
    elif [ "$system" = windows ] && [ -n "${LOCALAPPDATA-}" ]; then
        tool_dir=$LOCALAPPDATA/uv-actions/uv
    elif [ -z "${HOME-}" ]; then
        fail 2 "neither HOME nor RUNNER_TOOL_CACHE is set, so there is no folder to install uv into" \
            "give one by --tool-dir or UV_ACTIONS_TOOL_DIR"
    elif [ "$system" = macos ]; then
        tool_dir=$HOME/Library/Caches/uv-actions/uv
    else
        tool_dir=$HOME/.cache/uv-actions/uv
    fi
    tool_dir=$(native_path "$tool_dir")
    case $tool_dir in
        /*) ;;
        *) tool_dir=$(pwd)/$tool_dir ;;
    esac
    tool_dir=${tool_dir%/}
}

# ----------------------------------------------------------------------------------------------------------------------
# Where the wheel comes from

# Prints `tag<TAB>sha256` of the known wheels of the version.
known_wheels() {
    [ -r "$versions_file" ] || return 0
    awk -F '\t' -v version="$version" '$1 "" == version { sub(/\r$/, "", $3); print $2 "\t" $3 }' "$versions_file"
}

# Sets `known` (`tag<TAB>sha256` of the known wheel that suits, if any) and `accepted`: the digests that the wheel may have.
choose_wheel() {
    known=$(known_wheels)
    if [ -n "$wheel_file" ]; then
        check_file
        known=$(printf '%s\n' "$known" | awk -F '\t' -v tag="$file_tag" '$1 == tag')
    elif [ -n "$known" ]; then
        known=$(printf '%s\n' "$known" | pick_wheel)
        [ -n "$known" ] || fail 2 "uv $version has no wheel for $platform" "choose another version, or install uv yourself"
    fi
    if [ -n "$checksums" ]; then
        accepted=$checksums
    elif [ -n "$known" ]; then
        accepted=" ${known#*	} "
    else
        fail 2 "uv $version is not in $versions_file, so there is no hash to check its wheel against" \
            "give the sha256 of the wheel by --checksum, or a versions file that has it by --versions-file"
    fi
}

# Prints the version in the name of the given wheel.
wheel_version() {
    name=${wheel_file##*/}
    case $name in
        uv-*-py3-none-*.whl)
            name=${name#uv-}
            printf '%s\n' "${name%%-*}"
            ;;
        *) fail 2 "\`$wheel_file\` is not named as a wheel of uv" "give a file with its own name: uv-0.13.9-py3-none-….whl" ;;
    esac
}

# Sets `file_tag`, the platform tag in the name of the given wheel.
check_file() {
    [ -f "$wheel_file" ] || fail 2 "the file \`$wheel_file\` doesn't exist" "give the path of a wheel of uv"
    found=$(wheel_version) || exit
    [ "$found" = "$version" ] || fail 2 "\`$wheel_file\` is uv $found, but uv $version is asked for ($why)" \
        "give the wheel of uv $version, or leave the version out"
    file_tag=${wheel_file##*-py3-none-}
    file_tag=${file_tag%.whl}
    [ -n "$(printf '%s\n' "$file_tag" | pick_wheel)" ] ||
        fail 2 "\`$wheel_file\` doesn't run on $platform" "give the wheel for this platform"
}

# Copies the given wheel, so that what is checked is what is unpacked.
take_file() {
    source=$wheel_file
    [ -r "$wheel_file" ] || fail 2 "the file \`$wheel_file\` can't be read" "give this user the right to read it"
    cp -- "$wheel_file" "$scratch/uv.whl" 2>/dev/null || fail_to_write
}

take_from_index() {
    if [ -z "$index_url" ]; then
        need_versions_file
        index_url=$(sed -n '1s/^# *index: *//p' "$versions_file" | tr -d '\r')
        [ -n "$index_url" ] || fail 2 "the first line of $versions_file doesn't name an index" \
            "give one by --index-url, or begin the file with \`# index: URL\`"
        check_url "$index_url"
    fi
    index_url=${index_url%/}
    choose_downloader
    deadline=$(($(date +%s) + TIME_LIMIT))
    page_url=$index_url/uv/
    download "$page_url" "$scratch/page"
    find_wheel_url
    download "$wheel_url" "$scratch/uv.whl"
    source=$(shown "$wheel_url")
}

# Finds the wheel in the page of the simple API (PEP 503) and sets `wheel_url`.
find_wheel_url() {
    tr '\n\r<' '  \n' <"$scratch/page" |
        sed -n "s/^[aA] [^>]*[hH][rR][eE][fF] *= *[\"']\([^\"'#]*\).*/\1/p" | sed 's/&amp;/\&/g' >"$scratch/links"
    grep -Eq '(^|/)uv-[0-9][^/]*\.(whl|tar\.gz)(\?|$)' "$scratch/links" || fail 5 \
        "$(shown "$page_url") answered with something that is not the list of uv's files" \
        "check that the URL is a package index's simple API, and that no log-in page or proxy answers for it"
    known_tag=${known%%	*}
    link=$(
        awk -v version="$version" -v known="$known_tag" '{
            name = $0
            sub(/\?.*/, "", name)
            sub(/.*\//, "", name)
            start = "uv-" version "-py3-none-"
            tag = substr(name, length(start) + 1)
            sub(/\.whl$/, "", tag)
            if (index(name, start) == 1 && name ~ /\.whl$/ && (known == "" || tag == known)) print tag "\t" $0
        }' "$scratch/links" | pick_wheel
    )
    [ -n "$link" ] || fail 5 "$(shown "$page_url") has no wheel of uv $version for $platform" \
        "choose a version that this index has, or bring the wheel into it"
    wheel_url=$(absolute_url "$effective_url" "${link#*	}")
}

# absolute_url BASE LINK
absolute_url() {
    base=${1%%[?#]*}
    base_rest=${base#*://}
    base_origin=${base%%://*}://${base_rest%%/*}
    case $2 in
        http://* | https://*) printf '%s\n' "$2"; return ;;
        //*) printf '%s\n' "${base%%://*}:$2"; return ;;
        /*) path=$2 ;;
        *)
            path=${base#"$base_origin"}
            path=${path%/*}/$2
            ;;
    esac
    path=$(printf '%s\n' "$path" | sed -e 's#/\./#/#g' -e ':a' -e 's#/[^/][^/]*/\.\./#/#' -e 'ta')
    printf '%s\n' "$base_origin$path"
}

origin() {
    rest=${1#*://}
    printf '%s\n' "${1%%://*}://${rest%%/*}"
}

# ----------------------------------------------------------------------------------------------------------------------
# Downloading

choose_downloader() {
    user=${UV_ACTIONS_UV_INDEX_USERNAME-}
    password=${UV_ACTIONS_UV_INDEX_PASSWORD-}
    if [ -z "$user" ] && [ -n "$password" ]; then
        fail 2 "UV_ACTIONS_UV_INDEX_PASSWORD is given without UV_ACTIONS_UV_INDEX_USERNAME" "give both"
    fi
    if [ "$(one_line "$user$password")" != "$user$password" ]; then
        fail 2 "the index's user name or password holds a line end or a tab" "give it without"
    fi
    # wget knows the small names only.
    export http_proxy="${http_proxy-${HTTP_PROXY-}}" https_proxy="${https_proxy-${HTTPS_PROXY-}}"
    export no_proxy="${no_proxy-${NO_PROXY-}}"
    timeout=${UV_HTTP_TIMEOUT:-30}
    case $timeout in
        *[!0-9]*) timeout=30 ;;
    esac

    if have curl; then
        downloader=curl
    elif have wget && wget --version 2>/dev/null | grep -q '^GNU'; then
        downloader=gnu_wget
    elif python=$(find_python); then
        downloader=python
    elif have wget && [ -z "$user" ]; then
        downloader=busybox_wget
    else
        fail 2 "there is nothing here to download with: curl, wget${user:+ (the one here is not able to log in)} or python3" \
            "install curl, or give the wheel by --file"
    fi
}

# download URL FILE: returns when the file is whole, ends the run when it can't be had. Sets `effective_url`.
download() {
    attempt=1
    while :; do
        remaining=$((deadline - $(date +%s)))
        if [ "$remaining" -le 0 ]; then
            fail 5 "the download of $(shown "$1") took more than $TIME_LIMIT seconds" "check the connection to that host"
        fi
        status=000 effective_url=$1 outcome='' detail=''
        with_credentials=
        if [ -n "$user" ] && [ "$(origin "$1")" = "$(origin "$index_url")" ]; then
            with_credentials=true
        fi
        "fetch_by_$downloader" "$1" "$2"
        [ -n "$outcome" ] || judge_status
        [ "$outcome" != ok ] || judge_content "$2"
        case $outcome in
            ok) return ;;
            again)
                if [ "$attempt" -lt $ATTEMPTS ]; then
                    sleep "$attempt"
                    attempt=$((attempt + 1))
                    continue
                fi
                fail 5 "$(shown "$1") can't be had, after $ATTEMPTS attempts: ${detail:-the connection failed}" \
                    "check the connection and the proxy (HTTPS_PROXY, NO_PROXY), or choose another index by --index-url"
                ;;
            denied) fail 4 "$(shown "$1") is not open to us: $detail" \
                "give credentials that are valid for it, by netrc or UV_ACTIONS_UV_INDEX_USERNAME and UV_ACTIONS_UV_INDEX_PASSWORD" ;;
            certificate) fail 5 "the certificate of $(shown "$1") is not trusted: $detail" \
                "name the file of the site's certificate authority in SSL_CERT_FILE" ;;
            unwritable) fail_to_write ;;
            *) fail 5 "$(shown "$1"): $detail" "check the URL of the index (--index-url), and that it has uv" ;;
        esac
    done
}

judge_status() {
    detail="HTTP status $status"
    case $status in
        200) outcome=ok ;;
        401 | 403 | 407) outcome=denied ;;
        408 | 429 | 5??) outcome=again ;;
        *) outcome=refused ;;
    esac
}

# A page where a wheel should be, or a wheel without its end, is a matter of the network, not of the hash.
judge_content() {
    case $1 in
        */uv.whl) ;;
        *) return ;;
    esac
    if head -c 512 "$1" | LC_ALL=C tr '[:upper:]' '[:lower:]' | LC_ALL=C grep -Eaq '<(!doctype|html)'; then
        outcome=refused detail="a page of HTML came instead of the wheel"
    elif [ "$(head -c 2 "$1")" = PK ] && ! tail -c 66000 "$1" | LC_ALL=C grep -aq "$(printf 'PK\005\006')"; then
        outcome=again detail="the download was cut"
    fi
}

first_line() {
    head -n 1 "$scratch/stderr" | cut -c 1-300
}

# What must not be an argument, since everybody sees those.
curl_config() {
    printf 'url = "%s"\n' "$1"
    [ -z "$with_credentials" ] ||
        printf 'user = "%s"\n' "$(printf '%s:%s' "$user" "$password" | sed 's/[\\"]/\\&/g')"
}

fetch_by_curl() {
    answer=$(
        # In braces, so that what the shell says of a killed curl goes to the same file.
        {
            curl_config "$1" | curl --config - --silent --show-error --location --globoff --netrc-optional \
                ${NETRC:+--netrc-file "$NETRC"} --header 'Accept: text/html, */*;q=0.1' \
                --connect-timeout "$timeout" --speed-limit 1000 --speed-time "$timeout" --max-time "$remaining" \
                --output "$2" --write-out '%{http_code} %{url_effective}'
            exit $?
        } 2>"$scratch/stderr"
    )
    code=$?
    status=${answer%% *}
    detail=$(first_line)
    case $code in
        0) effective_url=${answer#* } ;;
        23) outcome=unwritable ;;
        51 | 60 | 77) outcome=certificate ;;
        *)
            outcome=again
            [ "$code" -lt 128 ] || outcome=unwritable
            ;;
    esac
}

# limited SECONDS COMMAND...: with a limit of time where the machine has one, and what it says in `$scratch/stderr`.
limited() {
    seconds=$1
    shift
    (
        if have timeout; then
            timeout "$seconds" "$@"
        else
            "$@"
        fi
        exit $?
    ) 2>"$scratch/stderr"
}

fetch_by_gnu_wget() {
    certificates=${CURL_CA_BUNDLE:-${SSL_CERT_FILE-}}
    settings=${WGETRC:-${HOME-}/.wgetrc}
    : >"$scratch/wgetrc" && chmod 600 "$scratch/wgetrc"
    [ ! -r "$settings" ] || cat "$settings" >"$scratch/wgetrc"
    [ -z "$with_credentials" ] || printf '\nhttp_user = %s\nhttp_password = %s\n' "$user" "$password" >>"$scratch/wgetrc"
    home=${HOME-}
    if [ -n "${NETRC-}" ]; then
        cp -- "$NETRC" "$scratch/.netrc" 2>/dev/null && home=$scratch
    fi
    limited "$remaining" env HOME="$home" WGETRC="$scratch/wgetrc" LC_ALL=C wget --no-verbose --server-response --tries=1 \
        --timeout="$timeout" --header='Accept: text/html, */*;q=0.1' ${certificates:+--ca-certificate="$certificates"} \
        --output-document="$2" "$1"
    code=$?
    read_wget_headers "$1"
    detail=$(grep -Ev '^ |^[0-9-]* [0-9:]* URL:' "$scratch/stderr" | head -n 1 | cut -c 1-300)
    case $code in
        0 | 6 | 8) ;;
        3) outcome=unwritable ;;
        5) outcome=certificate ;;
        *)
            outcome=again
            case $code in 13? | 14? | 15?) outcome=unwritable ;; esac
            ;;
    esac
}

fetch_by_busybox_wget() {
    limited "$remaining" wget -S -T "$timeout" -O "$2" "$1"
    code=$?
    if [ "$code" -eq 139 ]; then
        # The one of busybox 1.35 (Debian 12) crashes at -T.
        limited $((timeout * 4)) wget -S -O "$2" "$1"
        code=$?
    fi
    read_wget_headers "$1"
    detail=$(grep '^wget:' "$scratch/stderr" | head -n 1 | cut -c 1-300)
    [ "$code" -ne 0 ] || return
    case $detail in
        *'server returned error'*) ;;
        *'No space'* | *'rite error'* | *'short write'* | *"can't open"*) outcome=unwritable ;;
        *)
            outcome=again
            case $code in 13? | 14? | 15?) outcome=unwritable ;; esac
            ;;
    esac
}

# Sets `status` and `effective_url` from the headers that both kinds of wget write to stderr.
read_wget_headers() {
    status=$(sed -n 's#^ *HTTP/[0-9.]* \([0-9][0-9][0-9]\).*#\1#p; s#^wget: server returned error: HTTP/[0-9.]* \([0-9][0-9][0-9]\).*#\1#p' "$scratch/stderr" | tail -n 1)
    location=$(sed -n 's/^ *[Ll]ocation: *\([^ ]*\).*/\1/p' "$scratch/stderr" | tr -d '\r' | tail -n 1)
    [ -z "$location" ] || effective_url=$(absolute_url "$1" "$location")
}

fetch_by_python() {
    FETCH_USER=${with_credentials:+$user} FETCH_PASSWORD=${with_credentials:+$password} \
        "$python" -I - "$1" "$2" "$timeout" "$remaining" <<'PYTHON' >"$scratch/answer" 2>"$scratch/stderr"
import base64, netrc, os, ssl, sys, time, urllib.error, urllib.parse, urllib.request

url, path, timeout, limit = sys.argv[1], sys.argv[2], float(sys.argv[3]), time.monotonic() + float(sys.argv[4])
user, password = os.environ["FETCH_USER"], os.environ["FETCH_PASSWORD"]
if not user:
    try:
        found = netrc.netrc(os.environ.get("NETRC") or None).authenticators(urllib.parse.urlsplit(url).hostname)
        user, password = (found[0], found[2]) if found else ("", "")
    except (OSError, netrc.NetrcParseError):
        pass
request = urllib.request.Request(url, headers={"Accept": "text/html, */*;q=0.1", "User-Agent": "uv-actions"})
if user:
    token = base64.b64encode(f"{user}:{password}".encode()).decode()
    request.add_unredirected_header("Authorization", f"Basic {token}")


def end(code, text):
    print(text, file=sys.stderr)
    sys.exit(code)


try:
    context = ssl.create_default_context(cafile=os.environ.get("CURL_CA_BUNDLE") or os.environ.get("SSL_CERT_FILE") or None)
    answer = urllib.request.urlopen(request, timeout=timeout, context=context)
except urllib.error.HTTPError as error:
    print(error.code, url)
    sys.exit(0)
except (OSError, ValueError) as error:
    end(11 if isinstance(getattr(error, "reason", error), ssl.SSLCertVerificationError) else 10, error)
try:
    file = open(path, "wb")
except OSError as error:
    end(12, error)
size = 0
while True:
    try:
        block = answer.read(1 << 16)
    except Exception as error:
        end(10, error)
    if not block:
        break
    size += len(block)
    try:
        file.write(block)
    except OSError as error:
        end(12, error)
    if time.monotonic() > limit:
        end(10, "it took too long")
try:
    file.close()
except OSError as error:
    end(12, error)
expected = answer.headers.get("Content-Length")
if expected and int(expected) != size:
    end(10, f"the download was cut: {size} of {expected} bytes came")
print(answer.status, answer.geturl())
PYTHON
    code=$?
    answer=$(cat "$scratch/answer")
    status=${answer%% *}
    detail=$(first_line)
    case $code in
        0) effective_url=${answer#* } ;;
        10) outcome=again ;;
        11) outcome=certificate ;;
        *) outcome=unwritable ;;
    esac
}

# ----------------------------------------------------------------------------------------------------------------------
# Checking and unpacking

find_python() {
    for name in python3 python; do
        # On Windows a stub of that name may only open the shop.
        if have "$name" && "$name" -I -c 'import sys; sys.exit(sys.version_info < (3, 6))' >/dev/null 2>&1; then
            printf '%s\n' "$name"
            return
        fi
    done
    return 1
}

choose_hasher() {
    if have sha256sum; then
        hasher=sha256sum
    elif have shasum; then
        hasher='shasum -a 256'
    elif have openssl; then
        hasher='openssl dgst -sha256 -r'
    elif find_python >/dev/null; then
        hasher=python
    else
        fail 2 "there is nothing here to compute a sha256 with (sha256sum, shasum, openssl or python3)" \
            "install one of them, for example coreutils"
    fi
}

sha256_of() {
    if [ "$hasher" = python ]; then
        "$(find_python)" -I -c 'import hashlib, sys; print(hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest())' "$1"
    else
        $hasher <"$1" | cut -c 1-64
    fi
}

choose_unpacker() {
    if have unzip; then
        unpacker=unzip
    elif have bsdtar; then
        unpacker=bsdtar
    elif find_python >/dev/null; then
        unpacker=python
    elif have tar && tar --version 2>/dev/null | grep -q bsdtar; then
        unpacker=tar
    else
        fail 2 "there is nothing here to unpack a wheel with (unzip, bsdtar or python3)" "install unzip"
    fi
}

# unpack WHEEL FOLDER
unpack() {
    mkdir "$2" || return
    case $unpacker in
        unzip) unzip -q "$1" -d "$2" ;;
        python) "$(find_python)" -I -m zipfile -e "$1" "$2" ;;
        *) "$unpacker" -xf "$1" -C "$2" ;;
    esac
}

verify() {
    digest=$(sha256_of "$scratch/uv.whl")
    case $accepted in
        *" $digest "*) [ ${#digest} -eq 64 ] && return ;;
    esac
    fail 3 "the wheel of uv $version from $source has the sha256 ${digest:-(none)}, but$(one_line "$accepted")is expected" \
        "don't use that file: ask who runs the index; only if you know the file to be right, give its sha256 by --checksum"
}

fail_to_write() {
    fail 2 "uv can't be written to $tool_dir: no right to, or no space left" \
        "free some space there, or choose another folder by --tool-dir or UV_ACTIONS_TOOL_DIR"
}

# ----------------------------------------------------------------------------------------------------------------------
# Installing

install() {
    choose_hasher
    choose_unpacker
    choose_wheel
    if ! mkdir -p -- "$tool_dir" 2>/dev/null || ! scratch=$(mktemp -d "$tool_dir/.new.XXXXXX" 2>/dev/null); then
        scratch=
        fail_to_write
    fi
    # The name of a fresh install can't be foreseen, so nobody can have put something there.
    [ "$fresh" = false ] || target=$target.${scratch##*.}
    if [ -n "$wheel_file" ]; then
        take_file
    else
        take_from_index
    fi
    verify

    # unzip asks on stdin what to do about a full disk.
    unpack "$scratch/uv.whl" "$scratch/wheel" </dev/null >/dev/null 2>&1 || fail_to_write
    new=$scratch/wheel/uv-$version.data/scripts
    chmod 755 "$new/"* 2>/dev/null
    is_installed "$new" || fail 2 "the wheel from $source holds no uv and uvx for $platform" "choose another version"
    chmod "$folder_mode" "$new"
    publish
    say "installed uv $version from $source"
}

# Moves the new folder into place. The move is atomic; where another job was faster, `mv` puts ours inside of its.
publish() {
    if [ -d "$target" ] && ! is_installed "$target"; then
        mv "$target" "$scratch/incomplete" 2>/dev/null || fail_to_write
    fi
    mv "$new" "$target" 2>/dev/null || is_installed "$target" || fail_to_write
    rm -rf "${target:?}/scripts"
}

clean_up() {
    [ -z "$scratch" ] || rm -rf "$scratch"
}

main() {
    scratch=
    trap clean_up EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP

    read_options "$@"
    choose_version
    if [ "$fresh" = false ] && { [ -n "${path_version-}" ] || find_on_path; } && [ "$path_version" = "$version" ]; then
        printf '%s\n' "$path_folder"
        return
    fi
    detect_platform
    choose_tool_dir
    target=$tool_dir/$version-$platform
    folder_mode=755
    if [ "$fresh" = true ]; then
        folder_mode=700
    elif is_installed "$target"; then
        printf '%s\n' "$target"
        return
    elif [ "$print_path" = true ]; then
        fail 2 "uv $version is not installed, neither on PATH nor in $target" "run it without --print-path"
    fi
    install
    printf '%s\n' "$target"
}

main "$@"
