import org.uvactions.Job
import org.uvactions.Options
import org.uvactions.Reports
import org.uvactions.Shell

/** The options and their defaults; uvTest.txt says what they mean. */
Map defaults() {
    return [
        workingDirectory: '.',
        command: 'pytest',
        args: [],
        pythonVersion: '',
        pythons: [],
        resolution: 'locked',
        resolutions: [],
        groups: [],
        junit: '',
        coverage: 'off',
        label: '',
        mirror: '',
    ]
}

/**
 * Runs the tests once, or side by side with each of `pythons` and `resolutions`.
 *
 * Its value is the outputs of the one run, or a map from the name of each run (`3.12, lowest-direct`) to its outputs.
 */
def call(Map config = [:]) {
    Map options = check(config)
    if (!options.pythons && !options.resolutions) {
        return onNode(options, '')
    }
    List pythons = options.pythons ?: [options.pythonVersion]
    List resolutions = options.resolutions ?: [options.resolution]
    Map outputs = [:]
    Map branches = [:]
    for (String python in pythons) {
        for (String resolution in resolutions) {
            Map chosen = options + [pythonVersion: python, resolution: resolution]
            String name = python ? python + ', ' + resolution : resolution
            branches.put(name, branch(chosen, name, outputs))
        }
    }
    parallel(branches)
    return outputs
}

/** The options, once their names, types and combination are checked. */
Map check(Map config) {
    Map options = Options.read(this, 'uvTest', config, defaults())
    Job job = new Job(this, 'uvTest', 'test')
    if (options.pythons && options.pythonVersion) {
        job.fail('`pythons` and `pythonVersion` are given', 'leave one of them out')
    }
    if (options.resolutions && options.resolution != defaults().resolution) {
        job.fail('`resolutions` and `resolution` are given', 'leave one of them out')
    }
    if (options.junit && (options.pythons || options.resolutions)) {
        job.fail('`junit` names one file, but several runs would write it', 'leave `junit` out: each run has its own')
    }
    return options
}

/** What one of several runs does. Here, since a closure in the loop would see the loop's last values. */
private Closure branch(Map options, String name, Map outputs) {
    return { outputs.put(name, onNode(options, name)) }
}

private Map onNode(Map options, String name) {
    if (!options.label) {
        return test(options, name)
    }
    Map outputs = [:]
    node(options.label) {
        checkout(scm)
        outputs = test(options, name)
    }
    return outputs
}

private Map test(Map options, String name) {
    Job job = new Job(this, name ? 'uvTest (' + name + ')' : 'uvTest', 'test')
    try {
        job.begin()
        int code = job.run('test', variables(options, name))
        Map outputs = job.outputs(junit: '', coverage: '', passed: null, failed: null, skipped: null)
        if (outputs.junit) {
            Reports.tests(this, outputs.junit)
        }
        if (outputs.coverage) {
            recordCoverage(job, outputs.coverage, name)
        }
        job.check(code, 'tests failed', 'see the tests\' report, or the log above')
        return outputs
    } finally {
        job.end()
    }
}

/** The plugin finds the sources only from a report beside them. */
private void recordCoverage(Job job, String file, String name) {
    String id = name ? 'coverage-' + name.replaceAll('[^A-Za-z0-9.]+', '-') : ''
    String copy = job.reports() + '/' + (id ?: 'coverage') + '.xml'
    job.remove(job.reports())
    String makeFolder = Shell.command(['mkdir', '-p', job.reports()]) + '\n'
    Job.runScript(this, makeFolder + Shell.command(['cp', file, copy]) + '\n', [label: 'uvTest: coverage'])
    Reports.coverage(this, copy, id)
}

private Map variables(Map options, String name) {
    return [UV_ACTIONS_UV_PROJECT: options.workingDirectory, UV_ACTIONS_MIRROR: options.mirror] +
        Shell.variables('run_tests', [branch: name] + options.subMap([
            'workingDirectory', 'command', 'args', 'pythonVersion', 'resolution', 'groups', 'junit', 'coverage']))
}
