# Says where this job works: UV_ACTIONS_TEMP is its own folder, `.uv-actions` holds what GitLab takes at its end.
UV_ACTIONS_PLATFORM=gitlab
UV_ACTIONS_TEMP=$(mktemp -d "${TMPDIR:-/tmp}/uv-actions.XXXXXX") || exit 2
export UV_ACTIONS_PLATFORM UV_ACTIONS_TEMP
{ cd "$CI_PROJECT_DIR" && mkdir -p .uv-actions/reports && printf '*\n' > .uv-actions/.gitignore; } || exit 2
# An image may run its jobs as a user without a home.
if [ ! -w "${HOME:-/nonexistent}" ]; then
  export UV_ACTIONS_TOOL_DIR="${UV_ACTIONS_TOOL_DIR:-$UV_ACTIONS_TEMP/uv}"
  export UV_ACTIONS_TOOLS_CACHE="${UV_ACTIONS_TOOLS_CACHE:-$UV_ACTIONS_TEMP/tools}"
fi

# uv_actions_output NAME VALUE: a line of the dotenv report, which can't hold more than one, and where GitLab would
# expand a `$`.
uv_actions_output() {
  uv_actions_value=$(printf '%s' "$2" | tr '\n' ' ')
  case $uv_actions_value in
    *[[:cntrl:]\$\\\`\"\']*) echo "note: the output $1 can't be a line of a dotenv report, and is left out" >&2 ;;
    *) printf 'UV_ACTIONS_%s=%s\n' "$1" "$uv_actions_value" >> .uv-actions/reports/outputs.env ;;
  esac
}
