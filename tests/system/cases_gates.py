# SPDX-License-Identifier: ISC
"""What guards the dataplane while things are missing: a port, the peer link, the nftables table itself."""
import time

from case import all_cables, case, every_pair, healthy, spread, usable
from shell import eventually, expect, ip, now, run

NODES = ["h1", "h2", "o1", "o2"]
TABLE = ("table", "bridge", "mclagd")


def elements(lab, leaf, name):
    """The members of one of our sets in a leaf's kernel; None when there is no such set."""
    done = run("nft", "list", "set", *TABLE[1:], name, netns=lab.ns(f"leaf{leaf}"), check=False)
    return sorted(done.stdout.split('"')[1::2]) if done.returncode == 0 else None


def logged(daemon, text):
    with open(daemon.log_path) as log:
        return sum(text in line for line in log)


def rename(lab, leaf, port, name):
    """The interface of that name is gone, as far as a daemon can see; the cable stays plugged in."""
    ip(lab.ns(f"leaf{leaf}"), f"link set {port} down", f"link set {port} name {name}", f"link set {name} up")


@case
def gates_are_closed_again_after_a_flush(bench, times=10):
    """`nft flush ruleset` on a leaf under traffic: the table is back at once, the leaf says so, all works on."""
    lab = bench.pair()
    daemon, netns = lab.daemons[1], lab.ns("leaf1")
    before = {name: elements(lab, 1, name) for name in ("legs", "forwarding", "isolated")}
    expect(before["isolated"] == sorted(lab.legs.values()), f"every leg of a whole pair is isolated: {before}")
    said, times_open = logged(daemon, "made again"), []
    # o2 broadcasts: without the split horizon on leaf1 every host gets it twice.
    with bench.probe(every_pair(lab, NODES), rate=1000, broadcast=lab.interface("o2"),
                     listen=[lab.interface(node) for node in ("h1", "h2", "o1")]) as probe:
        probe.mark().check_clean()
        for number in range(times):
            begin = now()
            run("nft", "flush", "ruleset", netns=netns)
            eventually(lambda: elements(lab, 1, "legs"), 1, "the table is back", every=0.001)
            times_open.append(1000 * (now() - begin))
            expect({name: elements(lab, 1, name) for name in before} == before, "it says what it said before")
        during = probe.mark()
        time.sleep(0.5)  # the stretch that is measured
        probe.mark().check_clean()
        probe.finish()
    eventually(lambda: logged(daemon, "made again") - said, 5, "the leaf says so", lambda n: n > 0)
    expect(not daemon.status()["findings"], f"healthy: {daemon.status()['findings']}")
    expect(during.sum("lost") == 0, f"nothing is lost over it:\n{during}")
    expect(max(times_open) < 500, f"the table is back in well under a second: {times_open} ms")
    lab.cut("h1-leaf1")
    eventually(lambda: usable(lab)[1], 5, "h1 uses its other cable only", lambda c: c == ["l2"])
    eventually(lambda: elements(lab, 1, "forwarding"), 5, "the lost leg is closed", lambda e: "po1" not in e)
    lab.mend("h1-leaf1")
    healthy(lab)
    expect(elements(lab, 1, "forwarding") == before["forwarding"], "and open again")
    return (f"{times} flushes: seen back after at most {max(times_open):.0f} ms, flush and look included; "
            f"{during.sum('duplicated')} frames twice in them, none lost")


@case
def gates_leaf_starts_with_a_port_missing(bench):
    """A leaf's daemon starts while a leg, then while the peer link is missing: the others go on, and it heals."""
    lab = bench.pair(fresh=True)
    daemon = lab.daemons[1]
    figures = []
    for port, what in (("po2", "mclag 2"), ("pl", "peer link")):
        daemon.kill()
        rename(lab, 1, port, "away")
        begin = now()
        daemon.start()
        expect(logged(daemon, f"{port} ({what}): there is no such interface"), "it names what is missing")
        if port == "po2":
            eventually(lambda: usable(lab), 20, "only that cable is out of use",
                       lambda cables: cables == {**all_cables(lab), 2: ["l2"]})
            eventually(daemon.leg_phases, 20, "the other leg forwards", lambda legs: legs[1] == "forwarding")
            expect("po2" in elements(lab, 1, "legs"), "it is guarded by name")
            expect("po2" not in elements(lab, 1, "forwarding"), "and held before it comes")
        else:
            eventually(daemon.session, 20, "the session is up on the backup path",
                       lambda session: session["state"] == "up" and session["path"] == "mgmt")
        took = now() - begin
        rename(lab, 1, "away", port)
        healthy(lab)
        figures.append(f"without {port}: the rest works after {took:.1f} s")
    for host in lab.hosts.values():
        host.spread()
    with bench.probe(every_pair(lab, NODES), rate=1000) as probe:
        spread(lab, probe)
        time.sleep(0.5)  # the stretch that is measured
        probe.mark().check_clean()
        probe.finish()
    return "; ".join(figures)


@case
def gates_are_closed_before_the_network(bench):
    """`mclagd --close-gates` needs no port and no bridge; what it closes stays so until a daemon has its proof."""
    lab = bench.pair(fresh=True)
    daemon = lab.daemons[1]
    lab.delete_leaf(1)
    lab.make_namespace("leaf1")
    run(daemon.mclagd, "--close-gates", "--config", daemon.config, netns=daemon.netns)
    expect(elements(lab, 1, "legs") == sorted(lab.legs.values()), "every leg is known by name")
    expect(elements(lab, 1, "forwarding") == [], "none forwards")
    return "closed in an empty namespace"
