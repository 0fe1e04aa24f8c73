# ruff: noqa: S101 - a contract suite is made of asserts
from __future__ import annotations

import pytest
from msgspec.structs import replace

from fleet.errors import BusyError
from fleet.model.learned import LearnedCluster
from fleet.model.record import HeldBack, PackageChange, Record, Silence, Updates
from fleet.ports.journal import Journal, Lease
from fleet.ports.records import Records

LYON = Record("lyon-1", "acme", "m1", "b1:aa", "4be1f02", "ops@desk", 7, "amd64", 1750000000.5, '{"files":[]}')
NICE = Record("nice-1", "acme", "m2", "b1:bb")


class RecordsContract:
    """Wants the fixtures `records` and `journal`, empty, of one store."""

    def test_nothing_is_known_at_first(self, records: Records) -> None:
        assert dict(records.all()) == {}
        assert dict(records.clusters()) == {}
        assert dict(records.manifests(["b1:aa"])) == {}
        assert dict(records.blobs(["ff"])) == {}

    def test_records_come_back_without_their_manifests(self, records: Records) -> None:
        records.save([LYON, NICE])
        assert dict(records.all()) == {
            "lyon-1": Record("lyon-1", "acme", "m1", "b1:aa", "4be1f02", "ops@desk", 7, "amd64", 1750000000.5),
            "nice-1": NICE,
        }

    def test_what_a_look_found_is_kept_until_the_node_tells_anew(self, records: Records) -> None:
        edited = Record("lyon-1", "acme", "m1", "b1:aa", differs=("/etc/motd", '/etc/a "b",c'))
        records.save([edited, NICE])
        assert dict(records.all()) == {"lyon-1": edited, "nice-1": NICE}
        records.save([Record("lyon-1", "acme", "m1", "b1:aa")])
        assert records.all()["lyon-1"].differs == ()

    def test_what_waits_and_what_updates_did_come_back(self, records: Records) -> None:
        changed = (PackageChange("openssl", "3.0.1", "3.0.2"),)
        done = Updates("security 2026-11-01", 1750000000.5, changed, "libc6", "boot-1", "boot-2")
        record = Record("lyon-1", "acme", "m1", "", waiting=("/etc/motd",), updates=done)
        records.save([record, NICE])
        assert dict(records.all()) == {"lyon-1": record, "nice-1": NICE}

    def test_who_answered_is_in_contact_until_it_is_forgotten(self, records: Records) -> None:
        records.save([LYON, NICE])
        assert set(records.contacts()) == {"lyon-1", "nice-1"}
        records.forget(["lyon-1"])
        assert set(records.contacts()) == {"nice-1"}

    def test_what_was_sent_is_unanswered_until_the_node_tells_or_is_forgotten(self, records: Records) -> None:
        records.save([LYON, NICE])
        records.note_unanswered({"lyon-1": "b1:cc", "nice-1": "b1:dd"})
        records.note_unanswered({"lyon-1": "b1:bb", "new-1": "b1:ee"})
        records.note_unanswered({"lyon-1": "b1:cc"})
        assert dict(records.unanswered()) == {
            "lyon-1": ("b1:bb", "b1:cc"), "nice-1": ("b1:dd",), "new-1": ("b1:ee",),
        }  # fmt: skip
        records.save([LYON])
        records.forget(["new-1"])
        assert dict(records.unanswered()) == {"nice-1": ("b1:dd",)}

    def test_who_was_asked_in_vain_is_silent_until_it_tells_or_is_forgotten(self, records: Records) -> None:
        records.note_silent([Silence("lyon-1", "lyon", "timed out"), Silence("nice-1", "nice", "timed out")])
        first = records.silent()
        records.note_silent([Silence("lyon-1", "lyon", "no route"), Silence("new-1", "nice", "no route")])
        second = records.silent()
        assert {name: each.reason for name, each in second.items()} == {
            "lyon-1": "no route", "nice-1": "timed out", "new-1": "no route",
        }  # fmt: skip
        assert second["lyon-1"].since == first["lyon-1"].since <= second["lyon-1"].at
        records.save([LYON])
        records.forget(["new-1"])
        assert dict(records.silent()) == {"nice-1": first["nice-1"]}

    def test_what_is_held_back_stays_so_until_it_is_let_go_or_the_node_is_forgotten(self, records: Records) -> None:
        records.hold_back({"lyon-1": "b1:aa", "nice-1": "b1:bb", "new-1": "b1:cc"}, "7f3c")
        records.hold_back({"lyon-1": "b1:dd"}, "8a4d")
        records.save([LYON, NICE])
        assert dict(records.held_back()) == {
            "lyon-1": HeldBack("b1:dd", "8a4d"), "nice-1": HeldBack("b1:bb", "7f3c"), "new-1": HeldBack("b1:cc", "7f3c"),
        }  # fmt: skip
        records.forget(["new-1"])
        records.let_go("7f3c")
        assert dict(records.held_back()) == {"lyon-1": HeldBack("b1:dd", "8a4d")}

    def test_half_a_bundle_is_kept_under_its_own_digest_with_what_was_before_it(self, records: Records) -> None:
        half = Record("lyon-1", "acme", "m1", digest="", manifest='{"half":1}', base="b1:aa", wanted="b1:cc")
        records.save([half])
        assert dict(records.all()) == {"lyon-1": replace(half, manifest="")}
        assert dict(records.manifests(["", "b1:aa", "b1:cc"])) == {"b1:cc": '{"half":1}'}

    def test_a_manifest_whose_digest_nobody_knows_is_not_kept(self, records: Records) -> None:
        records.save([Record("lyon-1", "acme", "m1", digest="", manifest='{"half":1}', base="b1:aa")])
        assert dict(records.manifests(["", "b1:aa"])) == {}

    def test_manifests_come_by_digest(self, records: Records) -> None:
        records.save([LYON, NICE])
        assert dict(records.manifests(["b1:aa", "b1:bb", "b1:none"])) == {"b1:aa": '{"files":[]}'}

    def test_a_manifest_outlives_its_record(self, records: Records) -> None:
        records.save([LYON])
        records.save([Record("lyon-1", "acme", "m1", "b1:cc", manifest='{"é":1}')])
        assert records.all()["lyon-1"].digest == "b1:cc"
        assert dict(records.manifests(["b1:aa", "b1:cc"])) == {"b1:aa": '{"files":[]}', "b1:cc": '{"é":1}'}

    def test_a_record_that_comes_without_its_manifest_does_not_lose_it(self, records: Records) -> None:
        records.save([LYON])
        records.save([Record("lyon-1", "acme", "m1", "b1:aa")])
        assert dict(records.manifests(["b1:aa"])) == {"b1:aa": '{"files":[]}'}

    def test_what_nodes_told_for_others(self, records: Records) -> None:
        told = {"k3s_ca": "aa" * 32}
        records.save([replace(LYON, learned=told), NICE])
        assert records.all()["lyon-1"].learned == told
        assert dict(records.learned(["lyon-1", "nice-1", "never-there"])) == {"lyon-1": told}
        records.save([LYON])
        assert dict(records.learned(["lyon-1"])) == {}

    def test_forgotten_nodes_are_gone(self, records: Records) -> None:
        records.save([LYON, NICE])
        records.forget(["lyon-1", "never-there"])
        assert list(records.all()) == ["nice-1"]

    def test_blobs_are_kept_byte_by_byte(self, records: Records) -> None:
        records.keep_blobs({"ff": b"\x00\xff" * 5000, "00": b""})
        records.keep_blobs({"ff": b"\x00\xff" * 5000})
        assert dict(records.blobs(["ff", "00", "11"])) == {"ff": b"\x00\xff" * 5000, "00": b""}

    def test_clusters_are_learned_and_learned_again(self, records: Records) -> None:
        records.learn_clusters({"lyon": LearnedCluster(existed=True), "nice": LearnedCluster()})
        records.learn_clusters({"lyon": LearnedCluster(existed=True, datastore="etcd")})
        assert dict(records.clusters()) == {
            "lyon": LearnedCluster(existed=True, datastore="etcd"),
            "nice": LearnedCluster(existed=False, datastore=""),
        }

    def test_what_a_controller_without_the_lease_was_told_is_not_kept(self, records: Records, journal: Journal) -> None:
        old = journal.acquire("ops@desk")
        records.save([LYON], old)
        records.note_unanswered({"nice-1": "b1:cc"}, old)
        journal.release(old)
        newer = journal.acquire("ops@spare")
        with pytest.raises(BusyError):
            records.save([replace(LYON, digest="b1:zz")], old)
        with pytest.raises(BusyError):
            records.note_unanswered({"nice-1": "b1:zz"}, old)
        with pytest.raises(BusyError):
            records.hold_back({"nice-1": "b1:zz"}, "7f3c", old)
        assert not records.held_back()
        assert records.all()["lyon-1"].digest == "b1:aa"
        assert dict(records.unanswered()) == {"nice-1": ("b1:cc",)}
        records.save([replace(LYON, digest="b1:dd")], newer)
        journal.release(newer)
        with pytest.raises(BusyError):
            records.save([LYON], Lease(newer.epoch, "ops@spare"))
        assert records.all()["lyon-1"].digest == "b1:dd"

    def test_2_000_at_once(self, records: Records) -> None:
        many = [Record(f"n{i}", "acme", "m", f"b1:{i}", manifest=f'{{"n":{i}}}') for i in range(2000)]
        records.save(many)
        assert len(records.all()) == 2000
        assert records.manifests([record.digest for record in many])["b1:1999"] == '{"n":1999}'
