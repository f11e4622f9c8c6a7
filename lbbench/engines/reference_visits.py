"""Attempts at pods in the reference engine: arrival, service, the way back, and ghosts."""

from __future__ import annotations

from typing import Any

from lbbench.engines.clients import BROKEN, LOST, REACHED
from lbbench.engines.events import ANSWER
from lbbench.engines.plan import Plan
from lbbench.engines.recording import count_dead
from lbbench.engines.reference_calendar import Calendar
from lbbench.engines.reference_cluster import Cluster
from lbbench.engines.reference_ledger import Ledger
from lbbench.engines.reference_parts import Attempt, Connection
from lbbench.engines.reference_pods import Pod
from lbbench.engines.script import ERROR, ERROR_RETRIED, REFUSE, SILENT
from lbbench.engines.script import RESET as WITH_RESET
from lbbench.model.tally import ERROR_5XX, QUEUE_REJECT, RESET


class Visits:
    """What happens to attempts between leaving and coming back."""

    cluster: Cluster

    def __init__(self, plan: Plan, calendar: Calendar, ledger: Ledger) -> None:
        self.facts = plan.facts
        self.calendar = calendar
        self.ledger = ledger
        self.counters = ledger.counters

    def way(self, conn: Connection) -> int:
        """Return whether packets pass on a client connection: REACHED, BROKEN or LOST."""
        cluster = self.cluster
        there = int(self.facts.target_node[conn.target])
        if not (cluster.is_up[conn.node] and cluster.is_up[there]):
            return LOST
        if not cluster.passes(conn.node, there):
            return LOST
        if (cluster.boots[conn.node], cluster.boots[there]) != (conn.node_boot, conn.target_boot):
            return BROKEN
        return REACHED

    def reach_pod(self, attempt: Attempt) -> None:
        """Let an attempt reach its pod: join the queue, be refused, or be lost."""
        f, pod = self.facts, self.cluster.pods[attempt.pod]
        attempt.at_pod = self.calendar.now
        attempt.somewhere = False
        if not f.ingress and not attempt.is_ghost:
            assert attempt.request.connection is not None
            if self.way(attempt.request.connection) != REACHED:
                attempt.finish("answer")  # what becomes of it is seen on the way back
                return
        if self._is_unreachable(attempt, pod) or (attempt.is_ghost and pod.door == REFUSE):
            if attempt.is_ghost:
                self.ledger.ghosts -= 1
            elif not f.ingress:
                count_dead(self.counters, attempt.pod, self.calendar.now)
                attempt.finish("silence")
            return
        if pod.door == REFUSE:
            self._fail(attempt, RESET)
            attempt.request.breaks = not f.ingress
            self._come_back(attempt)
            return
        attempt.todo = attempt.request.work
        if pod.door >= ERROR:
            attempt.todo = pod.error_after
            attempt.error, attempt.again = ERROR_5XX, pod.door == ERROR_RETRIED
        if pod.join(attempt):
            attempt.somewhere = True
        elif attempt.is_ghost:
            self.ledger.ghosts -= 1
        else:
            self._fail(attempt, QUEUE_REJECT)
            self._come_back(attempt)

    def served(self, attempt: Attempt) -> None:
        """Let the answer to a served attempt leave its pod."""
        attempt.somewhere = False
        if attempt.is_ghost:
            self.ledger.ghosts -= 1
        elif self._is_unreachable(attempt, self.cluster.pods[attempt.pod]):
            if not self.facts.ingress:
                attempt.finish("silence")
        else:
            self._come_back(attempt)

    def lost(self, attempts: list[Attempt], how: int) -> None:
        """Let the attempts of a pod that died be told so (``how``), or hear nothing."""
        for attempt in attempts:
            attempt.somewhere = False
            if attempt.is_ghost:
                self.ledger.ghosts -= 1
            elif how == WITH_RESET:
                self._fail(attempt, RESET)
                attempt.request.breaks = not self.facts.ingress
                self._come_back(attempt)
            elif not self.facts.ingress:
                attempt.finish("silence")

    def leave_ghost(self, attempt: Attempt) -> None:
        """Let an attempt go on, if it is anywhere, without anybody who waits for it."""
        attempt.is_over = True
        if attempt.somewhere:
            attempt.is_ghost = True
            self.ledger.ghosts += 1

    def came_back(self, attempt: Attempt) -> None:
        """Let an answer or a failure reach its worker."""
        attempt.somewhere = False
        if attempt.is_ghost:
            self.ledger.ghosts -= 1
        else:
            attempt.finish("answer")

    def _come_back(self, attempt: Attempt) -> None:
        if not self.facts.ingress:
            attempt.finish("answer")
            return
        attempt.somewhere = True
        rtt = self.facts.hop_rtt[attempt.origin, self.cluster.pods[attempt.pod].node]
        self.calendar.call(
            self.calendar.now + 0.5 * rtt,
            ANSWER,
            attempt.number,
            attempt.attempt,
            lambda: self.came_back(attempt),
        )

    def _fail(self, attempt: Attempt, error: int) -> None:
        attempt.error, attempt.again = error, bool(self.facts.retry_on_error)

    def _is_unreachable(self, attempt: Attempt, pod: Pod) -> Any:
        return pod.door == SILENT or not self.cluster.passes(pod.node, attempt.origin)
