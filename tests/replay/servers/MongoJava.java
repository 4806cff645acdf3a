import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.backend.memory.MemoryBackend;

/** mongo-java-server: {@code MongoJava PORT...}. */
public class MongoJava {
    public static void main(String[] ports) {
        for (String port : ports) {
            new MongoServer(new MemoryBackend()).bind("127.0.0.1", Integer.parseInt(port));
        }
    }
}
