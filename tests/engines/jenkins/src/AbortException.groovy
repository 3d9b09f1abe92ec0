package hudson

import groovy.transform.CompileStatic

/** A failure that Jenkins tells in one line, without a stack trace. */
@CompileStatic
class AbortException extends IOException {
    AbortException(String message) { super(message) }
}
