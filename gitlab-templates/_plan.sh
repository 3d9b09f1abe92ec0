# Finds what this job may do with the cache. GitLab archives the folder at the job's end, whatever the job says: only one
# that has something new to save leaves it there. An archive that isn't made leaves the stored one as it is.
uv_actions_folder=$PWD/.uv-actions/saved
UV_ACTIONS_OUTPUT=$UV_ACTIONS_TEMP/plan sh "$uv_actions_scripts/run" cache_key plan "--folder=$uv_actions_folder" || exit
. "$UV_ACTIONS_TEMP/plan"
if [ "$uv_out_state" = off ]; then
  rm -rf "$uv_actions_folder" || exit 2
elif [ "$uv_out_restore" = true ] && [ "$uv_out_save$uv_out_state" != truemiss ]; then
  uv_actions_folder=$PWD/.uv-actions/restored
  uv_out_path=$uv_actions_folder/cache
  rm -rf "$uv_actions_folder" || exit 2
  [ ! -d .uv-actions/saved ] || mv .uv-actions/saved "$uv_actions_folder" || exit 2
fi
