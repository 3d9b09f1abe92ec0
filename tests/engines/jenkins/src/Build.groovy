package engine

import groovy.json.JsonOutput
import groovy.json.JsonSlurperClassic
import groovy.transform.CompileStatic
import hudson.AbortException
import org.codehaus.groovy.control.CompilerConfiguration
import org.codehaus.groovy.control.customizers.ImportCustomizer
import org.jenkinsci.plugins.workflow.steps.FlowInterruptedException

import java.util.concurrent.ConcurrentSkipListMap

/**
 * One build of one Jenkinsfile.
 *
 * The process takes builds one after the other: a line of stdin is the path of a request, and a line of stdout says that
 * `result.json` and `log` are in the folder that the request names. `engines/jenkins.py` is at the other end.
 */
@CompileStatic
class Build {
    static final List<String> RESULTS = ['SUCCESS', 'UNSTABLE', 'FAILURE', 'NOT_BUILT', 'ABORTED']
    private static final String MACHINERY = /^(java|jdk|groovy|org\.codehaus|org\.kohsuke|com\.cloudbees|engine)\./
    static Build current

    final Map<String, Object> request
    final File folder
    final Log log
    final long began = System.currentTimeMillis()
    final Map<String, String> overrides = new ConcurrentSkipListMap<String, String>()
    final Map<String, Step> steps
    final Records records
    final List<String> leaks = Collections.synchronizedList(new ArrayList<String>())
    Scheduler scheduler
    Globals globals
    GroovyClassLoader loader
    String result
    String displayName
    String description

    private Build(Map<String, Object> request) {
        this.request = request
        folder = new File((String) request.folder)
        log = new Log(new File(folder, 'log'))
        records = new Records(new File(folder, 'records'))
        steps = Steps.all((Collection<String>) request.plugins)
    }

    static void main(String[] arguments) {
        Scanner requests = new Scanner(System.in, 'UTF-8')
        while (requests.hasNextLine()) {
            current = new Build((Map<String, Object>) new JsonSlurperClassic().parse(new File(requests.nextLine()), 'UTF-8'))
            current.run()
            println('engine: done')
        }
    }

    static int rank(String result) { RESULTS.indexOf(result) }

    synchronized void worsen(String other) {
        if (!RESULTS.contains(other)) {
            throw new IllegalArgumentException("no result of a build: ${other}")
        }
        if (result == null || rank(other) > rank(result)) {
            result = other
        }
    }

    boolean has(String plugin) { plugin in (Collection<String>) request.plugins }

    Map<String, Object> getParams() { (Map<String, Object>) request.params }

    /** The variables of the job, with what was set by `env.X = …`. */
    Map<String, String> environment() {
        Map<String, String> result = new TreeMap<String, String>((Map<String, String>) request.env)
        for (Map.Entry<String, Object> each : params.entrySet()) {
            result.put(each.key, String.valueOf(each.value))
        }
        result.putAll(overrides)
        return result
    }

    /** Adds a library of this Jenkins, or one that a retriever has `fetched`. */
    void addLibrary(String reference, File fetched = null) {
        Map<String, String> libraries = (Map<String, String>) request.libraries
        if (fetched == null && libraries[reference] == null) {
            throw new AbortException("No version found for library ${reference}; there are ${libraries.keySet()}")
        }
        File library = fetched ?: new File(libraries[reference])
        log.write("Loading library ${reference}")
        globals.add(library)
        ((List<File>) records.libraries).add(library)
    }

    private void run() {
        Throwable problem = null
        Object value = null
        try {
            PipelineScript script = load((String) request.jenkinsfile)
            log.write('[Pipeline] Start of Pipeline')
            value = scheduler.run(script)
        } catch (Throwable thrown) {
            problem = thrown
        }
        scheduler?.close()
        if (problem == null && records.refused) {
            problem = new SecurityException("Scripts not permitted to use ${records.refused.first()}, which the pipeline hid")
        }
        if (problem != null) {
            worsen(problem instanceof FlowInterruptedException ? 'ABORTED' : 'FAILURE')
            tell(problem)
        }
        log.write('[Pipeline] End of Pipeline')
        log.write("Finished: ${result ?: 'SUCCESS'}")
        log.close()
        new File(folder, 'result.json').write(JsonOutput.toJson([
            result: result ?: 'SUCCESS',
            exception: problem == null ? '' : described(problem),
            value: value,
            env: new TreeMap<String, String>(overrides),
            leaks: leaks.unique(),
            saves: scheduler == null ? 0 : scheduler.saves,
            displayName: displayName,
            description: description,
            *: records.asMap(),
        ]), 'UTF-8')
    }

    private PipelineScript load(String text) {
        CompilerConfiguration configuration = new CompilerConfiguration()
        configuration.scriptBaseClass = PipelineScript.name
        ImportCustomizer imports = new ImportCustomizer()
        imports.addStarImports('com.cloudbees.groovy.cps', 'hudson.model', 'jenkins.model')
        imports.addImports('org.jenkinsci.plugins.workflow.libs.Library')
        configuration.addCompilationCustomizers(imports, Dialect.transformer())
        GroovyShell shell = new GroovyShell(Build.classLoader, new Binding(), configuration)
        loader = shell.classLoader
        loader.addURL(new File((String) request.pipeline).toURI().toURL())
        globals = new Globals(this, loader)
        scheduler = new Scheduler(this)
        Dialect.prepare(new File((String) request.allowList), loader)
        for (String reference : wanted(text)) {
            addLibrary(reference)
        }
        return (PipelineScript) shell.parse(text, 'WorkflowScript')
    }

    /** The libraries that `@Library` names. */
    private static List<String> wanted(String text) {
        List<String> found = []
        for (List<String> match : (List<List<String>>) (text =~ /@Library\(\s*(\[[^\]]*\]|[^)]*)/).collect { it }) {
            found.addAll((List<String>) (match[1] =~ /(?:'([^']*)'|"([^"]*)")/).collect { List each -> each[1] ?: each[2] })
        }
        return found
    }

    private static String described(Throwable problem) {
        return problem.message == null ? problem.class.name : "${problem.class.name}: ${problem.message}"
    }

    private void tell(Throwable problem) {
        if (problem instanceof AbortException) {
            log.write("ERROR: ${problem.message}")
            return
        }
        log.write(described(problem))
        for (StackTraceElement each : problem.stackTrace) {
            if (!(each.className =~ MACHINERY) && each.lineNumber > 0) {
                log.write("\tat ${each}")
            }
        }
    }
}
