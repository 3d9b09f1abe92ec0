package engine

import com.cloudbees.groovy.cps.Continuable
import com.cloudbees.groovy.cps.CpsTransformer
import com.cloudbees.groovy.cps.Env
import com.cloudbees.groovy.cps.Envs
import com.cloudbees.groovy.cps.Outcome
import com.cloudbees.groovy.cps.impl.CpsCallableInvocation
import groovy.transform.CompileStatic

/** What depends on the version of groovy-cps. This one: 1.31, plain; see `sandbox/` for the other. */
@CompileStatic
class Dialect {
    private static final List<Class> CATEGORIES = [*Continuable.categories, IteratorHack] as List<Class>

    static void prepare(File allowList, ClassLoader pipeline) {
        CpsCallableInvocation.registerMismatchHandler(Dialect.&mismatch as CpsCallableInvocation.MismatchHandler)
    }

    static CpsTransformer transformer() { new CpsTransformer() }

    static Env environment() { Envs.empty() }

    static Object suspend(String name, Object value) { Continuable.suspend(name, value) }

    static Outcome run(Continuable program, Outcome resume) { program.run0(resume, CATEGORIES) }

    /** Jenkins' own message; there the build goes on with a wrong value, here it ends, as in Jenkins' tests. */
    private static void mismatch(Object expected, String method, Object actual, String actualMethod) {
        String wanted = expected == null ? method : "${nameOf(expected)}.${method}"
        String got = actual == null ? actualMethod : "${nameOf(actual)}.${actualMethod}"
        throw new IllegalStateException("expected to call ${wanted} but wound up catching ${got}; see: " +
            'https://jenkins.io/redirect/pipeline-cps-method-mismatches/')
    }

    private static String nameOf(Object object) { (object instanceof Class ? (Class) object : object.class).name }
}
