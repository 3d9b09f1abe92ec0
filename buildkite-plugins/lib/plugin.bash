# What the hooks of all plugins share. A hook sources it after it has set `plugin` to the plugin's folder.
#
# The agent sources a hook and hands on what it exports, unless the hook exits: so one that goes well runs to its end,
# and exports nothing but what is meant for the step. Bash 3.2 is enough. No jq, and no Python before uv has brought one.
# shellcheck shell=bash disable=SC2154 # plugin, and what option files set

scripts=$plugin/scripts

# Seconds that the agent may take to reach Buildkite for what no job depends on.
AGENT_SECONDS=60

# fail STATUS MESSAGE [MEND]
fail() {
  printf 'error: %s\n' "$2" >&2
  [[ -z ${3-} ]] || printf '  To mend it: %s\n' "$3" >&2
  exit "$1"
}

warn() {
  printf 'warning: %s\n' "$1" >&2
}

# The job's own folder. Its name holds the job's id, so that the last hook finds it even where an earlier one has failed,
# and nothing that was exported is left.
job_folder() {
  printf '%s/uv-actions-%s' "${TMPDIR:-/tmp}" "${BUILDKITE_JOB_ID//[^a-zA-Z0-9-]/_}"
}

# begin COMPONENT: makes the job's folder, which tools and later plugins of the step share.
begin() {
  component=$1
  UV_ACTIONS_TEMP=$(job_folder)
  if ! mkdir -m 700 "$UV_ACTIONS_TEMP" 2>/dev/null && [[ ! -d $UV_ACTIONS_TEMP || -L $UV_ACTIONS_TEMP || ! -O $UV_ACTIONS_TEMP ]]; then
    fail 2 "the folder $UV_ACTIONS_TEMP can't be made" "see that TMPDIR is a folder that this agent can write to"
  fi
  export UV_ACTIONS_TEMP
}

new_file() {
  mktemp "$UV_ACTIONS_TEMP/$1.XXXXXX"
}

# given NAME: a text option as the agent has put it into the environment, before a tool can check it.
given() {
  local name=BUILDKITE_PLUGIN_${BUILDKITE_PLUGIN_NAME}_$1
  printf '%s' "${!name-}"
}

# given_list NAME: the same for a list, one item a line.
given_list() {
  local number=0 item
  while item=BUILDKITE_PLUGIN_${BUILDKITE_PLUGIN_NAME}_$1_$number && [[ -n ${!item-} ]]; do
    printf '%s\n' "${!item}"
    number=$((number + 1))
  done
}

# read_options FILE [ARGUMENT ...]: installs uv, checks the options, and sets `option_<name>`, `tool_python` and
# `uv_folder`. FILE keeps the lines for later hooks.
read_options() {
  local file=$1
  shift
  (
    export UV_ACTIONS_PLATFORM=buildkite
    UV_ACTIONS_UV_PROJECT=$(given WORKING_DIRECTORY)
    UV_ACTIONS_MIRROR=$(given MIRROR)
    export UV_ACTIONS_UV_PROJECT="${UV_ACTIONS_UV_PROJECT:-.}" UV_ACTIONS_MIRROR
    sh "$scripts/run" buildkite_options "--plugin=uv-$component" "--options=$plugin/options.json" "--output=$file" "$@"
  )
  # shellcheck source=/dev/null
  . "$file"
}

# tool NAME [ARGUMENT ...]: runs a tool by the Python that has checked the options; the launcher would look for uv again.
tool() {
  local name=$1
  shift
  UV_ACTIONS_PLATFORM=buildkite UV_ACTIONS_BIN=$uv_folder UV_ACTIONS_MIRROR=$option_mirror PATH=$uv_folder:$PATH \
    "$tool_python" -E "$scripts/$name.py" "$@"
}

# agent [ARGUMENT ...]: asks the agent for what no job depends on; where it can't, that is told, and the job goes on.
agent() {
  local limit=()
  if ! command -v buildkite-agent >/dev/null; then
    warn "buildkite-agent isn't on PATH, so \`$1\` is left out"
    return 1
  fi
  command -v timeout >/dev/null && limit=(timeout "$AGENT_SECONDS")
  BUILDKITE_AGENT_LOG_LEVEL=warn ${limit[@]+"${limit[@]}"} buildkite-agent "$@" || {
    warn "\`buildkite-agent $1\` failed, and is left out"
    return 1
  }
}

# tell_outputs FAILED NAME ...: exports `uv_out_<name>` of a tool as UV_ACTIONS_<COMPONENT>_<NAME>, for later hooks and
# the command. With FAILED, 0 or an exit code, other than 0 they go by way of the agent, since a hook that fails hands
# nothing on.
tell_outputs() {
  local failed=$1 name variable value pairs=()
  shift
  for name in "$@"; do
    variable=uv_out_$name
    value=${!variable-}
    variable=$(printf 'UV_ACTIONS_%s_%s' "$component" "$name" | tr 'a-z-' 'A-Z_')
    export "$variable=$value"
    pairs+=("$variable=$value")
  done
  if [[ $failed != 0 ]]; then
    agent env set "${pairs[@]}" >/dev/null || true
  fi
}

# upload FOLDER PATH ...: uploads files as artifacts, by their paths in a folder. These must not have what the agent takes
# for a pattern: the flag that says so came with version 3.110.
upload() {
  local folder=$1 paths
  shift
  paths=$(IFS=';' && printf '%s' "$*")
  (cd "$folder" && agent artifact upload "$paths")
}

# own_command: for the hook that comes before the command: checks the options, and that the command is this plugin's.
own_command() {
  read_options "$UV_ACTIONS_TEMP/uv-$component.options" --owns-command
}

# command_begins: for the hook that is the command: the options as they were checked, and the mark that it has run.
command_begins() {
  # shellcheck source=/dev/null
  . "$UV_ACTIONS_TEMP/uv-$component.options"
  : >"$UV_ACTIONS_TEMP/uv-$component.ran"
}

# command_ended: for the hook that comes after the command: a step whose command was another plugin's is no success.
command_ended() {
  if [[ ${BUILDKITE_COMMAND_EXIT_STATUS:-0} == 0 && ! -e $UV_ACTIONS_TEMP/uv-$component.ran ]]; then
    fail 2 "uv-$component has not run, since another plugin or hook of this step is its command" \
      "give each a step of its own"
  fi
}

# clean_up: for the last hook. It never fails the job.
clean_up() {
  rm -rf -- "$(job_folder)" || warn "the folder $(job_folder) can't be removed"
}
