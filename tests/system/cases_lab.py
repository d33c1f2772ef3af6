# SPDX-License-Identifier: ISC
"""The lab and the probe on trial, without any daemon: that they carry what they must, and see what goes wrong."""
import os
import sys

import ether
import mangler
import static
from case import Shares, all_cables, case, every_pair, usable
from lab import namespaces, remove_namespaces
from shell import end, eventually, expect, ip, run, spawn

HERE = os.path.dirname(os.path.abspath(__file__))
ORPHANS = ["o1", "o2"]


@case
def probe_sees_what_was_done(bench):
    """A cable that drops, doubles, reorders and reflects known frames: the probe reports exactly those."""
    prefix = f"mlab{os.getpid()}-mangle"
    names = {node: f"{prefix}-{node}" for node in ("a", "b", "m")}
    cable = None
    try:
        for netns in names.values():
            run("ip", "netns", "add", netns)
        for node, address in (("a", "10.76.0.1"), ("b", "10.76.0.2")):
            run("ip", "link", "add", "eth0", "netns", names[node], "type", "veth", "peer", "name", f"to-{node}",
                "netns", names["m"])
            ip(names[node], f"addr add {address}/24 dev eth0", "link set eth0 up")
            ip(names["m"], f"link set to-{node} up")
            ether.checksums_in_software(names[node], "eth0")
        cable = spawn(sys.executable, "-SE", f"{HERE}/mangler.py", names["m"], "to-a", "to-b")
        a, b = f"{names['a']}:10.76.0.1", f"{names['b']}:10.76.0.2"
        with bench.probe([(a, b)], seconds=3, broadcast=f"{names['a']}:eth0", listen=[f"{names['b']}:eth0"]) as probe:
            total = probe.finish()
    finally:
        end(cable)
        remove_namespaces(prefix)
    forth, back = total.streams[f"{a}>{b}"], total.streams[f"{b}>{a}"]
    done = [mangler.rules(index) for index in range(forth["sent"])]
    expected = {"sent": len(done), "lost": done.count("drop"), "received": len(done) - done.count("drop"),
                "duplicated": done.count("twice"), "reordered": done.count("hold"), "episodes": 2}
    seen = {key: forth[key] for key in expected}
    expect(done.count("drop") == 101 and done.count("hold") == 4, f"the test sent too little: {len(done)} frames")
    expect(seen == expected, f"done {expected}, seen {seen}")
    # 100 frames of a schedule of one per millisecond; the times of sending wander by how late the sender was.
    expect(abs(forth["gap_ms"] - 100) <= 1 + 2 * forth["late_ms"], f"a gap of 100 ms seen as {forth['gap_ms']} ms")
    expect(back["lost"] + back["duplicated"] + back["reordered"] == 0, f"the way back is clean: {total}")
    sent = total.unsolicited[0]["sent"]
    reflected = sum(mangler.returned(index) for index in range(sent))
    expect(total.returned == reflected, f"{reflected} broadcasts came back, seen {total.returned}")
    return f"lost {seen['lost']}, duplicated {seen['duplicated']}, reordered {seen['reordered']}, " \
           f"returned {total.returned}: as done; gap {forth['gap_ms']:.1f} ms of 100"


@case
def lab_orphans_talk(bench):
    """Orphans over both bridges and the peer link, 10,000 frames/s each way, and the hosts' LACPDUs reach the legs."""
    lab = bench.lab()
    heard = {}
    for leaf in (1, 2):
        for number, port in lab.legs.items():
            with ether.packet_socket(lab.ns(f"leaf{leaf}"), port, 0x8809) as sock:
                sock.settimeout(35)
                heard[leaf, number] = sock.recv(256)[14:16]
    expect(set(heard.values()) == {b"\x01\x01"}, f"LACPDUs on every leg: {heard}")
    with bench.probe(every_pair(lab, ORPHANS), rate=10000, seconds=10) as probe:
        total = probe.finish().check_clean()
    return total.figures()


@case
def lab_carries_a_pair(bench):
    """A healthy pair made by hand: 5 directions of traffic and broadcasts over both cables, nothing lost or twice."""
    lab = bench.lab()
    static.make_pair(lab)
    _, took = eventually(lambda: usable(lab), 10, "the hosts use both cables", lambda seen: seen == all_cables(lab))
    for host in lab.hosts.values():
        host.spread()
    shares = Shares(lab)
    with bench.probe(every_pair(lab, ["h1", "h2", "o1", "o2"]), rate=3000, seconds=10, broadcast=lab.interface("h1"),
                     listen=[lab.interface(node) for node in ("h2", "o1", "o2")]) as probe:
        total = probe.finish().check_clean()
    return f"both cables after {took * 1000:.0f} ms; {total.figures()}; sent {shares.check()}"


@case
def lab_shows_a_missing_split_horizon(bench):
    """The same pair with the mistake it exists to avoid: the probe must see it."""
    lab = bench.lab()
    static.make_pair(lab)
    eventually(lambda: usable(lab), 10, "the hosts use both cables", lambda seen: seen == all_cables(lab))
    with bench.probe(broadcast=lab.interface("h1"), listen=[lab.interface("h2")], rate=100) as probe:
        probe.mark().check_clean()
        static.drop_split_horizon(lab)
        probe.mark()
        eventually(lambda: probe.mark(), 10, "duplicates at h2, and h1's own frames back at h1",
                   lambda seen: seen.sum("duplicated") > 0 and seen.returned > 0)
        total = probe.finish()
    return f"of {total.rows[0]['sent']} broadcasts {total.sum('duplicated')} came twice, {total.returned} came back"


@case
def lab_faults_do_what_they_say(bench):
    """Cut, silence, dead leaf, third party: each is seen where it must be, and is gone when it is undone."""
    lab = bench.lab()
    leaf1, leaf2 = lab.ns("leaf1"), lab.ns("leaf2")
    lab.cut("h1-leaf1")
    _, took = eventually(lambda: lab.carrier("leaf1", "po1"), 5, "leaf1 loses carrier", lambda up: not up)
    lab.mend("h1-leaf1")
    eventually(lambda: lab.carrier("leaf1", "po1"), 5, "carrier is back")

    with bench.probe(every_pair(lab, ORPHANS)) as probe:
        probe.mark().check_clean()
        lab.silence("pl")
        expect(lab.carrier("leaf1", "pl") and lab.carrier("leaf2", "pl"), "carrier stays on a silent peer link")
        probe.mark()
        silent = probe.mark()
        expect(silent.sum("received") == 0 and silent.sum("sent") > 0, f"nothing passes: {silent}")
        lab.unsilence("pl")
        probe.mark()
        eventually(lambda: probe.mark(), 10, "traffic is back", lambda seen: seen.sum("lost") == 0)

    lab.delete_leaf(1)
    expect(not namespaces(leaf1), "the namespace is gone")
    eventually(lambda: lab.carrier("leaf2", "pl") or lab.carrier("h1", "l1"), 5, "the dead leaf's neighbours see it",
               lambda up: not up)
    expect(run("ip", "link", "show", "l1", netns=lab.ns("h1"), check=False).returncode == 0, "h1 keeps its NIC")
    lab.recreate_leaf(1)
    expect(not lab.carrier("h1", "l1"), "a booting leaf's ports are down until told")
    lab.ports_up(1)
    lab.cables_ready()
    with bench.probe(every_pair(lab, ORPHANS), seconds=1) as probe:
        probe.finish().check_clean()
    for netns in (leaf1, leaf2):
        expect("10.98.0." in run("ip", "-br", "addr", "show", "mgmt", netns=netns).stdout, "the backup network is there")
    for leaf in (1, 2):
        expect(ether.answers(lab.ns("net"), lab.backup_address(f"leaf{leaf}")), f"leaf{leaf} is reached from outside")
    return f"carrier loss seen after {took * 1000:.0f} ms"
