"""What layer 4 derives from a connection: its source port, its flow hash, its nginx worker."""

from __future__ import annotations

import numpy as np

from lbbench.core.rng import mix64

FIRST_PORT = 32768
N_PORTS = 60999 - FIRST_PORT + 1  # Linux's default ephemeral range
PORTS_PER_TARGET = 65535 - 1024 + 1  # source ports that MASQUERADE has towards one target

PORTS_PER_ADDRESS = 65536

U1 = np.uint64(1)
U7 = np.uint64(7)
U8 = np.uint64(8)
U16 = np.uint64(16)
U17 = np.uint64(17)
U32 = np.uint64(32)
PORTS = np.uint64(N_PORTS)
MASK15 = np.uint64(0x7FFF)
ODD = np.uint64(0x5BD5)
BYTE = 0xFF


def source_port(salt: np.uint64, opened: int) -> int:
    """Return the source port of an address's connection number ``opened`` (0, 1, 2, ...).

    A keyed permutation of the 28 232 ephemeral ports: a port comes back only after all others, so
    none is reused within 60 s below 470 connections per second and address, and neighbouring
    connections look unrelated, as the kernel's do.
    """
    x = np.uint64(opened) % PORTS
    while True:
        x = (x * (salt | U1) + (salt >> U32)) & MASK15
        x ^= x >> U7
        x = (x * ODD + (salt >> U17)) & MASK15
        x ^= x >> U8
        if x < PORTS:
            return FIRST_PORT + int(np.int64(x))


def flow_hash(base: int, ports: np.ndarray, port: int) -> int:
    """Return the load balancer's flow hash (a uint32) from the address part and the source port.

    The Toeplitz hash is linear over XOR, so the part of the addresses is known before the run;
    ``ports`` is int64[2, 256], what the high and the low byte of the port add (all zero where the
    distribution mode leaves ports out).
    """
    return base ^ ports[0, (port >> 8) & BYTE] ^ ports[1, port & BYTE]


def node_key(number: int, port: int, by_port: int) -> int:
    """Return what kube-proxy's balancer goes by.

    That is the client's address, or with ``by_port`` 65536 times it plus the source port.
    """
    if by_port == 1:
        return number * PORTS_PER_ADDRESS + port
    return number


def worker_of(salt: np.uint64, source: int, port: int, workers: int) -> int:
    """Return the nginx worker whose SO_REUSEPORT socket gets the connection.

    As the kernel does it: reciprocal scaling of a 4-tuple hash under a boot-time key. The hash
    itself is a model (the key is not observable); its distribution is that of
    vectors/kernel_reuseport.json.
    """
    mixed = mix64(salt ^ mix64((np.uint64(source) << U16) | np.uint64(port)))
    return int(np.int64(((mixed >> U32) * np.uint64(workers)) >> U32))
