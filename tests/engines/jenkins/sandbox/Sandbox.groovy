package engine

import groovy.transform.CompileStatic
import org.codehaus.groovy.runtime.DateGroovyMethods
import org.codehaus.groovy.runtime.DefaultGroovyMethods
import org.codehaus.groovy.runtime.EncodingGroovyMethods
import org.codehaus.groovy.runtime.GStringImpl
import org.codehaus.groovy.runtime.ProcessGroovyMethods
import org.codehaus.groovy.runtime.ScriptBytecodeAdapter
import org.codehaus.groovy.runtime.StringGroovyMethods
import org.kohsuke.groovy.sandbox.GroovyInterceptor

import java.lang.invoke.MethodType
import java.lang.reflect.Constructor
import java.lang.reflect.Executable
import java.lang.reflect.Field
import java.lang.reflect.Member
import java.lang.reflect.Method
import java.lang.reflect.Modifier

/**
 * Refuses what the sandbox of Jenkins would: each call, of CPS and of `@NonCPS` code, is looked up in the allow-list.
 *
 * Which signature a call has is found as the plugin script-security does it: in the most general type that has a fitting
 * method, then among Groovy's own methods. Members of classes of the pipeline itself are always allowed, as are steps.
 */
@CompileStatic
class Sandbox extends GroovyInterceptor {
    private static final List<Class> GROOVY_METHODS = [
        DefaultGroovyMethods, StringGroovyMethods, EncodingGroovyMethods, DateGroovyMethods, ProcessGroovyMethods,
    ] as List<Class>
    private static final Set<String> ARITHMETIC = [
        'plus', 'minus', 'multiply', 'div', 'compareTo', 'or', 'and', 'xor', 'intdiv', 'mod', 'leftShift', 'rightShift',
        'rightShiftUnsigned',
    ] as Set<String>
    private static final Set<String> OF_SCRIPTS = ['invokeMethod', 'getProperty', 'println', 'print', 'sleep'] as Set<String>
    private static final Set<Class> OF_THE_ENGINE = [Environment, CurrentBuild, Scm, Dsl] as Set<Class>

    private final Set<String> allowed
    private final ClassLoader pipeline

    Sandbox(File allowList, ClassLoader pipeline) {
        this.pipeline = pipeline
        allowed = allowList.readLines('UTF-8').collect { String line -> line.trim() }
            .findAll { String line -> line && !line.startsWith('#') } as Set<String>
    }

    @Override
    Object onMethodCall(Invoker invoker, Object receiver, String name, Object... args) throws Throwable {
        if (receiver != null) {
            checkCall(receiver, name, args)
        }
        return invoker.call(receiver, name, args)
    }

    @Override
    Object onStaticCall(Invoker invoker, Class receiver, String name, Object... args) throws Throwable {
        Method method = find(receiver, name, args, true)
        if (method == null) {
            throw refused("staticMethod ${receiver.name} ${name}${typesOf(args)}")
        }
        check(method)
        return invoker.call(receiver, name, args)
    }

    @Override
    Object onNewInstance(Invoker invoker, Class type, Object... args) throws Throwable {
        checkConstructor(type, args)
        return invoker.call(type, (String) null, args)
    }

    @Override
    void onSuperConstructor(Invoker invoker, Class type, Object... args) throws Throwable { checkConstructor(type, args) }

    @Override
    Object onSuperCall(Invoker invoker, Class sender, Object receiver, String name, Object... args) throws Throwable {
        checkCall(receiver, name, args)
        return super.onSuperCall(invoker, sender, receiver, name, args)
    }

    @Override
    Object onGetProperty(Invoker invoker, Object receiver, String name) throws Throwable {
        checkProperty(receiver, name, ['get', 'is'], [] as Object[])
        return invoker.call(receiver, name)
    }

    @Override
    Object onSetProperty(Invoker invoker, Object receiver, String name, Object value) throws Throwable {
        checkProperty(receiver, name, ['set'], [value] as Object[])
        return invoker.call(receiver, name, value)
    }

    @Override
    Object onGetAttribute(Invoker invoker, Object receiver, String name) throws Throwable {
        checkField(receiver, name)
        return invoker.call(receiver, name)
    }

    @Override
    Object onSetAttribute(Invoker invoker, Object receiver, String name, Object value) throws Throwable {
        checkField(receiver, name)
        return invoker.call(receiver, name, value)
    }

    @Override
    Object onGetArray(Invoker invoker, Object receiver, Object index) throws Throwable {
        if (receiver != null && !(receiver.class.array && index instanceof Integer)) {
            checkCall(receiver, 'getAt', [index] as Object[])
        }
        return invoker.call(receiver, (String) null, index)
    }

    @Override
    Object onSetArray(Invoker invoker, Object receiver, Object index, Object value) throws Throwable {
        if (receiver != null && !(receiver.class.array && index instanceof Integer)) {
            checkCall(receiver, 'putAt', [index, value] as Object[])
        }
        return invoker.call(receiver, (String) null, index, value)
    }

    private void checkCall(Object receiver, String name, Object[] args) {
        if (receiver instanceof PipelineScript && name in OF_SCRIPTS || receiver instanceof Dsl) {
            return
        }
        Method method = find(receiver.class, name, args, false)
        if (method != null) {
            check(method)
            return
        }
        if (receiver instanceof Number && name in ARITHMETIC) {
            return
        }
        List<Member> groovy = groovyMethods(receiver, name, args)
        if (groovy.any { Member each -> isAllowed(each) }) {
            return
        }
        if (groovy) {
            throw refused(signature(groovy.first()))
        }
        // What is left goes to a closure in a map or a binding, or to invokeMethod of a class of the pipeline.
        boolean closure = receiver instanceof Map && ((Map) receiver).get(name) instanceof Closure
        if (!closure && !isOfPipeline(receiver.class)) {
            throw refused("method ${typeName(receiver.class)} ${name}${typesOf(args)}")
        }
    }

    private void checkConstructor(Class type, Object[] args) {
        if (isOfPipeline(type) || type in [PipelineScript, GStringImpl]) {
            return
        }
        for (Constructor<?> each : type.declaredConstructors) {
            if (fits(each, args)) {
                check(each)
                return
            }
        }
        throw refused("new ${typeName(type)}${typesOf(args)}")
    }

    private void checkProperty(Object receiver, String name, List<String> prefixes, Object[] args) {
        boolean ofScript = receiver instanceof PipelineScript && !(name in ['binding', 'metaClass', 'class'])
        if (receiver == null || ofScript || receiver.class in OF_THE_ENGINE || receiver.class.array && name == 'length') {
            return
        }
        Class<?> itself = receiver instanceof Class ? (Class<?>) receiver : null
        List<Member> candidates = []
        for (String prefix : prefixes) {
            String method = prefix + name.capitalize()
            candidates.add(find(receiver.class, method, args, false))
            candidates.addAll(groovyMethods(receiver, method, args))
            candidates.add(itself == null ? null : find(itself, method, args, true))
        }
        candidates.add(field(receiver.class, name))
        candidates.add(itself == null ? null : field(itself, name))
        candidates.removeAll { Member each -> each == null }
        if (candidates.any { Member each -> isAllowed(each) }) {
            return
        }
        if (candidates) {
            throw refused(signature(candidates.first()))
        }
        throw new MissingPropertyException(name, receiver.class)
    }

    private void checkField(Object receiver, String name) {
        Field field = field(receiver.class, name)
        if (field == null) {
            throw new MissingPropertyException(name, receiver.class)
        }
        check(field)
    }

    private void check(Member member) {
        if (!isAllowed(member)) {
            throw refused(signature(member))
        }
    }

    private boolean isAllowed(Member member) {
        String signature = signature(member)
        if (signature in allowed) {
            Build.current.records.allowed.add(signature)
            return true
        }
        // How groovy-cps makes a GString of its parts.
        boolean coercion = member.declaringClass == ScriptBytecodeAdapter && member.name == 'asType'
        return coercion || isOfPipeline(member.declaringClass)
    }

    /** Whether a class is the Jenkinsfile's or the library's, or one of the objects that they are given. */
    private boolean isOfPipeline(Class<?> type) {
        for (ClassLoader loader = type.classLoader; loader != null; loader = loader.parent) {
            if (loader.is(pipeline)) {
                return true
            }
        }
        return type in OF_THE_ENGINE
    }

    private static SecurityException refused(String signature) {
        Build.current.records.refused.add(signature)
        return new SecurityException("Scripts not permitted to use ${signature}")
    }

    // ------------------------------------------------------------------------------------------------------------------
    // How script-security writes a member

    private static String signature(Member member) {
        String place = typeName(member.declaringClass)
        if (member instanceof Constructor) {
            return "new ${place}${types(((Constructor) member).parameterTypes)}"
        }
        boolean ofClass = Modifier.isStatic(member.modifiers)
        if (member instanceof Field) {
            return "${ofClass ? 'staticField' : 'field'} ${place} ${member.name}"
        }
        return "${ofClass ? 'staticMethod' : 'method'} ${place} ${member.name}${types(((Method) member).parameterTypes)}"
    }

    private static String types(Class<?>[] types) { types.collect { Class<?> each -> " ${typeName(each)}" }.join('') }

    private static String typesOf(Object[] args) {
        return args.collect { Object each -> each == null ? ' null' : " ${typeName(each.class)}" }.join('')
    }

    private static String typeName(Class<?> type) { type.array ? "${typeName(type.componentType)}[]" : type.name }

    // ------------------------------------------------------------------------------------------------------------------
    // Which member a call means

    private static List<Member> groovyMethods(Object receiver, String name, Object[] args) {
        Object[] withSelf = new Object[args.length + 1]
        withSelf[0] = receiver
        System.arraycopy(args, 0, withSelf, 1, args.length)
        List<Member> found = []
        for (Class type : GROOVY_METHODS) {
            Method method = best(type, name, withSelf, true)
            if (method != null) {
                found.add(method)
            }
        }
        return found
    }

    private static Method find(Class<?> type, String name, Object[] args, boolean onlyStatic) {
        for (Class<?> each : generalFirst(type, new LinkedHashSet<Class<?>>())) {
            Method found = best(each, name, args, onlyStatic)
            if (found != null) {
                return found
            }
        }
        return null
    }

    private static Set<Class<?>> generalFirst(Class<?> type, Set<Class<?>> seen) {
        if (type.superclass != null) {
            generalFirst(type.superclass, seen)
        }
        for (Class<?> each : type.interfaces) {
            generalFirst(each, seen)
        }
        seen.add(type)
        return seen
    }

    /** The most specific method that `type` itself declares and that takes these arguments. */
    private static Method best(Class<?> type, String name, Object[] args, boolean onlyStatic) {
        Method found = null
        for (Method each : type.declaredMethods) {
            boolean meant = each.name == name && !each.bridge
            boolean reachable = !onlyStatic || Modifier.isStatic(each.modifiers)
            if (meant && reachable && fits(each, args) && (found == null || isNarrower(each, found))) {
                found = each
            }
        }
        return found
    }

    private static boolean isNarrower(Method one, Method other) {
        if (one.parameterCount != other.parameterCount) {
            return other.varArgs && !one.varArgs
        }
        for (int index = 0; index < one.parameterCount; index++) {
            if (!boxed(other.parameterTypes[index]).isAssignableFrom(boxed(one.parameterTypes[index]))) {
                return false
            }
        }
        return true
    }

    private static boolean fits(Executable member, Object[] args) {
        Class<?>[] types = member.parameterTypes
        if (args.length == types.length && allFit(types, args, args.length)) {
            return true
        }
        int fixed = types.length - 1
        if (!member.varArgs || args.length < fixed || !allFit(types, args, fixed)) {
            return false
        }
        for (int index = fixed; index < args.length; index++) {
            if (!fits(types[fixed].componentType, args[index])) {
                return false
            }
        }
        return true
    }

    private static boolean allFit(Class<?>[] types, Object[] args, int count) {
        for (int index = 0; index < count; index++) {
            if (!fits(types[index], args[index])) {
                return false
            }
        }
        return true
    }

    private static boolean fits(Class<?> type, Object arg) {
        if (arg == null) {
            return !type.primitive
        }
        boolean text = type == String && arg instanceof GString
        boolean number = type.primitive && Number.isAssignableFrom(boxed(type)) && arg instanceof Number
        boolean function = type.interface && arg instanceof Closure
        return boxed(type).isInstance(arg) || text || number || function
    }

    private static Class<?> boxed(Class<?> type) {
        return type.primitive ? MethodType.methodType(type).wrap().returnType() : type
    }

    private static Field field(Class<?> type, String name) {
        for (Class<?> each = type; each != null; each = each.superclass) {
            for (Field field : each.declaredFields) {
                if (field.name == name) {
                    return field
                }
            }
        }
        return null
    }
}
