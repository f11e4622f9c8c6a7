"""Traffic that cannot be made is refused with a sentence."""

from __future__ import annotations

import pytest

from lbbench.errors import RunError
from lbbench.model.scenario import Scenario
from lbbench.traffic.generate import Traffic

RATE = {"arrivals": {"rate": "100/s"}}


@pytest.mark.parametrize(
    ("demand", "others", "sentence"),
    [
        (
            {
                "arrivals": {"process": "closed", "users": 5, "think_time": "1s"},
                "connections": {"requests": 3, "gap": {"mean": "1s"}},
            },
            {},
            r"aks: traffic\.connections\.gap stands beside a closed process, .* remove one",
        ),
        (
            {"trace": "x.csv", "connections": {"requests": 3, "gap": {"mean": "1s"}}},
            {},
            r"aks: traffic\.connections\.gap stands beside traffic\.trace = x\.csv, .* remove one",
        ),
        (
            RATE,
            {"stages": {"azure_lb": {"fixed": "node"}}},
            r"stages\.azure_lb\.fixed = node takes the node from a trace; give traffic\.trace",
        ),
        (
            {"arrivals": {"process": "steps", "steps": [["0s", "1/s"], ["9s", "0/s"]]}},
            {},
            r"steps end at rate 0, so run\.requests = 1000 may never come; give run\.duration",
        ),
        (
            {
                "arrivals": {"process": "steps", "steps": [["0s", "0/s"], ["90s", "9/s"]]},
                "utilisation": 0.5,
            },
            {"run": {"duration": "60s"}},
            r"rate 0 for the whole 60 s",
        ),
        (
            {
                **RATE,
                "service_time": {
                    "distribution": "bimodal", "values": ["0s", "1s"], "shares": [1, 0],
                },
            },
            {},
            r"traffic\.service_time has mean 0",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_made_is_refused_with_a_sentence(demand, others, sentence):
    """Contradictions, and figures that give no traffic, name their key and the way out."""
    data = {"name": "aks", "traffic": demand, "run": {"requests": 1_000}, **others}
    with pytest.raises(RunError, match=sentence):
        Traffic(Scenario.model_validate(data))
