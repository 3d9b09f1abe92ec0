package org.uvactions

import com.cloudbees.groovy.cps.NonCPS

/**
 * Reports, where this Jenkins has the plugin that shows them; plain archives where it hasn't.
 *
 * Jenkins tells of a step that no plugin brings by a NoSuchMethodError.
 */
class Reports implements Serializable {

    private static final long serialVersionUID = 1

    /** A JUnit report, by its absolute path. */
    static void tests(Object steps, String file) {
        String report = nameOf(file)
        steps.dir(folderOf(file)) {
            try {
                steps.junit(testResults: report, allowEmptyResults: true)
            } catch (NoSuchMethodError missing) {
                steps.echo(report + ': archived, since no plugin here has the step junit')
                steps.archiveArtifacts(artifacts: report, allowEmptyArchive: true)
            }
        }
    }

    /** A coverage report (Cobertura) below the current folder. `id` keeps several of one build apart; empty for one. */
    static void coverage(Object steps, String file, String id) {
        Map chosen = [tools: [[parser: 'COBERTURA', pattern: file]]]
        if (id) {
            chosen.put('id', id)
            chosen.put('name', id)
        }
        try {
            steps.recordCoverage(chosen)
        } catch (NoSuchMethodError missing) {
            archive(steps, file, 'recordCoverage')
        }
    }

    /** Findings (SARIF) in a file below the current folder. */
    static void findings(Object steps, String file, String id, String name) {
        if (!steps.fileExists(file)) {
            return
        }
        try {
            steps.recordIssues(tools: [steps.sarif(pattern: file, id: id, name: name)])
        } catch (NoSuchMethodError missing) {
            archive(steps, file, 'recordIssues')
        }
    }

    private static void archive(Object steps, String file, String step) {
        String report = nameOf(file)
        steps.echo(report + ': archived, since no plugin here has the step ' + step)
        steps.dir(folderOf(file)) {
            steps.archiveArtifacts(artifacts: report, allowEmptyArchive: true)
        }
    }

    @NonCPS
    private static String folderOf(String file) {
        return file.substring(0, file.lastIndexOf('/'))
    }

    @NonCPS
    private static String nameOf(String file) {
        return file.substring(file.lastIndexOf('/') + 1)
    }

}
