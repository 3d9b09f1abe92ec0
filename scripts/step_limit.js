// Ends a nested action that waits for a dead cache server: a step of a composite action can have no time limit, and the
// action's own limits add up to a quarter of an hour. Loaded into it by NODE_OPTIONS="--require …".
const fs = require("node:fs");

const SECONDS = 150;

const limit = setTimeout(() => {
  console.log(`::warning title=uv cache::given up after ${SECONDS} seconds; the job goes on without it`);
  if (process.env.GITHUB_OUTPUT) fs.appendFileSync(process.env.GITHUB_OUTPUT, "timed-out=true\n");
  process.exit(0);
}, SECONDS * 1000);
limit.unref();
