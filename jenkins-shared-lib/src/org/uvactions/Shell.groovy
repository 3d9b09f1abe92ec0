package org.uvactions

import com.cloudbees.groovy.cps.NonCPS

/** Text of sh scripts. All values enter it here, and nowhere else. */
class Shell implements Serializable {

    private static final long serialVersionUID = 1

    /** Without `-x`, which Jenkins' own `sh` adds: it would write into the log what the script only holds. */
    static final String HEAD = '#!/bin/sh -e\n'

    /** A text as one word, whatever is in it. */
    @NonCPS
    static String quote(Object text) {
        return "'" + text.toString().replace("'", "'\\''") + "'"
    }

    /** Words of a command line. */
    @NonCPS
    static String command(List words) {
        List quoted = []
        for (Object word : words) {
            quoted.add(quote(word))
        }
        return quoted.join(' ')
    }

    /** Lines that set and export variables. */
    @NonCPS
    static String exports(Map variables) {
        List lines = []
        for (Object name : variables.keySet()) {
            lines.add('export ' + name + '=' + quote(variables.get(name)) + '\n')
        }
        return lines.join('')
    }

    /** Lines that set variables of the script itself. */
    @NonCPS
    static String assignments(Map variables) {
        List lines = []
        for (Object name : variables.keySet()) {
            lines.add(name + '=' + quote(variables.get(name)) + '\n')
        }
        return lines.join('')
    }

    /** Options as the variables that a tool reads: `fail-on` of `lock_check` is UV_ACTIONS_LOCK_CHECK_FAIL_ON. */
    @NonCPS
    static Map variables(String tool, Map options) {
        Map result = [:]
        for (Object name : options.keySet()) {
            Object value = options.get(name)
            String text = value instanceof List ? value.join('\n') : value.toString()
            result.put('UV_ACTIONS_' + tool.toUpperCase() + '_' + snake(name.toString()), text)
        }
        return result
    }

    @NonCPS
    private static String snake(String name) {
        return name.replaceAll('([A-Z])', '_$1').toUpperCase()
    }

}
