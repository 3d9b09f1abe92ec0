package engine

import com.cloudbees.groovy.cps.Continuable
import com.cloudbees.groovy.cps.Continuation
import com.cloudbees.groovy.cps.ObjectInputStreamWithLoader
import com.cloudbees.groovy.cps.Outcome
import com.cloudbees.groovy.cps.impl.CpsCallableInvocation
import groovy.transform.CompileStatic

import java.util.concurrent.ExecutorService
import java.util.concurrent.Executors
import java.util.concurrent.LinkedBlockingQueue
import java.util.concurrent.ThreadFactory
import java.util.concurrent.TimeUnit

/** The part of a thread that is saved: the rest of its program, and what its step holds of the program's values. */
@CompileStatic
class Program implements Serializable {
    private static final long serialVersionUID = 1
    Continuable rest
    List<Closure> bodies = []
    Map<Integer, Outcome> results = [:]
}

/** The part of a thread that stands outside of the program. The body of a step is a thread of its own. */
@CompileStatic
class CpsThread {
    final int id
    final CpsThread parent
    final int body
    final Context context
    Execution execution

    CpsThread(int id, CpsThread parent, int body, Context context) {
        this.id = id
        this.parent = parent
        this.body = body
        this.context = context
    }
}

/**
 * Runs the program, one thread at a time, until each has left it through a step.
 *
 * At each step all threads are serialized together, as Jenkins does it, and the copy that is read back goes on: what
 * threads share they share afterwards, and what isn't serializable ends the build.
 */
@CompileStatic
class Scheduler {
    final Build build
    CpsThread current
    int saves = 0
    private TreeMap<Integer, Program> programs = new TreeMap<Integer, Program>()
    private final TreeMap<Integer, CpsThread> threads = new TreeMap<Integer, CpsThread>()
    private final LinkedBlockingQueue<Runnable> events = new LinkedBlockingQueue<Runnable>()
    private final ExecutorService pool
    private int lastId = 0
    private Outcome end

    Scheduler(Build build) {
        this.build = build
        pool = Executors.newCachedThreadPool({ Runnable work ->
            Thread thread = new Thread(work)
            thread.daemon = true
            return thread
        } as ThreadFactory)
    }

    Object run(PipelineScript script) {
        CpsThread first = new CpsThread(++lastId, null, 0, new Context())
        threads.put(first.id, first)
        programs.put(first.id, new Program(rest: new Continuable(script, Dialect.environment())))
        resume(first, new Outcome(null, null))
        while (end == null) {
            events.take().run()
        }
        return end.replay()
    }

    /** Stops what still runs, so that nothing of this build gets into the next one. */
    void close() {
        pool.shutdownNow()
        pool.awaitTermination(1, TimeUnit.MINUTES)
    }

    /** Lets a thread go on, with the value or the failure of the step that it is in. */
    void resume(CpsThread thread, Outcome outcome) { events.add { proceed(thread, outcome) } }

    /** Does `work` beside the program, and hands its outcome to `then`, which runs in order with the program. */
    java.util.concurrent.Future<?> background(Closure work, Closure then) {
        return pool.submit({
            Outcome outcome
            try {
                outcome = new Outcome(work.call(), null)
            } catch (Throwable thrown) {
                outcome = new Outcome(null, thrown)
            }
            events.add { then.call(outcome) }
        } as Runnable)
    }

    void later(Runnable event) { events.add(event) }

    void startBody(CpsThread parent, int body, Context context) {
        CpsThread thread = new CpsThread(++lastId, parent, body, context)
        threads.put(thread.id, thread)
        CpsThread before = current
        current = thread
        try {
            Object value = programs.get(parent.id).bodies.get(body).call()
            ended(thread, new Outcome(value, null))
        } catch (CpsCallableInvocation call) {
            Continuable rest = new Continuable(call.invoke(Dialect.environment(), null, Continuation.HALT))
            programs.put(thread.id, new Program(rest: rest))
            resume(thread, new Outcome(null, null))
        } catch (Throwable thrown) {
            ended(thread, new Outcome(null, thrown))
        } finally {
            current = before
        }
    }

    Map<Integer, Outcome> resultsOf(CpsThread thread) { programs.get(thread.id).results }

    /** Stops the innermost steps of all that runs below `thread`'s step. */
    void stopBodies(CpsThread thread, Throwable cause, Integer except = null) {
        for (CpsThread each : new ArrayList<CpsThread>(threads.values())) {
            if (each.parent.is(thread) && each.body != except) {
                boolean inner = threads.values().any { CpsThread other -> other.parent.is(each) }
                inner ? stopBodies(each, cause) : each.execution?.stop(cause)
            }
        }
    }

    private void proceed(CpsThread thread, Outcome outcome) {
        Program program = programs.get(thread.id)
        if (program == null || end != null) {
            return
        }
        thread.execution = null
        program.bodies = []
        program.results = [:]
        current = thread
        try {
            Outcome told = Dialect.run(program.rest, outcome)
            if (!program.rest.resumable) {
                programs.remove(thread.id)
                ended(thread, told)
                return
            }
            StepCall call = (StepCall) told.normal
            program.bodies = call.bodies
            save(call)
            thread.execution = call.step.execution(this, thread, call)
            thread.execution.start()
        } catch (Throwable thrown) {
            end = new Outcome(null, thrown)
        } finally {
            current = null
        }
    }

    private void ended(CpsThread thread, Outcome outcome) {
        threads.remove(thread.id)
        if (thread.parent == null) {
            end = outcome
        } else {
            thread.parent.execution.ended(thread.body, outcome)
        }
    }

    private void save(StepCall call) {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream()
        try {
            new ObjectOutputStream(bytes).withCloseable { ObjectOutputStream stream -> stream.writeObject(programs) }
        } catch (NotSerializableException problem) {
            NotSerializableException named = new NotSerializableException(
                "${problem.message}, held while the step ${call.step.name} runs")
            named.stackTrace = programs.get(current.id).rest.stackTrace as StackTraceElement[]
            throw named
        }
        saves++
        String text = bytes.toString('ISO-8859-1')
        for (Map.Entry<String, String> secret : current.context.secrets().entrySet()) {
            if (text.contains(new String(secret.value.getBytes('UTF-8'), 'ISO-8859-1'))) {
                build.leaks.add("the saved program holds ${secret.key} at the step ${call.step.name}".toString())
            }
        }
        new ObjectInputStreamWithLoader(new ByteArrayInputStream(bytes.toByteArray()), build.loader)
            .withCloseable { ObjectInputStream stream -> programs = (TreeMap<Integer, Program>) stream.readObject() }
    }
}
