"""Files that are made to do harm, or that no program should choke on: by name, small when made."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable

DEEP = 100_000

LAUGHS = b"a: &a [x,x,x,x,x,x,x,x,x]\n" + b"".join(
    b"%c: &%c [" % (98 + i, 98 + i) + b",".join([b"*%c" % (97 + i)] * 9) + b"]\n" for i in range(12)
)
"""9^13 values, if aliases are written out."""

KEYED = b"a0: &a0 {k: v}\n" + b"".join(
    b"a%d: &a%d {x: *a%d, y: *a%d, z: *a%d}\n" % (i, i, i - 1, i - 1, i - 1) for i in range(1, 30)
)
"""The same with mappings."""


def bomb(text: bytes, size: int) -> bytes:
    """Return gzip data of ``text`` again and again, ``size`` bytes of it."""
    packer = zlib.compressobj(6, wbits=31)
    block = text * ((1 << 20) // len(text))
    packed = [packer.compress(block) for _ in range(size // len(block))]
    return b"".join([*packed, packer.flush()])


FILES: dict[str, Callable[[], bytes]] = {
    "nothing": lambda: b"",
    "blank": lambda: b" \r\n\t\n" * 50,
    "line ends": lambda: b"\n" * 1_100_000,
    "nul": lambda: b"a\0b\n" * 10,
    "nul late": lambda: b"a b c\n" * 300_000 + b"\0",
    "utf-16": lambda: "KUBE-SVC-X: 1\n".encode("utf-16"),
    "utf-16 without a mark": lambda: "KUBE-SVC-X: 1\n".encode("utf-16-le"),
    "latin-1": lambda: "größe: 1\n".encode("latin-1") * 9,
    "two encodings": lambda: "größe: 1\n".encode() + "größe: 1\n".encode("latin-1"),
    "every byte": lambda: bytes(range(1, 256)) * 9,
    "surrogates": lambda: b"\xed\xa0\x80 1\n" * 9,
    "escape codes": lambda: b"\x1b[2J\x1b]0;x\x07 1\n" * 9,
    "billion laughs": lambda: LAUGHS,
    "billion laughs of mappings": lambda: KEYED,
    "laughs in json": lambda: b'{"a": ' + b"[" * 50 + b'"x",' * 100_000,
    "open brackets": lambda: b"[" * DEEP,
    "open braces": lambda: b"{" * DEEP,
    "json levels": lambda: b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "json lists": lambda: b'{"items":[' * DEEP,
    "yaml flow levels": lambda: b"a: " + b"{b: " * DEEP,
    "yaml block levels": lambda: b"".join(b" " * i + b"a:\n" for i in range(2_000)),
    "yaml dashes": lambda: b"- " * DEEP,
    "nginx levels": lambda: b"http {\n" * DEEP + b"}\n" * DEEP,
    "nginx quotes": lambda: b'server "' + b'\\"' * DEEP,
    "lua": lambda: b"balancer_by_lua_block {" + b"{" * DEEP,
    "nft levels": lambda: b"table ip a {\nchain b {\n" + b"elements = {\n" * DEEP,
    "nft elements": lambda: b"table ip a {\nmap b {\nelements = { " + b"{ a : b, " * DEEP,
    "closing braces": lambda: b"table ip a {\nchain b {\n" + b"}" * DEEP + b"\n}" * DEEP,
    "jumps in a circle": lambda: (
        b"-A KUBE-SERVICES -j KUBE-SVC-A\n-A KUBE-SVC-A -j KUBE-SVC-B\n"
        b"-A KUBE-SVC-B -j KUBE-SVC-A\n" + b"-A KUBE-SVC-A -j KUBE-SVC-A\n" * 9
    ),
    "digits": lambda: b"9" * DEEP + b" " + b"8" * DEEP + b"\n",
    "words": lambda: b"a " * DEEP + b"\n",
    "columns": lambda: b"a,b|c;d\t1:" * DEEP + b"\n",
    "quotes": lambda: b"\"'" * DEEP + b"\n",
    "spaces": lambda: b"a" + b" " * DEEP + b"b\n",
    "dashes": lambda: b"NAME\n" + b"-- " * DEEP + b"\n" + b"a\n" * 1000,
    "headings": lambda: b"NAME  " + b"AGE  " * 2_000 + b"\n" + b"a  1d\n" * 3000,
    "attempts": lambda: (
        b'1.1.1.1 - - [22/Jan/2019:10:17:23 +0000] "GET / HTTP/1.1" 200 1 "-" "-" 1 0.1 [a-b-80] '
        b"[] " + b", ".join([b"10.0.0.1:80"] * 3000) + b" " + b", ".join([b"1"] * 3000) + b" - 200"
    ),
    "log quotes": lambda: (
        b'1.1.1.1 - - [22/Jan/2019:10:17:23 +0000] "' + b'\\"' * 30_000 + b'" 200 1 "-'
    ),
    "a year of arrivals": lambda: b"".join(
        b'1.1.1.1 - - [01/Jan/%s:00:00:00 +0000] "GET / HTTP/1.1" 200 1 "-" "-" 1 0.1 [a-b-80] [] '
        b"10.0.0.1:80 1 0.1 200 a\n" % year
        for year in (b"0001", b"2024", b"9999")
    ),
    "gzip of nothing": lambda: gzip.compress(b""),
    "gzip cut off": lambda: gzip.compress(b"10.0.0.1 7\n" * 9000)[:-20],
    "gzip damaged": lambda: gzip.compress(b"10.0.0.1 7\n" * 9000)[:40] + b"\xff" * 40,
    "gzip and more": lambda: gzip.compress(b"10.0.0.1 7\n") + b"10.0.0.2 8\n",
    "gzip twice": lambda: gzip.compress(gzip.compress(b"10.0.0.1 7\n")),
    "gzip of many members": lambda: gzip.compress(b"") * 50_000 + gzip.compress(b"a 7\n"),
    "gzip bomb of one line": lambda: bomb(b"x", 150 << 20),
    "gzip bomb of lines": lambda: bomb(b"x\n", 150 << 20),
    "gzip bomb of long lines": lambda: bomb(b"x 1 " * 64_000 + b"\n", 150 << 20),
    "gzip bomb of json": lambda: bomb(
        b'{"kind":"Pod","metadata":{"name":"a","annotations":{"b":"' + b"x" * 2000 + b'"}}}',
        150 << 20,
    ),
    "zip": lambda: b"PK\x03\x04\x14\x00",
    "bzip2": lambda: b"BZh91AY&SY",
    "xz": lambda: b"\xfd7zXZ\x00\x00",
    "zstd": lambda: b"\x28\xb5\x2f\xfd\x24",
}
