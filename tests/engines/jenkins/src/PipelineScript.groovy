package engine

import com.cloudbees.groovy.cps.SerializableScript
import groovy.transform.CompileStatic
import org.codehaus.groovy.runtime.InvokerHelper

/** The base class of the Jenkinsfile and of every script in `vars/`: where names that they don't have are looked up. */
@CompileStatic
abstract class PipelineScript extends SerializableScript {
    PipelineScript() { binding.setVariable('steps', new Dsl()) }

    PipelineScript(Binding binding) {
        super(binding)
        binding.setVariable('steps', new Dsl())
    }

    @Override
    final Object invokeMethod(String name, Object args) {
        if (binding.hasVariable(name)) {
            Object value = binding.getVariable(name)
            if (InvokerHelper.getMetaClass(value).respondsTo(value, 'call', (Object[]) args)) {
                return InvokerHelper.getMetaClass(value).invokeMethod(value, 'call', args)
            }
        }
        Object global = Build.current.globals.find(name, this)
        if (global != null) {
            return InvokerHelper.getMetaClass(global).invokeMethod(global, 'call', args)
        }
        return Dsl.invoke(name, args)
    }

    @Override
    Object getProperty(String name) {
        try {
            return super.getProperty(name)
        } catch (MissingPropertyException missing) {
            Object global = Build.current.globals.find(name, this) ?: new Environment().getProperty(name)
            if (global == null) {
                throw missing
            }
            return global
        }
    }

    @Override
    void println() { invokeMethod('echo', [''] as Object[]) }

    @Override
    void println(Object value) { invokeMethod('echo', [String.valueOf(value)] as Object[]) }

    @Override
    void print(Object value) { println(value) }

    /** Else Groovy's own `sleep(long)` would be meant. */
    Object sleep(long time) { invokeMethod('sleep', [time] as Object[]) }
}
