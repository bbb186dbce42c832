"""Images made by hand: reproducible, addressed by content, the same after a round trip."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from ropewalk.daemon.images import RECIPES, Sources
from ropewalk.daemon.oci import Entry, ImageSettings, build, layer, read_archive, write_archive

names = st.from_regex(r"[a-z]{1,8}(/[a-z]{1,8}){0,2}", fullmatch=True)


@given(st.dictionaries(names, st.binary(max_size=64)), st.randoms())
def test_a_layer_depends_on_its_entries_alone(files: dict[str, bytes], shuffler: object) -> None:
    entries = [Entry(path, data) for path, data in files.items()]
    blob, diff_id = layer(entries)
    again, _ = layer(reversed(entries))
    assert again.data == blob.data
    plain = gzip.decompress(blob.data)
    assert "sha256:" + hashlib.sha256(plain).hexdigest() == diff_id
    with tarfile.open(fileobj=io.BytesIO(plain)) as tar:
        assert {member.name: tar.extractfile(member).read() for member in tar} == files  # type: ignore[union-attr] # files


def test_an_archive_gives_the_image_back(tmp_path: Path) -> None:
    settings = ImageSettings(command=("run",), stop_signal="SIGQUIT", exposed_ports=("80/tcp",))
    image = build(
        [Entry("bin/run", b"x", 0o755), Entry("bin/go", link="run"), Entry("tmp", folder=True)], settings, "amd64"
    )
    write_archive(image, "localhost/x:1", tmp_path / "x.tar")
    assert read_archive(tmp_path / "x.tar") == image
    config = json.loads(image.config.data)
    assert config["config"]["Cmd"] == ["run"] and config["config"]["StopSignal"] == "SIGQUIT"
    assert "Entrypoint" not in config["config"] and config["architecture"] == "amd64"
    manifest = json.loads(image.manifest.data)
    assert manifest["config"]["digest"] == image.config.digest
    assert [item["digest"] for item in manifest["layers"]] == [blob.digest for blob in image.layers]
    assert config["rootfs"]["diff_ids"] != manifest["layers"][0]["digest"]


def unpacked(root: Path) -> Sources:
    """What Debian's packages look like to the recipes."""
    for path in (
        "usr/sbin/nginx",
        "etc/nginx/mime.types",
        "usr/share/nginx/html/index.html",
        "lib/x86_64-linux-gnu/libc.so.6",
        "lib/x86_64-linux-gnu/gconv/BIG5.so",
        "usr/lib/x86_64-linux-gnu/libssl.so.3",
    ):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path)
    (root / "lib64").mkdir()
    (root / "lib64/ld-linux-x86-64.so.2").symlink_to("/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2")
    return Sources(root, b"busybox", b"catatonit", ("sh", "ls", "busybox"))


def test_the_nginx_image_behaves_as_the_official_one(tmp_path: Path) -> None:
    recipe = RECIPES["nginx"]
    entries = {entry.path: entry for entry in recipe.entries(unpacked(tmp_path))}
    assert entries["var/log/nginx/access.log"].link == "/dev/stdout"
    assert entries["var/log/nginx/error.log"].link == "/dev/stderr"
    assert entries["lib64/ld-linux-x86-64.so.2"].link == "/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"
    assert {"lib/x86_64-linux-gnu/libc.so.6", "usr/lib/x86_64-linux-gnu/libssl.so.3", "bin/sh"} <= set(entries)
    assert not any("gconv" in path for path in entries)
    assert recipe.settings.command == ("nginx", "-g", "daemon off;") and recipe.settings.stop_signal == "SIGQUIT"
    assert (recipe.repository, recipe.tag) == ("library/nginx", "latest")


def test_an_image_with_merged_folders_keeps_the_loaders_path(tmp_path: Path) -> None:
    sources = unpacked(tmp_path)
    (tmp_path / "usr/lib64").mkdir(parents=True)
    (tmp_path / "lib64/ld-linux-x86-64.so.2").rename(tmp_path / "usr/lib64/ld-linux-x86-64.so.2")
    (tmp_path / "lib64").rmdir()
    (tmp_path / "lib/x86_64-linux-gnu").rename(tmp_path / "moved")
    entries = {entry.path: entry for entry in RECIPES["nginx"].entries(sources)}
    assert entries["lib64"].link == "usr/lib64" and entries["lib"].link == "usr/lib"
    assert "usr/lib64/ld-linux-x86-64.so.2" in entries


def test_every_recipe_has_a_fingerprint_of_its_own() -> None:
    assert len({recipe.fingerprint for recipe in RECIPES.values()}) == len(RECIPES)
