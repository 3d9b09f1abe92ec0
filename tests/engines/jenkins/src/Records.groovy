package engine

import groovy.transform.CompileStatic

/** What a build leaves behind beside its log: files below `folder`, and lists for the result. */
@CompileStatic
class Records {
    final File folder
    final List<File> libraries = []
    final List<Map<String, Object>> junit = []
    final List<Map<String, Object>> coverage = []
    final List<Map<String, Object>> issues = []
    final List<Map<String, Object>> shells = []
    final List<Map<String, Object>> stages = []
    final Map<String, Object> notes = [:]
    final Set<String> allowed = new TreeSet<String>()
    final Set<String> refused = new LinkedHashSet<String>()
    String failedStage = ''

    Records(File folder) { this.folder = folder }

    File place(String path) {
        File place = new File(folder, path)
        place.parentFile.mkdirs()
        return place
    }

    synchronized Map<String, Object> asMap() {
        return [junit: junit, coverage: coverage, issues: issues, shells: shells, stages: stages, notes: notes,
                failedStage: failedStage, allowed: allowed, refused: refused] as Map<String, Object>
    }
}
