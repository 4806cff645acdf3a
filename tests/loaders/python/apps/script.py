"""A script that does what its first word says, and ends as its second one says."""

import http.client
import logging
import os
import signal
import sys
import threading
import time

logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
log = logging.getLogger("script")
WORK, END = sys.argv[1:3]


def call():
    connection = http.client.HTTPConnection("127.0.0.1", int(os.environ["UPSTREAM_PORT"]), timeout=10)
    connection.request("GET", "/script")
    connection.getresponse().read()
    connection.close()


def both():
    call()
    log.info("called")


def burst():
    for number in range(1300):
        log.debug("no")
        log.info("burst %d", number)


def process(how):
    import multiprocessing

    context = multiprocessing.get_context(how)
    children = [context.Process(target=call) for _ in range(3)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    print([child.exitcode for child in children])


def forks():
    """Forks while other threads make items; each child makes one and ends."""
    logging.getLogger().handlers[0].setLevel(logging.ERROR)
    stop = []

    def load():
        while not stop:
            log.info("load")
            time.sleep(0.0005)

    threads = [threading.Thread(target=load) for _ in range(3)]
    for thread in threads:
        thread.start()
    codes = []
    for number in range(60):
        pid = os.fork()
        if pid == 0:
            log.info("child %d", number)
            time.sleep(2.5 if number >= 55 else 0)
            os._exit(7)
        codes.append(pid)
    codes = [os.waitpid(pid, 0)[1] >> 8 for pid in codes]
    stop.append(True)
    for thread in threads:
        thread.join()
    print(codes == [7] * 60)


def handled():
    """Has a handler of its own for SIGTERM; shows what it sees of what is there before."""
    print(signal.getsignal(signal.SIGTERM), signal.signal(signal.SIGTERM, lambda *_: sys.exit(5)), signal.set_wakeup_fd(-1))


def blocked():
    """Its main thread is deep in C, where no Python handler runs."""
    import ctypes

    print("ready", flush=True)
    pause = ctypes.CDLL(None).poll
    while True:
        pause(None, 0, 600_000)


def broken():
    """Records that handlers fail at."""
    log.info("%d items", "no")
    log.handle(logging.makeLogRecord({"msg": "nameless", "levelno": 30}))
    logging.getLogger("script.child").warning("fine")


class Loop:
    def __str__(self):
        log.info("within")
        return "loop"


def work():
    if WORK in ("fork", "spawn", "forkserver"):
        process(WORK)
    elif WORK == "loop":
        log.info("%s", Loop())
    elif WORK != "nothing":
        globals()[WORK]()


def main():
    work()
    print("worked", flush=True)
    if END == "exit":
        sys.exit(3)
    if END == "raise":
        raise RuntimeError("uncaught")
    if END == "hard":
        os._exit(4)
    if END == "interrupt":
        os.kill(os.getpid(), signal.SIGINT)
    if END == "sleep":
        time.sleep(600)
    if END == "thread":
        threading.Thread(target=time.sleep, args=(0.1,)).start()


if __name__ == "__main__":
    main()
