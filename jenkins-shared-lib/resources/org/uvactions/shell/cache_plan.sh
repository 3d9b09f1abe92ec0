# What `uvCache` needs to know before it asks the plugin jobcacher, which gives and takes whole entries by a file's content.
UV_ACTIONS_OUTPUT=$job/$id.plan sh "$scripts/run" cache_key plan --cache=true "--store=$base/jobcacher" --mode=restore
# shellcheck source=/dev/null
. "$job/$id.plan"
mkdir -p "$reports"
printf '%s\n' "$uv_out_key" >"$reports/key"
