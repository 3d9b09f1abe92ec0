package engine

import groovy.transform.CompileStatic
import hudson.AbortException

/** A step with its arguments, as it leaves the program. */
@CompileStatic
class StepCall {
    final Step step
    final Map<String, Object> args
    final List<Closure> bodies

    private StepCall(Step step, Map<String, Object> args, List<Closure> bodies) {
        this.step = step
        this.args = args
        this.bodies = bodies
    }

    static StepCall of(Step step, Object[] given, Context context) {
        List<Object> rest = new ArrayList<Object>(Arrays.asList(given))
        List<Closure> bodies = []
        if (rest && rest.last() instanceof Closure) {
            bodies.add((Closure) rest.remove(rest.size() - 1))
        }
        Map<String, Object> args = named(rest.toArray(), step.sole)
        if (step.name == 'parallel') {
            for (String branch : new ArrayList<String>(args.keySet())) {
                if (args[branch] instanceof Closure) {
                    bodies.add((Closure) args.remove(branch))
                    ((List) args.computeIfAbsent('branches', { new ArrayList<String>() })).add(branch)
                }
            }
        } else if (step.kind == Step.Kind.BLOCK && !bodies) {
            throw new IllegalStateException("${step.name} step must be called with a body")
        }
        Collection<String> unknown = (Collection<String>) args.keySet() - step.parameters - ['branches']
        if (unknown) {
            throw new IllegalArgumentException("Unknown parameter(s) found for the step ${step.name}: ${unknown.join(', ')}")
        }
        warnOfSecrets(step, given, context)
        return new StepCall(step, flat(args), bodies)
    }

    /** The arguments by name; a value that stands alone gets the name `sole`, and so does `[$class: …]`. */
    static Map<String, Object> named(Object[] given, String sole) {
        if (given.length == 0) {
            return [:]
        }
        boolean described = given.length == 1 && given[0] instanceof Map && ((Map) given[0]).containsKey('$class')
        if (given.length == 1 && given[0] instanceof Map && !(described && sole)) {
            Map<String, Object> args = [:]
            for (Map.Entry entry : ((Map) given[0]).entrySet()) {
                args.put(String.valueOf(entry.key), entry.value)
            }
            return args
        }
        if (given.length == 1 && sole) {
            return [(sole): given[0]] as Map<String, Object>
        }
        throw new IllegalArgumentException("Expected named arguments but got ${Arrays.toString(given)}")
    }

    private static Map<String, Object> flat(Map<String, Object> args) {
        Map<String, Object> result = [:]
        for (Map.Entry<String, Object> entry : args.entrySet()) {
            result.put(entry.key, flatValue(entry.value))
        }
        return result
    }

    private static Object flatValue(Object value) {
        if (value instanceof GString) {
            return value.toString()
        }
        if (value instanceof List) {
            List<Object> result = []
            for (Object each : (List) value) {
                result.add(flatValue(each))
            }
            return result
        }
        if (value instanceof Map) {
            return flat((Map<String, Object>) value)
        }
        return value
    }

    private static void warnOfSecrets(Step step, Object[] given, Context context) {
        List<String> texts = []
        for (Object each : given) {
            interpolated(each, texts)
        }
        for (Map.Entry<String, String> secret : context.secrets().entrySet()) {
            if (texts.any { String text -> text.contains(secret.value) }) {
                context.say("Warning: A secret was passed to \"${step.name}\" using Groovy String interpolation, " +
                    "which is insecure.\n\t\t Affected argument(s) used the following variable(s): [${secret.key}]\n" +
                    '\t\t See https://jenkins.io/redirect/groovy-string-interpolation for details.')
                Build.current.leaks.add("the step ${step.name} was given ${secret.key} by a Groovy string".toString())
            }
        }
    }

    private static void interpolated(Object value, List<String> texts) {
        if (value instanceof GString) {
            texts.add(value.toString())
        } else if (value instanceof Collection) {
            for (Object each : (Collection) value) {
                interpolated(each, texts)
            }
        } else if (value instanceof Map) {
            for (Object each : ((Map) value).values()) {
                interpolated(each, texts)
            }
        }
    }

    static Object required(Map<String, Object> args, String name, String step) {
        if (args[name] == null) {
            throw new AbortException("The step ${step} needs the argument ${name}")
        }
        return args[name]
    }
}
