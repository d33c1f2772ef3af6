#!/usr/bin/python3 -SE
# SPDX-License-Identifier: ISC
"""speaker.py SYSTEM NETNS:IFACE:KEY:PORT... - a plain LACP speaker, without any state machine.

Answers on each port as one system: always active, fast, aggregatable, in sync, collecting and distributing, with
the partner's last words mirrored. That is enough for a host to aggregate two ports of two leaves, and nothing
a leaf should ever be: it is here to prove the lab before and beside the daemon. One PDU a second and one at once
for every PDU that says something new.
"""
import select
import struct
import sys
import time

from ether import mac_bytes, packet_socket

SLOW = 0x8809
GROUP = mac_bytes("01:80:c2:00:00:02")
ACTIVE, TIMEOUT, AGGREGATION, SYNC, COLLECTING, DISTRIBUTING = 1, 2, 4, 8, 16, 32
STATE = ACTIVE | TIMEOUT | AGGREGATION | SYNC | COLLECTING | DISTRIBUTING


def information(system, key, port, state):
    """The 15 octets about one end (IEEE 802.1AX 6.4.2.3): priority, system, key, port priority, port, state."""
    return struct.pack("!H6sHHHB", 0x8000, system, key, 0x8000, port, state)


def lacpdu(source, actor, partner):
    body = (b"\x01\x01" + b"\x01\x14" + actor + bytes(3) + b"\x02\x14" + partner + bytes(3) +
            b"\x03\x10" + bytes(14))
    return GROUP + source + struct.pack("!H", SLOW) + body + bytes(110 - len(body))


class Port:
    def __init__(self, text, system):
        netns, iface, key, port = text.rsplit(":", 3)
        self.socket = packet_socket(netns, iface, SLOW)
        self.source = self.socket.getsockname()[4]
        self.actor = information(system, int(key), int(port, 0), STATE)
        self.partner = bytes(15)

    def send(self):
        try:
            self.socket.send(lacpdu(self.source, self.actor, self.partner))
        except OSError:
            pass  # no carrier now: the next second comes

    def receive(self):
        try:
            frame = self.socket.recv(256)
        except OSError:
            return
        if frame[12:16] != b"\x88\x09\x01\x01" or len(frame) < 53:
            return
        news = frame[18:33]
        if news != self.partner:
            self.partner = news
            self.send()


def main():
    system = mac_bytes(sys.argv[1])
    ports = {port.socket: port for port in (Port(text, system) for text in sys.argv[2:])}
    beat = time.monotonic()
    while True:
        ready, _, _ = select.select(list(ports), [], [], max(0, beat - time.monotonic()))
        for sock in ready:
            ports[sock].receive()
        if time.monotonic() >= beat:
            beat = time.monotonic() + 1
            for port in ports.values():
                port.send()


if __name__ == "__main__":
    main()
