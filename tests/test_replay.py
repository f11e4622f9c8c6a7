"""Recorded requests come back as they were written, and what is wrong is named with its line."""

from __future__ import annotations

import csv
import gzip
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbbench.errors import InputError
from lbbench.model.scenario import Scenario
from lbbench.model.trace import Trace
from lbbench.traffic.generate import Traffic
from lbbench.traffic.recorded import read_trace
from lbbench.traffic.streams import LIFETIME, generator

TRACES = Path(__file__).parent / "data" / "traces"
RECORDED = ["kept_connections.csv.gz", "zipf_uris.csv.gz"]


def traffic_of(path, *, block=16_384, replication=0, **others):
    data = {"traffic": {"trace": path.name, **others.pop("traffic", {})}, **others}
    made = Scenario.model_validate(data).in_folder(path.parent)
    return Traffic(made, block=block, replication=replication)


def joined(traffic):
    blocks = list(traffic.blocks())
    return Trace(*(np.concatenate(column) for column in zip(*blocks, strict=True)))


def written(folder, text, name="trace.csv"):
    path = folder / name
    path.write_text(text)
    return path


def rows_of(path):
    with gzip.open(path, "rt") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.parametrize("name", RECORDED)
def test_a_recorded_run_comes_back_row_by_row(name):
    """Arrival, work, address, key and connection of every request are those in the file."""
    rows = rows_of(TRACES / name)
    traffic = traffic_of(TRACES / name)
    found, people = joined(traffic), traffic.population
    assert len(found.arrival) == len(rows) == 2_000
    assert found.arrival.tolist() == [float(row["t_us"]) / 1e6 for row in rows]
    assert found.work.tolist() == [float(row["svc_us"]) / 1e6 for row in rows]
    addresses = [people.addresses[people.client_address[c]] for c in found.client]
    assert addresses == [row["src"] for row in rows]
    assert [people.keys[k] for k in found.key] == [row["uri"] for row in rows]
    assert (found.session == -1).all()
    assert (found.node == -1).all()
    assert people.n_sessions == 0
    assert people.n_lanes == len({row["conn"] for row in rows})
    assert people.mean_work == pytest.approx(sum(float(row["svc_us"]) for row in rows) / 2e9)
    assert people.rate == pytest.approx(2_000 / (float(rows[-1]["t_us"]) / 1e6))
    assert (traffic.n_requests, traffic.duration) == (2_000, None)


@pytest.mark.parametrize("name", RECORDED)
def test_lanes_are_the_recorded_connections_and_end_with_their_last_request(name):
    """Two requests share a lane if and only if they share a connection; `last` is its last one."""
    rows = rows_of(TRACES / name)
    found = joined(traffic_of(TRACES / name))
    pairs = {(row["conn"], lane) for row, lane in zip(rows, found.lane.tolist(), strict=True)}
    assert len(pairs) == len({conn for conn, _ in pairs}) == len({lane for _, lane in pairs})
    seen = Counter(row["conn"] for row in rows)
    for row, is_last in zip(rows, found.last.tolist(), strict=True):
        seen[row["conn"]] -= 1
        assert is_last == (seen[row["conn"]] == 0)


@settings(max_examples=15, deadline=None)
@given(block=st.integers(1, 3_000))
def test_blocks_of_a_trace_do_not_depend_on_their_size(block):
    """In blocks of any size the same columns come, contiguous and of the documented types."""
    path = TRACES / RECORDED[0]
    whole = joined(traffic_of(path))
    made = traffic_of(path, block=block)
    assert all(c.flags.c_contiguous for c in next(made.blocks()))
    for ours, theirs in zip(joined(made), whole, strict=True):
        assert ours.dtype == theirs.dtype
        assert ours.tobytes() == theirs.tobytes()


BOTH = """arrival_s,client,connection,key,session,work_s
0.5,10.1.0.1,c1,/a,3,0.0125
1.25,10.1.0.2,c2,/b,,0.002
1.5,10.1.0.1,c1,/a,1,0.03
"""
SHORT = """t_us,src,conn,uri,jar,svc_us,dst
500000,10.1.0.1,c1,/a,3,12500,10.0.0.1:80
1250000,10.1.0.2,c2,/b,-1,2000,10.0.0.2:80
1500000,10.1.0.1,c1,/a,1,30000,10.0.0.1:80
"""


def test_recorded_sessions_may_have_a_lifetime(tmp_path):
    """A trace says nothing of it, so the scenario does: a draw per row, infinite without."""
    path = written(tmp_path, BOTH)
    assert np.isinf(joined(traffic_of(path)).life).all()
    lasting = {"sessions": {"lifetime": {"mean": "60s"}}}
    found = joined(traffic_of(path, traffic=lasting)).life
    wanted = 60.0 * generator(1, 0, LIFETIME).standard_exponential(3)
    assert found.tolist() == wanted.tolist()


def test_both_spellings_of_the_columns_are_the_same_trace(tmp_path):
    """Seconds and microseconds, long and short names, plain and gzip give equal requests."""
    packed = tmp_path / "short.csv.gz"
    packed.write_bytes(gzip.compress(SHORT.encode()))
    ours = joined(traffic_of(written(tmp_path, BOTH)))
    theirs = joined(traffic_of(packed))
    for name in Trace._fields:
        assert getattr(ours, name).tolist() == getattr(theirs, name).tolist(), name
    assert ours.session.tolist() == [1, -1, 0]
    assert ours.lane.tolist() == [0, 1, 0]
    assert ours.last.tolist() == [0, 1, 1]


def test_columns_that_are_not_used_are_counted_and_named(tmp_path):
    """Unknown columns are ignored and reported; the entry node too unless the scenario names it."""
    traffic = traffic_of(written(tmp_path, SHORT.replace("src", "source")))
    assert traffic.notes == (
        "trace.csv: 2 columns are not used: source, dst; did you mean src?",
        "trace.csv has no client: clients are drawn from the scenario",
    )
    assert traffic_of(written(tmp_path, BOTH)).notes == ()


def test_rows_out_of_order_are_sorted_stably_and_reported(tmp_path):
    """Rows are sorted by arrival, equal ones stay in their order; the note counts the late ones."""
    path = written(tmp_path, "arrival_s,key,work_s\n2,/a,1\n1,/b,1\n2,/c,1\n1,/d,1\n3,/e,1\n")
    traffic = traffic_of(path)
    found = joined(traffic)
    assert found.arrival.tolist() == [1, 1, 2, 2, 3]
    assert [traffic.population.keys[k] for k in found.key] == ["/b", "/d", "/a", "/c", "/e"]
    assert traffic.notes == (
        "2 of 5 rows arrive before a row above them; all are sorted by arrival",
        "trace.csv has no client: clients are drawn from the scenario",
    )


def test_sorting_keeps_many_equal_arrivals_in_their_order(tmp_path):
    """Two thousand rows at three moments, mixed: within a moment the order of rows stays."""
    moments = np.random.default_rng(1).integers(0, 3, 2_000).tolist()
    rows = "".join(f"{moment},/{i:04},1\n" for i, moment in enumerate(moments))
    traffic = traffic_of(written(tmp_path, f"arrival_s,key,work_s\n{rows}"))
    order = sorted(range(2_000), key=lambda i: (moments[i], i))
    assert joined(traffic).key.tolist() == order


def test_what_a_trace_leaves_out_is_drawn_from_the_scenario(tmp_path):
    """With arrivals alone, every other column is that of generated traffic."""
    times = joined(
        Traffic(Scenario.model_validate({"traffic": TRAFFIC | RATE, "run": {"requests": 500}}))
    )
    lines = "".join(f"{t!r}\n" for t in times.arrival.tolist())
    traffic = traffic_of(written(tmp_path, f"arrival_s\n{lines}"), traffic=TRAFFIC)
    found = joined(traffic)
    for name in set(Trace._fields) - {"last"}:
        assert getattr(found, name).tobytes() == getattr(times, name).tobytes(), name
    assert found.last.all()  # without a connection a request opens one of its own
    assert traffic.population.mean_work == 0.05
    assert traffic.population.keys == 40


RATE = {"arrivals": {"rate": "100/s"}}
TRAFFIC = {
    "clients": {"count": 30, "popularity": {"zipf": 1.0}},
    "keys": {"count": 40},
    "sessions": {"count": 30},
    "connections": {"requests": {"geometric": 5}},
    "service_time": {"distribution": "lognormal", "mean": "50ms", "cv": 2},
}


def test_a_client_is_drawn_once_per_recorded_connection(tmp_path):
    """Without clients, the requests of one connection share a drawn client."""
    rows = "".join(f"{i},{i % 7},0.01\n" for i in range(70))
    found = joined(traffic_of(written(tmp_path, f"arrival_s,connection,work_s\n{rows}")))
    clients = {(i % 7, client) for i, client in enumerate(found.client.tolist())}
    assert len(clients) == 7
    assert found.lane.tolist() == [i % 7 for i in range(70)]


def test_requests_without_a_connection_open_one_of_their_own(tmp_path):
    """Empty or "-" connections end at once and do not touch the recorded ones."""
    path = written(
        tmp_path,
        "arrival_s,client,connection,work_s\n1,a,7,1\n2,a,,1\n3,a,-,1\n4,a,7,1\n5,b,,1\n",
    )
    traffic = traffic_of(path)
    found = joined(traffic)
    assert found.lane.tolist() == [0, 1, 1, 0, 2]
    assert found.last.tolist() == [0, 1, 1, 1, 1]
    assert traffic.population.n_lanes == 3


def test_one_name_under_two_clients_is_two_connections(tmp_path):
    """A connection belongs to one client."""
    path = written(tmp_path, "arrival_s,client,connection,work_s\n1,a,7,1\n2,b,7,1\n3,a,7,1\n")
    found = joined(traffic_of(path))
    assert found.lane.tolist() == [0, 1, 0]
    assert found.last.tolist() == [0, 1, 1]


def test_addresses_are_kept_and_other_clients_get_synthetic_ones(tmp_path):
    """IPv4 and IPv6 stay (in their usual form), numbers are 11.x.y.z, names are numbered."""
    path = written(
        tmp_path, "arrival_s,client,work_s\n1,192.0.2.7,1\n2,2001:DB8::0001,1\n3,300,1\n4,bob,1\n"
    )
    traffic = traffic_of(path)
    people = traffic.population
    seen = [people.addresses[people.client_address[c]] for c in joined(traffic).client]
    assert seen[:3] == ["192.0.2.7", "2001:db8::1", "11.0.1.44"]
    assert seen[3].startswith("11.0.0.")
    numbered = traffic_of(written(tmp_path, "arrival_s,client,work_s\n1,10,1\n2,9,1\n3,10,1\n"))
    assert joined(numbered).client.tolist() == [1, 0, 1]
    assert numbered.population.addresses == ("11.0.0.9", "11.0.0.10")


def test_key_texts_are_kept_to_the_letter(tmp_path):
    """Keys that look like numbers, hold commas or are empty stay as they are written."""
    path = written(tmp_path, 'arrival_s,key,work_s\n1,007,1\n2,7,1\n3,"/a,b?c=""d""",1\n4,,1\n')
    traffic = traffic_of(path)
    texts = [traffic.population.keys[k] for k in joined(traffic).key]
    assert texts == ["007", "7", '/a,b?c="d"', ""]
    numbers = traffic_of(written(tmp_path, "arrival_s,key,work_s\n1,007,1\n2,7,1\n3,10,1\n"))
    assert [numbers.population.keys[k] for k in joined(numbers).key] == ["007", "7", "10"]


NODES = "arrival_s,work_s,node,dst\n1,1,b,10\n2,1,a,9\n3,1,c,10\n4,1,a,9\n"


@pytest.mark.parametrize(
    ("column", "nodes"), [("node", [1, 0, 2, 0]), ("dst", [1, 0, 1, 0])], ids=["text", "numbers"]
)
def test_the_entry_node_is_taken_from_the_column_that_the_scenario_names(tmp_path, column, nodes):
    """Distinct values in sorted order (numbers as numbers) are node-0, node-1, ..."""
    path = written(tmp_path, NODES)
    stages = {"azure_lb": {"fixed": column}}
    assert joined(traffic_of(path, stages=stages)).node.tolist() == nodes
    assert joined(traffic_of(path)).node.tolist() == [-1] * 4


def test_the_node_column_goes_by_both_names(tmp_path):
    """`fixed: node` finds the column dst of a load generator's trace."""
    stages = {"azure_lb": {"fixed": "node"}}
    found = joined(traffic_of(written(tmp_path, SHORT), stages=stages))
    assert found.node.tolist() == [0, 1, 0]


def test_a_run_may_end_before_its_trace(tmp_path):
    """`requests` and `duration` cut a trace; connections then end with what is left of them."""
    path = written(tmp_path, BOTH)
    counted = traffic_of(path, run={"requests": 2})
    assert joined(counted).arrival.tolist() == [0.5, 1.25]
    assert joined(counted).last.tolist() == [1, 1]
    assert counted.n_requests == 2
    timed = traffic_of(path, run={"duration": "1500ms"})
    assert joined(timed).arrival.tolist() == [0.5, 1.25]
    assert (timed.n_requests, timed.duration) == (None, 1.5)
    assert timed.population.rate == pytest.approx(2 / 1.5)
    assert traffic_of(path, run={"requests": 900}).n_requests == 3


def test_blank_lines_are_passed_over_and_keep_the_numbers_of_lines(tmp_path):
    """Blank lines are no requests, and an error below them still names the right line."""
    assert len(joined(traffic_of(written(tmp_path, "t_us,svc_us\n1,2\n\n3,4\n\n"))).arrival) == 2
    with pytest.raises(InputError, match=r"trace\.csv:5: t_us = 'x' is no number"):
        read_trace(written(tmp_path, "t_us,svc_us\n1,2\n\n3,4\nx,4\n"))


def test_windows_line_ends_blanks_and_a_byte_order_mark_are_read(tmp_path):
    """CRLF, blanks around names and values and a BOM change nothing."""
    path = tmp_path / "trace.csv"
    path.write_bytes(b"\xef\xbb\xbfarrival_s, client , work_s\r\n 1 , a , 0.5 \r\n")
    found = read_trace(path)
    assert (found.arrival.tolist(), found.work.tolist()) == ([1.0], [0.5])
    assert found.notes == ()


LOGGED = (
    '10.0.0.1 - - [17/May/2024:10:05:03 +0000] "GET / HTTP/1.1" 200 12 "-" "Moz"\n'
    '10.0.0.1 - - [17/May/2024:10:05:04 +0000] "GET / HTTP/1.1" 200 12 "-" "K, like, G"\n'
)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", r"trace\.csv: is empty"),
        ("arrival_s,work_s\n", r"trace\.csv: holds no requests"),
        ("time,work_s\n1,1\n", r"no column arrival_s or t_us; .* its columns are: time, work_s"),
        ("arrival_s,work_s\n1,1\nx,1\n", r"trace\.csv:3: arrival_s = 'x' is no number"),
        ("arrival_s,work_s\n1,1\n,1\n2,1\n", r"trace\.csv:3: arrival_s = '' is no number"),
        ("arrival_s,work_s\n-1,1\n", r"trace\.csv:2: arrival_s = '-1' is negative"),
        (
            "arrival_s,work_s\n1,1\n2,nan\n3,inf\n",
            r":3: work_s = 'nan' \(and 1 more\) is no number",
        ),
        ("arrival_s,work_s\n1,1\n2,-0.5\n", r"trace\.csv:3: work_s = '-0\.5' is negative"),
        ("arrival_s,work_s\n1,1\n2,\n", r"trace\.csv:3: work_s = '' is no number"),
        ("arrival_s,work_s\n1,1\n\n2\n", r"trace\.csv:4: 1 column where the head has 2"),
        (
            "arrival_s,client,key,work_s\n1.0,2\n",
            r"trace\.csv:2: 2 columns where the head has 4",
        ),
        ("arrival_s,work_s,key\n1,1,\n2,1\n", r"trace\.csv:3: 2 columns where the head has 3"),
        ("arrival_s,work_s\n1,1\n2,1,3\n", r"trace\.csv:3: 3 values under 2 columns; quote"),
        ("arrival_s,client\n1,a\n2,\n", r"trace\.csv:3: client = '' is missing"),
        ("arrival_s,t_us\n1,1\n", r":1: columns arrival_s and t_us both give the arrival"),
        ("arrival_s;work_s\n1;1\n", r"trace\.csv:1: the columns are separated by semicolons"),
        ("arrival_s;work_s\n0,1;0,2\n", r"trace\.csv:1: the columns are separated by semicolons"),
        ("t_us\tsvc_us\n1\t1\n", r"trace\.csv:1: the columns are separated by tabs"),
        ("0.0,10.1.0.1,/a,0.1\n1,10.1.0.1,/a,0.1\n", r"trace\.csv:1: is a row, there is no head"),
        ("0.0,0.0\n1,1,1\n", r"trace\.csv:1: is a row, there is no head"),
        ("0.0;a;0.1\n1;a;0.1\n", r"trace\.csv:1: is a row, there is no head"),
        ("arrival,work\n1,1\n", r"columns are: arrival, work; rename arrival to arrival_s$"),
        (LOGGED, r"trace\.csv:1: '10\.0\.0\.1 - - \[17/May/2024:10:05:03 \+0\.\.\.' is no head"),
        ('{"time": 1, "status": 200}\n' * 2, r"trace\.csv:1: '{\"time.* is no head of columns"),
    ],
)
def test_a_trace_that_makes_no_sense_is_refused_with_its_line(tmp_path, text, sentence):
    """Every sentence names the file, the line where there is one, the value and what to do."""
    with pytest.raises(InputError, match=sentence):
        read_trace(written(tmp_path, text))


def test_files_that_are_no_csv_are_refused(tmp_path):
    """A missing file, a folder, binary bytes and a cut gzip file give a sentence each."""
    with pytest.raises(InputError, match=r"nowhere\.csv: there is no such trace; the path is"):
        read_trace(tmp_path / "nowhere.csv")
    with pytest.raises(InputError, match="cannot be read"):
        read_trace(tmp_path)
    with pytest.raises(InputError, match=r"t\*\.csv: there is no such trace"):
        read_trace(written(tmp_path, BOTH).with_name("t*.csv"))
    binary = tmp_path / "binary.csv"
    binary.write_bytes(b"arrival_s,work_s\n1,\xff\xfe\x00\n")
    with pytest.raises(InputError, match=r"binary\.csv: is no UTF-8 text"):
        read_trace(binary)
    cut = tmp_path / "cut.csv.gz"
    cut.write_bytes(gzip.compress(SHORT.encode() * 50)[:60])
    with pytest.raises(InputError, match=r"cut\.csv\.gz: cannot be read"):
        read_trace(cut)


def test_a_trace_that_does_not_fit_the_scenario_is_refused(tmp_path):
    """Too many entry nodes, a column that is not there, and a run that ends before the trace."""
    path = written(tmp_path, NODES)
    with pytest.raises(InputError, match=r"column node has 3 distinct values for 2 nodes"):
        traffic_of(path, stages={"azure_lb": {"fixed": "node"}}, cluster={"nodes": 2})
    with pytest.raises(InputError, match=r"no column door, .* its columns are: arrival_s, work_s"):
        traffic_of(path, stages={"azure_lb": {"fixed": "door"}})
    with pytest.raises(InputError, match=r"no request arrives before run\.duration = 0\.5 s"):
        traffic_of(path, run={"duration": "500ms"})


def test_replications_of_a_trace_share_what_is_recorded():
    """Another replication changes only what is drawn, here nothing."""
    path = TRACES / RECORDED[0]
    first, second = joined(traffic_of(path)), joined(traffic_of(path, replication=3))
    assert all(a.tobytes() == b.tobytes() for a, b in zip(first, second, strict=True))


def test_asking_for_more_requests_than_were_recorded_is_told(tmp_path):
    """All recorded requests are played, and the difference is a note."""
    path = written(tmp_path, "arrival_s,work_s\n0.1,0.01\n0.2,0.01\n")
    traffic = traffic_of(path, run={"requests": 5})
    assert traffic.n_requests == 2
    assert "has 2 requests, run.requests asks for 5" in traffic.notes[-1]


@pytest.mark.parametrize(
    ("head", "row", "notes"),
    [
        ("arrival_s,client,key,work_s", "1,a,/x,0.1", ()),
        (
            "arrival_s,client,key",
            "1,a,/x",
            ("trace.csv has no work_s: service times are drawn from the scenario",),
        ),
        (
            "arrival_s,key,work_s",
            "1,/x,0.1",
            ("trace.csv has no client: clients are drawn from the scenario",),
        ),
        (
            "arrival_s",
            "1",
            (
                (
                    "trace.csv has no work_s and no client and no key: service times, clients and "
                    "keys are drawn from the scenario"
                ),
            ),
        ),
        (
            "arrival_s,Client,key,work",
            "1,a,/x,0.1",
            (
                "trace.csv: 2 columns are not used: Client, work; did you mean client and work_s?",
                (
                    "trace.csv has no work_s and no client: service times and clients are drawn "
                    "from the scenario"
                ),
            ),
        ),
    ],
)
def test_what_is_drawn_in_place_of_a_column_is_told(tmp_path, head, row, notes):
    """Nothing in the figures shows that service times are not the recorded ones, so a note does."""
    assert traffic_of(written(tmp_path, f"{head}\n{row}\n")).notes == notes


def test_keys_that_nothing_reads_are_not_told(tmp_path):
    """Without `key`, and without anything that reads keys, none are drawn."""
    path = written(tmp_path, "arrival_s,client,work_s\n1,a,0.1\n")
    made = Scenario.model_validate({"traffic": {"trace": path.name}}).in_folder(tmp_path)
    assert Traffic(made, keys=False).notes == ()
    assert Traffic(made).notes == ("trace.csv has no key: keys are drawn from the scenario",)


def test_requests_that_are_left_out_are_told(tmp_path):
    """`run.requests` cuts a trace with a note, as `run.duration` does."""
    notes = traffic_of(written(tmp_path, BOTH), run={"requests": 2}).notes
    assert notes == (
        "trace.csv: 1 of 3 requests come after the first run.requests = 2 and are left out",
    )


def test_what_replications_of_a_trace_cover_is_told(tmp_path):
    """The same requests each time; where something is drawn, only the same arrivals."""
    notes = traffic_of(written(tmp_path, BOTH), run={"replications": 3}).notes
    assert notes == (
        (
            "the same requests in each replication: the interval covers the draws of the "
            "balancers, not other traffic"
        ),
    )
    bare = written(tmp_path, "arrival_s,client,key\n1,a,/x\n")
    notes = traffic_of(bare, run={"replications": 3}).notes
    assert notes[-1] == (
        "the same arrivals in each replication: the interval covers the draws of the balancers "
        "and service times, not other traffic"
    )
