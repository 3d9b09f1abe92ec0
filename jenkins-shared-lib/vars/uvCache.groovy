import org.uvactions.Job
import org.uvactions.Options
import org.uvactions.Shell

/** The options and their defaults; uvCache.txt says what they mean. */
Map defaults() {
    return [
        workingDirectory: '.',
        profile: '',
        keyFiles: [],
        cacheStore: '',
        mirror: '',
    ]
}

/** Restores uv's cache, runs the closure with it, which is given the outputs, and saves it if that went well. */
def call(Map config = [:], Closure body = null) {
    Job job = new Job(this, 'uvCache', 'cache')
    if (body == null) {
        job.fail('there is no closure, in which the cache would be used', 'write uvCache { outputs -> … }')
    }
    Map options = Options.read(this, 'uvCache', config, defaults())
    try {
        job.begin()
        if (options.cacheStore) {
            return withStore(job, options, body)
        }
        return withPlugin(job, options, body)
    } finally {
        job.end()
    }
}

def call(Closure body) {
    return call([:], body)
}

/** With a folder of the agent, or a volume, as store. */
private Object withStore(Job job, Map options, Closure body) {
    job.must('cache_restore', variables(options))
    Object result = inside(job, body)
    job.must('cache_save', variables(options))
    return result
}

/** With the plugin jobcacher, which keeps what each branch saves apart; without it the cache is off. */
private Object withPlugin(Job job, Map options, Closure body) {
    job.must('cache_plan', variables(options))
    job.remove(job.reports())
    // The plugin tells entries apart by the path as it is written, so the variable is the plugin's to expand.
    Map entry = [path: '${WORKSPACE_TMP}/uv-actions/jobcacher', cacheName: options.profile ?: 'uv',
        cacheValidityDecidingFile: job.reports() + '/key', useDefaultExcludes: false]
    Map choice = [caches: [arbitraryFileCache(entry)]]
    if (env.CHANGE_TARGET) {
        choice.put('defaultBranch', env.CHANGE_TARGET)
    }
    boolean begun = false
    Object result = null
    try {
        cache(choice) {
            begun = true
            job.must('cache_plugin', variables(options))
            result = inside(job, body)
        }
        return result
    } catch (NoSuchMethodError missing) {
        if (begun) {
            throw missing
        }
    }
    job.must('cache_off', variables(options))
    return inside(job, body)
}

private Object inside(Job job, Closure body) {
    Map outputs = job.outputs(state: '', key: '', bytes: null)
    return withEnv(job.environment()) { body(outputs) }
}

private Map variables(Map options) {
    Map chosen = options.subMap(['workingDirectory', 'profile', 'keyFiles']) + [store: options.cacheStore]
    return [UV_ACTIONS_UV_PROJECT: options.workingDirectory, UV_ACTIONS_MIRROR: options.mirror] +
        Shell.variables('cache_key', chosen)
}
