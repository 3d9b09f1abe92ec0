# Plans the cache, restores it, syncs the project and saves the cache, in one go: each `sh` of Jenkins costs half a second.
store=$UV_ACTIONS_CACHE_KEY_STORE

UV_ACTIONS_OUTPUT=$job/$id.plan sh "$scripts/run" cache_key plan
# shellcheck source=/dev/null
. "$job/$id.plan"
state=$uv_out_state
if [ "$uv_out_restore" = true ]; then
    UV_ACTIONS_OUTPUT=$job/$id.restored UV_ACTIONS_CI_CACHE_RESTORE_KEYS=$uv_out_restore_keys \
        "$uv_out_tool_python" -E "$scripts/ci_cache.py" restore "--store=$store" "--path=$uv_out_path" \
        "--key=$uv_out_key" "--trust=$uv_out_trust"
    # shellcheck source=/dev/null
    . "$job/$id.restored"
    state=$uv_out_state
fi

begin_exports "$job/$id.exports"
export UV_ACTIONS_BIN="$uv_out_uv_folder"
"$uv_out_tool_python" -E "$scripts/setup_env.py" "--cache-state=$state" "--cache-path=$uv_out_path" \
    "--cache-key=$uv_out_key" "--cache-reason=$uv_out_reason" "--cache-started=$uv_out_started" \
    "--$([ "$uv_out_save" = true ] || echo no-)cache-save"

# Right after the sync: tests that fail don't cost the cache, and an entry holds what the lock needs and nothing else.
if [ "$uv_out_save" = true ] && [ "$state" != exact ]; then
    UV_ACTIONS_OUTPUT=$job/$id.saved "$uv_out_tool_python" -E "$scripts/ci_cache.py" save "--store=$store" \
        "--path=$uv_out_path" "--key=$uv_out_key" "--trust=$uv_out_trust"
fi
