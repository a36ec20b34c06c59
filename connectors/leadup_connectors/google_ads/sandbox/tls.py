"""A certificate for ``localhost``, made once in a process: an unmodified ``GoogleAdsClient`` speaks TLS only."""

from __future__ import annotations

import atexit
import ipaddress
import shutil
import tempfile
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_VALID = timedelta(days=30)


class Certificate(NamedTuple):
    """A certificate that vouches for itself, with its key (PEM)."""

    chain: bytes
    key: bytes
    path: Path
    """Where the certificate is; for ``GRPC_DEFAULT_SSL_ROOTS_FILE_PATH``. Gone when the process ends."""


@cache
def certificate() -> Certificate:
    """Make it, or return that of before: gRPC reads its roots once in a process."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "leadup sandbox")])
    now = datetime.now(UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + _VALID)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder = Path(tempfile.mkdtemp(prefix="leadup-sandbox-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path, chain = folder / "ca.pem", made.public_bytes(serialization.Encoding.PEM)
    path.write_bytes(chain)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return Certificate(chain, private, path)
