/** `docker` of the plugin docker-workflow, as far as pipelines of ours go: `docker.image('x').inside('-e A=b') { … }`. */
class Docker implements Serializable {
    private final def script

    Docker(script) { this.script = script }

    Image image(String id) { new Image(this, id) }

    def node(Closure body) {
        if (script.env.NODE_NAME != null) {
            return body()
        }
        script.node { body() }
    }

    static class Image implements Serializable {
        private final Docker docker
        final String id

        Image(Docker docker, String id) {
            this.docker = docker
            this.id = id
        }

        def inside(String args = '', Closure body) {
            docker.node {
                docker.script.withDockerContainer(image: id, args: args) { body() }
            }
        }

        void pull() { }

        String imageName() { id }
    }
}
