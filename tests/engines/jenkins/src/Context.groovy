package engine

import groovy.transform.CompileStatic
import hudson.AbortException

/** Where a step runs: what the blocks around it have set. Each block has its own layer; looking up goes outwards. */
@CompileStatic
class Context {
    private final Context outer
    private final Map<String, Object> layer

    Context(Context outer = null, Map<String, Object> layer = [:]) {
        this.outer = outer
        this.layer = layer
    }

    Context with(Map<String, Object> layer) { new Context(this, layer) }

    private Object find(String name) { layer.containsKey(name) ? layer[name] : outer?.find(name) }

    Node getNode() { (Node) find('node') }

    Container getContainer() { (Container) find('container') }

    String getStage() { (String) find('stage') }

    File folder(String step) {
        File folder = (File) find('folder')
        if (folder == null) {
            throw new AbortException('Required context class hudson.FilePath is missing\n' +
                "Perhaps you forgot to surround the ${step} step with a step that provides this, such as: node")
        }
        return folder
    }

    /** The folder for temporary files that belongs to the current one. */
    File temporary(String step) {
        File folder = folder(step)
        return new File(folder.parentFile, "${folder.name}@tmp")
    }

    File file(String path, String step) {
        File given = new File(path)
        return given.absolute ? given : new File(folder(step), path)
    }

    /** Variable -> secret, of all `withCredentials` around. */
    Map<String, String> secrets() {
        Map<String, String> all = outer == null ? new LinkedHashMap<String, String>() : outer.secrets()
        all.putAll((Map<String, String>) (layer['secrets'] ?: [:]))
        return all
    }

    /** The variables that a step sees: those of the agent, of the job, of `env`, and of the blocks around. */
    Map<String, String> environment() {
        Map<String, String> result = outer == null ? Build.current.environment() : outer.environment()
        Node node = (Node) layer['node']
        if (node != null) {
            Map<String, String> job = result
            result = new TreeMap<String, String>(node.environment)
            result.putAll(job)
        }
        Map<String, String> overrides = (Map<String, String>) (layer['env'] ?: [:])
        for (Map.Entry<String, String> each : overrides.entrySet()) {
            override(result, each.key, each.value)
        }
        return result
    }

    /** As `EnvVars.override`: an empty value removes, `NAME+X` puts its value before the list that NAME is. */
    private static void override(Map<String, String> env, String name, String value) {
        int plus = name.indexOf('+')
        if (!value) {
            env.remove(name)
        } else if (plus > 0) {
            String list = name.substring(0, plus)
            env.put(list, env.containsKey(list) ? "${value}:${env.get(list)}".toString() : value)
        } else {
            env.put(name, value)
        }
    }

    void say(String text) { Build.current.log.write(text, secrets().values()) }
}
