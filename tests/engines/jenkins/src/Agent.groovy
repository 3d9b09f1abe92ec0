package engine

import groovy.transform.CompileStatic

import java.nio.channels.FileChannel
import java.nio.channels.FileLock
import java.nio.channels.OverlappingFileLockException
import java.nio.file.Files
import java.nio.file.StandardOpenOption
import java.util.concurrent.TimeUnit

/** An executor of the agent with a workspace, held by a `node` block. */
@CompileStatic
class Node {
    final Map<String, String> environment
    final Map<String, String> host
    final File workspace
    private final List<FileLock> locks

    Node(Map<String, String> host, int executor, File workspace, List<FileLock> locks) {
        this.host = host
        this.workspace = workspace
        this.locks = locks
        environment = new TreeMap<String, String>(host)
        environment.putAll([
            EXECUTOR_NUMBER: executor.toString(),
            WORKSPACE      : workspace.path,
            WORKSPACE_TMP  : "${workspace.path}@tmp".toString(),
        ])
    }

    void release() { locks.each { FileLock lock -> lock.channel().close() } }
}

/** Where `inside` and `container` run: a PATH, a home, and variables of their own. */
@CompileStatic
class Container {
    /** docker's `inside` drops PATH whatever it is; a pod's container only if no block has changed it. */
    final boolean dropsPath
    final Map<String, String> own

    Container(boolean dropsPath, Map<String, String> own) {
        this.dropsPath = dropsPath
        this.own = own
    }

    /** The variables of a process: the container's, and those in which the step's differ from the agent's. */
    Map<String, String> environment(Map<String, String> step, Map<String, String> host) {
        Map<String, String> result = new TreeMap<String, String>(own)
        for (Map.Entry<String, String> each : step.entrySet()) {
            if (host[each.key] != each.value && !(dropsPath && each.key == 'PATH')) {
                result.put(each.key, each.value)
            }
        }
        return result
    }
}

/** The machine that builds run on: executors and workspaces, shared with other builds by locks, and processes. */
@CompileStatic
class Agent {
    private static final int POLL_MS = 50

    static Node acquire(Build build) {
        Map<String, Object> agent = (Map<String, Object>) build.request.agent
        File locks = new File((String) agent.folder, 'locks')
        locks.mkdirs()
        int executors = (int) agent.executors
        boolean told = false
        while (true) {
            for (int executor = 0; executor < executors; executor++) {
                FileLock lock = lock(new File(locks, "executor-${executor}"))
                if (lock != null) {
                    return workspace(build, agent, locks, executor, lock)
                }
            }
            if (!told) {
                build.log.write('Still waiting to schedule task\nWaiting for next available executor')
                told = true
            }
            Thread.sleep(POLL_MS)
        }
    }

    private static Node workspace(Build build, Map<String, Object> agent, File locks, int executor, FileLock first) {
        File workspaces = new File((String) agent.folder, 'workspace')
        String name = agent.workspace
        for (int number = 1; ; number++) {
            String numbered = number == 1 ? name : "${name}@${number}"
            FileLock lock = lock(new File(locks, "workspace-${numbered.replace('/', '_')}"))
            if (lock != null) {
                File workspace = new File(workspaces, numbered)
                workspace.mkdirs()
                return new Node((Map<String, String>) agent.env, executor, workspace, [first, lock])
            }
        }
    }

    private static FileLock lock(File file) {
        FileChannel channel = FileChannel.open(file.toPath(), StandardOpenOption.CREATE, StandardOpenOption.WRITE)
        FileLock lock = null
        try {
            lock = channel.tryLock()
        } catch (OverlappingFileLockException ignored) {
            // Another branch of this very build has it.
        }
        if (lock == null) {
            channel.close()
        }
        return lock
    }

    static Map<String, String> environment(Context context) {
        Map<String, String> step = context.environment()
        Container container = context.container
        return container == null ? step : container.environment(step, context.node.host)
    }

    /** As durable-task does it: a script in a folder beside, run by `sh -xe` unless it names its own interpreter. */
    static Map<String, Object> run(Context context, String script, boolean capture, String encoding) {
        File folder = context.folder('sh')
        folder.mkdirs()
        File control = new File(context.temporary('sh'), "durable-${UUID.randomUUID().toString().take(8)}")
        control.mkdirs()
        File text = new File(control, 'script.sh.copy')
        text.write(script, encoding)
        boolean own = script.startsWith('#!')
        if (own) {
            text.setExecutable(true)
        }
        File output = new File(control, 'output.txt')
        File log = new File(control, 'jenkins-log.txt')
        // The shell between looks up `sh` on the PATH that the process has.
        String command = own ? 'exec "$1"' : 'exec sh -xe "$1"'
        ProcessBuilder builder = new ProcessBuilder('/bin/sh', '-c', command, 'sh', text.path)
        builder.environment().clear()
        builder.environment().putAll(environment(context))
        // Whatever still runs at the end of the build is found by it, in containers too.
        builder.environment().put('ENGINE_RUN', (String) Build.current.request.mark)
        builder.environment().put('JENKINS_SERVER_COOKIE', 'please-do-not-kill-me')
        builder.directory(folder)
        builder.redirectInput(ProcessBuilder.Redirect.from(new File('/dev/null')))
        if (capture) {
            builder.redirectOutput(output).redirectError(log)
        } else {
            builder.redirectErrorStream(true).redirectOutput(log)
        }
        Process process = builder.start()
        try {
            int status = process.waitFor()
            return [status: status, output: capture ? output.getText(encoding) : ''] as Map<String, Object>
        } catch (InterruptedException interrupted) {
            context.say('Sending interrupt signal to process')
            kill(process)
            throw interrupted
        } finally {
            String told = log.exists() ? log.getText(encoding) : ''
            if (told) {
                context.say(told.endsWith('\n') ? told.substring(0, told.size() - 1) : told)
            }
            control.deleteDir()
        }
    }

    private static void kill(Process process) {
        List<ProcessHandle> all = [process.toHandle()]
        process.descendants().iterator().each { ProcessHandle each -> all.add(each) }
        all.each { ProcessHandle each -> each.destroy() }
        if (!process.waitFor(5, TimeUnit.SECONDS)) {
            all.each { ProcessHandle each -> each.destroyForcibly() }
            process.waitFor()
        }
    }
}
