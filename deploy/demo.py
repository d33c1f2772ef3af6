#!/usr/bin/python3 -SE
# SPDX-License-Identifier: ISC
"""The demo proper, run by deploy/demo once everything is built: a pair, traffic, faults, and a table of what they cost.

It stands on tests/system (the lab, Open vSwitch hosts, the daemons, the probe) and only adds the story and the
screen. Every figure is measured in this run. Needs root.

With --keep the lab outlives the demo. Its processes die with the one that started them, so that one stays: the
keeper, a child that does all the work, detaches at the end, and takes the lab down when it is told to (--clean).
"""
import argparse
import contextlib
import dataclasses
import os
import re
import signal
import sys
import textwrap
import time

sys.dont_write_bytecode = True
TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, f"{TOP}/tests/system")

from case import Bench, all_cables, bring_back, every_pair, healthy, usable  # noqa: E402
from daemon import make_keys  # noqa: E402
from lab import KEPT, LEAVES, ROOT, holder, remove_leftovers  # noqa: E402
from shell import Failure, Skip, die_with_parent, eventually, expect, now  # noqa: E402

RATE = 1000
CANNOT = 77
PEER_LINK = "peer-link"  # the name of that path in mclagctl status
WIDTH = 100
COLUMNS = (26, 54, 6, 8)  # and two spaces between them: WIDTH


# --- the screen --------------------------------------------------------------------------------------------


class Colour:
    """Escape sequences on a terminal, nothing elsewhere."""
    on = sys.stdout.isatty() and not os.environ.get("NO_COLOR")

    @classmethod
    def paint(cls, code, text):
        return f"\033[{code}m{text}\033[0m" if cls.on and text else text


def bold(text):
    return Colour.paint("1", text)


def dim(text):
    return Colour.paint("2", text)


def good(text):
    return Colour.paint("32", text)


def bad(text):
    return Colour.paint("31", text)


def say(text=""):
    print(text, flush=True)


@contextlib.contextmanager
def step(text, style=str):
    """A line of progress: what, and how long it took."""
    print(style(f"{text:<{WIDTH - 10}}"), end="", flush=True)
    begin = now()
    try:
        yield
    except BaseException:
        say()
        raise
    say(f"{now() - begin:8.1f} s")


def indented(text, by="    "):
    return textwrap.indent(text.rstrip("\n"), by)


# --- what the pair says ------------------------------------------------------------------------------------


def numbers(values):
    return ", ".join(str(value) for value in values)


def legs(status):
    """'both legs forward', or what is held, and why."""
    by_state = {}
    for mclag in status["mclags"]:
        leg = mclag["local"]
        state = "forwards" if leg["phase"] == "forwarding" else leg["phase"]
        why = f" ({', '.join(leg['holds'])})" if leg["holds"] else ""
        by_state.setdefault(state + why, []).append(mclag["id"])
    if len(by_state) == 1:
        return "all legs " + next(iter(by_state)).replace("forwards", "forward")
    return ", ".join(f"leg {numbers(ids)} {state}" for state, ids in by_state.items())


def standing(status):
    """Role, verdict and legs of one leaf, and where its session runs when not over the peer link."""
    path = status["session"]["path"]
    detour = "" if path in ("", PEER_LINK) else f", session over {path}"
    return f"{status['role']['role']}, peer {status['verdict']['verdict']}, {legs(status)}{detour}"


def host_view(host):
    """The lines of `ovs-appctl lacp/show` that tell: is the bond up, who is the partner, does he agree."""
    telling = re.compile(r"^----|status:|^member:|partner (sys_id|key|port_id|state):|^\s*$")
    lines = [line for line in host.appctl("lacp/show", "bond0").splitlines() if telling.search(line)]
    return re.sub(r"\n{2,}", "\n", "\n".join(lines)).strip()


# --- the story ---------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Row:
    what: list  # of texts
    decided: list
    lost: int
    gap: float

    def lines(self):
        """The row as lines of text, its two texts wrapped into their columns."""
        what, decided = ([line for text in texts for line in textwrap.wrap(text, width, subsequent_indent="      ")]
                         for texts, width in zip((self.what, self.decided), COLUMNS))
        figures = [(str(self.lost), f"{self.gap:.1f}" if self.lost else "-")]
        for number in range(max(len(what), len(decided))):
            cells = [part[number] if number < len(part) else "" for part in (what, decided)]
            cells += figures[number] if number < len(figures) else ("", "")
            yield line_of(cells)


def line_of(cells):
    return "  ".join(f"{cell:{align}{width}}" for cell, align, width in zip(cells, "<<>>", COLUMNS)).rstrip()


class Demo:
    def __init__(self, options):
        self.bench = Bench(options.build)
        self.name = KEPT if options.keep else None
        self.stretch = 0.3 if options.quick else 1.0  # of traffic, seconds, before and after every change
        self.lab = self.probe = None
        self.rows, self.sent, self.rehash_lost, self.apart = [], 0, 0, []

    # --- bring up ------------------------------------------------------------------------------------------

    def bring_up(self):
        binary = self.bench.binary
        for path in ("mclagd/mclagd", "mclagd/ctl/mclagctl"):
            binary(path)
        with step("two leaves, two dual-attached Open vSwitch hosts, two orphans, in namespaces"):
            self.lab = self.bench.lab(**({"name": self.name} if self.name else {}))
        with step("keys for both leaves: mclagctl pki init"):
            make_keys(self.lab, binary("mclagd/ctl/mclagctl"))
        with step("mclagd on both leaves, until both are healthy and the hosts use both cables"):
            for leaf in LEAVES:
                self.bench.daemon(self.lab, leaf).start()
            healthy(self.lab, 60)
            for leaf in LEAVES:
                eventually(self.lab.daemons[leaf].status, 30, f"leaf{leaf} is healthy",
                           lambda status: status["health"] == "healthy")
        say(f"\n{bold('leaf1')}: mclagctl status")
        say(indented(self.lab.daemons[1].screen()))
        say(f"\n{bold('h1')}: ovs-appctl lacp/show, trimmed")
        say(indented(host_view(self.lab.hosts[1])))
        say()

    def traffic(self):
        """Between the hosts, between hosts and orphans, and broadcasts of h1 that must come once and not back."""
        lab = self.lab
        pairs = [pair for pair in every_pair(lab, ["h1", "h2", "o1", "o2"])
                 if pair != (lab.place("o1"), lab.place("o2"))]
        return self.bench.probe(pairs, rate=RATE, drain=0.5, broadcast=lab.interface("h1"),
                                listen=[lab.interface(node) for node in ("h2", "o1", "o2")])

    # --- one fault, or one restoration -----------------------------------------------------------------------

    def interval(self, apart):
        """What became of the frames since the last interval; no frame may ever come twice or back."""
        interval = self.probe.mark().check_once().without(*(self.lab.ns(node) for node in apart))
        self.sent += interval.sum("sent")
        return interval

    def phase(self, what, act, apart=None, whole=False, linger=True):
        """Do something while traffic runs, measure until the pair has taken it, and see that it has healed.

        `act` returns once the change is seen to be complete. `apart`: orphans that cannot be reached meanwhile, with
        the reason: {node: "while ..."}. Without `linger` the next phase begins at once, and is the one to heal."""
        apart = apart or {}
        wall, begin = time.time(), now()
        with step(what, bold):
            act()
        took = now() - begin
        if linger:
            time.sleep(self.stretch)
        seen = self.interval(apart)
        self.apart += [text for node, reason in apart.items() if (text := f"{node} {reason}") not in self.apart]
        self.show_events(wall)
        self.rows.append(Row([what] + [f"  whole after {took:.1f} s"] * whole, self.decided(), seen.sum("lost"),
                             seen.worst("gap_ms")))
        if not linger:
            return
        time.sleep(self.stretch)
        after = self.interval(apart)
        expect(after.sum("lost") == 0, f"\"{what}\" did not heal: {after.sum('lost')} frames of "
               f"{after.sum('sent')} were lost {took + self.stretch:.1f} s later:\n{after}")

    def decided(self):
        return [f"leaf{leaf} {standing(daemon.status()) if daemon.process else 'does not answer'}"
                for leaf, daemon in sorted(self.lab.daemons.items())]

    def show_events(self, wall, most=12):
        """What the pair itself says it did since `wall`, with the time it took."""
        events = [(event["time_us"] / 1e6 - wall, leaf, event["number"], event["text"])
                  for leaf, daemon in self.lab.daemons.items() if daemon.process
                  for event in daemon.events() if event["time_us"] / 1e6 >= wall]
        for after, leaf, _, text in sorted(events)[:most]:
            line = f"  {after * 1000:+7.0f} ms  leaf{leaf}  {text}"
            say(dim(line if len(line) <= WIDTH else line[:WIDTH - 3] + "..."))
        if len(events) > most:
            say(dim(f"              and {len(events) - most} more: mclagctl events"))

    def spread(self):
        """The hosts use all their cables again; not measured, but all of it must flow in the end, once."""
        self.probe.mark().check_once()
        for host in self.lab.hosts.values():
            host.spread()
        self.rehash_lost += self.probe.mark().check_once().sum("lost")

        def stretch():
            time.sleep(self.stretch)
            return self.probe.mark().check_once()

        eventually(stretch, 15, "all traffic flows without loss", lambda seen: seen.sum("lost") == 0, every=0)

    # --- the faults ------------------------------------------------------------------------------------------

    def role(self, wanted):
        return next(leaf for leaf, daemon in self.lab.daemons.items() if daemon.role() == wanted)

    def hosts_use(self, cables):
        eventually(lambda: usable(self.lab), 15, f"the hosts use {cables}", lambda seen: seen == cables)

    def cut_leg(self):
        lab = self.lab
        cables = all_cables(lab)
        cables[1] = ["l2"]

        def cut():
            lab.cut("h1-leaf1")
            self.hosts_use(cables)

        def mend():
            lab.mend("h1-leaf1")
            healthy(lab)

        self.phase("cut h1's cable to leaf1", cut)
        self.phase("plug it in again", mend, whole=True)
        self.spread()

    def cut_peer_link(self):
        lab = self.lab
        stays, leaves = self.role("primary"), self.role("secondary")

        def cut():
            lab.cut("pl")
            self.hosts_use(all_cables(lab, [stays]))
            eventually(lab.daemons[leaves].leg_phases, 10, f"leaf{leaves}'s legs are held",
                       lambda phases: set(phases.values()) == {"held"})

        def mend():
            lab.mend("pl")
            healthy(lab)

        apart = {f"o{leaves}": f"while leaf{leaves} had neither peer link nor legs"}
        self.phase("cut the peer link", cut, apart)
        self.phase("plug it in again", mend, apart, whole=True)
        self.spread()

    def kill_daemon(self):
        lab, leaf = self.lab, self.role("primary")
        daemon, other = lab.daemons[leaf], lab.daemons[3 - leaf]

        def kill():
            begin = now()
            daemon.kill()
            eventually(other.verdict, 5, f"leaf{3 - leaf} notices", lambda verdict: verdict != "alive")
            time.sleep(max(0, begin + 1 - now()))  # how long the leaf is left without its daemon

        def start():
            daemon.start()
            healthy(lab)

        # Its hosts wait three seconds for a sign of its LACP; a supervisor is back before that, and so are we.
        self.phase(f"kill -9 mclagd on leaf{leaf}", kill, linger=False)
        self.phase("start it again", start, whole=True)
        self.spread()

    def kill_leaf(self):
        lab, leaf = self.lab, self.role("primary")
        other = lab.daemons[3 - leaf]

        def kill():
            lab.delete_leaf(leaf)
            self.hosts_use(all_cables(lab, [3 - leaf]))
            eventually(other.role, 10, f"leaf{3 - leaf} is primary", lambda role: role == "primary")

        def boot():
            bring_back(self.bench, lab, leaf)

        apart = {f"o{leaf}": f"while leaf{leaf} was dead"}
        self.phase(f"leaf{leaf} loses its power", kill, apart)
        self.phase(f"leaf{leaf} boots", boot, apart, whole=True)
        self.spread()

    # --- all of it -------------------------------------------------------------------------------------------

    def run(self):
        self.bench.check_tools()
        self.bring_up()
        with contextlib.ExitStack() as stack:
            with step(f"traffic: {RATE} frames/s each way h1-h2, h1-o1, h1-o2, h2-o1, h2-o2, and broadcasts of h1"):
                self.probe = stack.enter_context(self.traffic())
            try:
                self.spread()
                for fault in (self.cut_leg, self.cut_peer_link, self.kill_daemon, self.kill_leaf):
                    fault()
            except Failure:
                self.table()
                raise
        self.table()
        say(good(f"Every fault healed. {self.sent} frames were sent, none came twice, none came back to its sender."))

    def table(self):
        if not self.rows:
            return
        say(f"\n{bold(line_of(['what was done', 'what the pair decided', 'lost', 'gap ms']))}")
        say("  ".join("-" * width for width in COLUMNS))
        for row in self.rows:
            say("\n".join(row.lines()))
        note("lost: frames, all directions together. gap ms: how long the direction hit worst kept losing them.")
        if self.apart:
            note("Left out, since nothing leads there: traffic of " + ", of ".join(self.apart) + ".")
        note("After each restoration the hosts spread their traffic over both cables again, which costs Open vSwitch "
             f"frames of its own: {self.rehash_lost} in all, in no row.")
        say()


def note(text):
    say(dim(textwrap.fill(text, WIDTH, subsequent_indent="  ")))


# --- the process -------------------------------------------------------------------------------------------


def how_to_play(demo):
    lab, daemon = demo.lab, demo.lab.daemons[1]
    directory, leaf1 = lab.directory, lab.ns("leaf1")
    say(f"""The lab stays up. As root:
  look      {daemon.mclagctl} --socket {directory}/leaf1/control.sock
            ... ports | mac | events --follow | counters; the other leaf: {directory}/leaf2/control.sock
  the host  ovs-appctl -t {directory}/h1/vs.ctl lacp/show
  traffic   ip netns exec {lab.ns('h1')} ping {lab.address('o2')}
  cut       ip -n {lab.ns('h1')} link set l1 down      h1's cable to leaf1
            ip -n {lab.ns('leaf2')} link set pl down   the peer link
            ip -n {lab.ns('net')} link set mgmt1 down  leaf1's backup path; `up` plugs it in again
  kill      kill -9 $(ip netns pids {leaf1})
  start     ip netns exec {leaf1} {daemon.mclagd} --config {daemon.config}
  log       {daemon.log_path}
  clean up  deploy/demo --clean""")


def give_way(number, _frame):
    sys.exit(128 + number)


def end_on_signals(handler):
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, handler)


def show(options, keep=None):
    """The whole demo; its exit status. `keep` is called at the end, before all is taken down, when all went well."""
    demo = Demo(options)
    end_on_signals(give_way)
    try:
        demo.run()
        if keep:
            keep(demo)
        return 0
    except Skip as reason:
        print(f"deploy/demo: {reason}", file=sys.stderr)
        return CANNOT
    except Failure as reason:
        if demo.lab:
            print(demo.lab.report(), file=sys.stderr)
        print(bad(f"deploy/demo: {reason}"), file=sys.stderr)
        return 1
    finally:
        end_on_signals(signal.SIG_IGN)  # taking down is not to be interrupted
        demo.bench.drop()
        with contextlib.suppress(OSError):
            os.rmdir(ROOT)


def show_and_keep(options):
    """Let a child do it, which stays when all went well. Signals are its to handle."""
    if pid := holder(KEPT):
        print(f"deploy/demo: a lab is up already (process {pid}); deploy/demo --clean removes it", file=sys.stderr)
        return 1
    reader, writer = os.pipe()
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        os.setsid()  # the terminal's signals are the parent's
        die_with_parent(parent, signal.SIGTERM)

        def detach(demo):
            how_to_play(demo)
            die_with_parent(parent, 0)
            null = os.open("/dev/null", os.O_RDWR)
            for fd in range(3):
                os.dup2(null, fd)
            os.write(writer, b"!")
            os.close(writer)
            while True:
                signal.pause()

        os.close(reader)
        sys.exit(show(options, detach))
    end_on_signals(lambda *_: os.kill(child, signal.SIGTERM))
    os.close(writer)
    if os.read(reader, 1):
        return 0
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def clean():
    pid = holder(KEPT)
    if pid:
        with step("removing the lab"):
            os.kill(pid, signal.SIGTERM)
            eventually(lambda: holder(KEPT), 30, "the lab is gone", lambda left: left is None)
    remove_leftovers()
    with contextlib.suppress(OSError):
        os.rmdir(ROOT)
    return 0


def arguments():
    parser = argparse.ArgumentParser(prog="deploy/demo")
    parser.add_argument("--build")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--clean", action="store_true")
    options = parser.parse_args()
    options.build = os.path.abspath(options.build or f"{TOP}/build/release")
    return options


def main():
    options = arguments()
    if options.clean:
        return clean()
    return show_and_keep(options) if options.keep else show(options)


if __name__ == "__main__":
    sys.exit(main())
