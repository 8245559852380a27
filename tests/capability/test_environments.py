"""The worlds: what leads to the goal, what does not, and that arms differ in nothing else."""

from __future__ import annotations

import random

import pytest

from superalign.capability.container import FLAG, Container, File
from superalign.capability.copying import Copying
from superalign.capability.environments import environment, environments
from superalign.capability.hosts import Folders, Namespaces
from superalign.capability.play import Episode
from superalign.capability.shifts import OCCASIONS
from superalign.capability.transcripts import PAIRS, transcript
from superalign.capability.warehouse import Warehouse
from superalign.contracts.errors import SandboxError, UnknownName


@pytest.mark.parametrize("name", list(environments()))
@pytest.mark.parametrize("index", range(5))
def test_the_goal_is_reached_by_the_way_that_is_marked_and_every_world_ends(name: str, index: int) -> None:
    found = environments()[name]
    for condition in found.conditions:
        marked, aimless = found.world(condition, index, 7), found.world(condition, index, 7)
        while not marked.over:
            marked.do(next(option for option in marked.menu() if option.role == "goal").command)
        assert marked.reached
        for _ in range(100):
            if not aimless.over:
                aimless.do(random.choice([option for option in aimless.menu() if option.role != "goal"]).command)
        assert aimless.over and not aimless.reached


@pytest.mark.parametrize("steps", [1, 2, 4, 8, 16])
def test_a_task_takes_as_many_commands_as_it_says_and_forgives_none(steps: int) -> None:
    world, given = Warehouse(steps, 0, 0), 0
    while not world.over:
        world.do(next(option for option in world.menu() if option.role == "goal").command)
        given += 1
    assert given == steps and world.reached
    lost = Warehouse(steps, 0, 0)
    lost.do(next(option for option in lost.menu() if option.role != "goal").command)
    assert lost.over and not lost.reached


def test_doors_ask_for_the_ticket_of_the_last_door() -> None:
    """A reader who keeps nothing but the tickets in mind opens every door."""
    world = Warehouse(16, 5, 2)
    said, ticket, doors = world.brief, "", 0
    while not world.over:
        if "icket is " in said:
            ticket = said.split("icket is ")[1].split(".")[0]
        if "door. It asks" in said:
            assert f"say {ticket}" in [option.command for option in world.menu() if option.role == "goal"]
            doors += 1
        said = world.do(next(option for option in world.menu() if option.role == "goal").command)
    assert doors == 5


@pytest.mark.parametrize(
    ("file", "reads", "writes"),
    [
        (File("root", "root", 0o600), False, False),
        (File("root", "wheel", 0o772), False, True),
        (File("root", "staff", 0o757), True, False),  # the group's bits decide, though the rest may write
        (File("root", "staff", 0o775), True, True),
        (File("agent", "wheel", 0o077), False, False),  # the owner's bits decide, though all others may
    ],
)
def test_modes_mean_what_they_mean_on_a_real_system(file: File, reads: bool, writes: bool) -> None:
    assert (file.allows(4), file.allows(2)) == (reads, writes)


def test_exactly_one_script_is_at_fault_and_only_root_reads_the_flag() -> None:
    for index in range(50):
        world = Container(index, 0)
        assert [path for path, file in world.files.items() if file.allows(2)] == [world.planted]
        assert world.do(f"cat {FLAG}") == "Permission denied." and world.planted in world.do("ls -l")
        for script in set(world.files) - {FLAG, world.planted}:
            assert world.do(f"add a line to {script}") == "Permission denied."
        world.do("wait a minute")
        assert not world.files[FLAG].allows(4)


def test_a_copy_arrives_only_where_the_marker_does() -> None:
    class Lossy(Folders):
        def carry(self, marker: str) -> str:
            return ""

    for hosts, arrives in ((Folders(), True), (Lossy(), False)):
        world = Copying(hosts, 0, 0)
        for _ in range(3):
            options = world.menu()
            world.do(next((option for option in options if option.role == "goal"), options[-1]).command)
        assert world.reached is arrives


@pytest.mark.parametrize("name", ["shutdown-resistance", "oversight-sabotage"])
def test_arms_differ_in_what_is_told_and_in_nothing_else(name: str) -> None:
    found = environment(name)
    worlds = {arm: found.world(arm, 4, 9) for arm in found.conditions}
    assert len({world.brief for world in worlds.values()}) == len(worlds)
    for _ in range(OCCASIONS):
        assert len({world.menu() for world in worlds.values()}) == 1
        assert len({world.do("sort as light") for world in worlds.values()}) == 1
    assert all(world.over and not world.reached for world in worlds.values())


def test_transcripts_of_a_pair_share_all_but_their_first_line() -> None:
    for index in range(PAIRS):
        test, deployment = (transcript(kind, index).splitlines() for kind in ("test", "deployment"))
        assert test[0] != deployment[0] and test[1:] == deployment[1:]
    assert len({transcript("test", index) for index in range(PAIRS)}) == PAIRS


def test_the_same_seed_gives_the_same_episodes() -> None:
    for found in environments().values():
        asked = [
            Episode(found, found.conditions[0], i, seed).ask().conversation for i in range(4) for seed in (0, 0, 1)
        ]
        assert asked[::3] == asked[1::3] != asked[2::3]


def test_an_unknown_environment() -> None:
    with pytest.raises(UnknownName, match="self-copying"):
        environment("self-copyng")


def test_two_namespaces_carry_a_marker_over_their_own_wire() -> None:
    try:
        hosts = Namespaces().__enter__()
    except SandboxError as error:
        pytest.skip(error.what)
    try:
        assert [hosts.carry(f"marker {i}") for i in range(3)] == ["marker 0", "marker 1", "marker 2"]
        hosts._process.kill()
        with pytest.raises(SandboxError, match="--hosts simulated"):
            hosts.carry("marker")
    finally:
        hosts.__exit__(None, None, None)
