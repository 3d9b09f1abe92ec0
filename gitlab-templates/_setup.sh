# Makes the project's environment from its lock, and leaves to later commands where everything is.
UV_ACTIONS_OUTPUT=$UV_ACTIONS_TEMP/setup UV_ACTIONS_EXPORTS=$UV_ACTIONS_TEMP/exports \
  UV_ACTIONS_SETUP_ENV_CACHE_STATE=$uv_out_state UV_ACTIONS_SETUP_ENV_CACHE_PATH=$uv_out_path \
  UV_ACTIONS_SETUP_ENV_CACHE_KEY=$uv_out_key UV_ACTIONS_SETUP_ENV_CACHE_REASON=$uv_out_reason \
  UV_ACTIONS_SETUP_ENV_CACHE_SAVE=$uv_out_save UV_ACTIONS_SETUP_ENV_CACHE_STARTED=$uv_out_started \
  sh "$uv_actions_scripts/run" setup_env || exit
. "$UV_ACTIONS_TEMP/exports"
. "$UV_ACTIONS_TEMP/setup"
uv_actions_output SETUP_UV_VERSION "$uv_out_uv_version"
uv_actions_output SETUP_UV_PATH "$uv_out_uv_path"
uv_actions_output SETUP_PYTHON_VERSION "$uv_out_python_version"
uv_actions_output SETUP_VENV "$uv_out_venv"
uv_actions_output SETUP_CACHE_STATE "$uv_out_cache_state"
uv_actions_output SETUP_CACHE_KEY "$uv_out_cache_key"
