"""The template of ``lbbench balancers --new`` works as it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command import Command, says_one_sentence
from own import using

import lbbench
from lbbench.testing import check_balancer
from lbbench.testing.template import new_balancer


@pytest.fixture(autouse=True, scope="module")
def own_cache(tmp_path_factory):
    """Keep compiled code out of the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LBBENCH_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder to stand in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_it_is_written_and_says_what_comes_next(here: Path, command: Command):
    """The balancer stands at the beginning of a line; the two commands can be copied."""
    ended = command("balancers", "--new", "my_lb.py")
    assert ended.code == 0
    text = (here / "my_lb.py").read_text(encoding="utf-8")
    assert "\nmine = Balancer(\n" in text
    for part in ("state", "pick", "done", "on_endpoints"):
        assert f"\ndef {part}(" in text
    assert "lbbench balancers my_lb.py:mine --check" in ended.out
    assert "--balancers round_robin,ewma,my_lb.py:mine" in ended.out
    assert "lbbench balancers my_lb.py:mine --check" in text


def test_a_file_is_never_overwritten(here: Path, command: Command):
    """A sentence with status 2; the file stays as it was."""
    (here / "my_lb.py").write_text("mine", encoding="utf-8")
    for arguments in (
        ("--new", "my_lb.py"),
        ("--new", "my_lb"),
        ("--new", "nowhere/my_lb.py"),
        ("--new", "other.py", "ewma"),
        ("--new", "other.py", "--check"),
        ("--check",),
    ):
        ended = command("balancers", *arguments)
        assert says_one_sentence(ended), arguments
    assert (here / "my_lb.py").read_text(encoding="utf-8") == "mine"
    assert [path.name for path in here.iterdir()] == ["my_lb.py"]


def test_it_is_sound(here: Path):
    """Every check is done and passed."""
    new_balancer(here / "my_lb.py")
    found = check_balancer("my_lb.py:mine", speed=False)
    assert {check.verdict for check in found.checks} == {"pass"}, str(found)


def test_it_runs_in_both_engines_alike(here: Path):
    """Compiled or as plain Python, the result is the same."""
    new_balancer(Path("my_lb.py"))
    scenario = using("my_lb.py:mine").in_folder(here)
    one, other = (lbbench.run(scenario, engine=engine) for engine in ("reference", "fast"))
    assert (one.engine, other.engine) == ("reference", "fast")
    documents = [result.to_dict(clock=False) for result in (one, other)]
    for document in documents:
        document.pop("engine", None)
    assert documents[0] == documents[1]


def test_the_check_is_a_command(here: Path, command: Command, monkeypatch: pytest.MonkeyPatch):
    """0 and a table when it is sound, 1 when it is not; JSON too."""
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    new_balancer(here / "my_lb.py")
    ended = command("balancers", "my_lb.py:mine", "--check")
    assert ended.code == 0, ended.out + ended.err
    assert "picks in range" in ended.out
    text = Path("my_lb.py").read_text(encoding="utf-8")
    Path("my_lb.py").write_text(text.replace("return n - 1", "return n"), encoding="utf-8")
    ended = command("balancers", "my_lb.py:mine", "--check", "--json", "-")
    document = json.loads(ended.out)
    assert ended.code == 1
    assert document["schema"] == "lbbench.conformance/1"
    assert not document["passed"]
    failed = [check for check in document["checks"] if check["verdict"] == "fail"]
    assert "my_lb.py:" in failed[0]["detail"]
