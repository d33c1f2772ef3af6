# SPDX-License-Identifier: ISC
"""What a third party on the backup network throws at the session and keepalive ports."""
import random
import socket
import ssl
import struct

from ether import ETH_P_ALL, Inside, packet_socket
from shell import eventually


def connect(netns, address, port, timeout=2):
    with Inside(netns):
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.settimeout(timeout)
    try:
        sock.connect((address, port))
    except OSError:
        sock.close()
        return None
    return sock


def closed_within(sock, deadline):
    """Whether the other side ends the connection; whatever it says before does not matter."""
    sock.settimeout(deadline)
    try:
        while sock.recv(65536):
            pass
    except TimeoutError:
        return False
    except OSError:
        pass
    return True


def byte_patterns(seed):
    """Beginnings of conversations, each wrong in its own way."""
    dice = random.Random(seed)
    hello = b"\x16\x03\x01"
    return [b"", b"\0", b"GET / HTTP/1.0\r\n\r\n", dice.randbytes(100), dice.randbytes(65536),
            struct.pack("!I", 0xFFFFFFFF) + b"x" * 1000,             # a frame of 4 GiB, without any TLS
            hello + b"\xff\xff" + dice.randbytes(4000),              # a TLS record that is too long
            hello + b"\x00\x40\x01\x00\x00\x3c\x03\x03" + dice.randbytes(20),  # half a ClientHello, and silence
            hello + b"\x00\x00", hello * 500, b"\x15\x03\x03\x00\x02\x02\x28"]


def garbage_sessions(netns, address, port, rounds=5):
    """Every pattern, then hang up in the ways there are. Returns how many connections were made."""
    made = 0
    for number in range(rounds):
        for data in byte_patterns(number):
            if sock := connect(netns, address, port):
                made += 1
                try:
                    sock.sendall(data)
                    if number % 2:
                        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                except OSError:
                    pass
                sock.close()
    return made


def strangers(netns, address, port, directory):
    """TLS clients the daemon does not know: without certificate, with TLS 1.2, with a fresh certificate.

    Returns {kind: what became of it}; "accepted" means that the daemon spoke to it."""
    results = {}
    for kind in ("no certificate", "TLS 1.2", "unknown certificate"):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if kind == "TLS 1.2":
            context.maximum_version = ssl.TLSVersion.TLSv1_2
        if kind == "unknown certificate":
            context.load_cert_chain(f"{directory}/cert.pem", f"{directory}/key.pem")
        results[kind] = stranger(netns, address, port, context)
    return results


def stranger(netns, address, port, context):
    sock = connect(netns, address, port)
    if not sock:
        return "refused"
    try:
        with context.wrap_socket(sock) as tls:
            # TLS 1.3 tells a client only now that its certificate is not liked.
            tls.sendall(struct.pack("!I", 4) + b"\x0a\x02\x08\x01")
            tls.settimeout(10)
            return "accepted" if tls.recv(1) else "closed"
    except (ssl.SSLError, ConnectionError):
        return "refused"
    except TimeoutError:
        return "left hanging"


def crowd(netns, address, port, size):
    """Open connections that never say a word."""
    return [sock for sock in (connect(netns, address, port, 0.5) for _ in range(size)) if sock]


def garbage_datagrams(netns, address, port, count=20000, seed=1):
    """Random datagrams of every size. Returns how many were sent."""
    dice = random.Random(seed)
    block = dice.randbytes(65536)
    sent = 0
    with Inside(netns):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        for number in range(count):
            size = dice.choice((0, 1, 3, 8, 40, 60, 64, 80, 100, 200, 1400)) if number % 100 else 40000
            offset = dice.randrange(1000)
            try:
                sent += sock.sendto(block[offset:offset + size], (address, port)) == size
            except OSError:
                pass
    return sent


def capture_keepalives(netns, iface, source, port, count, deadline=5):
    """Genuine keepalives of one leaf, as frames, from the wire."""
    frames = []
    with packet_socket(netns, iface, ETH_P_ALL) as sock:
        sock.setblocking(False)

        def look():
            try:
                while True:
                    frame = sock.recv(2048)
                    if frame[12:14] == b"\x08\x00" and frame[23] == 17 and frame[26:30] == socket.inet_aton(source) \
                            and struct.unpack("!H", frame[36:38])[0] == port:
                        frames.append(frame)
            except BlockingIOError:
                return len(frames)

        eventually(look, deadline, f"{count} keepalives from {source}", lambda seen: seen >= count)
    return frames


def replay(netns, iface, frames, times=100, seed=2):
    """Send genuine keepalives again: as they were, with a bit turned, and cut short. Returns how many."""
    dice = random.Random(seed)
    sent = 0
    with packet_socket(netns, iface, ETH_P_ALL) as sock:
        for _ in range(times):
            for frame in frames:
                bent = bytearray(frame)
                bent[dice.randrange(42, len(bent))] ^= 1 << dice.randrange(8)
                bent[40:42] = b"\0\0"  # no UDP checksum, so that the daemon has to notice itself
                cut = shortened(frame, dice.randrange(0, len(frame) - 42))
                for victim in (frame, bytes(bent), cut):
                    sent += sock.send(victim) > 0
    return sent


def shortened(frame, size):
    """The same datagram with only `size` bytes of payload, lengths and IPv4 checksum right."""
    ip = bytearray(frame[14:34])
    ip[2:4] = struct.pack("!H", 28 + size)
    ip[10:12] = b"\0\0"
    total = sum(struct.unpack("!10H", ip))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    ip[10:12] = struct.pack("!H", ~total & 0xFFFF)
    udp = frame[34:38] + struct.pack("!HH", 8 + size, 0)
    return frame[:14] + bytes(ip) + udp + frame[42:42 + size]
