"""`lbbench report`, and the pages that run, compare and sweep write."""

from __future__ import annotations

import json
import re
import shutil

import pages
import pytest
from command import says_one_sentence
from sweeping import written

from lbbench.errors import Interrupted

TITLE = "<title>{} · {} · lbbench</title>"


@pytest.fixture
def folder(tmp_path):
    """Return a folder with a result in it."""
    made = tmp_path / "mine"
    made.mkdir()
    pages.result().save(made)
    return made


def test_a_page_is_written_beside_what_it_is_about(command, folder, small_study, tmp_path):
    """Of a folder or its result.json report.html, of a study STUDY.html; or where -o says."""
    ended = command("report", folder)
    assert (ended.code, ended.out) == (0, "")
    assert TITLE.format("changing", "result") in (folder / "report.html").read_text("utf-8")
    assert "report.html" in ended.err
    file = tmp_path / "some.json"
    file.write_text(json.dumps(pages.verification()), encoding="utf-8")
    assert command("report", file, "-o", tmp_path / "x.html", "-q") == (0, "", "")
    assert TITLE.format("Verification against theory", "verification") in (
        (tmp_path / "x.html").read_text("utf-8")
    )
    assert not (tmp_path / "some.html").exists()
    study = tmp_path / "a.sqlite"
    shutil.copy(small_study.path, study)
    assert command("report", study).code == 0
    assert TITLE.format("small", "study") in (tmp_path / "a.html").read_text("utf-8")


@pytest.mark.parametrize("kind", ["comparison", "plan", "verification"])
def test_documents_are_told_apart_by_what_is_in_them(command, tmp_path, kind):
    """Whatever the file's name."""
    file = tmp_path / "some.json"
    file.write_text(json.dumps(getattr(pages, kind)()), encoding="utf-8")
    assert command("report", file).code == 0
    assert f"· {kind} · lbbench</title>" in (tmp_path / "some.html").read_text("utf-8")


def test_pictures_are_written_under_their_names(command, tmp_path):
    """--png and --svg make their folders; one file per picture of the page, light unless --dark."""
    file = tmp_path / "plan.json"
    file.write_text(json.dumps({**pages.plan(), "profile": None}), encoding="utf-8")
    assert command("report", file, "--png", tmp_path / "p", "--svg", tmp_path / "s").code == 0
    html = (tmp_path / "plan.html").read_text("utf-8")
    names = set(re.findall(r'<figure id="([^"]+)"', html))
    assert len(names) > 1
    assert {path.name for path in (tmp_path / "p").iterdir()} == {f"{n}.png" for n in names}
    assert {path.name for path in (tmp_path / "s").iterdir()} == {f"{n}.svg" for n in names}
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in (tmp_path / "p").iterdir())
    assert command("report", file, "--svg", tmp_path / "d", "--dark").code == 0
    for name in names:
        light, dark = ((tmp_path / way / f"{name}.svg").read_text("utf-8") for way in "sd")
        assert "#ffffff" in light
        assert light != dark


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("none.sqlite", None, "there is no such file; give a study"),
        ("empty", ..., "holds neither result.json nor comparison.json"),
        ("a.json", "{", "a.json:1: is neither a study nor JSON"),
        ("a.json", "[1]", "holds no document of lbbench"),
        ("a.json", '{"schema": "lbbench.scenario/1"}', "schema = 'lbbench.scenario/1' has no page"),
        ("a.json", '{"schema": "lbbench.result/1"}', "a.json: affinity is missing"),
        ("a.json", '{"schema": "lbbench.plan/1"}', "name is missing"),
        ("a.json", '{"schema": "lbbench.study/1"}', "give the study itself (.sqlite)"),
        ("a.sqlite", "SQLite format 3\0 and no more", "a.sqlite"),
        ("a.bin", b"\xff\xfe\x00", "is neither a study nor text"),
    ],
)
def test_what_has_no_page_is_a_sentence(command, tmp_path, name, content, said):
    """Nothing there, nothing known in it, incomplete, damaged: place, what, and what to give."""
    path = tmp_path / name
    if content is ...:
        path.mkdir()
    elif content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    before = sorted(tmp_path.rglob("*"))
    ended = command("report", path)
    assert says_one_sentence(ended)
    assert said in ended.err
    assert sorted(tmp_path.rglob("*")) == before


def test_nothing_else_is_overwritten(command, tmp_path):
    """A file of somebody else stays, a page of ours is renewed, the input is never the output."""
    file, page = tmp_path / "a.json", tmp_path / "a.html"
    file.write_text(json.dumps(pages.verification()), encoding="utf-8")
    page.write_text("<p>mine</p>", encoding="utf-8")
    ended = command("report", file)
    assert says_one_sentence(ended)
    assert "a.html: is there and no page of lbbench" in ended.err
    assert page.read_text("utf-8") == "<p>mine</p>"
    assert command("report", file, "-o", page).code == 0
    assert command("report", file).code == 0
    ended = command("report", file, "-o", file)
    assert says_one_sentence(ended)
    assert "this is what the page is made of" in ended.err


def test_a_folder_with_two_documents_is_not_guessed_at(command, folder):
    """result.json and comparison.json side by side: the user says which."""
    shutil.copy(folder / "result.json", folder / "comparison.json")
    ended = command("report", folder)
    assert says_one_sentence(ended)
    assert "name the one that is meant" in ended.err


def test_a_sweep_writes_its_page_at_the_end(command, tmp_path):
    """STUDY.html beside the study; not with --no-report, not over a file of somebody else."""
    file, out = written(tmp_path, requests=60), tmp_path / "study.sqlite"
    sweep = ("sweep", file, "--out", out, "--engine", "reference", "--quiet")
    assert command(*sweep, "--no-report").code == 0
    assert not (tmp_path / "study.html").exists()
    ended = command(*sweep)
    assert (ended.code, ended.out, ended.err) == (0, "", "")
    assert TITLE.format("small", "study") in (tmp_path / "study.html").read_text("utf-8")
    (tmp_path / "study.html").write_text("mine", encoding="utf-8")
    ended = command(*sweep)
    assert says_one_sentence(ended)
    assert "give another --out, or --no-report" in ended.err


def test_an_interrupted_sweep_writes_no_page(command, tmp_path, monkeypatch):
    """What was interrupted is gone on with; a page of it is made by `lbbench report`."""
    import lbbench.studies.sweep as sweeping

    def interrupted(*_args, **_options):
        raise Interrupted("interrupted; 1 of 12 replications")

    monkeypatch.setattr(sweeping, "sweep", interrupted)
    ended = command("sweep", written(tmp_path), "--out", tmp_path / "study.sqlite")
    assert ended.code == 130
    assert not list(tmp_path.glob("*.html"))
