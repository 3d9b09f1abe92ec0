package engine

import groovy.transform.CompileStatic
import hudson.AbortException

/** What the git plugin fetches. */
@CompileStatic
class Checkout {
    /** `checkout scm`: the commit that the project is at, without a branch; untracked files stay. */
    static Map<String, String> run(Context context) {
        File folder = context.folder('checkout')
        folder.mkdirs()
        String project = (String) Build.current.request.project
        if (!new File(folder, '.git').exists()) {
            git(context, folder, 'init', '-q')
        }
        git(context, folder, 'fetch', '-q', '--tags', '--force', project, 'HEAD')
        git(context, folder, 'checkout', '-q', '-f', '--detach', 'FETCH_HEAD')
        String commit = git(context, folder, 'rev-parse', 'HEAD').trim()
        return [GIT_COMMIT: commit, GIT_BRANCH: Build.current.environment().get('BRANCH_NAME') ?: 'detached',
                GIT_URL: project]
    }

    /**
     * The branch or tag of `name@version` from `modernSCM([$class: 'GitSCMSource', remote: …])`, on the controller.
     *
     * A controller refuses a `remote` that is a folder of its own; here it stands for a URL.
     */
    static File library(Context context, String reference, Describable retriever) {
        Map<String, Object> scm = (Map<String, Object>) retriever.args.scm
        Set<String> strange = scm.keySet() - (['$class', 'remote'] as Set<String>)
        if (scm['$class'] != 'GitSCMSource' || strange) {
            throw new AbortException("the engine has no retriever for ${scm}")
        }
        String version = reference.substring(reference.indexOf('@') + 1)
        File folder = new File(Build.current.folder, "libraries/${reference}")
        folder.parentFile.mkdirs()
        git(context, folder.parentFile, 'clone', '-q', '--branch', version, (String) scm.remote, folder.path)
        return folder
    }

    private static String git(Context context, File folder, String... args) {
        ProcessBuilder builder = new ProcessBuilder(['git', *args] as List<String>)
        builder.directory(folder).redirectErrorStream(true)
        builder.environment().clear()
        builder.environment().putAll(context.environment())
        Process process = builder.start()
        String told = process.inputStream.getText('UTF-8')
        if (process.waitFor() != 0) {
            throw new AbortException("Error fetching remote repo: git ${args.join(' ')}\n${told}")
        }
        return told
    }
}
