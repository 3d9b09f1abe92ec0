import org.uvactions.Job
import org.uvactions.Options
import org.uvactions.Shell

/** The options and their defaults; uvPublish.txt says what they mean. */
Map defaults() {
    return [
        workingDirectory: '.',
        dist: ['dist'],
        stash: '',
        sha256: [],
        index: '',
        publishUrl: '',
        checkUrl: '',
        username: '',
        credentialsId: '',
        dryRun: false,
        tagMatchesVersion: true,
        mirror: '',
    ]
}

/** Uploads distributions to a package index, each once. */
def call(Map config = [:]) {
    Map options = check(config)
    Job job = new Job(this, 'uvPublish', 'publish')
    try {
        job.begin()
        job.forgetAround()
        if (options.stash) {
            dir(job.file('dist')) { unstash(options.stash) }
            options.dist = [job.file('dist')]
        }
        int code = upload(job, options)
        job.check(code, 'it can\'t be published', 'do as the last lines above say')
        return job.outputs(published: null, skipped: null, url: '')
    } finally {
        job.end()
    }
}

/** The options, once their names, types and combination are checked. */
Map check(Map config) {
    Job job = new Job(this, 'uvPublish', 'publish')
    if (config?.containsKey('password')) {
        job.fail('`password` would be saved with the build, for others to read',
            'store it in Jenkins as a credential, and write credentialsId: \'its id\'')
    }
    Map options = Options.read(this, 'uvPublish', config, defaults())
    if (options.stash && options.dist != defaults().dist) {
        job.fail('`stash` and `dist` are given', 'leave one of them out')
    }
    if (!options.credentialsId && !options.dryRun) {
        job.fail('`credentialsId` is missing, so there is no password to upload with',
            'store the password or API token in Jenkins as a credential, and write credentialsId: \'its id\'')
    }
    return options
}

/** Uploads with the credential: a secret text is an API token, else it is a user name with a password. */
private int upload(Job job, Map options) {
    Map variables = variables(options)
    if (!options.credentialsId) {
        return job.run('publish', variables)
    }
    int code = 0
    try {
        withCredentials([string(credentialsId: options.credentialsId, variable: 'UV_ACTIONS_PUBLISH_PASSWORD')]) {
            code = job.run('publish', variables)
        }
    } catch (Exception refused) {
        // A library may not name the class that the plugin has for it.
        if (!(refused.message ?: '').startsWith("Credentials '${options.credentialsId}' is of type ")) {
            throw refused
        }
        withCredentials([usernamePassword(credentialsId: options.credentialsId,
            usernameVariable: 'UV_ACTIONS_JENKINS_USERNAME', passwordVariable: 'UV_ACTIONS_PUBLISH_PASSWORD')]) {
            code = job.run('publish', variables)
        }
    }
    return code
}

private Map variables(Map options) {
    return [UV_ACTIONS_UV_PROJECT: options.workingDirectory, UV_ACTIONS_MIRROR: options.mirror] +
        // No index knows Jenkins as an issuer of identities.
        Shell.variables('publish', [trustedPublishing: 'never'] + options.subMap([
            'workingDirectory', 'dist', 'sha256', 'index', 'publishUrl', 'checkUrl', 'username', 'dryRun',
            'tagMatchesVersion']))
}
