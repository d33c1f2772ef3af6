# SPDX-License-Identifier: ISC
"""Raw frames, the bridge's tables and interface settings that no command here can reach."""
import ctypes
import fcntl
import json
import os
import socket
import struct

from shell import LIBC, Failure, run

ETH_P_ALL = 0x0003
SO_RCVBUFFORCE = 33
SIOCETHTOOL = 0x8946
ETHTOOL_STXCSUM = 0x17
CLONE_NEWNET = 0x40000000
SYS_PIDFD_OPEN = 434
SYS_PIDFD_GETFD = 438


class Inside:
    """with Inside(netns): sockets made here belong to that namespace."""

    def __init__(self, netns):
        self.netns = netns

    def __enter__(self):
        self.back = os.open("/proc/self/ns/net", os.O_RDONLY)
        there = os.open(f"/run/netns/{self.netns}", os.O_RDONLY)
        failed = LIBC.setns(there, CLONE_NEWNET)
        os.close(there)
        if failed:
            os.close(self.back)
            raise Failure(f"setns {self.netns}: {os.strerror(ctypes.get_errno())}")

    def __exit__(self, *_):
        LIBC.setns(self.back, CLONE_NEWNET)
        os.close(self.back)


def checksums_in_software(netns, iface):
    """A veth leaves the checksum to a NIC that never comes; a host with a userspace datapath would drop it."""
    with Inside(netns), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        value = ctypes.create_string_buffer(struct.pack("II", ETHTOOL_STXCSUM, 0))
        fcntl.ioctl(sock, SIOCETHTOOL, struct.pack("16sP", iface.encode(), ctypes.addressof(value)))


def enlarge_packet_sockets(pid, size=16 << 20):
    """Give the packet sockets of another process room, so that its own pauses lose nothing. Returns how many."""
    pidfd = LIBC.syscall(SYS_PIDFD_OPEN, pid, 0)
    count = 0
    for number in os.listdir(f"/proc/{pid}/fd"):
        try:
            if not os.readlink(f"/proc/{pid}/fd/{number}").startswith("socket:"):
                continue
        except OSError:
            continue
        fd = LIBC.syscall(SYS_PIDFD_GETFD, pidfd, int(number), 0)
        if fd < 0:
            continue
        with socket.socket(fileno=fd) as sock:
            if sock.family == socket.AF_PACKET:
                sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, size)
                count += 1
    os.close(pidfd)
    return count


def packet_socket(netns, iface, protocol=ETH_P_ALL):
    with Inside(netns):
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(protocol))
        sock.bind((iface, protocol))
    return sock


def mac_bytes(text):
    return bytes.fromhex(text.replace(":", ""))


def numbered_mac(number, prefix=0x0600):
    """06:00:00:00:00:01 and on: unicast, locally administered, none of the lab's own."""
    return struct.pack("!HI", prefix, number).hex(":")


def inject(netns, iface, macs, destination="ff:ff:ff:ff:ff:ff", batch=256):
    """Send one small frame from each source address, so that bridges on the way learn it."""
    payload = b"\x88\xb5" + bytes(46)
    head = mac_bytes(destination)
    with packet_socket(netns, iface, 0) as sock:
        for mac in macs:
            sock.send(head + mac_bytes(mac) + payload)


def fdb(netns, bridge="br0"):
    """{(mac, port): entry} of the bridge's table, without the addresses of the ports themselves."""
    done = run("bridge", "-n", netns, "-j", "-d", "fdb", "show", "br", bridge)
    return {(entry["mac"], entry["ifname"]): entry for entry in json.loads(done.stdout or "[]")
            if entry.get("state") != "permanent" and "master" in entry}


def flush(netns, port, bridge="br0"):
    """Forget what the bridge has learned on a port."""
    run("bridge", "-n", netns, "fdb", "flush", "dev", bridge, "brport", port)


def carrier(netns, iface):
    done = run("ip", "-n", netns, "-j", "link", "show", iface, check=False)
    return done.returncode == 0 and "LOWER_UP" in json.loads(done.stdout)[0]["flags"]


def counters(netns, iface):
    done = run("ip", "-n", netns, "-j", "-s", "link", "show", iface)
    return json.loads(done.stdout)[0]["stats64"]


def answers(netns, address, port=9):
    """Whether a host is there at all: it accepts a TCP connection or refuses it."""
    with Inside(netns):
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    with sock:
        sock.settimeout(2)
        try:
            sock.connect((address, port))
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
    return True
