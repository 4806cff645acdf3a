"""Clients that connect before the agent does: `pools.py PROTOCOL PORT [ARGUMENT]`.

Each opens the connections that it keeps, asks a little on them, says `connected`, and waits for the end of its input. What it
does then, on the same connections, is logged as the clients of tests/replay do.
"""

import pathlib
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "replay/clients"))

from truth import log, operation, token

# Operations on each of the connections.
EACH, KEPT = 30, 2


def ready():
    print("connected", file=sys.stderr, flush=True)
    sys.stdin.read()


def http2(port):
    import httpx

    clients = [httpx.Client(base_url=f"http://127.0.0.1:{port}", http1=False, http2=True, trust_env=False) for _ in range(KEPT)]
    for client in clients:
        for _ in range(3):
            client.get("/small.txt", headers={"x-before": token()})
    ready()
    for number in range(EACH):
        for client in clients:
            path, status = ("/small.txt", 200) if number % 2 else (f"/none-{token()}", 404)
            with operation("http2", port, "GET", path) as running:
                running.outcome = client.get(path).status_code
            if running.outcome != status:
                sys.exit(f"{path}: {running.outcome}")


def grpc(port):
    import grpc as library

    channel = library.insecure_channel(f"127.0.0.1:{port}")
    get, watch, fail = (getattr(channel, kind)(f"/shop.v1.Orders/{name}") for kind, name in
                        (("unary_unary", "Get"), ("unary_stream", "Watch"), ("unary_unary", "Fail")))
    for _ in range(3):
        get(b"before")
    ready()
    for number in range(EACH):
        with operation("grpc", port, "shop.v1.Orders/Get", "1/1") as running:
            get(b"x" * number)
            running.outcome = "OK"
        with operation("grpc", port, "shop.v1.Orders/Watch", "1/4") as running:
            list(watch(b"4"))
            running.outcome = "OK"
        with operation("grpc", port, "shop.v1.Orders/Fail", "1/0") as running:
            try:
                fail(b"NOT_FOUND")
            except library.RpcError as error:
                running.outcome = error.code().name


def mqtt(port):
    import paho.mqtt.client as library

    done, changed = set(), threading.Condition()

    def tell(*words):
        with changed:
            done.add(words[2])
            changed.notify_all()

    def wait(number):
        with changed:
            if not changed.wait_for(lambda: number in done, 20):
                sys.exit("nothing came of a message")

    client = library.Client(library.CallbackAPIVersion.VERSION2, client_id="pool", protocol=library.MQTTv311)
    connected = threading.Event()
    client.on_connect = lambda *words: connected.set()
    client.on_publish = tell
    client.connect("127.0.0.1", port, 60)
    client.loop_start()
    connected.wait(20)
    wait(client.publish("before", b"x", 1).mid)
    ready()
    for number in range(EACH * KEPT):
        topic, qos = f"pool/{token()}", 1 + number % 2
        with operation("mqtt", port, "publish", topic) as running:
            wait(client.publish(topic, b"x" * number, qos).mid)
            running.outcome = f"q{qos} {number} 0"
    client.loop_stop()


def mysql(port):
    import mysql.connector
    import pymysql

    settings = {"host": "127.0.0.1", "port": port, "user": "app", "password": "secret", "database": "shop", "ssl_disabled": True}
    connections = [pymysql.connect(**settings) for _ in range(KEPT)]
    cursors = [connection.cursor() for connection in connections]
    for cursor in cursors:
        cursor.execute("SELECT 0")
    prepared = mysql.connector.connect(**settings, use_pure=True)
    older = prepared.cursor(prepared=True)
    older.execute("SELECT ? AS older", (0,))
    older.fetchall()
    ready()
    for number in range(EACH):
        for cursor in cursors:
            name = token()
            with operation("mysql", port, "SELECT", name) as running:
                sql = f"SELECT {number} AS {name}, 'text'" if number % 3 else f"SELECT {name} FROM nowhere"
                try:
                    cursor.execute(sql)
                    cursor.fetchall()
                except pymysql.MySQLError as error:
                    running.outcome = str(error.args[0])
    with operation("mysql", port, "PING", None):
        fresh = prepared.cursor(prepared=True)  # which asks whether the connection is there
    for number in range(EACH):
        name = token()
        with operation("mysql", port, "SELECT", name):
            fresh.execute(f"SELECT seq AS {name} FROM seq_1_to_50 WHERE seq <= ?", (number,))
            fresh.fetchall()


def mysql_local(port, socket):
    """Through the socket of a file: a connection that was there before, and one that begins later."""
    import mysql_client

    older = mysql_client.Run(port, unix_socket=socket, silent=True)
    ready()
    for run in (older, mysql_client.Run(port, unix_socket=socket)):
        for number in range(EACH):
            name = token()
            run("SELECT", name, f"SELECT {number} AS {name}, REPEAT('x', {number * 100})")
            name = token()
            run("SELECT", name, f"SELECT {name} FROM nowhere", "1146")


def mongodb(port):
    import pymongo
    from mongodb_client import Heartbeats, Log

    told = Log([port])
    told.is_silent = True
    client = pymongo.MongoClient("127.0.0.1", port, directConnection=True, serverMonitoringMode="poll", event_listeners=[told], maxPoolSize=KEPT,
                                 heartbeatFrequencyMS=600_000)
    client.shop.command("ping")
    ready()
    told.is_silent = False
    for number in range(EACH):
        one = client.shop[token()]
        one.insert_one({"_id": 1, "text": "x" * number})
        one.find_one({"_id": 1})
        try:
            one.insert_one({"_id": 1})
        except pymongo.errors.DuplicateKeyError:
            pass


def kafka(port):
    import time

    import kafka as library
    import kafka_client

    producer = library.KafkaProducer(bootstrap_servers=f"127.0.0.1:{port}", client_id=token(), enable_idempotence=False, metadata_max_age_ms=600_000)
    producer.send("pool", b"before", partition=0).get(20)
    time.sleep(1)
    ready()
    watch = kafka_client.Watched(port)
    for number in range(EACH * KEPT):
        producer.send("pool", b"v" * number, partition=0).get(10)
    producer.close()
    watch.close()


def fastcgi(port, socket):
    """The connections are nginx's: it keeps them to PHP-FPM."""
    import fastcgi_client

    web = fastcgi_client.Web(socket, port)
    web.request("GET", "/before?big=10")
    web.getresponse().read()
    ready()
    for number in range(EACH):
        fastcgi_client.ask(web, port, "GET", f"big={number * 1_000}")
        fastcgi_client.ask(web, port, "GET", "code=404")


def fastcgi_local(port, kept, single):
    """PHP-FPM listens on the socket of a file: nginx keeps connections to it, or opens one for each request."""
    import fastcgi_client

    web = fastcgi_client.Web(kept, port)
    web.request("GET", "/before?big=10")
    web.getresponse().read()
    ready()
    for each in (web, fastcgi_client.Web(single, port)):
        for number in range(EACH):
            fastcgi_client.ask(each, port, "GET", f"big={number * 5_000}")
            fastcgi_client.ask(each, port, "POST", "", b"p" * (number * 3_000))
            fastcgi_client.ask(each, port, "GET", "code=404")


def genai(port):
    import openai

    client = openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="sk-secret", max_retries=0)
    ask = lambda model, **more: client.chat.completions.create(model=model, messages=[{"role": "user", "content": "secret-prompt"}], **more)
    ask("gpt-before")
    ready()
    for number in range(EACH):
        model = f"gpt-plain-{token()}"
        attributes = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": model}
        with operation("http", port, "POST", "/v1/chat/completions") as running:
            if number % 2:
                for part in ask(model, stream=True):
                    attributes["gen_ai.response.id"] = part.id
            else:
                answer = ask(model)
                attributes.update({"gen_ai.response.id": answer.id, "gen_ai.usage.output_tokens": answer.usage.completion_tokens})
            running.outcome, running.more = 200, {"attributes": attributes}


def websocket(port):
    """A session that was there before has no beginning to tell of; a later one on another connection has."""
    import websocket_client
    from websockets.sync.client import connect

    older = connect(f"ws://127.0.0.1:{port}/echo/older", compression=None, ping_interval=None)
    older.send("before")
    older.recv()
    ready()
    for number in range(EACH):
        older.send("x" * number)
        older.recv()
    websocket_client.count_frames()
    for number in range(5):
        websocket_client.session(port, f"/echo/{number}", websocket_client.ask("x" * number))
    older.close()


globals()[sys.argv[1]](int(sys.argv[2]), *sys.argv[3:])
