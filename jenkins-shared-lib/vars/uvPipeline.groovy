import org.uvactions.Job
import org.uvactions.Options

/** The parts and their options; uvPipeline.txt says what they mean. */
Map defaults() {
    return [
        label: '',
        setup: [:],
        lockCheck: [:],
        test: [:],
        build: [:],
        publish: [:],
    ]
}

/** Sets up, checks the locks, tests, builds, and publishes if asked; its value maps each part to its outputs. */
def call(Map config = [:]) {
    Map parts = check(config)
    if (!parts.label) {
        return stages(parts)
    }
    Map outputs = [:]
    node(parts.label) {
        checkout(scm)
        outputs = stages(parts)
    }
    return outputs
}

/** All options of all parts: a wrong name in the last one should not be found after the tests. */
private Map check(Map config) {
    Map parts = Options.read(this, 'uvPipeline', config, defaults())
    Job job = new Job(this, 'uvPipeline', '')
    if (parts.setup == false) {
        job.fail('`setup` is false, but all other parts need it', 'leave `setup` out, or give it options')
    }
    Map checked = [label: parts.label, setup: Options.read(this, 'uvPipeline: setup', parts.setup, uvSetup.defaults())]
    if (parts.lockCheck != false) {
        checked.lockCheck = Options.read(this, 'uvPipeline: lockCheck', parts.lockCheck, uvLockCheck.defaults())
    }
    if (parts.test != false) {
        checked.test = uvTest.check(parts.test)
    }
    if (parts.build != false) {
        checked.build = Options.read(this, 'uvPipeline: build', parts.build, uvBuild.defaults())
        checked.build.stash = checked.build.stash ?: 'uv-actions-dist'
    }
    if (parts.publish) {
        checked.publish = uvPublish.check(parts.publish + (checked.build ? [stash: checked.build.stash] : [:]))
    }
    return checked
}

private Map stages(Map parts) {
    Map outputs = [:]
    Job job = new Job(this, 'uvSetup', 'setup')
    try {
        stage('Setup') { outputs.setup = uvSetup.begin(job, parts.setup) }
        withEnv(job.environment()) {
            if (parts.lockCheck) {
                stage('Lock check') { outputs.lockCheck = uvLockCheck(parts.lockCheck) }
            }
            if (parts.test) {
                stage('Test') { outputs.test = uvTest(parts.test) }
            }
            if (parts.build) {
                stage('Build') { outputs.build = uvBuild(parts.build) }
            }
        }
    } finally {
        job.end()
    }
    if (parts.publish) {
        Map verified = outputs.build ? [sha256: outputs.build.sha256] : [:]
        stage('Publish') { outputs.publish = uvPublish(parts.publish + verified) }
    }
    return outputs
}
