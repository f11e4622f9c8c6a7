"""Files of service times become the distributions that they describe."""

from __future__ import annotations

import numpy as np
import pytest

from lbbench.errors import InputError
from lbbench.model.scenario import Scenario
from lbbench.traffic.empirical import read_distribution
from lbbench.traffic.generate import Traffic
from lbbench.traffic.streams import Streams


def written(folder, text, name="times.csv"):
    path = folder / name
    path.write_text(text)
    return path


def values_of(made):
    """Return the distinct values among a thousand draws."""
    return sorted(set(made.start(Streams(1, 0))(1_000).tolist()))


@pytest.mark.parametrize(
    "text",
    [
        "0.001\n0.2\n0.003\n",
        "1ms\n200ms\n\n# measured on a quiet morning\n3ms\n",
        "work_s\n0.001\n0.2\n0.003\n",
        "svc_us\n1000\n200000\n3000\n",
        "took_ms\n1\n200\n3\n",
        "client,svc_us,code\na,1000,200\nb,200000,200\na,3000,500\n",
    ],
)
def test_values_are_read_in_their_units(tmp_path, text):
    """Bare seconds, values with a unit, named columns: the same three values each."""
    made = read_distribution(written(tmp_path, text))
    assert values_of(made) == pytest.approx([0.001, 0.003, 0.2])
    assert made.mean == pytest.approx(0.068)


def test_quantiles_are_read_as_a_table(tmp_path):
    """With levels the values are quantiles, linear between: here the mean is that of a triangle."""
    made = read_distribution(written(tmp_path, "quantile,took_ms\n0,0\n0.5,10\n1,30\n"))
    assert made.mean == pytest.approx(0.5 * 0.005 + 0.5 * 0.02)
    drawn = made.start(Streams(1, 0))(10_000)
    assert 0.0 <= drawn.min() < drawn.max() <= 0.03
    assert abs((drawn < 0.01).mean() - 0.5) < 4.5 * 0.5 / 100


def test_the_file_is_relative_to_the_scenario(tmp_path):
    """`empirical {file}` is looked up beside the scenario and gives the column of work."""
    written(tmp_path, "5ms\n7ms\n", "log.txt")
    data = {
        "traffic": {
            "utilisation": 0.5,
            "service_time": {"distribution": "empirical", "file": "log.txt"},
        },
        "run": {"requests": 500},
    }
    traffic = Traffic(Scenario.model_validate(data).in_folder(tmp_path))
    work = np.concatenate([block.work for block in traffic.blocks()])
    assert set(work.tolist()) == {0.005, 0.007}
    assert traffic.population.mean_work == pytest.approx(0.006)
    assert traffic.population.rate == pytest.approx(0.5 * 10 / 0.006)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", r"times\.csv: holds no service times; write one per line"),
        ("work_s\n", r"times\.csv: holds no service times under its head line"),
        ("0.1\nquick\n", r"times\.csv:2: value = 'quick' is no service time; write seconds"),
        ("work_s\n0.1\n\n-1\n", r"times\.csv:4: work_s = '-1' is no service time"),
        ("work_s\n0.1\nnan\n", r"times\.csv:3: work_s = 'nan'"),
        ("0\n0\n", r"times\.csv: all service times are 0"),
        ("0.5,0.1\n", r"times\.csv:1: 2 columns without names"),
        ("start,end\n1,2\n", r"times\.csv:1: which of the columns start, end holds"),
        ("quantile,work_s\n0,1\n2,3\n", r"times\.csv:3: quantile = '2': levels ascend"),
        ("quantile,work_s\n0.5,1\n0.2,3\n", r"times\.csv:3: quantile = '0\.2': levels ascend"),
        ("quantile,work_s\n0,1\n\n0.5,0.5\n", r"times\.csv:4: work_s = 0\.5 s is below"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused_with_its_line(tmp_path, text, sentence):
    """Every sentence names the file, the line where there is one, and what to do."""
    with pytest.raises(InputError, match=sentence):
        read_distribution(written(tmp_path, text))


def test_files_that_are_no_text_are_refused(tmp_path):
    """A missing file and binary bytes give a sentence each."""
    with pytest.raises(InputError, match=r"nowhere\.txt: there is no such file; the path is"):
        read_distribution(tmp_path / "nowhere.txt")
    binary = tmp_path / "binary.txt"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"binary\.txt: cannot be read"):
        read_distribution(binary)
