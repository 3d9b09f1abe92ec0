// A stand-in for actions/cache/restore: same inputs, outputs and library (@actions/cache), less code around it.
const cache = require("@actions/cache");
const core = require("@actions/core");

async function restore() {
  if (!cache.isFeatureAvailable()) {
    core.info("[warning]There is no cache service.");
    core.setOutput("cache-hit", "false");
    return;
  }
  const key = core.getInput("key", { required: true });
  const prefixes = core.getMultilineInput("restore-keys");
  const paths = core.getMultilineInput("path", { required: true });
  const lookupOnly = core.getBooleanInput("lookup-only");
  core.setOutput("cache-primary-key", key);

  const crossOs = core.getBooleanInput("enableCrossOsArchive");
  const found = await cache.restoreCache(paths, key, prefixes, { lookupOnly }, crossOs);
  if (!found) {
    // Like the real one, which leaves cache-hit empty here.
    const tried = [key, ...prefixes].join(", ");
    if (core.getBooleanInput("fail-on-cache-miss")) {
      throw new Error(`Failed to restore cache entry. Exiting as fail-on-cache-miss is set. Input key: ${key}`);
    }
    core.info(`Cache not found for input keys: ${tried}`);
    return;
  }
  core.setOutput("cache-matched-key", found);
  core.setOutput("cache-hit", String(found.toLowerCase() === key.toLowerCase()));
  core.info(`Cache ${lookupOnly ? "found and can be restored" : "restored"} from key: ${found}`);
}

restore()
  .catch((error) => core.setFailed(error.message))
  // Requests that hang keep node alive; the result doesn't depend on them any more.
  .finally(() => process.exit());
