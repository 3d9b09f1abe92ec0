package org.uvactions

import com.cloudbees.groovy.cps.NonCPS

/**
 * A component at work in a workspace: its folder, the collection's scripts, its runs of sh, and its outputs.
 *
 * All of it lies in the workspace's temporary folder, which containers see too, and which no other executor has. The
 * outermost component of a node makes a folder there and removes it; those inside of its closure share that folder.
 */
class Job implements Serializable {

    private static final long serialVersionUID = 1

    /** What the exit codes of all tools mean, but for 1, which is each tool's own. */
    private static final Map ENDS = [
        2: 'wrong use, or something that this machine lacks',
        3: 'a file isn\'t the one that it should be',
        4: 'not authorised',
        5: 'the network, or a server on it',
        75: 'another job is in the way; try again later',
    ]

    private final Object steps
    private final String component
    private final String resource
    private String base
    private String folder
    private String id
    private String around
    private boolean outermost
    private List held = []
    private List rubbish = []

    /** `component` is the step's name, as users know it; `resource` the component's name in the collection. */
    Job(Object steps, String component, String resource) {
        this.steps = steps
        this.component = component
        this.resource = resource
    }

    /** Finds the job's folder. Its end is `end()`, in a `finally`. */
    void begin() {
        if (!steps.env.WORKSPACE) {
            fail('there is no workspace here', "call ${component} inside of node { … }, or of a stage with an agent")
        }
        base = slashes(steps.env.WORKSPACE_TMP ?: steps.pwd(tmp: true)) + '/uv-actions'
        id = UUID.randomUUID().toString().substring(0, 8)
        // In a `node` inside of the closure the outer folder is out of reach, even if it has the same path there.
        String outer = steps.env.UV_ACTIONS_JENKINS_JOB ?: ''
        outermost = !(outer.startsWith(base + '/') && steps.env.UV_ACTIONS_JENKINS_NODE == steps.env.NODE_NAME)
        folder = outermost ? base + '/' + id : outer
        around = outermost ? '' : steps.env.UV_ACTIONS_JENKINS_EXPORTS
        held = outermost ? [] : steps.env.UV_ACTIONS_JENKINS_HELD.tokenize(' ')
        if (outermost) {
            rubbish.add(folder)
        }
    }

    /** The path of a file of this component's own, in the job's folder. */
    String file(String name) {
        return folder + '/' + id + '.' + name
    }

    /** The folder, relative to the current one, for reports that plugins must find beside the sources. */
    String reports() {
        return '.uv-actions-' + id
    }

    /** What steps inside of the component's closure need to find it, for `withEnv`. */
    List environment() {
        return [
            'UV_ACTIONS_JENKINS_JOB=' + folder,
            'UV_ACTIONS_JENKINS_NODE=' + steps.env.NODE_NAME,
            'UV_ACTIONS_JENKINS_EXPORTS=' + file('exports'),
            'UV_ACTIONS_JENKINS_HELD=' + held.join(' '),
        ]
    }

    /** A job that begins as if nothing were around it. */
    void forgetAround() {
        around = ''
    }

    /** Runs `resources/org/uvactions/shell/<body>.sh` with these variables; its exit code. */
    int run(String body, Map variables) {
        bringScripts()
        String begin = steps.libraryResource(resource: 'org/uvactions/shell/begin.sh', encoding: 'UTF-8')
        String text = steps.libraryResource(resource: 'org/uvactions/shell/' + body + '.sh', encoding: 'UTF-8')
        Map places = [base: base, job: folder, id: id, around: around, reports: reports()]
        String script = Shell.exports(variables) + Shell.assignments(places) + begin + text
        return runScript(steps, script, [label: component, returnStatus: true])
    }

    /**
     * Runs a script in the current folder; its value is the step's.
     *
     * Jenkins puts a folder `x@tmp` beside the folder `x` that it runs a script in, which uv would take for one more
     * member of the workspace (`packages/*`). So it runs each in the root, from where the script itself goes on.
     */
    static Object runScript(Object steps, String script, Map arguments) {
        String there = 'cd ' + Shell.quote(steps.pwd()) + '\n'
        Object result = null
        steps.dir(steps.env.WORKSPACE) {
            result = steps.sh(arguments + [script: Shell.HEAD + there + script])
        }
        return result
    }

    /** Runs the body; an exit code that isn't 0 ends the build. `findings` says what 1 means, and `mend` what to do. */
    void must(String body, Map variables, String findings = '', String mend = '') {
        check(run(body, variables), findings, mend)
    }

    /** Ends the build if the exit code isn't 0. */
    void check(int code, String findings = '', String mend = '') {
        if (code == 1 && findings) {
            fail(findings + ' (exit code 1)', mend)
        }
        if (code != 0) {
            fail((ENDS[code] ?: 'it was ended') + " (exit code ${code})", 'do as the last lines above say')
        }
    }

    void fail(String what, String mend) {
        steps.error(Options.problem(component, what, mend))
    }

    /**
     * What the tools told, by the names and types of `empty`: texts, lists of texts, or whole numbers, which are null
     * where there is none.
     */
    Map outputs(Map empty) {
        String path = file('json')
        String text = steps.fileExists(path) ? steps.readFile(file: path, encoding: 'UTF-8') : '{}'
        return typed(text, empty)
    }

    /** Removes in the end what must not stay in the workspace. */
    void remove(String path) {
        rubbish.add(path)
    }

    /** Leaves nothing behind but the scripts, which the workspace's next build needs again. */
    void end() {
        if (rubbish) {
            String script = 'rm -rf -- ' + Shell.command(rubbish) + '\n'
            rubbish = []
            runScript(steps, script, [label: component + ': clean up'])
        }
    }

    /** Writes the scripts that the component needs, from where `begin.sh` takes those that are new. */
    private void bringScripts() {
        String manifest = steps.libraryResource(resource: 'org/uvactions/scripts/MANIFEST', encoding: 'UTF-8')
        for (String name : missing(manifest, resource, held)) {
            String text = steps.libraryResource(resource: 'org/uvactions/scripts/' + name, encoding: 'UTF-8')
            steps.writeFile(file: folder + '/' + id + '.scripts/' + name, text: text, encoding: 'UTF-8')
            held.add(name)
        }
    }

    /** The component's files of MANIFEST's line `component: file file …` that aren't there yet. */
    @NonCPS
    private static List missing(String manifest, String resource, List held) {
        List names = []
        for (String line : manifest.split('\n')) {
            if (line.startsWith(resource + ':')) {
                names.addAll(line.substring(resource.length() + 1).tokenize(' '))
            }
        }
        names.removeAll(held)
        return names
    }

    @NonCPS
    private static Map typed(String text, Map empty) {
        Map told = new groovy.json.JsonSlurper().parseText(text)
        Map result = [:]
        for (Object name : empty.keySet()) {
            Object value = told.get(kebab(name.toString()))
            result.put(name, value == null ? empty.get(name) : asTypeOf(empty.get(name), value.toString()))
        }
        return result
    }

    @NonCPS
    private static Object asTypeOf(Object empty, String value) {
        if (empty instanceof List) {
            return value.tokenize('\n')
        }
        if (empty == null) {
            return value.isEmpty() ? null : Integer.valueOf(value)
        }
        return value
    }

    @NonCPS
    private static String kebab(String name) {
        return name.replaceAll('([A-Z])', '-$1').toLowerCase()
    }

    /** A path of Windows in the form that Git's sh takes too. */
    @NonCPS
    private static String slashes(String path) {
        return path.matches('[A-Za-z]:.*') ? path.replace('\\', '/') : path
    }

}
