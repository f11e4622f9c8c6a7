"""An error inside somebody's balancer names their file, line and function, in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
from command import Command, says_one_sentence
from own import line_of, using, written

import lbbench
from lbbench.balancers.base import find
from lbbench.engines import fast
from lbbench.errors import BalancerError

FAULTS = {
    "state": """
        def state(params, endpoints):
            return State(np.zeros(1, np.int64)[[len(endpoints) // 4]])  # here
        """,
    "pick": """
        def pick(state, rng, now, key, busy, tried):
            state.turn[0] += 1
            return state.turn[state.turn[0] // 100] * 0  # here
        """,
    "done": """
        def done(state, endpoint, now, rtt, ok):
            state.turn[endpoint] = 0  # here
        """,
    "on_endpoints": """
        def on_endpoints(state, rng, old, new, now):
            state.turn[len(new)] = 0  # here
        """,
    "helper": """
        def helper(busy):
            return busy[len(busy)]  # here

        def pick(state, rng, now, key, busy, tried):
            return helper(busy)
        """,
}


@pytest.fixture(autouse=True, scope="module")
def own_cache(tmp_path_factory):
    """Keep compiled code out of the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LBBENCH_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.mark.parametrize("part", FAULTS)
def test_a_fault_names_its_line_in_the_readable_engine(tmp_path: Path, part: str):
    """File, line and function are those of the statement that failed."""
    scenario = using(written(tmp_path, FAULTS[part]))
    with pytest.raises(BalancerError) as caught:
        lbbench.run(scenario, engine="reference")
    place = f"my_lb.py:{line_of(tmp_path)}: {part} of balancer mine failed: IndexError"
    assert place in str(caught.value)


@pytest.mark.long
@pytest.mark.parametrize("part", ["pick", "done"])
def test_a_fault_in_compiled_code_names_its_line_too(tmp_path: Path, part: str):
    """An index out of range is an error of compiled code; the readable engine finds the line."""
    scenario = using(written(tmp_path, FAULTS[part]))
    with pytest.raises(BalancerError, match=rf"my_lb\.py:\d+: {part} of balancer mine failed"):
        lbbench.run(scenario)


@pytest.mark.parametrize("value", [4, pytest.param(-2, marks=pytest.mark.long)])
def test_a_pick_out_of_range_is_an_error_of_the_compiled_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: int
):
    """Compiled code does not read beyond its lists; the sentence has the value and the list."""
    body = """
        def pick(state, rng, now, key, busy, tried):  # here
            state.turn[0] += 1
            return VALUE if state.turn[0] > 200 else 0

        VALUE = {}
        """
    seen = []
    real = fast.run

    def run(plan, **given):
        try:
            return real(plan, **given)
        except IndexError as error:
            seen.append(str(error))
            raise

    monkeypatch.setattr(fast, "run", run)
    scenario = using(written(tmp_path, body.replace("{}", str(value))))
    with pytest.raises(BalancerError) as caught:
        lbbench.run(scenario)
    assert "out of bounds" in seen.pop()
    assert str(caught.value).endswith(
        f"my_lb.py:{line_of(tmp_path)}: pick of balancer mine returned {value}: it must be a "
        "position in its list of 4, 0 to 3, or -1 for none"
    )


def test_the_command_says_it_and_ends_with_2(tmp_path: Path, command: Command):
    """One sentence, no traceback; with --debug the traceback."""
    name = written(tmp_path, FAULTS["helper"])
    arguments = (
        "run", "ewma-herding", "--set", f"stages.ingress.balancer={name}", "--set",
        "run.requests=100", "--engine", "reference",
    )  # fmt: skip
    ended = command(*arguments)
    assert says_one_sentence(ended)
    assert f"my_lb.py:{line_of(tmp_path)}: helper of balancer mine failed" in ended.err
    with pytest.raises(BalancerError):
        command(*arguments, "--debug")


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("import nowhere_at_all  # here", "importing this file failed: ModuleNotFoundError"),
        ("def f():\n    return 1 / 0\n\nf()", "failed in f: ZeroDivisionError: division by zero"),
        ("def f(:\n    pass", "this file is no Python: invalid syntax"),
        ("MORE = Balancer(name=3)", "importing this file failed"),
        ("raise SystemExit(2)", "SystemExit: 2"),
        ("def pick(state, rng):\n    return 0", "is the pick of balancer mine and must take 6"),
        ("pick = 7", "pick = 7: must be a function"),
    ],
)
def test_a_file_that_cannot_be_imported_names_its_line(tmp_path: Path, body: str, sentence: str):
    """So do parts that take other arguments than they are given."""
    name = written(tmp_path, body)
    with pytest.raises(BalancerError) as caught:
        find(name)
    assert sentence in str(caught.value)
    assert "my_lb.py:" in str(caught.value) or body == "pick = 7"


def test_a_fault_of_ours_is_not_blamed_on_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Where the user's code is not on the way, the error stays what it is."""
    from lbbench.engines import reference_lines

    monkeypatch.setattr(reference_lines.Lines, "_begin", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        lbbench.run(using(written(tmp_path)), engine="reference")
