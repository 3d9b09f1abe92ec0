package org.jenkinsci.plugins.workflow.steps

import groovy.transform.CompileStatic

/** What a step gets that is stopped from outside: by `timeout`, or by `failFast` of `parallel`. */
@CompileStatic
class FlowInterruptedException extends InterruptedException {
    FlowInterruptedException(String cause) { super(cause) }
}
