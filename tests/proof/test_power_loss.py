"""What `power_loss` reads out of strace: only what was written before a sync began is on the disk when it has ended.

What must not be here: servers.
"""

from __future__ import annotations

from proof.power_loss import Disk

LOG = "7 100.{} {}(9</data/appendonly.aof.1.incr.aof>"


def test_what_was_written_before_a_sync_is_synced_when_it_ends() -> None:
    disk = Disk().heard(
        [LOG.format(1, "write") + ', ""..., 40) = 40', LOG.format(2, "fdatasync") + ") = 0"]
    )
    assert (disk.written, disk.synced) == (40, 40)


def test_what_is_written_during_a_sync_of_another_thread_is_not_synced() -> None:
    begun = [
        LOG.format(1, "write") + ', ""..., 40) = 40',
        LOG.format(2, "fdatasync").replace("7 ", "8 ", 1) + " <unfinished ...>",
        LOG.format(3, "write") + ', ""..., 10) = 10',
    ]
    assert Disk().heard(begun).synced == 0
    disk = Disk().heard([*begun, "8 100.4 <... fdatasync resumed>) = 0"])
    assert (disk.written, disk.synced) == (50, 40)


def test_a_sync_that_failed_and_writes_to_other_files_do_not_count() -> None:
    disk = Disk().heard(
        [
            '7 100.1 write(4</data/server.log>, ""..., 9) = 9',
            LOG.format(2, "write") + ', ""..., 40) = 40',
            LOG.format(3, "fdatasync") + ") = -1 EIO (Input/output error)",
        ]
    )
    assert (disk.written, disk.synced) == (40, 0)


def test_a_trace_that_breaks_off_does_not_tell_of_the_end() -> None:
    begun = [LOG.format(1, "write") + ', ""..., 40) = 40']
    assert not Disk().heard(begun).ended
    assert Disk().heard([*begun, "7 100.2 +++ killed by SIGKILL +++"]).ended
