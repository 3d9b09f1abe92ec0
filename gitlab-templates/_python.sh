# The image is chosen by the version; `3` stands for any, and leaves the choice to the project.
uv_actions_python=$UV_ACTIONS_PYTHON
case $uv_actions_python in
  3) uv_actions_python='' ;;
  3.[0-7] | 3.[0-7].*)
    echo "error: the Python version is $uv_actions_python: YAML reads 3.10 without quotes as the number 3.1" >&2
    echo "  To mend it: put quotes around it, '3.10'" >&2
    exit 2
    ;;
esac
export UV_ACTIONS_CACHE_KEY_PYTHON_VERSION="$uv_actions_python"
export UV_ACTIONS_SETUP_ENV_PYTHON_VERSION="$uv_actions_python"
export UV_ACTIONS_RUN_TESTS_PYTHON_VERSION="$uv_actions_python"
