"""The first Ctrl-C asks, the second insists."""

import os
import signal
import threading

import pytest

from bissl_ray.workers.interrupt import interruptible


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_asks_and_the_second_insists(number):
    with interruptible() as interrupt:
        assert not interrupt()
        os.kill(os.getpid(), number)
        assert interrupt()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)


def test_the_handlers_are_put_back_whatever_happens():
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(RuntimeError), interruptible():
        assert signal.getsignal(signal.SIGINT) is not before[0]
        raise RuntimeError
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_outside_the_main_thread_one_can_still_ask():
    before = signal.getsignal(signal.SIGINT)
    seen = []

    def work():
        with interruptible() as interrupt:
            seen.extend([interrupt(), signal.getsignal(signal.SIGINT) is before])
            interrupt.ask()
            seen.append(interrupt())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False, True, True]
