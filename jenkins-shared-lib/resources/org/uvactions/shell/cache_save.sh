# The second half of `uvCache` with a folder as store.
UV_ACTIONS_OUTPUT=$job/$id.plan sh "$scripts/run" cache_key plan --mode=save
# shellcheck source=/dev/null
. "$job/$id.plan"
if [ "$uv_out_save" = true ]; then
    UV_ACTIONS_OUTPUT=$job/$id.saved "$uv_out_tool_python" -E "$scripts/ci_cache.py" save \
        "--store=$UV_ACTIONS_CACHE_KEY_STORE" "--path=$uv_out_path" "--key=$uv_out_key" "--trust=$uv_out_trust"
fi
