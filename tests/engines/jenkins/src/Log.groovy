package engine

import groovy.transform.CompileStatic

import java.util.regex.Pattern

/** The console. Secrets are masked line by line, in the forms that the plugin credentials-binding knows for sh. */
@CompileStatic
class Log implements Closeable {
    private static final int SHORTEST = 3
    private final Writer writer

    Log(File file) { writer = file.newWriter('UTF-8') }

    synchronized void write(String text, Collection<String> secrets = []) {
        Pattern pattern = pattern(secrets)
        for (String line : text.split('\n', -1)) {
            writer.write((pattern == null ? line : pattern.matcher(line).replaceAll('****')) + '\n')
        }
        writer.flush()
    }

    void close() { writer.close() }

    private static Pattern pattern(Collection<String> secrets) {
        List<String> forms = []
        for (String secret : secrets) {
            forms.addAll(secret, secret.replaceAll(/'+/, /'"$0"'/), secret.replace("'", "'\\''"))
            for (String shift : ['', 'a', 'aa']) {
                for (Base64.Encoder encoder : [Base64.encoder, Base64.urlEncoder]) {
                    String encoded = encoder.encodeToString((shift + secret).getBytes('UTF-8')).substring(2 * shift.size())
                    forms.addAll(encoded, encoded.replaceAll(/.=+$/, ''))
                }
            }
        }
        forms = forms.unique().findAll { String form -> form.size() >= SHORTEST }
        forms.sort { String a, String b -> b.size() <=> a.size() }
        return forms ? Pattern.compile(forms.collect { String form -> Pattern.quote(form) }.join('|')) : null
    }
}
