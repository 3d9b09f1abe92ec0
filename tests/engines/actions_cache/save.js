// A stand-in for actions/cache/save: same inputs and library (@actions/cache), less code around it.
const cache = require("@actions/cache");
const core = require("@actions/core");

// A failed upload closes the file under the library's own reads.
process.on("uncaughtException", (error) => core.info(`[warning]${error.message}`));

async function save() {
  if (!cache.isFeatureAvailable()) {
    core.info("[warning]There is no cache service.");
    core.warning("Cache save failed.");
    return;
  }
  const key = core.getInput("key", { required: true });
  const paths = core.getMultilineInput("path", { required: true });
  const uploadChunkSize = Number.parseInt(core.getInput("upload-chunk-size"), 10) || undefined;
  const id = await cache.saveCache(paths, key, { uploadChunkSize }, core.getBooleanInput("enableCrossOsArchive"));
  if (id === -1) {
    core.warning("Cache save failed.");
  } else {
    core.info(`Cache saved with key: ${key}`);
  }
}

save()
  .catch((error) => {
    core.info(`[warning]${error.message}`);
    core.warning("Cache save failed.");
  })
  // Requests that hang keep node alive; the result doesn't depend on them any more.
  .finally(() => process.exit());
