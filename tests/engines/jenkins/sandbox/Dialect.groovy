package engine

import com.cloudbees.groovy.cps.Continuable
import com.cloudbees.groovy.cps.CpsTransformer
import com.cloudbees.groovy.cps.Env
import com.cloudbees.groovy.cps.Envs
import com.cloudbees.groovy.cps.Outcome
import com.cloudbees.groovy.cps.SandboxCpsTransformer
import com.cloudbees.groovy.cps.sandbox.SandboxInvoker
import groovy.transform.CompileStatic

/** What depends on the version of groovy-cps. This one: 1.24, the last whose calls groovy-sandbox 1.17 can intercept. */
@CompileStatic
class Dialect {
    private static final List<Class> CATEGORIES = [*Continuable.categories, IteratorHack] as List<Class>
    private static Sandbox sandbox

    static void prepare(File allowList, ClassLoader pipeline) { sandbox = new Sandbox(allowList, pipeline) }

    static CpsTransformer transformer() { new SandboxCpsTransformer() }

    static Env environment() { Envs.empty(new SandboxInvoker()) }

    static Object suspend(String name, Object value) { Continuable.suspend(value) }

    static Outcome run(Continuable program, Outcome resume) {
        sandbox.register()
        try {
            return program.run0(resume, CATEGORIES)
        } finally {
            sandbox.unregister()
        }
    }
}
