package engine

import com.cloudbees.groovy.cps.Outcome
import groovy.transform.CompileStatic
import hudson.AbortException
import org.jenkinsci.plugins.workflow.steps.FlowInterruptedException

import java.nio.file.NoSuchFileException

/** The steps that there are, by plugin. */
@CompileStatic
class Steps {
    private static final Map<String, Long> UNITS = [
        MILLISECONDS: 1L, SECONDS: 1000L, MINUTES: 60_000L, HOURS: 3_600_000L, DAYS: 86_400_000L,
    ]

    private final Map<String, Step> steps = new TreeMap<String, Step>()

    static Map<String, Step> all(Collection<String> plugins) {
        Steps table = new Steps()
        table.basic()
        table.blocks()
        table.machine()
        table.files()
        table.reports(plugins)
        if ('docker-workflow' in plugins) {
            table.docker()
        }
        if ('kubernetes' in plugins) {
            table.kubernetes()
        }
        if ('jobcacher' in plugins) {
            table.block('cache caches maxCacheSize defaultBranch skipSave skipRestore') { Context context, Map args ->
                JobCacher.body(context, args)
            }
        }
        return table.steps
    }

    private void immediate(String signature, Closure work) { add(new Step(Step.Kind.IMMEDIATE, signature, work)) }

    private void work(String signature, Closure work) { add(new Step(Step.Kind.WORK, signature, work)) }

    private void block(String signature, Closure work) { add(new Step(Step.Kind.BLOCK, signature, work)) }

    private void add(Step step) { steps.put(step.name, step) }

    private void basic() {
        immediate('echo message') { Context context, Map args -> context.say((String) args.message) }
        immediate('error message') { Context context, Map args -> throw new AbortException((String) args.message) }
        immediate('unstable message') { Context context, Map args ->
            context.say("WARNING: ${args.message}")
            Build.current.worsen('UNSTABLE')
        }
        immediate('isUnix') { Context context, Map args -> true }
        immediate('pwd tmp') { Context context, Map args ->
            (args.tmp ? context.temporary('pwd') : context.folder('pwd')).path
        }
        work('sleep time unit') { Context context, Map args -> Thread.sleep(duration(args, 'SECONDS')) }
        work('library identifier changelog retriever') { Context context, Map args ->
            String reference = (String) args.identifier
            File fetched = args.retriever == null ? null : Checkout.library(context, reference, (Describable) args.retriever)
            Build.current.addLibrary(reference, fetched)
        }
        work('libraryResource resource encoding') { Context context, Map args ->
            File file = Build.current.records.libraries
                .collect { File library -> new File(library, "resources/${args.resource}") }
                .find { File each -> each.file }
            if (file == null) {
                throw new AbortException("No such library resource ${args.resource} could be found.")
            }
            return args.encoding == 'Base64' ? file.bytes.encodeBase64().toString() : file.getText('UTF-8')
        }
        // No step of Jenkins: hands a value of the program to the test.
        work('note name value') { Context context, Map args ->
            Build.current.records.notes.put((String) args.name, args.value)
        }
    }

    private void blocks() {
        block('stage name concurrency') { Context context, Map args ->
            String name = (String) args.name
            context.say("[Pipeline] { (${name})")
            Records records = Build.current.records
            Map<String, Object> record = [name: name, began: System.currentTimeMillis(), ended: 0L] as Map<String, Object>
            records.stages.add(record)
            return Body.of(context.with([stage: name] as Map<String, Object>)) { Outcome outcome ->
                record.ended = System.currentTimeMillis()
                if (outcome.failure && !records.failedStage) {
                    records.failedStage = name
                }
                return outcome
            }
        }
        block('withEnv overrides') { Context context, Map args ->
            Map<String, String> overrides = [:]
            for (Object pair : (List) args.overrides) {
                String text = (String) pair
                overrides.put(text.substring(0, text.indexOf('=')), text.substring(text.indexOf('=') + 1))
            }
            return Body.of(context.with([env: overrides] as Map<String, Object>))
        }
        block('withCredentials bindings') { Context context, Map args -> Credentials.body(context, (List) args.bindings) }
        block('timestamps') { Context context, Map args -> Body.of(context) }
        block('ansiColor colorMapName') { Context context, Map args -> Body.of(context) }
        block('timeout time unit activity') { Context context, Map args ->
            Body.of(context, duration(args, 'MINUTES'))
        }
        block('retry count conditions') { Context context, Map args ->
            int left = (int) args.count
            return Body.of(context) { Outcome outcome ->
                if (outcome.success || --left <= 0 || outcome.abnormal instanceof FlowInterruptedException) {
                    return outcome
                }
                context.say("ERROR: ${outcome.abnormal.message}\nRetrying")
                return Body.AGAIN
            }
        }
        block('catchError message buildResult stageResult catchInterruptions') { Context context, Map args ->
            forgiving(context, args, (String) (args.buildResult ?: 'FAILURE'))
        }
        block('warnError message catchInterruptions') { Context context, Map args ->
            forgiving(context, args, 'UNSTABLE')
        }
        add(new Step(Step.Kind.PARALLEL, 'parallel failFast', { }))
    }

    private static Body forgiving(Context context, Map args, String result) {
        return Body.of(context) { Outcome outcome ->
            boolean interrupted = outcome.abnormal instanceof FlowInterruptedException
            if (outcome.success || interrupted && args.catchInterruptions == false) {
                return outcome
            }
            if (args.message) {
                context.say((String) args.message)
            }
            context.say("ERROR: ${outcome.abnormal.message}")
            Build.current.worsen(result)
            return new Outcome(null, null)
        }
    }

    private void machine() {
        block('node label') { Context context, Map args ->
            Node node = Agent.acquire(Build.current)
            context.say("Running on agent in ${node.workspace}")
            Map<String, Object> layer = [node: node, folder: node.workspace, container: null]
            return Body.of(context.with(layer)) { Outcome outcome ->
                node.release()
                return outcome
            }
        }
        work('sh script returnStdout returnStatus label encoding') { Context context, Map args ->
            String script = (String) StepCall.required(args, 'script', 'sh')
            boolean capture = (boolean) (args.returnStdout ?: false)
            Map<String, Object> done = Agent.run(context, script, capture, (String) (args.encoding ?: 'UTF-8'))
            int status = (int) done.status
            Build.current.records.shells.add([script: script, label: args.label ?: '', status: status] as Map<String, Object>)
            if (args.returnStatus) {
                return status
            }
            if (status != 0) {
                throw new AbortException("script returned exit code ${status}")
            }
            return capture ? done.output : null
        }
        work('checkout scm') { Context context, Map args -> Checkout.run(context) }
        block('dir path') { Context context, Map args ->
            File folder = context.file((String) args.path, 'dir')
            context.say("Running in ${folder}")
            return Body.of(context.with([folder: folder] as Map<String, Object>))
        }
        block('ws dir') { Context context, Map args ->
            context.folder('ws')
            File folder = new File(context.node.workspace.parentFile, (String) args.dir)
            folder.mkdirs()
            Map<String, String> own = [WORKSPACE: folder.path, WORKSPACE_TMP: "${folder.path}@tmp".toString()]
            return Body.of(context.with([folder: folder, env: own] as Map<String, Object>))
        }
        work('deleteDir') { Context context, Map args -> context.folder('deleteDir').deleteDir() }
    }

    private void files() {
        work('fileExists file') { Context context, Map args -> context.file((String) args.file, 'fileExists').exists() }
        work('readFile file encoding') { Context context, Map args ->
            File file = context.file((String) args.file, 'readFile')
            if (!file.file) {
                throw new NoSuchFileException(file.path)
            }
            return args.encoding == 'Base64' ? file.bytes.encodeBase64().toString() : file.getText('UTF-8')
        }
        work('writeFile file text encoding') { Context context, Map args ->
            File file = context.file((String) args.file, 'writeFile')
            file.parentFile.mkdirs()
            String text = (String) args.text
            file.bytes = args.encoding == 'Base64' ? text.decodeBase64() : text.getBytes('UTF-8')
        }
        work('stash name includes excludes useDefaultExcludes allowEmpty') { Context context, Map args ->
            File folder = context.folder('stash')
            boolean defaults = args.useDefaultExcludes != false
            List<String> paths = AntFiles.find(folder, (String) (args.includes ?: '**'), (String) args.excludes, defaults)
            if (!paths && !args.allowEmpty) {
                throw new AbortException("No files included in stash ‘${args.name}’")
            }
            File stash = Build.current.records.place("stashes/${args.name}")
            stash.deleteDir()
            stash.mkdirs()
            AntFiles.copy(folder, paths, stash)
            context.say("Stashed ${paths.size()} file(s)")
        }
        work('unstash name') { Context context, Map args ->
            File stash = Build.current.records.place("stashes/${args.name}")
            if (!stash.directory) {
                throw new AbortException("No such saved stash ‘${args.name}’")
            }
            AntFiles.copy(stash, AntFiles.find(stash, '**', '', false), context.folder('unstash'))
        }
        work('archiveArtifacts artifacts excludes allowEmptyArchive fingerprint onlyIfSuccessful defaultExcludes ' +
             'caseSensitive followSymlinks') { Context context, Map args ->
            context.say('Archiving artifacts')
            File folder = context.folder('archiveArtifacts')
            List<String> paths = AntFiles.find(folder, (String) args.artifacts, (String) args.excludes)
            if (paths) {
                AntFiles.copy(folder, paths, Build.current.records.place('archive'))
            } else if (!args.allowEmptyArchive) {
                throw new AbortException(
                    "No artifacts found that match the file pattern \"${args.artifacts}\". Configuration error?")
            }
        }
    }

    private void reports(Collection<String> plugins) {
        if ('junit' in plugins) {
            work('junit testResults allowEmptyResults keepLongStdio skipMarkingBuildUnstable skipPublishingChecks ' +
                 'healthScaleFactor checksName') { Context context, Map args -> Reports.junit(context, args) }
        }
        if ('coverage' in plugins) {
            work('recordCoverage tools id name sourceCodeRetention qualityGates ignoreParsingErrors skipPublishingChecks ' +
                 'sourceDirectories enabledForFailure') { Context context, Map args -> Reports.coverage(context, args) }
        }
        if ('warnings-ng' in plugins) {
            work('recordIssues tools tool id name qualityGates enabledForFailure skipPublishingChecks aggregatingResults ' +
                 'skipBlames failOnError ignoreQualityGate publishAllIssues') { Context context, Map args ->
                Reports.issues(context, args)
            }
        }
    }

    private void docker() {
        block('withDockerContainer image args toolName') { Context context, Map args ->
            Map<String, String> own = image(context, (String) args.image)
            // The user has no entry in the image's passwd. Root could write to `/`, and nobody to `/sys`.
            own.put('HOME', System.getProperty('user.name') == 'root' ? '/sys' : '/')
            for (List<String> match : (List<List<String>>) ((String) (args.args ?: '') =~ /(?:-e|--env)[ =](\w+)=(\S*)/)
                .collect { it }) {
                own.put(match[1], match[2])
            }
            return Body.of(context.with([container: new Container(true, own)] as Map<String, Object>))
        }
    }

    private void kubernetes() {
        block('container name shell') { Context context, Map args ->
            Map<String, String> own = image(context, (String) args.name)
            File home = new File((String) ((Map) Build.current.request.agent).folder, "containers/${args.name}")
            home.mkdirs()
            own.put('HOME', home.path)
            return Body.of(context.with([container: new Container(false, own)] as Map<String, Object>))
        }
    }

    /** The variables of an image or container: its PATH, and what this machine needs to reach its indexes. */
    private static Map<String, String> image(Context context, String name) {
        context.folder('container')
        List<String> path = (List<String>) ((Map) Build.current.request.images)[name]
        if (path == null) {
            throw new AbortException("Unable to find image '${name}'; the test has ${((Map) Build.current.request.images).keySet()}")
        }
        Map<String, String> own = new TreeMap<String, String>((Map<String, String>) Build.current.request.network)
        own.put('PATH', path.join(':'))
        return own
    }

    private static long duration(Map args, String unit) { ((Number) args.time).longValue() * UNITS[(String) (args.unit ?: unit)] }
}
