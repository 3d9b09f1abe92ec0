package engine

import com.cloudbees.groovy.cps.Outcome
import groovy.transform.CompileStatic

import java.security.MessageDigest

/** `cache(caches: [arbitraryFileCache(…)])` of the plugin jobcacher: folders kept for a branch, read from the default one. */
@CompileStatic
class JobCacher {
    static Body body(Context context, Map args) {
        List<Map<String, Object>> caches = ((List) args.caches).collect { Object each -> ((Describable) each).args }
        if (!args.skipRestore) {
            for (Map<String, Object> cache : caches) {
                restore(context, cache, (String) args.defaultBranch)
            }
        }
        return Body.of(context) { Outcome outcome ->
            if (outcome.success && !args.skipSave) {
                for (Map<String, Object> cache : caches) {
                    save(context, cache)
                }
            }
            return outcome
        }
    }

    private static void restore(Context context, Map<String, Object> cache, String defaultBranch) {
        for (String branch : [ownBranch(), defaultBranch]) {
            File store = store(branch, cache)
            if (branch && store.directory && valid(context, cache, store)) {
                context.say("[Cache for ${cache.path}] Restoring cache of ${branch}...")
                AntFiles.copy(new File(store, 'files'), AntFiles.find(new File(store, 'files'), '**', '', false), path(context, cache))
                return
            }
        }
        context.say("[Cache for ${cache.path}] Skip restoring cache as no up-to-date cache exists")
    }

    private static void save(Context context, Map<String, Object> cache) {
        File store = store(ownBranch(), cache)
        if (store.directory && cache.cacheValidityDecidingFile && valid(context, cache, store)) {
            context.say("[Cache for ${cache.path}] Skip cache creation as the cache is up-to-date")
            return
        }
        if (!path(context, cache).directory) {
            context.say("[Cache for ${cache.path}] Cannot create cache as the path does not exist")
            return
        }
        context.say("[Cache for ${cache.path}] Creating cache...")
        store.deleteDir()
        store.mkdirs()
        List<String> paths = AntFiles.find(path(context, cache), (String) (cache.includes ?: '**'), (String) cache.excludes, false)
        AntFiles.copy(path(context, cache), paths, new File(store, 'files'))
        new File(store, 'hash').text = hash(context, cache)
    }

    private static boolean valid(Context context, Map<String, Object> cache, File store) {
        return !cache.cacheValidityDecidingFile || new File(store, 'hash').text == hash(context, cache)
    }

    private static String hash(Context context, Map<String, Object> cache) {
        MessageDigest digest = MessageDigest.getInstance('SHA-256')
        File folder = context.folder('cache')
        for (String each : AntFiles.find(folder, (String) (cache.cacheValidityDecidingFile ?: ''))) {
            digest.update(new File(folder, each).bytes)
        }
        return digest.digest().encodeHex().toString()
    }

    private static String ownBranch() { Build.current.environment().get('BRANCH_NAME') ?: 'job' }

    /** The folder of a cache; variables in its path are expanded, but not in its name. */
    private static File path(Context context, Map<String, Object> cache) {
        Map<String, String> env = context.environment()
        String path = ((String) cache.path).replaceAll(/\$\{(\w+)\}/) { List<String> match -> env[match[1]] ?: match[0] }
        return context.file(path, 'cache')
    }

    private static File store(String branch, Map<String, Object> cache) {
        String name = ((String) (cache.cacheName ?: cache.path)).replaceAll(/[^\w.-]/, '_')
        return new File((String) Build.current.request.jobcacher, "${branch}/${name}")
    }
}
