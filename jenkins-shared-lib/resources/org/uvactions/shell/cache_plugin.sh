# Inside of the plugin jobcacher: it has restored the entry of this very key, or nothing.
path=$base/jobcacher
# shellcheck source=/dev/null
. "$job/$id.plan"
state=$uv_out_state
if [ "$uv_out_restore" = true ]; then
    state=exact
    # The folder may be an earlier build's, and so may the note beside it.
    [ "$(cat "$path/uv-actions-key" 2>/dev/null)" = "$uv_out_key" ] || state=miss
    rm -f "$path.json"
fi

begin_exports "$job/$id.exports"
export_uv
printf '{"key": "%s"}\n' "$uv_out_key" >"$UV_ACTIONS_OUTPUT"
"$uv_out_tool_python" -E "$scripts/cache_key.py" settle --mode=restore "--state=$state" "--path=$path" \
    "--key=$uv_out_key" "--reason=$uv_out_reason" "--started=$uv_out_started"
[ "$state" = off ] || printf '%s\n' "$uv_out_key" >"$path/uv-actions-key"
