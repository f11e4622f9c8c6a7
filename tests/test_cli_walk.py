"""`lbbench walk` as a person or a pipe meets it."""

from __future__ import annotations

import json
import sys

import pytest
import typer
from typer.testing import CliRunner

from lbbench import cli
from lbbench.cli.walk import walk
from lbbench.errors import InputError

LINE_LB = (
    "tcp 6 86397 ESTABLISHED src=109.125.120.58 dst=23.101.73.47 sport=62585 dport=80 "
    "src=10.244.0.10 dst=10.244.0.1 sport=80 dport=62585 [ASSURED] mark=0 use=1"
)
LINE_INGRESS = (
    "tcp 6 86386 ESTABLISHED src=109.125.120.58 dst=51.136.49.205 sport=63774 dport=80 "
    "src=10.244.1.6 dst=109.125.120.58 sport=80 dport=63774 [ASSURED] mark=0 use=1"
)

SCENARIO = """
name: shop
path: service
cluster: {nodes: 2, pods: 2, placement: [0, 2]}
stages: {kube_proxy: {external_traffic_policy: Local}}
traffic: {utilisation: 0.5}
"""

app = typer.Typer()
app.command()(walk)


def call(*arguments, columns=None):
    """Run the command with its output in a pipe; COLUMNS set or not."""
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": columns})


@pytest.fixture
def file(tmp_path):
    """Return a scenario file."""
    path = tmp_path / "shop.yaml"
    path.write_text(SCENARIO)
    return path


@pytest.mark.parametrize("columns", [None, "40", "60", "200"])
@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("seed-lb", "--node", "aks-nodepool1-31351229-0", "--pod", "10.244.0.10"), LINE_LB),
        (("seed-ingress", "--client", "109.125.120.58:63774"), LINE_INGRESS),
    ],
)
def test_conntrack_entries_are_whole_lines_at_any_width(arguments, line, columns):
    """`grep -x` finds the seed's entry, in a pipe and in narrow and wide terminals."""
    found = call(*arguments, columns=columns)
    assert found.exit_code == 0
    assert line in found.stdout.splitlines()


def test_a_pipe_gets_plain_text_with_whole_rules():
    """No colours and no wrapped rules in a pipe; the prose stays within 100 columns."""
    found = call("seed-lb")
    assert "\x1b" not in found.stdout
    lines = found.stdout.splitlines()
    assert "    > -A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000" in lines
    long = [line for line in lines if len(line) > 100]
    assert all(" -A KUBE-" in line or line.startswith("tcp 6 ") for line in long)


def test_narrow_output_fits():
    """At 46 columns everything but conntrack and log lines fits."""
    lines = call("seed-ingress", columns="46").stdout.splitlines()
    wide = [line for line in lines if len(line) > 46]
    assert len(wide) == 4  # two entries of nginx's leg, one of the client's, the log line
    assert all(line.startswith(("tcp 6 ", "109.125.120.58 - ")) for line in wide)


def test_json_on_stdout_is_all_there_is():
    """`--json -` prints one JSON document and nothing else."""
    found = call("seed-ingress", "--json", "-")
    data = json.loads(found.stdout)
    assert data["schema"] == "lbbench.walk/1"
    assert data["conntrack"][0]["line"] == LINE_INGRESS
    assert data["access_log"].startswith("109.125.120.58 - [109.125.120.58] - - [")


def test_json_to_a_file_leaves_the_text_on_stdout(tmp_path):
    """`--json PATH` writes the file beside the text."""
    path = tmp_path / "walk.json"
    found = call("seed-lb", "--json", str(path))
    assert json.loads(path.read_text())["name"] == "seed-lb"
    assert LINE_LB in found.stdout


@pytest.mark.parametrize(
    "arguments", [("--client", "nobody"), ("--node", "node-9"), ("--pod", "10.9.9.9")]
)
def test_wrong_names_write_nothing(arguments, tmp_path):
    """A name that is not there: an error, no text, no file."""
    path = tmp_path / "walk.json"
    found = call("seed-lb", "--json", str(path), *arguments)
    assert isinstance(found.exception, InputError)
    assert found.stdout == ""
    assert not path.exists()


def test_the_command_line_ends_with_a_sentence_and_2(monkeypatch, capsys):
    """Through the entry point: one sentence on stderr, exit status 2."""
    monkeypatch.setattr(sys, "argv", ["lbbench", "walk", "seed-lb", "--node", "node-9"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    shown = capsys.readouterr()
    assert ended.value.code == 2
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    assert "there are aks-nodepool1-31351229-0, aks-nodepool1-31351229-1" in shown.err


def test_a_scenario_file_has_its_own_names(file):
    """Chains of default/NAME in the new generation, the file's addresses and policy."""
    text = call(str(file)).stdout
    assert "KUBE-EXT-" in text
    assert "KUBE-SVL-" in text
    assert "KUBE-FW-" not in text
    assert '"default/shop -> 10.244.1.2:8080"' in text


def test_a_node_without_endpoints_drops(file):
    """Local policy, a node without pods: DROP is shown, and the command still succeeds."""
    found = call(str(file), "--node", "node-0")
    assert found.exit_code == 0
    assert "DROP" in found.stdout
    rule = (
        "-A KUBE-EXTERNAL-SERVICES -d 20.0.0.1/32 -p tcp -m comment --comment "
        '"default/shop has no local endpoints" -m tcp --dport 80 -j DROP'
    )
    assert f"    > {rule}\n" in found.stdout
    assert "\ntcp 6 " not in found.stdout


def test_set_changes_a_scenario_but_no_preset(file):
    """`--set` reaches every leaf of a file; the seed's walks are fixed."""
    changed = call(str(file), "--set", "stages.kube_proxy.external_traffic_policy=Cluster")
    assert "MASQUERADE" in changed.stdout
    refused = call("seed-lb", "--set", "cluster.pods=3")
    assert isinstance(refused.exception, InputError)
    assert "--set cluster.pods=3: seed-lb is fixed" in str(refused.exception)


def test_the_same_seed_walks_the_same_way(file):
    """Output is a function of file and options alone; the seed is an option."""
    assert call(str(file), "--seed", "5").stdout == call(str(file), "--seed", "5").stdout
    pods = {
        call(str(file), "--seed", str(seed)).stdout.split("pod", 1)[1][:40] for seed in range(12)
    }
    assert len(pods) == 2
