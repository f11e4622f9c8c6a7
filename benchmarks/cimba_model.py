"""The bare job in cimba, a simulation engine that compiles its processes with numba.

A module of its own: importing it needs cimba.
"""

from __future__ import annotations

import math

import cimba as cb
import numpy as np
from cimba import random

ROUND_ROBIN, TWO_CHOICES, EWMA = range(3)
CODES = {"round_robin": ROUND_ROBIN, "p2c": TWO_CHOICES, "ewma": EWMA}
MARGIN = 500.0  # mean service times by which the window outlasts the arrivals


class Pod(cb.Model):
    """A FIFO server with its queue."""

    waiting: cb.Store[float]
    front: cb.Ref[Front]
    number: cb.Param[int]

    @cb.process
    def serve(self):
        """Serve one request after the other; each is the time at which it came."""
        while True:
            arrival = self.waiting.get()
            cb.hold(random.exponential(1.0))
            self.front.answered(self.number, cb.now() - arrival)


class Front(cb.Model):
    """The source of requests, the balancer and what it knows."""

    pods: list[Pod]
    balancer: cb.Param[int]
    requests: cb.Param[int]
    outstanding: cb.Array[int]
    score: cb.Array[float]
    updated: cb.Array[float]
    took: cb.Dataset

    @cb.function
    def answered(self, pod: int, took: float) -> None:
        """Note an answer; ewma learns from it."""
        now = cb.now()
        self.outstanding[pod] -= 1
        self.took.record(took)
        if self.balancer == 2:
            past = math.exp(-(now - self.updated[pod]) / 200.0)
            self.score[pod] = self.score[pod] * past + took * (1 - past)
            self.updated[pod] = now

    @cb.process
    def source(self):
        """Send all requests."""
        n = len(self.pods)
        chosen = -1
        for _ in range(self.requests):
            cb.hold(random.exponential(1.0 / (0.8 * n)))
            if self.balancer == 0:
                chosen += 1
                if chosen == n:
                    chosen = 0
            else:
                a = random.dice(0, n - 1)
                b = random.dice(0, n - 2)
                if b >= a:
                    b += 1
                chosen = a
                if self.balancer == 1:
                    if self.outstanding[b] < self.outstanding[a]:
                        chosen = b
                else:
                    now = cb.now()
                    of_a = self.score[a] * math.exp(-(now - self.updated[a]) / 200.0)
                    of_b = self.score[b] * math.exp(-(now - self.updated[b]) / 200.0)
                    if of_b < of_a:
                        chosen = b
            self.outstanding[chosen] += 1
            self.pods[chosen].waiting.put(cb.now())


def sojourn_times(balancer: str, pods: int, requests: int, seed: int) -> np.ndarray:
    """Return the sojourn times of a run, in mean service times."""
    front = Front()
    front.balancer = CODES[balancer]
    front.requests = requests
    front.outstanding = cb.Array(pods)
    front.score = cb.Array(pods)
    front.updated = cb.Array(pods)
    front.took = cb.Dataset()
    front.took.capture()
    front.pods = [_pod(front, number) for number in range(pods)]
    window = cb.Window(warmup=0, duration=requests / (0.8 * pods) * 1.05 + MARGIN)
    run = cb.Experiment(front, replications=1, window=window, seed=seed).run()
    return np.asarray(run[front].took.trial(0, 0)[1], float)


def _pod(front: Front, number: int) -> Pod:
    pod = Pod()
    pod.waiting = cb.Store()
    pod.front = front
    pod.number = number
    return pod
