"""mongo-java-server by an older PyMongo: `mongodb_java_client.py PORT`. The driver tells its listeners what it did.
That nobody waits for an answer this server does not know."""

import os
import sys

sys.path.insert(0, os.environ["OLDER_PYMONGO"])

from mongodb_client import commands, connect, large


def main():
    port = int(sys.argv[1])
    client, _ = connect(port, [port], later="ISMASTER")
    commands(client, 24)
    large(client)
    client.close()


main()
