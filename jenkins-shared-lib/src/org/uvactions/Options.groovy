package org.uvactions

import com.cloudbees.groovy.cps.NonCPS

/**
 * What a user gave to a component, checked, over the component's defaults.
 *
 * The type of a default is the option's: text, flag, list of texts, or a map. `null` counts as not given.
 */
class Options implements Serializable {

    private static final long serialVersionUID = 1

    /** All options with their values. An unknown name or a wrong type ends the build. */
    static Map read(Object steps, String component, Map given, Map defaults) {
        String problem = problemIn(component, given ?: [:], defaults)
        if (problem) {
            steps.error(problem)
        }
        return merge(given ?: [:], defaults)
    }

    /** What is wrong, and what mends it; empty if nothing is. */
    @NonCPS
    static String problemIn(String component, Map given, Map defaults) {
        for (Object key : given.keySet()) {
            String name = key.toString()
            if (!defaults.containsKey(name)) {
                String near = nearest(name, defaults.keySet())
                return problem(component, 'there is no option `' + name + '`; the nearest is `' + near + '`',
                    'write one of: ' + defaults.keySet().join(', '))
            }
            String wrong = wrongType(given.get(key), defaults.get(name))
            if (wrong) {
                return problem(component, "`${name}` ${wrong}", "write ${example(name, defaults.get(name))}")
            }
        }
        return ''
    }

    /** An error in the form that all tools of the collection give it. */
    @NonCPS
    static String problem(String component, String what, String mend) {
        return component + ': ' + what + '\n  To mend it: ' + mend
    }

    /** The known name that takes the fewest edits (Levenshtein) to reach. */
    @NonCPS
    static String nearest(String name, Collection known) {
        String best = ''
        int least = Integer.MAX_VALUE
        for (Object each : known) {
            int steps = distance(name.toLowerCase(), each.toString().toLowerCase())
            if (steps < least) {
                least = steps
                best = each.toString()
            }
        }
        return best
    }

    @NonCPS
    private static int distance(String a, String b) {
        List above = []
        for (int j = 0; j <= b.length(); j++) {
            above.add(j)
        }
        for (int i = 1; i <= a.length(); i++) {
            List here = [i]
            for (int j = 1; j <= b.length(); j++) {
                int replaced = above.get(j - 1) + (a.charAt(i - 1) == b.charAt(j - 1) ? 0 : 1)
                here.add(Math.min(replaced, Math.min(above.get(j), here.get(j - 1)) + 1))
            }
            above = here
        }
        return above.get(b.length())
    }

    /** How a value differs from the type of its default; empty if it doesn't. */
    @NonCPS
    private static String wrongType(Object value, Object standard) {
        if (value == null) {
            return ''
        }
        if (standard instanceof Boolean) {
            return value instanceof Boolean ? '' : 'must be true or false, without quotes'
        }
        if (standard instanceof Map) {
            return value instanceof Map || value == false ? '' : 'must be a map of options, or false'
        }
        if (standard instanceof List) {
            return wrongList(value)
        }
        if (!(value instanceof CharSequence)) {
            return "must be text, but is ${value instanceof Number ? 'a number' : 'something else'}"
        }
        return value.toString().contains('\u0000') ? 'has a NUL character in it' : ''
    }

    /** Items reach the tools one a line, so each must be a line. */
    @NonCPS
    private static String wrongList(Object value) {
        if (!(value instanceof List)) {
            return 'must be a list of texts'
        }
        for (Object item : value) {
            if (!(item instanceof CharSequence)) {
                return 'must be a list of texts, and has an item that isn\'t one'
            }
            String text = item.toString()
            if (text != text.trim() || text.isEmpty() || text.contains('\n') || text.contains('\r')
                || text.contains('\u0000')) {
                return 'has an item that is empty, begins or ends with a blank, or has a line end in it'
            }
        }
        return ''
    }

    /** How an option is written. A number such as 3.10 would lose its zero. */
    @NonCPS
    private static String example(String name, Object standard) {
        if (standard instanceof Boolean) {
            return name + ': true, or ' + name + ': false'
        }
        if (standard instanceof List) {
            return name + ": ['one', 'two']"
        }
        if (standard instanceof Map) {
            return name + ': [option: value]'
        }
        return name + ": '…', in quotes"
    }

    @NonCPS
    private static Map merge(Map given, Map defaults) {
        Map result = [:]
        for (Object name : defaults.keySet()) {
            Object value = given.get(name)
            result.put(name, value == null ? defaults.get(name) : plain(value))
        }
        return result
    }

    /** The value with plain strings in place of what Groovy builds from `"${…}"`. */
    @NonCPS
    private static Object plain(Object value) {
        if (value instanceof List) {
            List items = []
            for (Object item : value) {
                items.add(item.toString())
            }
            return items
        }
        return value instanceof CharSequence ? value.toString() : value
    }

}
