package engine

import groovy.transform.CompileStatic
import hudson.AbortException
import org.w3c.dom.Element
import org.w3c.dom.NodeList

import javax.xml.parsers.DocumentBuilderFactory

/** The steps that show results; each keeps a copy of what it was given. */
@CompileStatic
class Reports {
    private static final long OLD_MS = 3000

    static Map<String, Integer> junit(Context context, Map args) {
        context.say('Recording test results')
        File folder = context.folder('junit')
        String pattern = (String) args.testResults
        List<String> paths = AntFiles.find(folder, pattern)
        List<String> fresh = paths.findAll { String path ->
            new File(folder, path).lastModified() >= Build.current.began - OLD_MS
        }
        if (!fresh) {
            String why = paths ? 'Test reports were found but none of them are new. Did leafNodes run?'
                               : 'No test report files were found. Configuration error?'
            if (args.allowEmptyResults && !paths) {
                context.say('None of the test reports contained any result')
                return summary(0, 0, 0)
            }
            throw new AbortException(why)
        }
        int total = 0, failed = 0, skipped = 0
        List<Map<String, String>> failures = []
        for (String path : fresh) {
            for (Element test : testCases(new File(folder, path))) {
                total++
                Element problem = child(test, 'failure') ?: child(test, 'error')
                if (problem != null) {
                    failed++
                    failures.add([name: test.getAttribute('name'), suite: test.getAttribute('classname'),
                                  message: problem.getAttribute('message'), text: problem.textContent])
                } else if (child(test, 'skipped') != null) {
                    skipped++
                }
            }
        }
        Records records = Build.current.records
        String place = "junit/${records.junit.size()}"
        AntFiles.copy(folder, fresh, records.place(place))
        Map<String, Object> record = [pattern: pattern, files: fresh, place: place, failures: failures] as Map<String, Object>
        record.putAll(summary(total, failed, skipped))
        records.junit.add(record)
        if (failed && !args.skipMarkingBuildUnstable) {
            Build.current.worsen('UNSTABLE')
        }
        return summary(total, failed, skipped)
    }

    static void coverage(Context context, Map args) {
        for (Object each : (List) args.tools) {
            Map tool = (Map) each
            record(context, 'coverage', Build.current.records.coverage, (String) tool.parser, (String) tool.pattern, args)
        }
    }

    static void issues(Context context, Map args) {
        List tools = args.tools == null ? [args.tool] : (List) args.tools
        for (Object each : tools) {
            Describable tool = (Describable) each
            Map<String, Object> names = [id: tool.args['id'] ?: args.id, name: tool.args['name'] ?: args.name] as Map<String, Object>
            record(context, 'issues', Build.current.records.issues, tool.symbol, (String) tool.args['pattern'], names)
        }
    }

    private static void record(Context context, String kind, List<Map<String, Object>> list, String tool, String pattern, Map args) {
        File folder = context.folder(kind)
        List<String> paths = AntFiles.find(folder, pattern)
        context.say("[${kind}] ${tool}: ${paths.size()} file(s) match '${pattern}'")
        String place = "${kind}/${list.size()}"
        AntFiles.copy(folder, paths, Build.current.records.place(place))
        list.add([tool: tool, pattern: pattern, files: paths, place: place, id: args.id ?: '', name: args.name ?: ''] as Map<String, Object>)
    }

    private static Map<String, Integer> summary(int total, int failed, int skipped) {
        return [totalCount: total, failCount: failed, skipCount: skipped, passCount: total - failed - skipped]
    }

    private static List<Element> testCases(File file) {
        DocumentBuilderFactory factory = DocumentBuilderFactory.newInstance()
        factory.setFeature('http://apache.org/xml/features/disallow-doctype-decl', true)
        NodeList nodes = factory.newDocumentBuilder().parse(file).getElementsByTagName('testcase')
        return (0..<nodes.length).collect { int index -> (Element) nodes.item(index) }
    }

    private static Element child(Element element, String name) {
        return (Element) element.getElementsByTagName(name).item(0)
    }
}
