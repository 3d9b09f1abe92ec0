package engine

import com.cloudbees.groovy.cps.Outcome
import groovy.transform.CompileStatic
import org.jenkinsci.plugins.workflow.steps.FlowInterruptedException

import java.util.concurrent.Future

/** A step: its name, its parameters (the first may stand alone), and what it does. */
@CompileStatic
class Step {
    enum Kind {
        /** `work(context, args)` gives the value; the program isn't left. */
        IMMEDIATE,
        /** `work(context, args)` gives the value, beside the program. */
        WORK,
        /** `work(context, args)` gives the Body to run. */
        BLOCK,
        PARALLEL,
    }

    final Kind kind
    final String name
    final List<String> parameters
    final Closure work

    Step(Kind kind, String signature, Closure work) {
        List<String> words = signature.tokenize(' ')
        this.kind = kind
        this.name = words.first()
        this.parameters = words.tail()
        this.work = work
    }

    String getSole() { parameters ? parameters.first() : '' }

    Execution execution(Scheduler scheduler, CpsThread thread, StepCall call) {
        switch (kind) {
            case Kind.BLOCK: return new BlockExecution(scheduler, thread, call)
            case Kind.PARALLEL: return new ParallelExecution(scheduler, thread, call)
            default: return new WorkExecution(scheduler, thread, call)
        }
    }
}

/** How a block runs: `context` for its body, and `after`, which makes the step's outcome out of the body's. */
@CompileStatic
class Body {
    /** What `after` gives to have the body run once more. */
    static final Outcome AGAIN = new Outcome('again', null)

    final Context context
    final Closure<Outcome> after
    /** After so many milliseconds the body is stopped; 0 is never. */
    final long limit

    private Body(Context context, long limit, Closure<Outcome> after) {
        this.context = context
        this.limit = limit
        this.after = after
    }

    static Body of(Context context, Closure<Outcome> after) { new Body(context, 0, after) }

    static Body of(Context context, long limit = 0) { new Body(context, limit, { Outcome outcome -> outcome }) }
}

/** A step that runs. All methods are called in order with the program. */
@CompileStatic
abstract class Execution {
    final Scheduler scheduler
    final CpsThread thread
    final StepCall call

    Execution(Scheduler scheduler, CpsThread thread, StepCall call) {
        this.scheduler = scheduler
        this.thread = thread
        this.call = call
    }

    abstract void start()

    abstract void ended(int body, Outcome outcome)

    abstract void stop(Throwable cause)
}

@CompileStatic
class WorkExecution extends Execution {
    private Future<?> running
    private Throwable stopped

    WorkExecution(Scheduler scheduler, CpsThread thread, StepCall call) { super(scheduler, thread, call) }

    void start() {
        running = scheduler.background({ call.step.work.call(thread.context, call.args) }, { Outcome outcome ->
            scheduler.resume(thread, stopped == null ? outcome : new Outcome(null, stopped))
        })
    }

    void ended(int body, Outcome outcome) { }

    void stop(Throwable cause) {
        stopped = cause
        running.cancel(true)
    }
}

@CompileStatic
class BlockExecution extends Execution {
    private Body body
    private boolean finished

    BlockExecution(Scheduler scheduler, CpsThread thread, StepCall call) { super(scheduler, thread, call) }

    void start() {
        scheduler.background({ call.step.work.call(thread.context, call.args) }, { Outcome outcome ->
            if (outcome.failure) {
                scheduler.resume(thread, outcome)
                return
            }
            body = (Body) outcome.normal
            if (body.limit) {
                Timer timer = new Timer(true)
                timer.schedule({ scheduler.later { expire() } } as TimerTask, body.limit)
            }
            scheduler.startBody(thread, 0, body.context)
        })
    }

    void ended(int index, Outcome outcome) {
        finished = true
        scheduler.resultsOf(thread).put(0, outcome)
        scheduler.background({ body.after.call(outcome) }, { Outcome after ->
            Outcome result = after.failure ? after : (Outcome) after.normal
            if (result.is(Body.AGAIN)) {
                finished = false
                scheduler.startBody(thread, 0, body.context)
            } else {
                // The value is taken from the saved program, which shares it with other threads.
                boolean same = result.success && result.is(outcome)
                scheduler.resume(thread, same ? scheduler.resultsOf(thread).get(0) : result)
            }
        })
    }

    void stop(Throwable cause) { }

    private void expire() {
        if (!finished) {
            thread.context.say('Cancelling nested steps due to timeout')
            scheduler.stopBodies(thread, new FlowInterruptedException('Timeout has been exceeded'))
        }
    }
}

@CompileStatic
class ParallelExecution extends Execution {
    private final List<String> branches
    private final List<Integer> failed = []

    ParallelExecution(Scheduler scheduler, CpsThread thread, StepCall call) {
        super(scheduler, thread, call)
        branches = (List<String>) (call.args['branches'] ?: [])
    }

    void start() {
        if (!branches) {
            scheduler.resume(thread, new Outcome([:], null))
        }
        branches.eachWithIndex { String branch, int index ->
            scheduler.startBody(thread, index, thread.context.with([branch: branch] as Map<String, Object>))
        }
    }

    void ended(int index, Outcome outcome) {
        Map<Integer, Outcome> results = scheduler.resultsOf(thread)
        results.put(index, outcome)
        if (outcome.failure) {
            thread.context.say("Failed in branch ${branches[index]}")
            failed.add(index)
            if (call.args['failFast'] && failed.size() == 1) {
                scheduler.stopBodies(thread, new FlowInterruptedException("Failed in branch ${branches[index]}"), index)
            }
        }
        if (results.size() < branches.size()) {
            return
        }
        if (failed) {
            scheduler.resume(thread, new Outcome(null, results[failed.first()].abnormal))
            return
        }
        Map<String, Object> values = [:]
        branches.eachWithIndex { String branch, int each -> values.put(branch, results[each].normal) }
        scheduler.resume(thread, new Outcome(values, null))
    }

    void stop(Throwable cause) { }
}
