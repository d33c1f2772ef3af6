# SPDX-License-Identifier: ISC
"""A pair that works, end to end: two mclagd, two dual-attached hosts, an orphan on each leaf."""
import time

import ether
import hostile
from case import Shares, all_cables, bring_back, case, every_pair, healthy, spread, usable
from daemon import PORT, SYSTEM_MAC, tables_agree
from lab import LEAVES
from shell import eventually, expect, hold_for, ip, median, now, run

NODES = ["h1", "h2", "o1", "o2"]
MACS = 10000
MAC_PREFIX = "06:00:"
TABLE_DEADLINE = 20


def one_partner(lab):
    """Both cables of every host are in one aggregate, with one partner, whose ports are all different."""
    keys = set()
    for number, host in lab.hosts.items():
        partners, ports = host.partners()
        expect(len(partners) == 1, f"h{number} sees one partner: {partners}")
        ((system, _, key),) = partners
        expect(system == SYSTEM_MAC, f"h{number}'s partner is the pair: {system}")
        expect(len(set(ports)) == len(ports) == len(LEAVES), f"h{number}'s partner ports differ: {ports}")
        keys.add(key)
    expect(len(keys) == len(lab.hosts), f"one key per mclag: {keys}")
    return keys


def agree(lab, deadline=TABLE_DEADLINE):
    """Both tables are equal, by the digests of both sides; and nothing of ours is taken for an operator's."""
    first, second = (lab.daemons[leaf] for leaf in LEAVES)
    took = eventually(lambda: tables_agree(first, second), deadline, "both leaves hold the same entries")[1]
    for leaf in LEAVES:
        fixed = [entry["mac"] for entry in lab.daemons[leaf].entries() if entry["fixed"]]
        expect(not fixed, f"nobody configured a static entry, leaf{leaf} tells of {fixed[:5]}")
    return took


# --- (a) one partner -------------------------------------------------------------------------------------


def lacp_case(bench, host, leaf):
    begin = now()
    lab = bench.pair(fresh=True, leaf_lacp=leaf, lacp=host)
    took = now() - begin
    keys = one_partner(lab)
    seen = {number: bench_host.transitions() for number, bench_host in lab.hosts.items()}
    hold_for(lambda: usable(lab) == all_cables(lab), 5, "both cables stay in the aggregate")
    expect(seen == {number: bench_host.transitions() for number, bench_host in lab.hosts.items()}, "nothing flapped")
    return f"pair up {took:.1f} s after the lab was begun; partner {SYSTEM_MAC}, keys {sorted(keys)}"


@case
def pair_is_one_partner(bench):
    """Hosts active, leaves active."""
    return lacp_case(bench, "active", "active")


@case
def pair_is_one_partner_leaves_passive(bench):
    """Hosts active, leaves passive."""
    return lacp_case(bench, "active", "passive")


@case
def pair_is_one_partner_hosts_passive(bench):
    """Hosts passive, leaves active."""
    return lacp_case(bench, "passive", "active")


@case
def pair_discovers_its_peer(bench):
    """The peer link has no configured addresses: the leaves find each other on it, and the session runs over it."""
    lab = bench.pair(fresh=True, discover=True)
    one_partner(lab)
    agree(lab)
    for leaf, daemon in lab.daemons.items():
        eventually(daemon.session, 10, f"leaf{leaf}'s session runs over the peer link",
                   lambda session: session["state"] == "up" and session["path"] == "peer-link")
    with bench.probe(every_pair(lab, NODES), rate=1000, seconds=3) as probe:
        total = probe.finish().check_clean()
    remotes = [path["remote"] for path in lab.daemons[1].status()["paths"] if path["name"] == "peer-link"]
    expect(remotes[0].startswith("fe80::"), f"leaf1 has found leaf2's link-local address: {remotes}")
    return f"leaf1 found {remotes[0]}; {total.figures()}"


# --- (b) traffic -----------------------------------------------------------------------------------------


@case
def pair_carries_traffic(bench):
    """Between hosts, and hosts and orphans of either leaf, and broadcast: nothing lost, nothing twice."""
    lab = bench.pair()
    shares = Shares(lab)
    with bench.probe(every_pair(lab, NODES), rate=1000, seconds=bench.seconds, broadcast=lab.interface("h1"),
                     listen=[lab.interface(node) for node in ("h2", "o1", "o2")]) as probe:
        total = probe.finish().check_clean()
    shares.check()
    agree(lab)
    return f"{total.seconds:.0f} s, {total.figures()}"


# --- (c) a leg's cable ----------------------------------------------------------------------------------


@case
def pair_survives_cable_cuts(bench, times=20):
    """A leg's cable is cut and mended: no frame twice, no loop; what must cross the peer link in between arrives."""
    lab = bench.pair()
    gaps, losses, returns = [], 0, []
    # o2 broadcasts: a leg that opens too early would deliver twice.
    with bench.probe(every_pair(lab, NODES), rate=1000, drain=0.5, broadcast=lab.interface("o2"),
                     listen=[lab.interface(node) for node in ("h1", "h2", "o1")]) as probe:
        for number in range(times):
            leaf, host = 1 + number % 2, 1 + number // 2 % len(lab.hosts)
            cable, other = f"h{host}-leaf{leaf}", f"l{3 - leaf}"
            probe.mark().check_clean()
            lab.cut(cable)
            eventually(lambda: usable(lab)[host], 5, f"h{host} uses its other cable only", lambda c: c == [other])
            cut = probe.aftermath().check_once()
            gaps.append(cut.worst("gap_ms"))
            losses += cut.sum("lost")
            lab.mend(cable)
            healthy(lab)
            back = probe.mark().check_once()
            returns.append(back.worst("gap_ms"))
            spread(lab, probe)
        probe.finish().check_once()
    agree(lab)
    return (f"{times} cuts: gap median {median(gaps):.1f} ms, worst {max(gaps):.1f} ms, {losses} frames lost; "
            f"{times} returns: gap median {median(returns):.1f} ms, worst {max(returns):.1f} ms")


# --- (d) the daemon dies and comes back ------------------------------------------------------------------


@case
def pair_survives_kill_and_restart(bench, away=1.0):
    """kill -9 and a new start within two seconds: no frame lost, no LACP transition, equal tables."""
    lab = bench.pair()
    figures = []
    for leaf in LEAVES:
        daemon = lab.daemons[leaf]
        agree(lab)
        with bench.probe(every_pair(lab, NODES), rate=1000) as probe:
            seen = {number: (host.transitions(), expired(host)) for number, host in lab.hosts.items()}
            probe.mark().check_clean()
            begin = now()
            daemon.kill()
            hold_for(lambda: usable(lab) == all_cables(lab), away, f"the hosts keep both cables without leaf{leaf}")
            daemon.start()
            answered = now() - begin
            expect(answered < 2, f"leaf{leaf} answered {answered:.1f} s after it was killed: too late for this case")
            healthy(lab)
            whole = now() - begin
            agree(lab)
            total = probe.finish().check_clean()
        after = {number: (host.transitions(), expired(host)) for number, host in lab.hosts.items()}
        expect(seen == after, f"the hosts saw LACP transitions: before {seen}, after {after}")
        figures.append(f"leaf{leaf}: answers after {answered:.2f} s, whole after {whole:.2f} s, {total.sum('lost')} of "
                       f"{total.sum('sent')} lost")
    return "; ".join(figures)


def expired(host):
    """How often the host's LACP ran out of patience, per cable."""
    return {cable: (member["Link Expired"], member["Link Defaulted"]) for cable, member in host.statistics().items()}


# --- (e) a whole leaf ------------------------------------------------------------------------------------


@case
def pair_survives_a_dead_leaf(bench):
    """Each leaf in turn is gone, namespace and all, and comes back; it forwards only after its proof."""
    lab = bench.pair(fresh=True)
    figures = []
    for dead in LEAVES:
        alive = 3 - dead
        watched = [lab.interface(f"h{host}", f"l{dead}") for host in lab.hosts]
        # The living leaf's orphan broadcasts. Its hosts get that by the living leaf; on the cables to the other
        # leaf no copy may ever be seen, not while it is dead, not while it boots, not when it is back.
        with bench.probe(every_pair(lab, ["h1", "h2", f"o{alive}"]), rate=1000, broadcast=lab.interface(f"o{alive}"),
                         listen=[lab.interface(f"h{host}") for host in lab.hosts], watch=watched) as probe:
            probe.mark().check_clean()
            lab.delete_leaf(dead)
            eventually(lambda: usable(lab), 10, f"the hosts use leaf{alive} only",
                       lambda cables: cables == all_cables(lab, [alive]))
            eventually(lab.daemons[alive].role, 10, f"leaf{alive} is primary", lambda role: role == "primary")
            gone = probe.aftermath().check_once()
            time.sleep(0.5)  # the stretch that is measured
            probe.mark().check_clean()
            took = bring_back(bench, lab, dead)
            back = probe.mark().check_once()
            spread(lab, probe)
            time.sleep(0.5)  # the stretch that is measured
            probe.mark().check_clean()
            probe.finish().check_once()
        agree(lab)
        figures.append(f"leaf{dead} gone: worst gap {gone.worst('gap_ms'):.1f} ms, {gone.sum('lost')} lost; back: whole "
                       f"after {took:.1f} s, worst gap {back.worst('gap_ms'):.1f} ms, {back.sum('lost')} lost")
    return "; ".join(figures)


# --- (f) tables ------------------------------------------------------------------------------------------


def injected(lab, leaf, port):
    """How many of the injected MACs a leaf's kernel has on a port."""
    return sum(1 for mac, ifname in lab.fdb(leaf) if mac.startswith(MAC_PREFIX) and ifname == port)


def everywhere(lab):
    return {leaf: sum(1 for mac, _ in lab.fdb(leaf) if mac.startswith(MAC_PREFIX)) for leaf in LEAVES}


@case
def pair_shares_macs_of_an_orphan(bench):
    """10,000 MACs behind an orphan of leaf1 are on leaf2's peer link; leaf1 forgets them, and so does leaf2."""
    lab = bench.pair()
    macs = [ether.numbered_mac(number) for number in range(MACS)]
    begin = now()
    ether.inject(lab.ns("o1"), "eth0", macs, lab.mac("leaf1"))
    eventually(lambda: injected(lab, 1, "or1"), 5, f"leaf1's kernel learned {MACS} MACs", lambda n: n == MACS)
    eventually(lambda: injected(lab, 2, "pl"), TABLE_DEADLINE, f"leaf2's kernel has {MACS} MACs on pl",
               lambda n: n == MACS)
    came = now() - begin
    agree(lab)
    begin = now()
    ether.flush(lab.ns("leaf1"), "or1")
    eventually(lambda: everywhere(lab), TABLE_DEADLINE, "no leaf has any of them", lambda n: n == {1: 0, 2: 0})
    went = now() - begin
    agree(lab)
    return f"{MACS} MACs in leaf2's kernel after {came:.2f} s, gone after {went:.2f} s, digests equal"


@case
def pair_shares_macs_of_a_host(bench, ageing=10):
    """10,000 MACs seen on leaf1's leg are on leaf2's leg too; when both have seen nothing for long they are gone."""
    lab = bench.pair(fresh=True, ageing=ageing)
    macs = [ether.numbered_mac(number, 0x0601) for number in range(MACS)]
    prefix = "06:01:"

    def on(leaf, port="po1"):
        return sum(1 for mac, ifname in lab.fdb(leaf) if mac.startswith(prefix) and ifname == port)

    begin = now()
    ether.inject(lab.ns("h1"), "l1", macs, lab.mac("leaf1"))
    eventually(lambda: {leaf: on(leaf) for leaf in LEAVES}, TABLE_DEADLINE, f"both leaves have {MACS} MACs on po1",
               lambda n: n == {1: MACS, 2: MACS})
    came = now() - begin
    agree(lab)
    eventually(lambda: {leaf: on(leaf) for leaf in LEAVES}, 6 * ageing, "no leaf has any of them",
               lambda n: n == {1: 0, 2: 0}, every=0.2)
    went = now() - begin
    expect(went >= ageing, f"they were gone after {went:.1f} s, before the ageing time of {ageing} s")
    agree(lab)
    return f"{MACS} MACs on both legs after {came:.2f} s, gone {went:.1f} s after their only frame (ageing {ageing} s)"


# --- (g) a third party -----------------------------------------------------------------------------------


@case
def pair_ignores_strangers(bench):
    """Garbage, truncated, oversize, unknown and replayed bytes on both ports: counted, and nothing else happens."""
    lab = bench.pair()
    net = lab.ns("net")
    agree(lab)
    begin = {leaf: now() for leaf in LEAVES}
    before = {leaf: (daemon.rss_kib(), daemon.keepalives_dropped(), daemon.connections_arrived())
              for leaf, daemon in lab.daemons.items()}
    listeners = [leaf for leaf in LEAVES if listens(lab, leaf)]
    expect(listeners, "no leaf accepts a connection on the session port from the backup network")
    stranger = f"{lab.directory}/stranger"
    hostile_keys(bench, stranger)
    with bench.probe(every_pair(lab, ["h1", "h2"]), rate=1000) as probe:
        figures = []
        for leaf, daemon in lab.daemons.items():
            address = lab.backup_address(f"leaf{leaf}")
            sent = hostile.garbage_datagrams(net, address, PORT)
            peer = lab.backup_address(f"leaf{3 - leaf}")
            genuine = hostile.capture_keepalives(net, f"mgmt{3 - leaf}", peer, PORT, 5)
            sent += hostile.replay(net, f"mgmt{leaf}", genuine)
            made = 0
            if leaf in listeners:
                made = hostile.garbage_sessions(net, address, PORT)
                told = hostile.strangers(net, address, PORT, stranger)
                expect(set(told.values()) <= {"refused", "closed"}, f"leaf{leaf} and TLS strangers: {told}")
                silent = hostile.crowd(net, address, PORT, 50)
                expect(all(hostile.closed_within(sock, 10) for sock in silent), "those who say nothing are closed")
                made += len(silent)
            figures.append(f"leaf{leaf}: {sent} datagrams, {made} connections")
        total = probe.finish().check_clean()
    for leaf, daemon in lab.daemons.items():
        session = daemon.session()
        expect(session["state"] == "up" and int(session["since_ms"]) >= 1000 * (now() - begin[leaf]) - 100,
               f"leaf{leaf}'s session was disturbed: {session}")
        expect(all(daemon.paths().values()), f"leaf{leaf}'s paths were disturbed: {daemon.paths()}")
        rss, dropped, arrived = before[leaf]
        expect(daemon.keepalives_dropped() > dropped, f"leaf{leaf} counts no dropped datagram")
        if leaf in listeners:
            expect(daemon.connections_arrived() > arrived, f"leaf{leaf} counts no connection")
        grown = daemon.rss_kib() - rss
        expect(grown < 4096 or bench.sanitized(), f"leaf{leaf} has grown by {grown} KiB")
        figures.append(f"leaf{leaf} counted {daemon.keepalives_dropped() - dropped} datagrams and "
                       f"{daemon.connections_arrived() - arrived} connections, grew by {grown} KiB")
    expect(usable(lab) == all_cables(lab), "the hosts keep both cables")
    return "; ".join(figures) + f"; traffic {total.sum('lost')} of {total.sum('sent')} lost"


def listens(lab, leaf):
    """Node 1 dials, so one leaf may not listen at all."""
    sock = hostile.connect(lab.ns("net"), lab.backup_address(f"leaf{leaf}"), PORT)
    if sock:
        sock.close()
    return sock is not None


def hostile_keys(bench, directory):
    """A certificate made the same way, of another pair."""
    run(bench.binary("mclagd/ctl/mclagctl"), "pki", "init", directory + "-pki")
    run("ln", "-s", directory + "-pki/leaf1", directory)


@case
def pair_hides_its_session_from_hosts(bench):
    """Via the bridge itself: an orphan and a host in the leaves' own network reach neither port, on neither leaf."""
    lab = bench.pair()
    before = {leaf: (daemon.keepalives_dropped(), daemon.connections_arrived())
              for leaf, daemon in lab.daemons.items()}
    tried = 0
    for node in ("o1", "o2", "h1"):
        netns, uplink = lab.ns(node), lab.uplink(node)
        ip(netns, f"addr add 10.99.0.9/24 dev {uplink}")
        for leaf in LEAVES:
            address = lab.address(f"leaf{leaf}")
            expect(hostile.connect(netns, address, PORT, 1) is None, f"{node} reaches leaf{leaf}'s session port")
            hostile.garbage_datagrams(netns, address, PORT, 200)
            tried += 1
        ip(netns, f"addr del 10.99.0.9/24 dev {uplink}")
    healthy(lab)
    after = {leaf: (daemon.keepalives_dropped(), daemon.connections_arrived())
             for leaf, daemon in lab.daemons.items()}
    expect(before == after, f"nothing arrived at the daemons: before {before}, after {after}")
    return f"{tried} attempts, none arrived"


# --- (h), (i) the peer link ------------------------------------------------------------------------------


def without_peer_link(bench, name, lose, restore):
    """The peer link is lost while the backup path lives: the secondary leaves the aggregate, the primary keeps it."""
    lab = bench.pair(fresh=True)
    roles = {leaf: daemon.role() for leaf, daemon in lab.daemons.items()}
    primary = next(leaf for leaf, role in roles.items() if role == "primary")
    secondary = 3 - primary
    with bench.probe(every_pair(lab, ["h1", "h2", f"o{primary}"]), rate=1000) as probe:
        probe.mark().check_clean()
        begin = now()
        lose(lab)
        eventually(lambda: usable(lab), 10, "the hosts use the primary only",
                   lambda cables: cables == all_cables(lab, [primary]))
        left = now() - begin
        lost = probe.aftermath().check_once()
        eventually(lab.daemons[secondary].leg_phases, 5, "the secondary's legs are held",
                   lambda legs: set(legs.values()) == {"held"})
        expect({leaf: daemon.role() for leaf, daemon in lab.daemons.items()} == roles, "the roles stay")
        for number, host in lab.hosts.items():
            partners, _ = host.partners()
            expect({system for system, _, _ in partners} == {SYSTEM_MAC}, f"h{number} keeps its partner: {partners}")
        for leaf, daemon in lab.daemons.items():
            eventually(daemon.session, 10, f"leaf{leaf}'s session lives on the backup path",
                       lambda session: session["state"] == "up" and session["path"] == "mgmt")
        time.sleep(1)  # the stretch that is measured
        probe.mark().check_clean()
        begin = now()
        restore(lab)
        healthy(lab)
        whole = now() - begin
        back = probe.mark().check_once()
        spread(lab, probe)
        time.sleep(0.5)  # the stretch that is measured
        probe.mark().check_clean()
        probe.finish().check_once()
    agree(lab)
    one_partner(lab)
    return (f"{name}: the hosts left leaf{secondary} after {left * 1000:.0f} ms, worst gap {lost.worst('gap_ms'):.1f} ms, "
            f"{lost.sum('lost')} lost; restored: whole after {whole:.1f} s, worst gap {back.worst('gap_ms'):.1f} ms, "
            f"{back.sum('lost')} lost")


@case
def pair_without_peer_link(bench):
    """The peer link is cut, the backup path lives."""
    return without_peer_link(bench, "cut", lambda lab: lab.cut("pl"), lambda lab: lab.mend("pl"))


@case
def pair_with_silent_peer_link(bench):
    """The peer link keeps its carrier and carries nothing, the backup path lives."""
    return without_peer_link(bench, "silent", lambda lab: lab.silence("pl"), lambda lab: lab.unsilence("pl"))
