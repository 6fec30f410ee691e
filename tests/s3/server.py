"""moto's S3, in a process of its own, by whichever Python has moto: stopped by SIGUSR1, started by SIGUSR2.

What it holds stays in this process, so that it is there again when the server is. Each line that it prints says what
has happened: its address, or "stopped". It ends when its standard input does, with the process that has started it.
"""

import logging
import os
import signal
import sys
import threading

from moto.server import ThreadedMotoServer

logging.getLogger("werkzeug").setLevel(logging.ERROR)


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def end_with_parent() -> None:
    sys.stdin.read()
    os._exit(0)


def main() -> None:
    asked = (signal.SIGUSR1, signal.SIGUSR2)
    signal.pthread_sigmask(signal.SIG_BLOCK, asked)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    say(f"{host}:{port}")
    threading.Thread(target=end_with_parent, daemon=True).start()
    while True:
        if signal.sigwait(asked) == signal.SIGUSR1:
            server.stop()
            say("stopped")
        else:
            server = ThreadedMotoServer(host, port, verbose=False)
            server.start()
            say(f"{host}:{port}")


if __name__ == "__main__":
    main()
