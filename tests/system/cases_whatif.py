# SPDX-License-Identifier: ISC
"""What `mclagctl whatif` foretells, and then what happens: each question is asked, the thing is done, both compared."""
from case import bring_back, case, healthy
from lab import LEAVES
from shell import eventually, expect

SETTLE = 15


def facts(daemon):
    """What asking must not change."""
    status = daemon.status()
    return (status["verdict"]["verdict"], status["role"]["role"], status["role"]["epoch"], status["session"]["state"],
            status["session"]["path"], daemon.leg_phases(), daemon.paths())


def ask(daemon, *question):
    before = facts(daemon)
    answer = daemon.view("whatif", *question)
    expect(facts(daemon) == before, f"asking {question} changed leaf{daemon.leaf}: {before}, then {facts(daemon)}")
    return answer


def foretold(answer, legs):
    """(verdict, role, session's path, phases): of the leaf that answers, legs "local"; of the peer, "peer"."""
    after = answer["after"]
    return after["verdict"], after["role"], after["path"], {mclag["id"]: mclag[legs]["after"]
                                                            for mclag in answer["mclags"]}


def found(daemon):
    status = daemon.status()
    return status["verdict"]["verdict"], status["role"]["role"], status["session"]["path"], daemon.leg_phases()


def comes_true(daemon, answer, legs="local"):
    wanted = foretold(answer, legs)
    eventually(lambda: found(daemon), SETTLE, f"leaf{daemon.leaf} is as foretold: {wanted}",
               lambda state: state == wanted)
    return f"{answer['question']} leaf{daemon.leaf}: {wanted[0]}, {wanted[1]}"


def primary_first(lab):
    return sorted(LEAVES, key=lambda leaf: lab.daemons[leaf].role())


@case
def whatif_leg_down(bench):
    """The leg's loss as foretold by its leaf; the other leaf's leg as foretold for the peer."""
    lab = bench.pair()
    for leaf in LEAVES:
        daemon, peer = lab.daemons[leaf], lab.daemons[3 - leaf]
        answer = ask(daemon, "leg-down", "1")
        expect(answer["impact"] == "felt" and answer["hosts_cut"] == 0, f"nobody is cut: {answer}")
        lab.cut(f"h1-leaf{leaf}")
        comes_true(daemon, answer)
        eventually(peer.leg_phases, SETTLE, "the peer's legs are as foretold",
                   lambda phases, a=answer: phases == foretold(a, "peer")[3])
        last = ask(peer, "leg-down", "1")
        expect(last["impact"] == "cut" and last["hosts_cut"] == 1, f"the last leg of h1: {last}")
        lab.mend(f"h1-leaf{leaf}")
        healthy(lab)
        expect(ask(peer, "leg-down", "1")["impact"] == "felt", "nobody is cut when both legs are back")
    return "both leaves as foretold"


@case
def whatif_peer_link_down(bench):
    """The primary keeps its legs, the secondary holds them: foretold by each for itself and for the other."""
    lab = bench.pair()
    primary, secondary = (lab.daemons[leaf] for leaf in primary_first(lab))
    answers = {daemon: ask(daemon, "peer-link-down") for daemon in (primary, secondary)}
    lab.cut("pl")
    figures = [comes_true(daemon, answer) for daemon, answer in answers.items()]
    for daemon, other in ((primary, secondary), (secondary, primary)):
        expect(other.leg_phases() == foretold(answers[daemon], "peer")[3], f"leaf{daemon.leaf} about the other leaf")
    lab.mend("pl")
    healthy(lab, 60)
    again = ask(primary, "peer-link-down")
    expect(foretold(again, "local") == foretold(answers[primary], "local"), "the same again when it is whole")
    return "; ".join(figures)


@case
def whatif_backup_down(bench):
    """No leg, no role, no verdict changes."""
    lab = bench.pair()
    daemons = list(lab.daemons.values())
    answers = {daemon: ask(daemon, "backup-down") for daemon in daemons}
    expect({answer["impact"] for answer in answers.values()} == {"harmless"}, f"harmless: {answers}")
    lab.silence("mgmt1")
    for daemon in daemons:
        eventually(lambda d=daemon: d.paths()["mgmt"], SETTLE, "the backup path is down", lambda up: not up)
    figures = [comes_true(daemon, answer) for daemon, answer in answers.items()]
    lab.unsilence("mgmt1")
    for daemon in daemons:
        eventually(lambda d=daemon: d.paths()["mgmt"], SETTLE, "the backup path is back")
    return "; ".join(figures)


@case
def whatif_leaf_dies(bench):
    """Each leaf in turn: the survivor is as it foretold (peer-dead), and as the dying leaf foretold it (self-down)."""
    lab = bench.pair(fresh=True)
    figures = []
    for dead in LEAVES:
        survivor = lab.daemons[3 - dead]
        own, last_words = ask(survivor, "peer-dead"), ask(lab.daemons[dead], "self-down")
        expect(own["hosts_cut"] == 0 and last_words["hosts_cut"] == 0, "both hosts stay reachable")
        lab.delete_leaf(dead)
        figures.append(comes_true(survivor, own))
        comes_true(survivor, last_words, "peer")
        alone = ask(survivor, "self-down")
        expect(alone["impact"] == "cut" and alone["hosts_cut"] == len(lab.hosts), f"nobody is left: {alone}")
        bring_back(bench, lab, dead)
        expect(ask(survivor, "peer-dead")["hosts_cut"] == 0, "both hosts stay reachable again")
    return "; ".join(figures)
