"""Lines of an access log: formats, attempts, damage, compression, progress."""

import gzip
import io
import math
import sys

import pytest
from test_access_log import F19, PRESENT, SEED

from lbbench.errors import InputError
from lbbench.inputs.access_log.line import LONGEST, moment, parse
from lbbench.inputs.access_log.reader import read_access_log
from lbbench.inputs.access_log.scenario import from_log


def test_fields_of_a_present_line():
    """Every field that is used, from one line."""
    line = parse(PRESENT)
    assert line.client == b"203.0.113.7"
    assert (line.status, line.request_time, line.backend) == (200, 0.013, b"shop-web-80")
    assert [tuple(item) for item in line.attempts] == [(b"10.244.0.6:8080", 0.012, b"200")]
    assert not line.older
    assert moment(line.stamp).second == 1_795_580_544


@pytest.mark.parametrize(
    ("old", "new", "check"),
    [
        (b"203.0.113.7", b"2001:db8::1", lambda line: line.client == b"2001:db8::1"),
        (b"10.244.0.6:8080", b"[fd00::6]:80", lambda line: len(line.attempts) == 1),
        (b"curl/8", rb"a \x22b\x22 \\ c", lambda line: line.status == 200),
        (b"curl/8", b'a \\"b\\" c', lambda line: line.status == 200),
        (b"curl/8", b"\xff\xfe\xe9", lambda line: line.status == 200),
        (b"- - [25", b"- john doe [25", lambda line: line.client == b"203.0.113.7"),
        (b"[] 10.244", b"[shop-canary-80] 10.244", lambda line: line.backend == b"shop-canary-80"),
        (b"[] 10.244", b"10.244", lambda line: line.backend == b"shop-web-80"),
        (b" 12edeb809134f544f958dba9b975fc15", b"", lambda line: len(line.attempts) == 1),
        (b" 12edeb", b"12edeb", lambda line: line.lost_blank),
        (b"fc15", b"fc15 extra fields", lambda line: line.status == 200),
        (
            b"10.244.0.6:8080 6 0.012 200",
            b"- - - -",
            lambda line: line.attempts == () and not math.isnan(line.request_time),
        ),
        (
            b"10.244.0.6:8080 6 0.012 200",
            b"10.244.0.6:8080, 10.244.0.1:8080 0, 6 0.000, 0.039 502, 200",
            lambda line: [a.status for a in line.attempts] == [b"502", b"200"],
        ),
        (
            b"10.244.0.6:8080 6 0.012 200",
            b"10.244.0.6:8080 : 127.0.0.1:8181 0 : 6 0.004 : 0.001 503 : 404",
            lambda line: [a.time for a in line.attempts] == [0.004, 0.001],
        ),
        (
            b"10.244.0.6:8080 6 0.012 200",
            b"10.244.0.6:8080, 10.244.0.1:8080 -, 6 -, 0.039 504, 200",
            lambda line: math.isnan(line.attempts[0].time),
        ),
        (b"203.0.113.7 -", b"2026-11-25T04:22:24.1Z stdout F 203.0.113.7 -",
         lambda line: line.client == b"203.0.113.7"),
        (b"203.0.113.7 -", b"[ingress-abc] 203.0.113.7 -",
         lambda line: line.client == b"203.0.113.7"),
    ],
)  # fmt: skip
def test_variants_of_a_line_are_read(old, new, check):
    """IPv6, quotes, bytes that are no UTF-8, users, canaries, attempts, dashes, prefixes."""
    assert old in PRESENT
    line = parse(PRESENT.replace(old, new))
    assert not isinstance(line, str), line
    assert check(line)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"", "empty"),
        (b"I1125 04:22:24.123456       7 main.go:53] hello", "message of the controller"),
        (b"2026/11/25 04:22:24 [error] 31#31: *1 connect() failed", "error log"),
        (b'{"status": 200}', "JSON"),
        (PRESENT[:-60], "cut off"),
        (b'1.2.3.4 - - [25/Nov/2026:04:22:24 +0000] "GET / HTTP/1.1" 200 6 "-" "c"', "combined"),
        (b"x" * (LONGEST + 1), "longer than"),
        (b"-A KUBE-SVC-X -j KUBE-SEP-1", "not an access line"),
    ],
)
def test_lines_that_cannot_be_read_say_why(text, why):
    """The reason names the likely origin."""
    assert why in parse(text)


def test_unreadable_lines_are_counted_with_their_numbers(tmp_path):
    """Fourteen bad lines among good ones: the count, the reasons, and the first ten numbers."""
    bad_time = PRESENT.replace(b"25/Nov", b"31/Feb")
    path = tmp_path / "mixed.log"
    path.write_bytes(b"\n".join([PRESENT, b"junk", bad_time, b"", *[b"junk"] * 12, PRESENT]))
    log = read_access_log(path)
    assert (len(log), log.lines, log.n_skipped) == (2, 16, 14)
    assert [number for _, number, _ in log.skipped] == [2, 3, *range(5, 13)]
    note = next(note for note in log.notes if "cannot be read" in note)
    assert note.startswith("lines that cannot be read: 14 (not an access line: 13, a time that")
    assert f"{path}:2" in note


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"\n\r\n", "is empty"),
        (b"junk\njunk\n", "none of the 2 lines"),
        (b"\x00\x01\x02", "binary"),
        (PRESENT.decode().encode("utf-16"), "UTF-16"),
        (gzip.compress(PRESENT * 50)[:-12], "cut off"),
    ],
)
def test_a_file_without_a_readable_line_is_refused(tmp_path, content, said):
    """One sentence that starts with the file."""
    path = tmp_path / "access.log"
    path.write_bytes(content)
    with pytest.raises(InputError, match=said) as caught:
        read_access_log([path])
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_a_log_without_a_request_that_reached_a_pod_is_refused(tmp_path):
    """Only default-backend lines: nothing to calibrate with."""
    path = tmp_path / "access.log"
    path.write_bytes(PRESENT.replace(b"10.244.0.6:8080", b"127.0.0.1:8181"))
    with pytest.raises(InputError, match="no request reached a pod"):
        from_log(read_access_log(path))
    with pytest.raises(InputError, match=r"no request for backend 'x'; the log has default-app1"):
        from_log(read_access_log(F19), "x")


def test_line_ends_gzip_and_standard_input(tmp_path, monkeypatch):
    r"""Mixed \n, \r\n, \r; gzip by content, not by name; `-`; a byte order mark."""
    text = b"\xef\xbb\xbf" + PRESENT + b"\r\n" + PRESENT + b"\r" + PRESENT + b"\n\n" + PRESENT
    plain = tmp_path / "a.log"
    plain.write_bytes(text)
    packed = tmp_path / "b.log"
    packed.write_bytes(gzip.compress(text[:99]) + gzip.compress(text[99:]))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))
    log = read_access_log([plain, packed, "-"])
    assert len(log) == 12
    assert log.starts.tolist() == [0, 4, 8]
    assert list(log.clients) == ["203.0.113.7"]


def test_pieces_cut_anywhere_give_the_same_lines(tmp_path, monkeypatch):
    r"""Reading 7 bytes at a time: a \r\n cut in two is one line end."""
    path = tmp_path / "a.log"
    path.write_bytes(b"\r\n".join([PRESENT] * 5) + b"\r\r\n\njunk")
    whole = read_access_log(path)
    assert [number for _, number, _ in whole.skipped] == [8]
    for size in (1, 7):
        monkeypatch.setattr("lbbench.inputs.source.PIECE", size)
        cut = read_access_log(path)
        assert (len(cut), cut.lines, cut.notes) == (len(whole), whole.lines, whole.notes)


def test_progress_is_reported_in_bytes():
    """The last report is the whole file."""
    seen = []
    log = read_access_log(SEED, lambda what, done, total: seen.append((what, done, total)))
    assert len(log) == 8
    assert seen[0][1:] == (0, SEED.stat().st_size)
    assert seen[-1][1] == seen[-1][2] == SEED.stat().st_size
