# How distributions travel from uv-build to uv-publish: as artifacts, whose hashes stand in the build's meta-data. To be
# sourced after plugin.bash.
# shellcheck shell=bash disable=SC2154 # what option files and outputs set

# meta_data NAME VALUE: sets `uv-actions:<component>:<name>` for the build's later steps.
meta_data() {
  printf '%s' "$2" | agent meta-data set "uv-actions:$component:$1"
}

# artifact_folder FOLDER: a folder's path in the checkout, which is where its files are as artifacts; for one outside
# its last part.
artifact_folder() {
  local folder checkout
  folder=$(cd "$1" && pwd -P)
  checkout=$(pwd -P)
  case $folder in
    "$checkout"/*) printf '%s' "${folder#"$checkout/"}" ;;
    *) printf '%s' "${folder##*/}" ;;
  esac
}

# artifact_place ITEM: the same for an item of `dist`, which need not be here.
artifact_place() {
  local place=${option_working_directory%/}/${1%/}
  while [[ $place == ./* ]]; do
    place=${place#./}
  done
  printf '%s' "$place"
}

# built_hashes PLACE: what uv-build of this build has told of a folder; empty if it has built nothing there. Without an
# answer nothing can be verified, so that is an error.
built_hashes() {
  local key=uv-actions:build:sha256:$1 code=0
  command -v buildkite-agent >/dev/null || return 0
  buildkite-agent meta-data exists "$key" || code=$?
  case $code in
    0) buildkite-agent meta-data get "$key" || fail 5 "the hashes of $1 could not be read" "retry the step" ;;
    100) ;;
    *) fail 5 "Buildkite doesn't say whether uv-build has built $1" "look above for the agent's reason, then retry" ;;
  esac
}

# download PLACE FOLDER: fetches an item of `dist`, a folder or a file, from the artifacts of this build.
download() {
  local place=$1 folder=$2 query
  case $place in
    *.whl | *.tar.gz) query=$place ;;
    *) query="$place/*" ;;
  esac
  buildkite-agent artifact download -- "$query" "$folder" ||
    fail 2 "\`dist\` names $place, which is neither here nor among the artifacts of this build" \
      "let a step before build it with uv-build, with \`wait\` or \`depends_on\` in between"
}

# password_of NAME: the value of the variable that `password-env` names. Neither is ever told: it may be the password
# that stands there in place of its name.
password_of() {
  [[ $1 =~ ^[A-Za-z_][A-Za-z0-9_]*$ ]] ||
    fail 2 "\`password-env\` is no name of a variable" "give the name of the variable that holds the password"
  [[ -n ${!1-} ]] ||
    fail 2 "the variable that \`password-env\` names is empty or not there" \
      "let a secret or a hook of the agent set it for this step, and see that \`password-env\` is its name"
  printf '%s' "${!1}"
}
