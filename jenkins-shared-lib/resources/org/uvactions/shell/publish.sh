# A new uv, and not one that other jobs of this machine have left.
export UV_ACTIONS_UV_FRESH=true
[ -n "$UV_ACTIONS_PUBLISH_USERNAME" ] || export UV_ACTIONS_PUBLISH_USERNAME="${UV_ACTIONS_JENKINS_USERNAME-}"
exec sh "$scripts/run" publish
