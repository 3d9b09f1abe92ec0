# The checks' own packages come from the mirror too, unless the job names an index for tools.
export UV_ACTIONS_INDEX="${UV_ACTIONS_INDEX:-$UV_ACTIONS_MIRROR}"
mkdir -p "$reports"
report=$reports/build.sarif
code=0
UV_ACTIONS_OUTPUT=$job/$id.checked sh "$scripts/run" check_dist --format sarif >"$report" || code=$?
if [ -s "$report" ]; then
    UV_ACTIONS_OUTPUT=$job/$id.shown sh "$scripts/run" ci_report --title "Metadata and contents" "$report" || code=$?
else
    # The plugin that reads it would fail.
    rm -f "$report"
fi
exit "$code"
