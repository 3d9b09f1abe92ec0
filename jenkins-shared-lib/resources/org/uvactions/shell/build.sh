exec sh "$scripts/run" build_dist
