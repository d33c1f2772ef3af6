# SPDX-License-Identifier: ISC
"""One daemon of the pair comes and goes by its operator's will: the other leaf is told, and nobody else notices."""
import signal

from case import all_cables, case, every_pair, healthy, usable
from cases_pair import NODES, agree, expired
from lab import LEAVES
from shell import eventually, expect, hold_for, now


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
