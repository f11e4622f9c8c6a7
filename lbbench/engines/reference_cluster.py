"""The cluster in the reference engine: nodes, pods, everybody's lists, and what happens to them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np

from lbbench.engines import script
from lbbench.engines.events import event_kind
from lbbench.engines.parts import instance_reset, instance_view, no_change, no_count
from lbbench.engines.plan import Plan, copied
from lbbench.engines.reference_calendar import Calendar
from lbbench.engines.reference_ledger import Ledger
from lbbench.engines.reference_parts import Attempt
from lbbench.engines.reference_pods import FifoPod, Pod, SharingPod
from lbbench.engines.timing import clock

NO_IDS = np.zeros(0, np.int64)


class View:
    """One viewer's list: ids in order of address; its number in the API."""

    def __init__(self, listed: Sequence[int] | np.ndarray, drops: int = 0) -> None:
        self.listed = np.array(listed, np.int64)
        self.drops = bool(drops)
        self.version = 0

    def change(self, listed: np.ndarray, drops: int = 0) -> np.ndarray:
        """Take a new list; return the old one."""
        old, self.listed = self.listed, np.array(listed, np.int64)
        self.drops = bool(drops)
        return old

    def busy(self, by_id: np.ndarray) -> np.ndarray:
        """Return the busy counts of the listed, by position."""
        return by_id[self.listed]

    def positions(self, ids: Sequence[int]) -> np.ndarray:
        """Return the positions of those of ``ids`` that are listed."""
        places = {int(number): place for place, number in enumerate(self.listed)}
        return np.array([places[i] for i in ids if i in places], np.int64)


class Cluster:
    """What there is, what everybody believes there to be, and the script that changes both."""

    def __init__(
        self, plan: Plan, calendar: Calendar, ledger: Ledger, served: Callable[[Attempt], None]
    ) -> None:
        self.plan = plan
        self.facts = f = plan.facts
        self.calendar = calendar
        states = plan.states
        self.azure_states, self.node_states, self.pod_states = (
            copied(part) for part in (states.azure, states.node, states.pod)
        )
        self.azure_rng, self.node_rng, self.pod_rng = (
            rng.copy() for rng in (states.azure_rng, states.node_rng, states.pod_rng)
        )
        self._azure_at = instance_view(type(states.azure))
        self._node_at = instance_view(type(states.node))
        self._pod_at = instance_view(type(states.pod), plan.common)
        self._reset_node = instance_reset(states.node)
        self._reset_pod = instance_reset(states.pod, plan.common)
        self._counted = plan.pod.on_busy or no_count
        self.in_system = ledger.in_system
        self.is_up = [True] * len(f.node)
        self.boots = [0] * len(f.node)
        self.routes = True
        self.cut_at = -np.inf
        kind = SharingPod if f.shared else FifoPod
        self.pods: list[Pod] = [
            kind(f, calendar, ledger, i, served, self.tell_inside) for i in range(len(f.pod))
        ]
        for pod in plan.members:
            self.pods[pod].is_member = True
        lists = plan.lists
        seen = lists.azure_seen[0]
        self.lb = View(lists.azure[0, : seen.n])
        self.rules = [
            View(row[: seen.n], seen.drops)
            for row, seen in zip(lists.node, lists.node_seen, strict=True)
        ]
        self.views = [
            View(row[: seen.n]) for row, seen in zip(lists.pod, lists.pod_seen, strict=True)
        ]
        self.on_lost: Callable[[list[Attempt], int, int], None]
        self.on_closed: Callable[[int], None]
        self.on_restart: Callable[[int], None]
        self.pod_busy: np.ndarray  # int64[rows, P] outstanding attempts by instance and pod

    def schedule(self) -> None:
        """Put the script into the calendar."""
        for step in self.facts.step:
            kind, number = event_kind(step.order), script.step_number(step.order)
            self.calendar.call(float(step.time), kind, number, 0, partial(self._take, step))

    def passes(self, node: int, other: int) -> bool:
        """Tell whether packets between two nodes arrive."""
        return node == other or self.routes

    # --- states of the balancers ------------------------------------------------------------------

    def azure_state(self) -> Any:
        """Return the load balancer's state."""
        return self._azure_at(self.azure_states, 0, 0)

    def node_state(self, node: int) -> Any:
        """Return the state of a node's rules."""
        return self._node_at(self.node_states, node, 0)

    def pod_state(self, view: int, common: int) -> Any:
        """Return the state that a worker uses."""
        return self._pod_at(self.pod_states, view, common)

    def tell_load_balancer(self, by_id: np.ndarray) -> None:
        """Tell the load balancer how many connections each node has, int64[N]."""
        counted = self.plan.azure.on_busy or no_count
        for node, busy in enumerate(by_id):
            counted(self.azure_state(), node, busy)

    def tell_views(self, views: Iterable[int], pod: int, busy: int) -> None:
        """Tell the balancers of these views that ``busy`` are outstanding at a pod."""
        for view in views:
            self._counted(self.pod_state(view, self.facts.view_of[view].common), pod, busy)

    def tell_inside(self, pod: int) -> None:
        """Tell balancers that see the pods how many attempts are at a pod."""
        if self.facts.sees_pods:
            self.tell_views(range(len(self.views)), pod, self.in_system[pod])

    # --- steps ------------------------------------------------------------------------------------

    def _take(self, step: Any) -> None:
        f, a, b = self.facts, int(step.a), int(step.b)
        listed = f.listed[step.first : step.first + step.count]
        now = self.calendar.now
        if step.op == script.SPEED:
            self.pods[a].set_speed(float(step.value))
        elif step.op == script.DOOR:
            self.pods[a].door, self.pods[a].error_after = b, float(step.value)
        elif step.op == script.EMPTY:
            lost = self.pods[a].empty()
            for attempt in lost:
                self.pods[a].left(attempt)
            self.on_lost(lost, a, b)
        elif step.op == script.DROP_IDLE:
            self.on_closed(a)
        elif step.op == script.MEMBER:
            self.pods[a].is_member = bool(b)
        elif step.op == script.NODE:
            self.is_up[a] = bool(b)
            if b:
                self._restart(a)
        elif step.op == script.ROUTES:
            self.routes = bool(b)
        elif step.op == script.CUT:
            self.cut_at = now
        elif step.op == script.LB_VIEW:
            changed = self.plan.azure.on_endpoints or no_change
            changed(self.azure_state(), self.azure_rng[0], self.lb.change(listed), listed, now)
        elif step.op == script.NODE_VIEW:
            self._change_rules(a, self.rules[a].change(listed, b))
        else:
            old = self.views[a].change(listed)
            self.views[a].version = b
            self._change_view(a, old)

    def _change_rules(self, node: int, old: np.ndarray) -> None:
        changed = self.plan.node.on_endpoints or no_change
        new = self.rules[node].listed
        changed(self.node_state(node), self.node_rng[node], old, new, self.calendar.now)

    def _change_view(self, view: int, old: np.ndarray) -> None:
        of = self.facts.view_of[view]
        changed = self.plan.pod.on_endpoints or no_change
        now = clock(self.calendar.now, self.facts.ms_clock)
        state, new = self.pod_state(view, of.common), self.views[view].listed
        changed(state, self.pod_rng[of.rng], old, new, now)

    def _restart(self, node: int) -> None:
        """Let a node start anew: its kube-proxy and workers have learnt nothing."""
        f, states = self.facts, self.plan.states
        self.boots[node] += 1
        self._reset_node(self.node_states, states.new_node, node, 0)
        self._change_rules(node, NO_IDS)
        workers = [w for w, desk in enumerate(f.worker) if f.ingress and desk.node == node]
        views = [
            (view, f.worker[w].common, f.worker[w].busy)
            for w in workers
            for view in range(f.worker[w].own, f.worker[w].own + f.backends)
        ]
        for worker in workers:
            self.on_restart(worker)
        for view, common, _ in views:
            self._reset_pod(self.pod_states, states.new_pod, view, common)
        for view, _, row in views:
            by_id = self.in_system if f.sees_pods else self.pod_busy[row]
            for pod in np.flatnonzero(by_id).tolist():
                self.tell_views([view], pod, by_id[pod])
            self._change_view(view, NO_IDS)
