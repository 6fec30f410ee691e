"""Trials go out, reports and answers come back, and nothing of an earlier trial gets through."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from bissl_ray.progress import Report, TrialEnded
from bissl_ray.workers.mailbox import HandedOut, Mailbox

SOON, LONG = 0.02, 30.0


@pytest.fixture
def mailbox():
    return Mailbox()


def take(mailbox, timeout=SOON):
    """What the group gets, as (tag, order)."""
    handed = mailbox.next_order(timeout)
    assert handed.order is not None
    return handed.tag, handed.order


def contents(mailbox, tag):
    """All messages that wait."""
    found = []
    while (message := mailbox.next_message(tag, 0.0)) is not None:
        found.append(message)
    return found


def test_nothing_comes_before_its_time(mailbox):
    assert mailbox.next_order(SOON) is None
    assert mailbox.next_message("a", 0.0) is None
    mailbox.hand_out("a", {"n": 1})
    assert mailbox.next_message("a", SOON) is None
    assert take(mailbox) == ("a", {"n": 1})
    assert mailbox.report("a", Report({"alternation": 1}))
    assert mailbox.wait_for_answer("a", SOON) is None


def test_a_whole_trial_between_two_threads(mailbox):
    """A group in its own thread: every report is answered before the next, and they come in order."""
    reports = 200
    seen = []

    def group():
        while True:
            handed = mailbox.next_order(LONG)
            tag, order = handed.tag, handed.order
            if order is None:
                return
            for n in range(order["reports"]):
                assert mailbox.report(tag, Report({"n": n}))
                answer = mailbox.wait_for_answer(tag, LONG)
                seen.append((tag, n, answer))
                if answer == "stop":
                    break
            else:
                mailbox.end(tag, TrialEnded("complete", {"objective": 0.5}))

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(group)
        mailbox.hand_out("a", {"reports": reports})
        for n in range(reports):
            message = mailbox.next_message("a", LONG)
            assert message == Report({"n": n, "attempts": 1})
            mailbox.answer("a", "continue")
        message = mailbox.next_message("a", LONG)
        assert message == TrialEnded("complete", {"objective": 0.5, "attempts": 1})

        mailbox.hand_out("b", {"reports": 5})
        for n in range(3):
            assert mailbox.next_message("b", LONG).row["n"] == n
            mailbox.answer("b", "continue" if n < 2 else "stop")
        mailbox.hand_out("c", {"reports": 1})
        assert mailbox.next_message("c", LONG).row["n"] == 0
        mailbox.close()
        running.result(LONG)
    assert seen == [
        *[("a", n, "continue") for n in range(reports)],
        ("b", 0, "continue"),
        ("b", 1, "continue"),
        ("b", 2, "stop"),
        ("c", 0, "stop"),
    ]


def test_an_answer_counts_for_one_report(mailbox):
    mailbox.hand_out("a", {})
    take(mailbox)
    mailbox.answer("a", "stop")  # nobody waits: it is not kept for later
    mailbox.report("a", Report({"n": 0}))
    assert mailbox.wait_for_answer("a", SOON) is None
    mailbox.answer("a", "continue")
    assert mailbox.wait_for_answer("a", SOON) == "continue"
    mailbox.answer("a", "stop")
    mailbox.report("a", Report({"n": 1}))
    assert mailbox.wait_for_answer("a", SOON) is None


def test_a_stopped_trial_is_over(mailbox):
    mailbox.hand_out("a", {})
    take(mailbox)
    mailbox.report("a", Report({}))
    mailbox.answer("a", "stop")
    assert mailbox.wait_for_answer("a", SOON) == "stop"
    assert mailbox.next_order(SOON) is None  # not handed out again
    contents(mailbox, "a")
    mailbox.end("a", TrialEnded("complete", {"objective": 1.0}))
    assert contents(mailbox, "a") == []


def test_what_comes_late_is_dropped(mailbox):
    mailbox.hand_out("a", {})
    take(mailbox)
    mailbox.report("a", Report({"n": 0}))
    mailbox.hand_out("b", {"n": "b"})
    # The group is still in "a": its report waits for nobody, and it is told to stop.
    assert mailbox.wait_for_answer("a", LONG) == "stop"
    assert not mailbox.report("a", Report({"n": 1}))
    mailbox.end("a", TrialEnded("complete", {"objective": 1.0}))
    mailbox.end("a", TrialEnded("failed", reason="broke"))
    mailbox.answer("a", "continue")
    assert mailbox.next_message("a", LONG) is None  # at once: "a" is over
    assert contents(mailbox, "b") == []
    assert take(mailbox) == ("b", {"n": "b"})


def test_three_deaths_fail_a_trial(mailbox):
    mailbox.hand_out("a", {})
    for attempt in (1, 2, 3):
        assert take(mailbox)[0] == "a"
        mailbox.report("a", Report({"n": attempt}))
    assert mailbox.next_order(SOON) is None
    *reports, last = contents(mailbox, "a")
    assert reports == [Report({"n": n, "attempts": n}) for n in (1, 2, 3)]
    assert last == TrialEnded("failed", {"attempts": 3}, "its workers died 3 times, without a new report in between")
    mailbox.hand_out("b", {})
    assert take(mailbox)[0] == "b"


def test_a_trial_that_gets_on_may_lose_its_workers_any_number_of_times(mailbox):
    mailbox.hand_out("a", {})
    for alternation in range(1, 8):
        assert take(mailbox)[0] == "a"
        mailbox.report("a", Report({"stage": "bissl", "alternation": alternation}))
    # It falls back to what it had saved: reports that it had made before are nothing new.
    for _ in range(2):
        assert take(mailbox)[0] == "a"
        mailbox.report("a", Report({"stage": "bissl", "alternation": 7}))
    assert mailbox.next_order(SOON) is None
    last = contents(mailbox, "a")[-1]
    assert last == TrialEnded("failed", {"attempts": 9}, "its workers died 3 times, without a new report in between")


def test_after_a_death_an_answer_to_the_dead_is_no_answer_to_the_living(mailbox):
    mailbox.hand_out("a", {})
    take(mailbox)
    mailbox.report("a", Report({"n": 0}))
    mailbox.answer("a", "continue")  # its group died before it heard
    take(mailbox)
    mailbox.report("a", Report({"n": 0}))
    assert mailbox.wait_for_answer("a", SOON) is None


def test_a_failure_says_why_and_ends_the_trial(mailbox):
    mailbox.hand_out("a", {})
    take(mailbox)
    mailbox.end("a", TrialEnded("failed", reason="DivergedError: the lower loss is nan"))
    mailbox.end("a", TrialEnded("failed", reason="another worker's words"))  # every worker says it: the first counts
    assert contents(mailbox, "a") == [TrialEnded("failed", {"attempts": 1}, "DivergedError: the lower loss is nan")]
    assert mailbox.next_order(SOON) is None


def test_a_trial_that_ends_itself_says_why_and_is_not_handed_out_again(mailbox):
    mailbox.hand_out("a", {})
    take(mailbox)
    mailbox.report("a", Report({"n": 1}))
    mailbox.end("a", TrialEnded("pruned", reason="the pretext embeddings have collapsed"))
    mailbox.end("a", TrialEnded("failed", reason="too late"))
    assert contents(mailbox, "a") == [
        Report({"n": 1, "attempts": 1}),
        TrialEnded("pruned", {"attempts": 1}, "the pretext embeddings have collapsed"),
    ]
    assert mailbox.next_order(SOON) is None


def test_closing_wakes_everybody(mailbox):
    mailbox.hand_out("a", {})
    take(mailbox)
    mailbox.report("a", Report({}))
    assert contents(mailbox, "a")
    ready = threading.Barrier(3)

    def at_once(method, *arguments):
        ready.wait(LONG)
        return method(*arguments, 10 * LONG)

    with ThreadPoolExecutor(2) as pool:
        waiting = [
            pool.submit(at_once, mailbox.wait_for_answer, "a"),
            pool.submit(at_once, mailbox.next_message, "a"),
        ]
        ready.wait(LONG)
        mailbox.close()
        assert [future.result(LONG) for future in waiting] == ["stop", None]
    assert mailbox.next_order(10 * LONG) == HandedOut()
    assert not mailbox.report("a", Report({}))
    assert mailbox.next_message("a", 10 * LONG) is None


def test_a_waiting_group_hears_of_the_next_trial(mailbox):
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(mailbox.next_order, LONG)
        mailbox.hand_out("a", {"n": 1})
        assert waiting.result(LONG) == HandedOut("a", {"n": 1})
