"""Raw addresses rest encrypted, under a key that is not in the database."""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr
from sqlalchemy import select

from leadup.errors import SettingsError
from leadup.identity.register import Sighting
from leadup.identity.resolve import absorb
from leadup.identity.vault import FILE, VARIABLE, Vault, load_key
from leadup.normal import sha256
from leadup.state import open_store
from leadup.state.tables import vault as table
from leadup.types import Identifier, Kind

ANN = SecretStr("ann@example.com")
ANN_ID = Identifier(Kind.EMAIL, sha256(ANN.get_secret_value()))


def key() -> str:
    return Fernet.generate_key().decode()


def test_a_key_is_made_once_for_the_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    cipher = load_key(folder, {}).encrypt(ANN)
    assert stat.S_IMODE((folder / FILE).stat().st_mode) == 0o600
    assert load_key(folder, {}).decrypt(cipher) == ANN
    assert [path.name for path in folder.iterdir()] == [FILE]


def test_processes_that_start_together_agree_on_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        vaults = list(pool.map(lambda _: load_key(tmp_path, {}), range(8)))
    assert {vault.decrypt(vaults[0].encrypt(ANN)) for vault in vaults} == {ANN}


def test_the_environment_comes_first_and_leaves_no_file(tmp_path: Path) -> None:
    text = key()
    cipher = load_key(tmp_path, {VARIABLE: text}).encrypt(ANN)
    assert Vault(text).decrypt(cipher) == ANN
    assert list(tmp_path.iterdir()) == []


def test_a_new_key_in_front_of_the_old_one_reads_both(tmp_path: Path) -> None:
    old, new = key(), key()
    both = load_key(tmp_path, {VARIABLE: f"{new},{old}"})
    assert both.decrypt(Vault(old).encrypt(ANN)) == ANN
    assert Vault(new).decrypt(both.encrypt(ANN)) == ANN


@pytest.mark.parametrize("text", ["", "not a key", "dGVzdA==", f"{'x' * 42}="])
def test_a_file_that_is_no_key_says_where_it_was_looked_for(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(SettingsError) as caught:
        load_key(tmp_path, {})
    assert str(tmp_path / FILE) in str(caught.value)
    assert f"{VARIABLE} (not set)" in str(caught.value)


def test_a_variable_that_is_no_key_is_not_shown(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=VARIABLE) as caught:
        load_key(tmp_path, {VARIABLE: "hunter2"})
    assert "hunter2" not in str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_can_not_be_read(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(key())
    (tmp_path / FILE).chmod(0)
    with pytest.raises(SettingsError, match=FILE):
        load_key(tmp_path, {})


def test_a_folder_where_the_file_should_be(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    with pytest.raises(SettingsError, match=FILE):
        load_key(tmp_path, {})


def test_another_key_opens_nothing() -> None:
    with pytest.raises(SettingsError, match=VARIABLE) as caught:
        Vault(key()).decrypt(Vault(key()).encrypt(ANN))
    assert "put the old key back" in str(caught.value)


def test_addresses_are_kept_once_and_nowhere_in_the_clear(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/state.db", tmp_path)
    vault = Vault(key())
    with store.write() as connection:
        absorb(connection, [Sighting([ANN_ID], 1)])
        vault.keep(connection, [(ANN_ID, ANN), (ANN_ID, ANN)])
    with store.write() as connection:
        before = connection.execute(select(table)).all()
        vault.keep(connection, [(ANN_ID, ANN), (Identifier(Kind.EMAIL, sha256("stranger")), SecretStr("stranger"))])
        assert connection.execute(select(table)).all() == before
    store.close()
    assert [vault.decrypt(row.cipher) for row in before] == [ANN]
    assert all(b"ann@example" not in path.read_bytes() for path in tmp_path.iterdir())
