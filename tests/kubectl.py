"""A cluster as kubectl writes it: objects in the API's shape, made from a few words."""

from __future__ import annotations

import json

NGINX = "nginx.ingress.kubernetes.io/"


def meta(name, namespace=None, **more):
    """Build the metadata of an object."""
    inside = {} if namespace is None else {"namespace": namespace}
    return {"name": name, **inside, "uid": f"uid-{name}", **more}


def node(name, *, zone=None, ip="10.224.0.4", ready=True, cpu="4"):
    """Build a node."""
    labels = {"kubernetes.io/hostname": name}
    if zone is not None:
        labels["topology.kubernetes.io/zone"] = zone
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": meta(name, labels=labels),
        "spec": {"podCIDR": "10.244.0.0/24", "providerID": f"azure:///{name}"},
        "status": {
            "addresses": [
                {"type": "Hostname", "address": name},
                {"type": "InternalIP", "address": ip},
            ],
            "capacity": {"cpu": cpu},
            "conditions": [
                {"type": "MemoryPressure", "status": "False"},
                {"type": "Ready", "status": "True" if ready else "False"},
            ],
        },
    }


def pod(name, ip, on, *, namespace="shop", labels=None, ready=True, cpu=None, probe=None, **more):
    """Build a pod."""
    container = {
        "name": "main",
        "image": more.get("image", "shop/web:1"),
        "ports": [{"name": "http", "containerPort": more.get("port", 8080)}],
        "resources": {"limits": {"cpu": cpu}} if cpu else {},
    }
    if probe:
        container["readinessProbe"] = {"httpGet": {"path": "/"}, **probe}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": meta(name, namespace, labels=labels or {"app": "web"}),
        "spec": {"nodeName": on, "containers": [container]},
        "status": {
            "phase": "Running",
            "podIP": ip,
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
        },
    }


def service(name="web", namespace="shop", *, port=80, target="http", **spec):
    """Build a service; ``ip`` gives it an address outside, ``annotations`` annotations."""
    ip, annotations = spec.pop("ip", None), spec.pop("annotations", {})
    balancer = {"ingress": [{"ip": ip}]} if ip else {}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": meta(name, namespace, annotations=annotations),
        "spec": {
            "type": "LoadBalancer" if ip else "ClusterIP",
            "clusterIP": "10.0.12.7",
            "ports": [{"name": "http", "port": port, "targetPort": target, "protocol": "TCP"}],
            "selector": {"app": name},
            **spec,
        },
        "status": {"loadBalancer": balancer},
    }


def endpoint_slice(pods, name="web", namespace="shop", *, port=8080):
    """Build the slice of a service; ``pods`` are (ip, node, pod, conditions)."""
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": meta(f"{name}-x7k2p", namespace, labels={"kubernetes.io/service-name": name}),
        "addressType": "IPv4",
        "endpoints": [
            {
                "addresses": [ip],
                "conditions": {"ready": True, **state},
                "nodeName": on,
                "targetRef": {"kind": "Pod", "name": of, "namespace": namespace},
            }
            for ip, on, of, state in pods
        ],
        "ports": [{"name": "http", "port": port, "protocol": "TCP"}],
    }


def ingress(name="web", namespace="shop", *, to="web", class_="nginx", host="a.test", **notes):
    """Build an Ingress; ``notes`` are annotations of nginx, ``_`` for ``-``."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": meta(
            name,
            namespace,
            annotations={NGINX + key.replace("_", "-"): value for key, value in notes.items()},
        ),
        "spec": {
            "ingressClassName": class_,
            "rules": [
                {
                    "host": host,
                    "http": {
                        "paths": [
                            {
                                "path": "/",
                                "pathType": "Prefix",
                                "backend": {"service": {"name": to, "port": {"number": 80}}},
                            }
                        ]
                    },
                }
            ],
        },
    }


CONTROLLER = {
    "app.kubernetes.io/name": "ingress-nginx",
    "app.kubernetes.io/component": "controller",
}


def controller(on, *, config=None, ready=True, cpu=None, policy="Local"):
    """Build an ingress controller: a pod on each node of ``on``, its service and ConfigMap."""
    space = "ingress-nginx"
    pods = [
        pod(
            f"ingress-nginx-controller-{i}",
            f"10.244.{i}.250",
            name,
            namespace=space,
            labels=CONTROLLER,
            image="registry.k8s.io/ingress-nginx/controller:v1.11.3@sha256:0",
            port=80,
            cpu=cpu,
            ready=ready,
        )
        for i, name in enumerate(on)
    ]
    front = service(
        "ingress-nginx-controller", space, ip="203.0.113.9", externalTrafficPolicy=policy
    )
    settings = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": meta("ingress-nginx-controller", space),
        "data": config or {},
    }
    return [*pods, front, settings]


def cluster(nodes=3, pods=5, **notes):
    """Build a whole cluster: nodes in zones, pods behind an Ingress, a controller on two nodes."""
    names = [f"aks-pool1-1234-vmss00000{i}" for i in range(nodes)]
    made = [
        node(name, zone=f"westeurope-{i % 3 + 1}", ip=f"10.224.0.{4 + i}")
        for i, name in enumerate(names)
    ]
    running = [
        (f"10.244.{i % nodes}.{10 + i}", names[i % nodes], f"web-{i}", {}) for i in range(pods)
    ]
    made += [pod(of, ip, on) for ip, on, of, _ in running]
    made += [service(), endpoint_slice(running), ingress(**notes), *controller(names[:2])]
    return made


def as_list(objects):
    """Return objects as the text of ``kubectl get -o json``."""
    return json.dumps({"apiVersion": "v1", "items": objects, "kind": "List"}, indent=4)
