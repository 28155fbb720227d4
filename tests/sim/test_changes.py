"""The stand-in's configuration changes, its application goes, and comes back: rows over real HTTP."""

import msgspec

from reports.analysis.change_reports import change_reports
from reports.analysis.lag.changes import changes_of
from scalelag.record.rows import (
    CapacityChange,
    ConfigChange,
    Gap,
    NeighbourChange,
    Poll,
    StatusChange,
    Transition,
)
from scalelag.record.run_dir import RecordedRun
from tests.support.built.step_facts import run as made_run
from tests.support.standin.process import running_standin
from tests.support.standin.scenarios import steady_replica
from tests.support.standin.script import DeploymentScript, Script

KEY = "default/Model"
SLOWER = {"upscale_delay_s": 8.0, "max_replicas": 9}


def with_settings(**autoscaling: float) -> Script:
    script = DeploymentScript(
        targets=((-60.0, 1),),
        replicas=(steady_replica(),),
        autoscaling={"max_replicas": 2} | autoscaling,
    )
    return Script(applications={"default": {"Model": script}})


def recorded(watch, begun_s) -> RecordedRun:
    """The watched rows as a run that began at `begun_s`."""
    made = made_run()
    target = msgspec.structs.replace(made.info.target, deployments={}, watched=(KEY,))
    return msgspec.structs.replace(
        made,
        info=msgspec.structs.replace(made.info, zero_s=begun_s, target=target),
        polls=tuple(watch.of(Poll)),
        transitions=tuple(watch.of(Transition)),
        statuses=tuple(watch.of(StatusChange)),
        configs=tuple(watch.of(ConfigChange)),
        neighbours=tuple(watch.of(NeighbourChange)),
        capacities=tuple(watch.of(CapacityChange)),
    )


def test_what_is_changed_in_mid_run_lies_in_its_interval(watching, until):
    as_it_was, changed = with_settings(), with_settings(**SLOWER)
    told: dict[str, float] = {}
    with running_standin(as_it_was) as standin, watching(standin.url, rate_per_s=10.0) as watch:
        begun_s = watch.now()
        for kind, script in (("config", changed), ("deleted", Script()), ("deployed", changed)):
            polls = len(watch.of(Poll))
            until(lambda polls=polls: len(watch.of(Poll)) >= polls + 3, what="polls")
            standin.control(script=script)
            told[kind] = watch.now() - begun_s
        polls = len(watch.of(Poll))
        until(lambda: len(watch.of(Poll)) >= polls + 3, what="polls")
        run = recorded(watch, begun_s)

    found = change_reports(run, {KEY: changes_of(run, KEY)})

    assert [change.kind for change in found] == ["config", "deleted", "deployed"]
    for change in found:
        # The stand-in had changed by the time at which its control answered.
        assert change.lo_s <= told[change.kind]
        assert change.hi_s >= told[change.kind] - 1.0
    assert "max_replicas" in found[0].what
    assert "upscale_delay_s" in found[0].what
    assert watch.of(Gap) == []
