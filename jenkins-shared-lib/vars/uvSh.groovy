import org.uvactions.Job
import org.uvactions.Shell

/** Runs a script of sh with uv first on PATH, and with what `uvSetup` and `uvCache` around it export. */
def call(Map config) {
    Job job = new Job(this, 'uvSh', '')
    if (!(config.script instanceof CharSequence)) {
        job.fail('there is no script', "write uvSh 'uv run …', or uvSh(script: 'uv run …', returnStdout: true)")
    }
    String exports = env.UV_ACTIONS_JENKINS_EXPORTS
    if (!exports) {
        job.fail('it is not inside of uvSetup or uvCache, whose uv it would use', 'write uvSetup { uvSh \'…\' }')
    }
    String text = config.script.toString()
    if (text.startsWith('#!')) {
        job.fail('the script begins with `#!`, but sh runs it', 'leave that line out, or name a file with the script')
    }
    return Job.runScript(this, '. ' + Shell.quote(exports) + '\n' + text, config)
}

def call(CharSequence script) {
    return call([script: script])
}
