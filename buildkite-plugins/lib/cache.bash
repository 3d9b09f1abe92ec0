# The cache of uv-setup and uv-cache between jobs, in a folder. To be sourced after plugin.bash.
# shellcheck shell=bash disable=SC2154 # what option files and outputs set

# plan_cache MODE FILE: the plan of uv-cache; FILE gets the outputs.
plan_cache() {
  UV_ACTIONS_OUTPUT=$2 \
    UV_ACTIONS_CACHE_KEY_WORKING_DIRECTORY=$option_working_directory \
    UV_ACTIONS_CACHE_KEY_PROFILE=$option_profile \
    UV_ACTIONS_CACHE_KEY_KEY_FILES=$option_key_files \
    UV_ACTIONS_CACHE_KEY_STORE=$option_cache_store \
    tool cache_key plan "--mode=$1"
}

# restore_cache: does what the plan says, and sets uv_out_state to what came of it.
restore_cache() {
  local results
  if [[ $uv_out_restore == true ]]; then
    results=$(new_file restore)
    UV_ACTIONS_OUTPUT=$results \
      UV_ACTIONS_CI_CACHE_STORE=$option_cache_store \
      UV_ACTIONS_CI_CACHE_PATH=$uv_out_path \
      UV_ACTIONS_CI_CACHE_KEY=$uv_out_key \
      UV_ACTIONS_CI_CACHE_RESTORE_KEYS=$uv_out_restore_keys \
      UV_ACTIONS_CI_CACHE_TRUST=$uv_out_trust \
      tool ci_cache restore
    # shellcheck source=/dev/null
    . "$results"
  fi
  uv_out_state=${uv_out_state:-miss}
}

# save_cache: puts the cache into the store, unless the store has it.
save_cache() {
  UV_ACTIONS_OUTPUT=$(new_file save) \
    UV_ACTIONS_CI_CACHE_STORE=$option_cache_store \
    UV_ACTIONS_CI_CACHE_PATH=$uv_out_path \
    UV_ACTIONS_CI_CACHE_KEY=$uv_out_key \
    UV_ACTIONS_CI_CACHE_TRUST=$uv_out_trust \
    tool ci_cache save
}
