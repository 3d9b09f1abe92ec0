package engine

import com.cloudbees.groovy.cps.Outcome
import groovy.transform.CompileStatic
import hudson.AbortException

/** `withCredentials`: variables for the body, masked in its log; files that are gone afterwards. */
@CompileStatic
class Credentials {
    private static final Map<String, String> DISPLAYED = [
        string: 'Secret text', usernamePassword: 'Username with password', file: 'Secret file',
    ]
    /** Binding -> the kind of credential that it takes, and the class that stands for it. */
    private static final Map<String, List<String>> KINDS = [
        string: ['string', 'org.jenkinsci.plugins.plaincredentials.StringCredentials'],
        usernamePassword: ['usernamePassword', 'com.cloudbees.plugins.credentials.common.StandardUsernamePasswordCredentials'],
        usernameColonPassword: ['usernamePassword',
                                'com.cloudbees.plugins.credentials.common.StandardUsernamePasswordCredentials'],
        file: ['file', 'org.jenkinsci.plugins.plaincredentials.FileCredentials'],
    ]

    static Body body(Context context, List bindings) {
        Map<String, String> variables = [:]
        Map<String, String> secrets = [:]
        List<File> folders = []
        for (Object each : bindings) {
            Describable binding = (Describable) each
            Map<String, String> found = lookUp(binding)
            switch (binding.symbol) {
                case 'string':
                    secrets.put(variable(binding, 'variable'), found['secret'])
                    break
                case 'usernamePassword':
                    variables.put(variable(binding, 'usernameVariable'), found['username'])
                    secrets.put(variable(binding, 'passwordVariable'), found['password'])
                    break
                case 'usernameColonPassword':
                    secrets.put(variable(binding, 'variable'), "${found['username']}:${found['password']}".toString())
                    break
                case 'file':
                    File folder = new File(context.temporary('withCredentials'), "secretFiles/${UUID.randomUUID()}")
                    folder.mkdirs()
                    File file = new File(folder, found['name'])
                    file.write(found['content'], 'UTF-8')
                    folders.add(folder)
                    secrets.put(variable(binding, 'variable'), file.path)
                    break
            }
        }
        variables.putAll(secrets)
        context.say("Masking supported pattern matches of ${secrets.keySet().collect { String name -> '$' + name }.join(' or ')}")
        return Body.of(context.with([env: variables, secrets: secrets] as Map<String, Object>)) { Outcome outcome ->
            folders.each { File folder -> folder.deleteDir() }
            return outcome
        }
    }

    private static String variable(Describable binding, String argument) {
        return (String) StepCall.required(binding.args, argument, binding.symbol)
    }

    private static Map<String, String> lookUp(Describable binding) {
        String id = (String) binding.args['credentialsId']
        Map<String, Map<String, String>> all = (Map<String, Map<String, String>>) Build.current.request.credentials
        Map<String, String> found = all[id]
        if (found == null) {
            throw new AbortException("Could not find credentials entry with ID '${id}'")
        }
        List<String> kind = KINDS[binding.symbol]
        if (found['kind'] != kind[0]) {
            throw new AbortException("Credentials '${id}' is of type '${DISPLAYED[found['kind']]}' where '${kind[1]}' was expected")
        }
        return found
    }
}
