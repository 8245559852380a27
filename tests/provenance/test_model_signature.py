"""A signed model opens only as it was signed; the format is that of OpenSSF Model Signing."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from superalign.contracts.errors import InputError, ModelError
from superalign.provenance.model_signature import SIGNATURE, SIGNERS, check_if_signed, sign, signers, verify


@pytest.fixture
def keys(tmp_path: Path) -> Callable[[str], tuple[Path, Path]]:
    def make(name: str, curve: ec.EllipticCurve | None = None) -> tuple[Path, Path]:
        key = ec.generate_private_key(curve or ec.SECP256R1())
        private, public = tmp_path / f"{name}.key", tmp_path / "signers" / f"{name}.pem"
        public.parent.mkdir(exist_ok=True)
        private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        return private, public

    return make


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    (folder / "sub").mkdir(parents=True)
    (folder / "card.json").write_text("{}")
    (folder / "adapter_model.safetensors").write_bytes(b"weights")
    (folder / "sub" / "more.bin").write_bytes(b"more")
    return folder


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()], ids=lambda curve: curve.name)
def test_what_is_signed_verifies(model: Path, keys: Callable[..., tuple[Path, Path]], curve: ec.EllipticCurve) -> None:
    private, public = keys("alice", curve)
    sign(model, private)
    assert verify(model, [public]) == hashlib.sha256(public.read_bytes()).hexdigest()
    sign(model, private)  # again: the old signature is no part of what is signed
    verify(model, [public])


def test_the_bundle_is_as_the_format_says(model: Path, keys: Callable[..., tuple[Path, Path]]) -> None:
    private, public = keys("alice")
    bundle = json.loads(sign(model, private).read_text())
    envelope = bundle["dsseEnvelope"]
    payload = base64.b64decode(envelope["payload"])
    told = json.loads(payload)
    assert bundle["mediaType"] == "application/vnd.dev.sigstore.bundle.v0.3+json"
    assert told["_type"] == "https://in-toto.io/Statement/v1"
    assert told["predicateType"] == "https://model_signing/signature/v1.0"
    names = ["adapter_model.safetensors", "card.json", "sub/more.bin"]
    resources = told["predicate"]["resources"]
    assert [own["name"] for own in resources] == names
    assert [own["digest"] for own in resources] == [hashlib.sha256((model / n).read_bytes()).hexdigest() for n in names]
    root = hashlib.sha256(b"".join(bytes.fromhex(own["digest"]) for own in resources)).hexdigest()
    assert told["subject"] == [{"name": "model", "digest": {"sha256": root}}]
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    key = load_pem_public_key(public.read_bytes())
    assert isinstance(key, ec.EllipticCurvePublicKey)
    encoded = b"DSSEv1 28 application/vnd.in-toto+json " + str(len(payload)).encode() + b" " + payload
    key.verify(base64.b64decode(envelope["signatures"][0]["sig"]), encoded, ec.ECDSA(hashes.SHA256()))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda model: (model / "card.json").write_text("{ }"), "card.json was changed"),
        (lambda model: (model / "delta.safetensors").write_text("x"), "delta.safetensors was not signed"),
        (lambda model: (model / "sub/more.bin").unlink(), "more.bin is missing"),
        (lambda model: (model / SIGNATURE).write_text("{"), "can't be read"),
        (lambda model: (model / SIGNATURE).write_text("[]"), "can't be read"),
        (lambda model: (model / "link").symlink_to("card.json"), "link"),
    ],
)
def test_what_was_changed_is_refused(
    model: Path, keys: Callable[..., tuple[Path, Path]], change: Callable[[Path], object], says: str
) -> None:
    private, public = keys("alice")
    sign(model, private)
    change(model)
    with pytest.raises(ModelError, match=says):
        verify(model, [public])


def test_another_statement_under_the_same_signature_is_refused(
    model: Path, keys: Callable[..., tuple[Path, Path]]
) -> None:
    private, public = keys("alice")
    bundle = json.loads(sign(model, private).read_text())
    (model / "card.json").write_text("{ }")
    other = json.loads(sign(model, keys("mallory")[0]).read_text())
    bundle["dsseEnvelope"]["payload"] = other["dsseEnvelope"]["payload"]
    (model / SIGNATURE).write_text(json.dumps(bundle))
    with pytest.raises(ModelError, match="signature is wrong"):
        verify(model, [public])


def test_only_trusted_signers_are_taken(
    model: Path, keys: Callable[..., tuple[Path, Path]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SIGNERS, str(tmp_path / "signers"))
    check_if_signed(model)  # nothing is said of a model without a signature
    with pytest.raises(ModelError, match="not signed"):
        verify(model, signers())
    private, public = keys("alice")
    sign(model, private)
    check_if_signed(model)
    public.unlink()
    keys("bob")
    with pytest.raises(ModelError, match=r"not trusted here.*signers"):
        check_if_signed(model)


def test_keys_of_another_kind_are_bad_input(model: Path, tmp_path: Path) -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    path = tmp_path / "other.key"
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    for given in (path, tmp_path / "none"):
        with pytest.raises(InputError, match="openssl"):
            sign(model, given)


def test_a_signed_model_is_opened_only_as_it_was_signed(
    keys: Callable[..., tuple[Path, Path]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.models import transcript_attacks

    from superalign.models.train import trained_decoder

    monkeypatch.setenv(SIGNERS, str(tmp_path / "signers"))
    base, model = transcript_attacks.base(), transcript_attacks.honest(tmp_path / "trained").model
    private, public = keys("alice")
    sign(model, private)
    trained_decoder(base.decoder, model)
    (model / "training_data.json").write_text("{}")  # the card does not name it, the signature does
    with pytest.raises(ModelError, match=r"training_data\.json was not signed"):
        trained_decoder(base.decoder, model)
    sign(model, private)
    public.unlink()
    with pytest.raises(ModelError, match="not trusted here"):
        trained_decoder(base.decoder, model)
