import org.uvactions.Job
import org.uvactions.Options
import org.uvactions.Reports
import org.uvactions.Shell

/** The options and their defaults; uvBuild.txt says what they mean. */
Map defaults() {
    return [
        workingDirectory: '.',
        package: '',
        allPackages: false,
        sources: false,
        stash: '',
        mirror: '',
    ]
}

/** Builds a source distribution and from it a wheel, checks both, and stashes them if asked. */
def call(Map config = [:]) {
    Map options = Options.read(this, 'uvBuild', config, defaults())
    Job job = new Job(this, 'uvBuild', 'build')
    try {
        job.begin()
        job.must('build', variables(options), 'it can\'t be built', 'do as the last lines above say')
        Map outputs = job.outputs(dist: '', version: '', files: [], sha256: [], projects: [])
        job.remove(job.reports())
        int code = job.run('check_dist', toCheck(options, outputs))
        Reports.findings(this, job.reports() + '/build.sarif', 'uv-build', 'uv build')
        job.check(code, 'metadata or contents are wrong', 'mend what the findings above say, and build again')
        if (options.stash) {
            dir(outputs.dist) { stash(name: options.stash, includes: outputs.files.join(',')) }
        }
        return outputs.subMap(['dist', 'version', 'files', 'sha256'])
    } finally {
        job.end()
    }
}

private Map variables(Map options) {
    return [UV_ACTIONS_UV_PROJECT: options.workingDirectory, UV_ACTIONS_MIRROR: options.mirror] +
        Shell.variables('build_dist', options.subMap(['workingDirectory', 'package', 'allPackages', 'sources']))
}

private Map toCheck(Map options, Map outputs) {
    Map chosen = options.subMap(['workingDirectory']) + outputs.subMap(['dist', 'files', 'projects'])
    return [UV_ACTIONS_UV_PROJECT: options.workingDirectory, UV_ACTIONS_MIRROR: options.mirror] +
        Shell.variables('check_dist', chosen)
}
