"""Keeps raw e-mail addresses, encrypted: HubSpot finds contacts by nothing less.

The key is not in the database. It comes from the environment (``LEADUP_KEY``) or lies beside the state in
``leadup.key``, readable by its owner alone. To change it, write the new key in front of the old one, separated by a
comma: the first encrypts, all of them decrypt.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from pydantic import SecretStr
from sqlalchemy import Connection, select, tuple_

from leadup.errors import SettingsError
from leadup.state.store import chunks, upsert
from leadup.state.tables import identifiers, vault
from leadup.types import Identifier

VARIABLE: Final = "LEADUP_KEY"
FILE: Final = "leadup.key"
_HOW = (
    "A key is what this prints: "
    "python -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'"
)


class Vault:
    """Encrypts and decrypts with one or several Fernet keys (AES-128-CBC with HMAC-SHA256)."""

    def __init__(self, keys: str) -> None:
        """Take one key, or several separated by commas or white space, the one to encrypt with first.

        Raises:
            ValueError: there is none, or one of them is not a Fernet key.
        """
        self._fernet = MultiFernet([Fernet(key) for key in keys.replace(",", " ").split()])

    def encrypt(self, address: SecretStr) -> bytes:
        """Encrypt an address."""
        return self.lock(address.get_secret_value().encode())

    def decrypt(self, cipher: bytes) -> SecretStr:
        """Decrypt an address.

        Raises:
            SettingsError: it was encrypted with a key that is not among ours.
        """
        return SecretStr(self.unlock(cipher).decode())

    def lock(self, data: bytes) -> bytes:
        """Encrypt anything."""
        return self._fernet.encrypt(data)

    def unlock(self, cipher: bytes) -> bytes:
        """Decrypt anything.

        Raises:
            SettingsError: it was encrypted with a key that is not among ours.
        """
        try:
            return self._fernet.decrypt(cipher)
        except InvalidToken:
            raise SettingsError(
                "What the state keeps encrypted (e-mail addresses, collected requests) was encrypted with another key "
                "than the present one.\n"
                f"  What to do: put the old key back, in the environment variable {VARIABLE} or in {FILE} in the "
                "state's folder; to use a new one too, write new,old."
            ) from None

    def keep(self, connection: Connection, secrets: Iterable[tuple[Identifier, SecretStr]]) -> None:
        """Store addresses under their identifiers, which :func:`leadup.identity.resolve.absorb` has made known.

        Addresses that are already there are left as they are. Needs a transaction that may write.
        """
        wanted = {(secret[0].kind.value, secret[0].value): secret[1] for secret in secrets}
        pair = tuple_(identifiers.c.kind, identifiers.c.value)
        rows = []
        for batch in chunks(wanted):
            missing = (
                select(identifiers.c.id, identifiers.c.kind, identifiers.c.value)
                .outerjoin(vault, vault.c.identifier == identifiers.c.id)
                .where(pair.in_(batch), vault.c.identifier.is_(None))
            )
            rows += [
                {"identifier": id_, "cipher": self.encrypt(wanted[kind, value])}
                for id_, kind, value in connection.execute(missing)
            ]
        upsert(connection, vault, rows, update=())


def load_key(folder: Path, environment: Mapping[str, str] = os.environ) -> Vault:
    """Open the vault with the key in ``LEADUP_KEY``, else in ``folder/leadup.key``, which is made when missing.

    Raises:
        SettingsError: the key can not be read, made or used; the text names the places looked in.
    """
    path = folder / FILE
    from_environment = environment.get(VARIABLE, "").strip()
    source = f"environment variable {VARIABLE}" if from_environment else f"file {path}"
    try:
        keys = from_environment or _key_in(path)
        return Vault(keys)
    except (OSError, ValueError) as error:
        looked = f"environment variable {VARIABLE} ({'set' if from_environment else 'not set'})"
        looked += f", file {path} ({'not looked at' if from_environment else 'looked at'})"
        raise SettingsError(
            f"The key for e-mail addresses in {source} is of no use: {error}\n  Looked in: {looked}.\n"
            f"  What to do: correct the key there. {_HOW}"
        ) from None


def _key_in(path: Path) -> str:
    """Read the key file; make it first when it is missing, whole or not at all, whoever else does the same."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, draft = tempfile.mkstemp(prefix=f".{FILE}.", dir=path.parent)  # mode 0600
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(Fernet.generate_key() + b"\n")
                file.flush()
                os.fsync(file.fileno())
            with suppress(FileExistsError):
                os.link(draft, path)
        finally:
            Path(draft).unlink()
    return path.read_text(encoding="ascii")
