if [ -n "$UV_ACTIONS_RUN_TESTS_BRANCH" ]; then
    # Others run beside it in this workspace: nothing of theirs may be its own, and nothing of `uvSetup`'s but uv and
    # its cache.
    export UV_ACTIONS_TEMP="$job/$id"
    mkdir -m 700 "$UV_ACTIONS_TEMP"
    export UV_PROJECT_ENVIRONMENT="$UV_ACTIONS_TEMP/venv"
    export COVERAGE_FILE="$UV_ACTIONS_TEMP/coverage"
    unset UV_PYTHON UV_NO_SYNC
fi
exec sh "$scripts/run" run_tests
