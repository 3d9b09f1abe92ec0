# The first half of `uvCache` with a folder as store: plan, restore, and the exports for the closure.
UV_ACTIONS_OUTPUT=$job/$id.plan sh "$scripts/run" cache_key plan --mode=restore
# shellcheck source=/dev/null
. "$job/$id.plan"
state=$uv_out_state
if [ "$uv_out_restore" = true ]; then
    UV_ACTIONS_OUTPUT=$job/$id.restored UV_ACTIONS_CI_CACHE_RESTORE_KEYS=$uv_out_restore_keys \
        "$uv_out_tool_python" -E "$scripts/ci_cache.py" restore "--store=$UV_ACTIONS_CACHE_KEY_STORE" \
        "--path=$uv_out_path" "--key=$uv_out_key" "--trust=$uv_out_trust"
    # shellcheck source=/dev/null
    . "$job/$id.restored"
    state=$uv_out_state
fi

begin_exports "$job/$id.exports"
export_uv
printf '{"key": "%s"}\n' "$uv_out_key" >"$UV_ACTIONS_OUTPUT"
"$uv_out_tool_python" -E "$scripts/cache_key.py" settle --mode=restore "--state=$state" "--path=$uv_out_path" \
    "--key=$uv_out_key" "--reason=$uv_out_reason" "--started=$uv_out_started" \
    "--$([ "$uv_out_save" = true ] || echo no-)save"
