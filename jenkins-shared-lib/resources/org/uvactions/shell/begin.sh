# shellcheck shell=sh
# What each component does first. The library has set
#   base     the collection's folder in the workspace's temporary folder
#   job      the folder of the outermost component on this node
#   id       what the names of this component's own files begin with
#   around   the file of exports of the `uvSetup` or `uvCache` around it; empty without one
#   reports  the folder, in the current one, for reports that plugins must find beside the sources
# and this sets and exports what the tools are told.
set -u

if [ -n "$around" ]; then
    # shellcheck source=/dev/null
    . "$around"
fi

# Each user has a folder: what root made in one container, the next build's user couldn't replace.
user=$(id -u)
scripts=$base/scripts-$user
mkdir -p "$scripts" "$job/temp"
chmod 700 "$scripts" "$job/temp"
for new in "$job/$id.scripts"/*; do
    [ -f "$new" ] || continue
    name=${new##*/}
    cmp -s "$new" "$scripts/$name" || { cp "$new" "$scripts/.$name.$id" && mv -f "$scripts/.$name.$id" "$scripts/$name"; }
done

# A container's user may have no home, or one that isn't his. What file modes say of it isn't always so.
homeless=true
if [ -n "${HOME-}" ] && { true >"$HOME/.uv-actions-$id"; } 2>/dev/null; then
    homeless=false
    rm -f "$HOME/.uv-actions-$id"
else
    export XDG_CACHE_HOME="${XDG_CACHE_HOME:-$base/home-$user/cache}"
    export XDG_DATA_HOME="${XDG_DATA_HOME:-$base/home-$user/data}"
fi

export UV_ACTIONS_PLATFORM=jenkins
export UV_ACTIONS_TEMP="$job/temp"
export UV_ACTIONS_OUTPUT="$job/$id.json"
unset UV_ACTIONS_EXPORTS

# begin_exports FILE: what commands inside of the closure get, before the tools add theirs.
begin_exports() {
    [ -z "$around" ] || printf '. %s\n' "$(quoted "$around")" >>"$1"
    [ "$homeless" = false ] ||
        printf 'export XDG_CACHE_HOME=%s XDG_DATA_HOME=%s\n' "$(quoted "$XDG_CACHE_HOME")" "$(quoted "$XDG_DATA_HOME")" >>"$1"
    export UV_ACTIONS_EXPORTS="$1"
}

# export_uv: for the closure, the folder with the uv that the plan has found.
export_uv() {
    # shellcheck disable=SC2016
    printf 'PATH=%s:"$PATH"; export PATH\n' "$(quoted "$uv_out_uv_folder")" >>"$UV_ACTIONS_EXPORTS"
}

# quoted TEXT: as one word of sh.
quoted() {
    printf "'%s'\n" "$(printf '%s\n' "$1" | sed "s/'/'\\\\''/g")"
}

