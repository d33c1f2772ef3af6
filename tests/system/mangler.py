#!/usr/bin/python3 -SE
# SPDX-License-Identifier: ISC
"""mangler.py NETNS IFACE_A IFACE_B - a bad cable, exactly bad: carries frames between two interfaces, and does
known things to the probe's frames of stream 0 (from A to B) by their index, and to broadcasts.

See rules(): tests/system/cases_lab.py computes from the same function what the probe must report.
"""
import select
import struct
import sys

from ether import packet_socket

MAGIC = 0x6D6C6170
MARK = 14 + 20 + 8  # Ethernet, IPv4, UDP
FLOWS = 64


def rules(index):
    """What happens to a frame: "drop", "twice", "hold" (until the next frame of its flow has passed) or "pass"."""
    if 500 <= index < 600 or index == 1500:
        return "drop"
    if index % 250 == 0:
        return "twice"
    if index % 400 == 7 and index < 1600:
        return "hold"
    return "pass"


def returned(index):
    """Whether a broadcast comes back to its sender as well."""
    return index % 100 == 0


def mark(frame):
    """(epoch, stream, index) of a frame of the probe, or None."""
    if len(frame) < MARK + 24 or frame[12:14] != b"\x08\x00" or frame[23] != 17:
        return None
    magic, _, epoch, stream, index = struct.unpack_from("=IIIIQ", frame, MARK)
    return (epoch, stream, index) if magic == MAGIC else None


def carry(frame, back, forth, held):
    seen = mark(frame)
    if not seen or seen[0] == 0:
        forth.send(frame)
        return
    _, stream, index = seen
    what = rules(index) if stream == 0 else "pass"
    if what == "hold":
        held[index + FLOWS] = frame
    elif what != "drop":
        forth.send(frame)
    if what == "twice":
        forth.send(frame)
    if stream == 0 and index in held:
        forth.send(held.pop(index))
    if frame[:6] == b"\xff" * 6 and returned(index):
        back.send(frame)


def main():
    netns, a, b = sys.argv[1:]
    ends = {packet_socket(netns, a): None, packet_socket(netns, b): None}
    one, two = ends
    ends = {one: two, two: one}
    held = {}
    while True:
        for sock in select.select(list(ends), [], [])[0]:
            frame, address = sock.recvfrom(2048)
            if address[2] != 4:  # not what we sent ourselves
                carry(frame, sock, ends[sock], held)


if __name__ == "__main__":
    main()
