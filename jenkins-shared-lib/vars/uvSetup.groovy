import org.uvactions.Job
import org.uvactions.Options
import org.uvactions.Shell

/** The options and their defaults; uvSetup.txt says what they mean. */
Map defaults() {
    return [
        workingDirectory: '.',
        uvVersion: '',
        checksum: [],
        indexUrl: '',
        pythonVersion: '',
        sync: true,
        groups: [],
        defaultGroups: true,
        extras: [],
        packages: [],
        syncArgs: [],
        cache: 'auto',
        cacheProfile: '',
        cacheStore: '',
        mirror: '',
    ]
}

/** Sets uv and the project up for the steps in the closure, which is given the outputs. */
def call(Map config = [:], Closure body = null) {
    Job job = new Job(this, 'uvSetup', 'setup')
    if (body == null) {
        job.fail('there is no closure, in which what it sets up would be used', 'write uvSetup { outputs -> … }')
    }
    Map options = Options.read(this, 'uvSetup', config, defaults())
    try {
        Map outputs = begin(job, options)
        return withEnv(job.environment()) { body(outputs) }
    } finally {
        job.end()
    }
}

def call(Closure body) {
    return call([:], body)
}

/** The outputs of a set-up that lasts until `job.end()`, for steps within `job.environment()`. */
Map begin(Job job, Map options) {
    job.begin()
    job.must('setup', variables(options), 'the lock doesn\'t fit the project', 'run `uv lock` and commit `uv.lock`')
    return job.outputs(uvVersion: '', uvPath: '', pythonVersion: '', venv: '', cacheState: '', cacheKey: '')
}

/** The options as the tools read them: those of the installer, of `cache_key`, and of `setup_env`. */
private Map variables(Map options) {
    Map installer = [:]
    // An empty option leaves the installer's own variable as the job has it.
    if (options.uvVersion) {
        installer.put('UV_ACTIONS_UV_VERSION', options.uvVersion)
    }
    if (options.checksum) {
        installer.put('UV_ACTIONS_UV_CHECKSUM', options.checksum.join('\n'))
    }
    if (options.indexUrl) {
        installer.put('UV_ACTIONS_UV_INDEX_URL', options.indexUrl)
    }
    Map project = options.subMap([
        'workingDirectory', 'pythonVersion', 'groups', 'defaultGroups', 'extras', 'packages', 'syncArgs'])
    Map cache = [cache: options.cache, profile: options.cacheProfile, store: options.cacheStore]
    return installer +
        [UV_ACTIONS_UV_PROJECT: options.workingDirectory, UV_ACTIONS_MIRROR: options.mirror] +
        Shell.variables('cache_key', project + cache) +
        Shell.variables('setup_env', project + [sync: options.sync])
}
