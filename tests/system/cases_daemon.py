# SPDX-License-Identifier: ISC
"""One daemon of the pair comes and goes by its operator's will: the other leaf is told, and nobody else notices."""
import signal

from case import all_cables, case, every_pair, healthy, usable
from cases_pair import NODES, agree, expired
from daemon import PORT
from lab import LEAVES
from shell import eventually, expect, hold_for, now, run


def roles(lab):
    """What must not change over a restart: who is primary, and since which election."""
    return {leaf: (role["role"], role["epoch"]) for leaf, role in
            ((leaf, daemon.status()["role"]) for leaf, daemon in lab.daemons.items())}


@case
def daemon_says_goodbye(bench, away=1.5):
    """SIGTERM: the peer knows that the daemon restarts, roles and epoch stay; back in time, nothing was lost."""
    lab = bench.pair()
    figures = []
    for leaf in LEAVES:
        daemon, peer = lab.daemons[leaf], lab.daemons[3 - leaf]
        agree(lab)
        before = roles(lab)
        with bench.probe(every_pair(lab, NODES), rate=1000) as probe:
            seen = {number: (host.transitions(), expired(host)) for number, host in lab.hosts.items()}
            probe.mark().check_clean()
            begin = now()
            daemon.signal(signal.SIGTERM)
            eventually(peer.verdict, 5, f"leaf{3 - leaf} knows that leaf{leaf} restarts",
                       lambda verdict: verdict == "restarting", every=0.005)
            told = now() - begin
            expect(daemon.process.wait(5) == 0, f"leaf{leaf} ended with {daemon.process.returncode}")
            ended = now() - begin
            expect(ended < 1, f"leaf{leaf} took {ended:.2f} s to leave")
            hold_for(lambda: peer.verdict() == "restarting" and usable(lab) == all_cables(lab), away,
                     f"leaf{3 - leaf} waits and the hosts keep both cables")
            daemon.start()
            healthy(lab)
            whole = now() - begin
            agree(lab)
            total = probe.finish().check_clean()
        after = {number: (host.transitions(), expired(host)) for number, host in lab.hosts.items()}
        expect(seen == after, f"the hosts saw LACP transitions: before {seen}, after {after}")
        expect(roles(lab) == before, f"roles and epoch stay: before {before}, after {roles(lab)}")
        figures.append(f"leaf{leaf}: peer told after {told * 1000:.0f} ms, left after {ended * 1000:.0f} ms, whole "
                       f"after {whole:.1f} s, {total.sum('lost')} of {total.sum('sent')} lost")
    return "; ".join(figures)


@case
def daemon_says_goodbye_without_a_session(bench):
    """No session can be had, only keepalives: they say goodbye, too."""
    lab = bench.pair()
    daemon, peer = lab.daemons[1], lab.daemons[2]
    before = roles(lab)
    run("nft", "-f", "-", netns=daemon.netns, stdin=f"""
table inet deaf {{
    chain in {{
        type filter hook input priority 0
        tcp sport {PORT} drop
        tcp dport {PORT} drop
    }}
}}
""")
    for leaf in LEAVES:
        eventually(lab.daemons[leaf].session_state, 30, f"leaf{leaf} has no session", lambda state: state != "up")
    expect(peer.verdict() == "alive", f"leaf1 is heard: {peer.verdict()}")
    begin = now()
    daemon.signal(signal.SIGTERM)
    eventually(peer.verdict, 5, "leaf2 knows that leaf1 restarts", lambda verdict: verdict == "restarting", every=0.005)
    told = now() - begin
    expect(daemon.process.wait(5) == 0, f"leaf1 ended with {daemon.process.returncode}")
    run("nft", "delete table inet deaf", netns=daemon.netns)
    daemon.start()
    healthy(lab)
    expect(roles(lab) == before, f"roles and epoch stay: before {before}, after {roles(lab)}")
    return f"peer told after {told * 1000:.0f} ms"


# What a port scanner does, more often than one line per second can tell.
SCANNER = """
import socket, sys
for _ in range(40):
    with socket.create_connection((sys.argv[1], int(sys.argv[2])), 5) as s:
        s.sendall(b"GET / HTTP/1.1\\r\\n\\r\\n")
        try:
            s.recv(1)
        except ConnectionError:
            pass
"""


@case
def daemon_tells_why_beside_a_flood(bench):
    """Strangers fill their share of the log, and the line that says why the session ended is there all the same."""
    lab = bench.pair()
    daemon, listener = lab.daemons[1], lab.daemons[2]
    lines = []
    with open(listener.log_path) as log:
        def told():
            """Why the session ended, as far as leaf2 has written it."""
            lines.extend(log.readlines())
            return [line for line in lines if "session: closed: " in line]

        log.seek(0, 2)
        run("python3", "-c", SCANNER, lab.backup_address("leaf2"), PORT, netns=daemon.netns)
        daemon.signal(signal.SIGTERM)
        expect(daemon.process.wait(5) == 0, f"leaf1 ended with {daemon.process.returncode}")
        closed = eventually(told, 5, "leaf2 tells that the session ended")[0]
    refused = [line for line in lines if "does not begin with a TLS ClientHello" in line]
    expect(10 <= len(refused) < 40, f"strangers are limited: {len(refused)} lines")
    expect(len(closed) == 1, f"the session's end is told once: {closed}")
    daemon.start()
    healthy(lab)
    return f"{len(refused)} lines about 40 strangers; {closed[0].strip()}"
