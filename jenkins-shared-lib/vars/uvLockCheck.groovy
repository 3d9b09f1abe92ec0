import org.uvactions.Job
import org.uvactions.Options
import org.uvactions.Reports
import org.uvactions.Shell

/** The options and their defaults; uvLockCheck.txt says what they mean. */
Map defaults() {
    return [
        workingDirectory: '.',
        paths: [],
        scripts: true,
        build: false,
        failOn: 'error',
        mirror: '',
    ]
}

/** Checks that each uv.lock and each script's lock is fresh, and records what isn't. */
def call(Map config = [:]) {
    Map options = Options.read(this, 'uvLockCheck', config, defaults())
    Job job = new Job(this, 'uvLockCheck', 'lock-check')
    try {
        job.begin()
        job.remove(job.reports())
        int code = job.run('lock_check', variables(options))
        Reports.findings(this, job.reports() + '/lock-check.sarif', 'uv-lock-check', 'uv lock check')
        job.check(code, 'a lock isn\'t fresh', 'run `uv lock` where the findings above say so, and commit the locks')
        return job.outputs(state: '', findings: null)
    } finally {
        job.end()
    }
}

private Map variables(Map options) {
    return [UV_ACTIONS_UV_PROJECT: options.workingDirectory, UV_ACTIONS_MIRROR: options.mirror] +
        Shell.variables('lock_check', options - options.subMap(['mirror']))
}
