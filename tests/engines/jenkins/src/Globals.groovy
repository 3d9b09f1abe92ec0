package engine

import groovy.transform.CompileStatic

/** What a script finds by name beside steps: `env`, `params`, `currentBuild`, `scm`, `docker`, and a library's `vars/`. */
@CompileStatic
class Globals {
    private final Build build
    private final List<String> vars = []
    private final GroovyClassLoader loader

    Globals(Build build, GroovyClassLoader loader) {
        this.build = build
        this.loader = loader
    }

    List<String> names() { ['currentBuild', 'docker', 'env', 'params', 'scm', *vars] as List<String> }

    /** Adds a library: its `src/` to the class path, its `vars/` to the names. */
    void add(File library) {
        for (String part : ['src', 'vars']) {
            File folder = new File(library, part)
            if (folder.directory) {
                loader.addURL(folder.toURI().toURL())
            }
        }
        for (File file : new File(library, 'vars').listFiles() ?: [] as File[]) {
            if (file.name.endsWith('.groovy')) {
                vars.add(file.name - '.groovy')
            }
        }
    }

    Object find(String name, PipelineScript script) {
        switch (name) {
            case 'env': return new Environment()
            case 'params': return new LinkedHashMap<String, Object>(build.params)
            case 'currentBuild': return new CurrentBuild()
            case 'scm': return new Scm()
        }
        if (!(name in vars) && !(name == 'docker' && build.has('docker-workflow'))) {
            return null
        }
        // As Jenkins does it: one instance for each script that names it.
        if (!script.binding.hasVariable(name)) {
            boolean docker = name == 'docker'
            Class<?> type = loader.loadClass(docker ? 'Docker' : name)
            script.binding.setVariable(name, docker ? type.newInstance(script) : type.newInstance())
        }
        return script.binding.getVariable(name)
    }
}

/** `env`: what steps see; writing is for the whole build, and not undone by any block. */
@CompileStatic
class Environment extends GroovyObjectSupport implements Serializable {
    @Override
    Object getProperty(String name) {
        CpsThread thread = Build.current.scheduler.current
        return thread == null ? Build.current.environment().get(name) : thread.context.environment().get(name)
    }

    @Override
    void setProperty(String name, Object value) { Build.current.overrides.put(name, String.valueOf(value)) }

    Map<String, String> getEnvironment() { Build.current.environment() }
}

/** `scm`: where the Jenkinsfile came from. */
@CompileStatic
class Scm implements Serializable { }

/** `currentBuild`; a result can only get worse. */
@CompileStatic
class CurrentBuild implements Serializable {
    String getResult() { Build.current.result }

    void setResult(String result) { Build.current.worsen(result) }

    String getCurrentResult() { Build.current.result ?: 'SUCCESS' }

    int getNumber() { Build.current.environment().get('BUILD_NUMBER').toInteger() }

    String getId() { number.toString() }

    String getDisplayName() { Build.current.displayName ?: "#${number}" }

    void setDisplayName(String name) { Build.current.displayName = name }

    String getDescription() { Build.current.description }

    void setDescription(String description) { Build.current.description = description }

    String getFullProjectName() { Build.current.environment().get('JOB_NAME') }

    String getProjectName() { fullProjectName.split('/').last() }

    String getAbsoluteUrl() { Build.current.environment().get('BUILD_URL') }

    boolean resultIsBetterOrEqualTo(String other) { Build.rank(currentResult) <= Build.rank(other) }

    boolean resultIsWorseOrEqualTo(String other) { Build.rank(currentResult) >= Build.rank(other) }
}
