package engine

import groovy.transform.CompileStatic

import java.nio.file.Files as Nio
import java.nio.file.LinkOption
import java.nio.file.Path
import java.nio.file.StandardCopyOption
import java.util.regex.Pattern

/** Ant's patterns, as Jenkins' steps take them, and copying what they match. */
@CompileStatic
class AntFiles {
    private static final List<String> DEFAULT_EXCLUDES = ['**/.git', '**/.git/**', '**/.gitignore', '**/*~']

    /** Paths below `folder`, `/` between their parts, sorted. */
    static List<String> find(File folder, String includes, String excludes = '', boolean defaults = true) {
        List<Pattern> wanted = patterns(includes)
        List<Pattern> unwanted = patterns(excludes) + (defaults ? patterns(DEFAULT_EXCLUDES.join(',')) : [] as List<Pattern>)
        List<String> found = []
        if (folder.directory) {
            walk(folder.toPath(), folder.toPath()) { String path ->
                if (wanted.any { Pattern each -> path ==~ each } && !unwanted.any { Pattern each -> path ==~ each }) {
                    found.add(path)
                }
            }
        }
        return found.sort()
    }

    static void copy(File from, List<String> paths, File to) {
        for (String path : paths) {
            Path target = new File(to, path).toPath()
            Nio.createDirectories(target.parent)
            Nio.copy(new File(from, path).toPath(), target, StandardCopyOption.REPLACE_EXISTING,
                StandardCopyOption.COPY_ATTRIBUTES, LinkOption.NOFOLLOW_LINKS)
        }
    }

    private static void walk(Path root, Path folder, Closure each) {
        Nio.newDirectoryStream(folder).withCloseable { paths ->
            for (Path path : paths) {
                if (Nio.isDirectory(path, LinkOption.NOFOLLOW_LINKS)) {
                    walk(root, path, each)
                } else {
                    each.call(root.relativize(path).toString())
                }
            }
        }
    }

    private static List<Pattern> patterns(String text) {
        return (text ?: '').tokenize(',').collect { String each -> pattern(each.trim()) }
    }

    private static Pattern pattern(String glob) {
        String full = glob.endsWith('/') ? "${glob}**" : glob
        List<String> parts = full.split('/').toList()
        StringBuilder regex = new StringBuilder()
        parts.eachWithIndex { String part, int index ->
            boolean last = index == parts.size() - 1
            if (part == '**') {
                regex.append(last ? '.*' : '(?:[^/]+/)*')
            } else {
                String quoted = Pattern.quote(part).replace('*', '\\E[^/]*\\Q').replace('?', '\\E[^/]\\Q')
                regex.append(quoted).append(last ? '' : '/')
            }
        }
        return Pattern.compile(regex.toString())
    }
}
