package engine

import groovy.transform.CompileStatic

/** The value of a symbol that is no step of its own: `string(credentialsId: …, variable: …)`, `sarif(pattern: …)`. */
@CompileStatic
class Describable implements Serializable {
    /** Symbol -> the name of the argument that stands alone. */
    static final Map<String, String> SYMBOLS = [
        string: '', usernamePassword: '', usernameColonPassword: '', file: '',
        sarif: '', arbitraryFileCache: '', modernSCM: 'scm',
    ]

    final String symbol
    final Map<String, Object> args

    Describable(String symbol, Map<String, Object> args) {
        this.symbol = symbol
        this.args = args
    }
}
