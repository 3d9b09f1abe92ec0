mkdir -p "$reports"
report=$reports/lock-check.sarif
code=0
sh "$scripts/run" lock_check --format sarif >"$report" || code=$?
if [ -s "$report" ]; then
    # Not the tool's outputs.
    UV_ACTIONS_OUTPUT=$job/$id.shown sh "$scripts/run" ci_report "$report" || code=$?
else
    # The plugin that reads it would fail.
    rm -f "$report"
fi
exit "$code"
