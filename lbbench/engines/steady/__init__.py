"""The steady kernel: one event loop for runs in which the cluster never changes and nothing fails.

Most runs are such, and then most of what the general kernel keeps an eye on cannot happen. A pod's
ends of service are not events: they follow from the arrivals at it, and are retired when somebody
looks at the pod. A request is counted as soon as its end is known. What can be seen by others stays
an event: a pick, a response time that a balancer learns, a connection that comes free.

`why_not` tells which plans this kernel cannot take. What shows only in the run (a timeout, a queue
longer than the drain, no free port) stops it, and the run starts anew with the general kernel.
"""
