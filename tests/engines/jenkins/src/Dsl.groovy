package engine

import groovy.transform.CompileStatic

/** `steps`, and what every call of a step goes through. */
@CompileStatic
class Dsl extends GroovyObjectSupport implements Serializable {
    @Override
    Object invokeMethod(String name, Object args) { invoke(name, args) }

    /** Runs a step that ends at once; any other suspends the program, and the scheduler gets the call. */
    static Object invoke(String name, Object args) {
        Build build = Build.current
        Step step = build.steps.get(name)
        if (step == null) {
            if (Describable.SYMBOLS.containsKey(name)) {
                return new Describable(name, StepCall.named((Object[]) args, Describable.SYMBOLS[name]))
            }
            throw new NoSuchMethodError("No such DSL method '${name}' found among steps ${build.steps.keySet()} " +
                "or symbols ${Describable.SYMBOLS.keySet()} or globals ${build.globals.names()}")
        }
        CpsThread thread = build.scheduler.current
        if (thread == null) {
            throw new IllegalStateException("the step ${name} was called where no pipeline runs")
        }
        StepCall call = StepCall.of(step, (Object[]) args, thread.context)
        thread.context.say("[Pipeline] ${name}")
        if (step.kind == Step.Kind.IMMEDIATE) {
            return step.work.call(thread.context, call.args)
        }
        return Dialect.suspend(name, call)
    }
}
