package engine

import groovy.transform.CompileStatic
import hudson.AbortException

/** `checkout scm`: the commit that the project is at, without a branch, as the git plugin leaves it; untracked files stay. */
@CompileStatic
class Checkout {
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
