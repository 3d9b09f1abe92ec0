# `uvCache` where there is nothing to keep a cache in.
# shellcheck source=/dev/null
. "$job/$id.plan"
begin_exports "$job/$id.exports"
export_uv
"$uv_out_tool_python" -E "$scripts/cache_key.py" settle --mode=restore --state=off \
    "--reason=no folder is named by cacheStore, and the plugin jobcacher isn't here"
