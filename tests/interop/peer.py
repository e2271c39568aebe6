"""A peer in another language, written from docs/protocol.md: takes mail in, answers it, sends mail, verifies evidence.

Prints one JSON object a line about what happens. See tests/it/interop.rs for how it is run against a node.
"""

import argparse
import concurrent.futures
import json
import pathlib
import queue
import secrets
import sys
import threading

import grpc
from cryptography import x509
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from google.protobuf.message import DecodeError
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

import evidence
import hpke
from book import WINDOW, Book
from generated import bodies_pb2, content_pb2, node_grpc, node_pb2, pb
from protocol import (
    Fault, Trust, area_of, check_signature, envelope_digest, ledger_entry, load_identity, need, now_ms, pad, root,
    sha256, sign, unpad, uuid7,
)

DAY_MS = 86_400_000
FRAME_BYTES_MAX = 2 * 1024 * 1024
OPTIONS = [("grpc.max_receive_message_length", FRAME_BYTES_MAX), ("grpc.max_send_message_length", FRAME_BYTES_MAX)]


def say(event, **what):
    print(json.dumps({"event": event, **what}, ensure_ascii=False), flush=True)


class Peer:
    """One county's node: its identity, what it must not forget, and what it may forget."""

    def __init__(self, args):
        self.area, self.endpoint = args.area, args.listen
        self.chain_pem, self.key_pem = args.cert.read_bytes(), args.key.read_bytes()
        self.root_pem = args.root.read_bytes()
        self.chain, self.key = load_identity(self.chain_pem, self.key_pem)
        self.trust = Trust(self.root_pem, args.lists.read_bytes())
        self.book = Book(args.dir / "book.sqlite")
        private = self.book.secret("sealing key", lambda: X25519PrivateKey.generate().private_bytes_raw())
        self.sealing_key = X25519PrivateKey.from_private_bytes(private)
        self.fault = args.fault
        self.lock = threading.Lock()
        self.answers = queue.Queue()

    def signer(self):
        return sha256(self.chain[0])

    def card(self):
        """Section 2."""
        key = pb_key(hpke.raw(self.sealing_key.public_key()))
        card = node_pb2.NodeCard(
            area=self.area, name="另一种语言的节点", endpoints=[self.endpoint], sealing_keys=[key],
            version=now_ms(), valid_from_ms=now_ms() - 60_000, valid_until_ms=now_ms() + 30 * DAY_MS,
        ).SerializeToString()
        signature = sign(self.key, b"card", card)
        return node_pb2.SignedNodeCard(card=card, signature=signature, certificate_chain=self.chain)

    def hello(self):
        return node_pb2.Hello(version="interop 1", features=["withdrawn"], now_ms=now_ms(), window_parcels=4)

    # Taking mail in: sections 5 to 8.

    def take(self, parcel, chain):
        """The receipt for a parcel, after everything it says is on disk."""
        manifest = pb.ParcelManifest.FromString(parcel.manifest)
        sender = getattr(manifest, "from")
        certificate, area = self.trust.chain(chain, now_ms())
        need(area == sender, "SENDER_MISMATCH")
        need(manifest.to == self.area, "NOT_FOR_US")
        need(manifest.signer == sha256(chain[0]), "SIGNATURE_INVALID")
        check_signature(certificate, b"parcel", parcel.signature, parcel.manifest)
        digests = [self.digest(e, i in manifest.withdrawn) for i, e in enumerate(parcel.envelopes)]
        need(1 <= len(digests) <= 512 and len(digests) == manifest.count, "MALFORMED")
        need(root(digests) == manifest.root, "MALFORMED")
        with self.lock:
            with self.book:
                dispositions = [self.judge(sender, e, d) for e, d in zip(parcel.envelopes, digests)]
            return self.receipt(manifest, [d.SerializeToString() for d in dispositions])

    @staticmethod
    def digest(envelope, withdrawn):
        """Section 4; a withdrawn envelope has a hash in place of its body."""
        need(withdrawn == bool(envelope.sealed_sha256) and withdrawn != bool(envelope.sealed), "MALFORMED")
        return envelope_digest(envelope.header, envelope.sealed_sha256 or sha256(envelope.sealed))

    def judge(self, sender, envelope, digest):
        """What becomes of one envelope: the table of section 6, in its order."""
        try:
            header = pb.EnvelopeHeader.FromString(envelope.header)
        except DecodeError:
            unknown = bytes(16)
            return pb.Disposition(message_id=unknown, digest=digest, decided_ms=now_ms(), outcome=pb.OUTCOME_REFUSED, reason="MALFORMED")
        answer = pb.Disposition(message_id=header.message_id, digest=digest, decided_ms=now_ms())
        refuse = lambda reason: fill(answer, outcome=pb.OUTCOME_REFUSED, reason=reason)
        if getattr(header, "from") != sender:
            return refuse("SENDER_MISMATCH")
        if header.to != self.area:
            return refuse("NOT_FOR_US")
        place = (sender, str(header.lane_epoch), header.lane_sequence)
        known = self.book.one("select digest, disposition from seen where peer = ? and epoch = ? and sequence = ?", *place)
        if known:
            original = pb.Disposition.FromString(known[1])
            same = known[0] == digest and original.message_id == header.message_id
            return fill(original, duplicate=True) if same else refuse("CONFLICT")
        if self.known_message(header, envelope, digest, answer):
            self.book.run("insert into seen values (?, ?, ?, ?, ?)", *place, digest, answer.SerializeToString())
            return answer
        if header.lane_sequence > self.book.high_water(sender, header.lane_epoch) + WINDOW:
            return fill(answer, outcome=pb.OUTCOME_DEFERRED, reason="WINDOW_EXCEEDED", retry_after_ms=now_ms() + 5000)
        content = None
        if header.expires_ms <= now_ms():
            refuse("EXPIRED")
        elif envelope.sealed_sha256:
            refuse("WITHDRAWN")
        else:
            content = self.open(header, envelope, refuse)
        if content is not None:
            fill(answer, outcome=pb.OUTCOME_STORED)
            values = (header.message_id, sender, digest, content, answer.SerializeToString())
            self.book.run("insert into message values (?, ?, ?, ?, ?)", *values)
            entry = ledger_entry(2, header.message_id, digest, sender, self.area, header.created_ms)
            self.book.append_ledger(entry)
            self.stored(sender, header, content_pb2.Content.FromString(content))
        if self.fault != "forgets":
            self.book.run("insert into seen values (?, ?, ?, ?, ?)", *place, digest, answer.SerializeToString())
        return answer

    def known_message(self, header, envelope, digest, answer):
        """Whether a message with this id is there already; then the answer says what became of it."""
        known = self.book.one("select digest, content, disposition from message where id = ?", header.message_id)
        if known is None:
            return False
        first, content, disposition = known
        ignore = lambda reason: None
        if first == digest or (envelope.sealed and self.open(header, envelope, ignore) == content):
            original = pb.Disposition.FromString(disposition)
            fill(answer, outcome=original.outcome, decided_ms=original.decided_ms, duplicate=True)
        else:
            fill(answer, outcome=pb.OUTCOME_REFUSED, reason="CONFLICT")
        return True

    def open(self, header, envelope, refuse):
        """The content, or nothing after a refusal."""
        own = hpke.raw(self.sealing_key.public_key())
        if header.seal.profile != pb.ALGORITHM_PROFILE_INTERNATIONAL:
            return refuse("VERSION_UNSUPPORTED") and None
        if header.seal.recipient_key_id != hpke.key_id(own):
            return refuse("SEALED_FOR_OTHER_KEY") and None
        try:
            key = hpke.opener(self.sealing_key, header.seal.encapsulated_key)
            content = unpad(key.open(header.seal.counter, envelope.header, envelope.sealed))
            known = content_pb2.Content.FromString(content).WhichOneof("body")
        except (Fault, InvalidTag, ValueError):
            return refuse("MALFORMED") and None
        return content if known else refuse("VERSION_UNSUPPORTED") and None

    def stored(self, sender, header, content):
        kind = content.WhichOneof("body")
        say("stored", id=header.message_id.hex(), sender=sender, kind=kind)
        if kind == "arrival_notice":
            reply = content_pb2.Content(
                case_id=header.message_id, in_reply_to=header.message_id, basis=content.basis, purpose=content.purpose,
                person=content.person,
                arrival_feedback=bodies_pb2.ArrivalFeedback(outcome=bodies_pb2.ARRIVAL_OUTCOME_CONFIRMED),
            )
            self.answers.put((sender, reply))

    def receipt(self, parcel, dispositions):
        """Section 6."""
        size, head = self.book.head()
        manifest = pb.ReceiptManifest(
            parcel_id=parcel.parcel_id, parcel_root=parcel.root, to=getattr(parcel, "from"), count=len(dispositions),
            root=root(dispositions), ledger_head=pb.LedgerHead(size=size, root=head), signed_ms=now_ms(),
            signer=self.signer(), **{"from": self.area},
        ).SerializeToString()
        signature = sign(self.key, b"receipt", manifest)
        return pb.Receipt(manifest=manifest, signature=signature, dispositions=dispositions, certificate_chain=self.chain)

    # Sending: sections 3 to 5 and 9.

    def accept(self, to, contents, sealer):
        """Numbers, seals and keeps messages; on disk when it returns."""
        with self.lock, self.book:
            row = self.book.one("select epoch, next from lane where peer = ?", to)
            epoch, sequence = row or (secrets.randbits(62), 1)
            for content in contents:
                created = now_ms()
                counter = sealer.take_counter()
                header = pb.EnvelopeHeader(
                    message_id=uuid7(created), to=to, lane_epoch=epoch, lane_sequence=sequence, created_ms=created,
                    expires_ms=created + 90 * DAY_MS, **{"from": self.area},
                    seal=pb.Seal(
                        profile=pb.ALGORITHM_PROFILE_INTERNATIONAL, recipient_key_id=sealer.recipient_key_id,
                        encapsulated_key=sealer.encapsulated, counter=counter,
                    ),
                )
                encoded = header.SerializeToString()
                sealed = sealer.seal(counter, encoded, pad(content.SerializeToString()))
                digest = envelope_digest(encoded, sha256(sealed))
                values = (to, sequence, header.message_id, encoded, sealed, None)
                self.book.run("insert into sent values (?, ?, ?, ?, ?, ?)", *values)
                self.book.append_ledger(ledger_entry(1, header.message_id, digest, self.area, to, created))
                sequence += 1
            self.book.run("insert or replace into lane values (?, ?, ?)", to, epoch, sequence)

    def parcel(self, to):
        """The mail that has no final answer yet, signed."""
        query = "select sequence, header, sealed from sent where peer = ? and disposition is null order by sequence limit 512"
        with self.lock:
            rows = self.book.all(query, to)
        envelopes = [pb.Envelope(header=header, sealed=sealed) for _, header, sealed in rows]
        digests = [envelope_digest(e.header, sha256(e.sealed)) for e in envelopes]
        manifest = pb.ParcelManifest(
            parcel_id=secrets.token_bytes(16), to=to, count=len(rows), root=root(digests), signed_ms=now_ms(),
            signer=self.signer(), **{"from": self.area},
        )
        encoded = manifest.SerializeToString()
        signature = sign(self.key, b"parcel", encoded)
        parcel = pb.Parcel(manifest=encoded, signature=signature, envelopes=envelopes, certificate_chain=self.chain)
        return parcel, manifest, [row[0] for row in rows], digests

    def settle(self, to, manifest, sequences, digests, receipt):
        """Checks a receipt in every respect and keeps it."""
        answer = pb.ReceiptManifest.FromString(receipt.manifest)
        certificate, area = self.trust.chain(receipt.certificate_chain, answer.signed_ms)
        need(area == to == getattr(answer, "from") and answer.to == self.area, "the receipt is somebody else's")
        check_signature(certificate, b"receipt", receipt.signature, receipt.manifest)
        need(answer.signer == sha256(receipt.certificate_chain[0]), "signed with another certificate")
        need((answer.parcel_id, answer.parcel_root) == (manifest.parcel_id, manifest.root), "another parcel")
        need(answer.count == len(receipt.dispositions) == len(digests), "not one answer an envelope")
        need(root(list(receipt.dispositions)) == answer.root, "the dispositions are others")
        with self.lock, self.book:
            for sequence, digest, encoded in zip(sequences, digests, receipt.dispositions):
                disposition = pb.Disposition.FromString(encoded)
                need(disposition.digest == digest, "about another envelope")
                final = disposition.outcome in (pb.OUTCOME_STORED, pb.OUTCOME_REFUSED)
                if final:
                    query = "update sent set disposition = ? where peer = ? and sequence = ?"
                    self.book.run(query, encoded, to, sequence)
                outcome = evidence.OUTCOMES[disposition.outcome]
                say("answered", id=disposition.message_id.hex(), outcome=outcome, reason=disposition.reason, duplicate=disposition.duplicate)


def fill(message, **fields):
    for name, value in fields.items():
        setattr(message, name, value)
    return message


def pb_key(public):
    return node_pb2.SealingKey(profile=pb.ALGORITHM_PROFILE_INTERNATIONAL, public_key=public, use_until_ms=now_ms() + 90 * DAY_MS)


class Service(node_grpc.NodeServiceServicer):
    """Sections 2 and 8, from the callee's side."""

    def __init__(self, peer):
        self.peer = peer

    def GetNodeCard(self, request, context):
        return node_pb2.GetNodeCardResponse(card=self.peer.card())

    def Exchange(self, frames, context):
        caller = area_of(x509.load_pem_x509_certificate(context.auth_context()["x509_pem_cert"][0]))
        yield node_pb2.ExchangeResponse(hello=self.peer.hello())
        chain = []
        for frame in frames:
            if frame.WhichOneof("frame") != "parcel":
                continue
            chain = list(frame.parcel.certificate_chain) or chain
            try:
                yield node_pb2.ExchangeResponse(receipt=self.peer.take(frame.parcel, chain))
            except (Fault, InvalidSignature) as fault:
                reason = str(fault) or "SIGNATURE_INVALID"
                say("turned away", caller=caller, why=reason)
                context.abort_with_status(named(reason))


def named(reason):
    """A status that names a reason of the catalogue, as section 8 says."""
    status = status_pb2.Status(code=code_pb2.INVALID_ARGUMENT, message=reason)
    status.details.add().Pack(error_details_pb2.ErrorInfo(reason=reason, domain="liangdi"))
    return rpc_status.to_status(status)


def serve(peer):
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(16), options=OPTIONS)
    node_grpc.add_NodeServiceServicer_to_server(Service(peer), server)
    pair = (peer.key_pem, peer.chain_pem)
    credentials = grpc.ssl_server_credentials([pair], peer.root_pem, require_client_auth=True)
    server.add_secure_port(peer.endpoint, credentials)
    server.start()
    return server


class Line:
    """A connection that we opened to a node."""

    def __init__(self, peer, area, endpoint):
        self.peer, self.area = peer, area
        credentials = grpc.ssl_channel_credentials(peer.root_pem, peer.key_pem, peer.chain_pem)
        name = f"{area}.{area[:2]}.liangdi.internal"
        self.channel = grpc.secure_channel(endpoint, credentials, [*OPTIONS, ("grpc.ssl_target_name_override", name)])
        self.stub = node_grpc.NodeServiceStub(self.channel)
        self.sealer = hpke.Sealer(self.card().sealing_keys[0].public_key)

    def card(self):
        signed = self.stub.GetNodeCard(node_pb2.GetNodeCardRequest(), timeout=30, wait_for_ready=True).card
        certificate, area = self.peer.trust.chain(signed.certificate_chain, now_ms())
        card = node_pb2.NodeCard.FromString(signed.card)
        need(area == card.area == self.area, "the card of somebody else")
        check_signature(certificate, b"card", signed.signature, signed.card)
        need(card.valid_from_ms <= now_ms() < card.valid_until_ms, "the card does not hold")
        return card

    def send(self, contents):
        """Brings messages to their answer, and what waited before them."""
        self.peer.accept(self.area, contents, self.sealer)
        parcel, manifest, sequences, digests = self.peer.parcel(self.area)
        frames = [node_pb2.ExchangeRequest(hello=self.peer.hello()), node_pb2.ExchangeRequest(parcel=parcel)]
        done = threading.Event()

        def outgoing():
            yield from frames
            done.wait(60)

        answers = self.stub.Exchange(outgoing(), timeout=60)
        need(next(answers).WhichOneof("frame") == "hello", "the first frame is not a hello")
        receipt = next(answer.receipt for answer in answers if answer.WhichOneof("frame") == "receipt")
        done.set()
        self.peer.settle(self.area, manifest, sequences, digests, receipt)


def departure(number):
    """A message of ours: 离开通报 about a made-up person with a passport."""
    return content_pb2.Content(
        basis=content_pb2.LAWFUL_BASIS_STATUTORY_DUTY, purpose=content_pb2.PURPOSE_RESIDENCE_REGISTRATION,
        person=content_pb2.PersonReference(
            document=content_pb2.IdentityDocument(kind=content_pb2.DOCUMENT_KIND_PASSPORT, number=f"E{number:08d}"), name="样例",
        ),
        departure_notice=bodies_pb2.DepartureNotice(registration_id=uuid7(now_ms()), departed_on="2026-01-02"),
    )


def run(args):
    peer = Peer(args)
    server = serve(peer)
    say("serves", area=peer.area)
    line = Line(peer, args.to, args.endpoint)
    if args.send:
        line.send([departure(number) for number in range(args.send)])
    for command in sys.stdin:
        word, *rest = command.split()
        if word == "answer":
            sender, content = peer.answers.get(timeout=60)
            need(sender == args.to, "a question from somebody else")
            line.send([content])
        elif word == "verify":
            judge(pathlib.Path(rest[0]).read_bytes(), peer.trust)
        elif word == "head":
            size, head = peer.book.head()
            say("head", size=size, root=head.hex())
    server.stop(1).wait()


def judge(data, trust):
    """Says what a file of evidence proves, or that it proves nothing."""
    try:
        say("verified", **evidence.verify(data, trust))
    except (Fault, InvalidSignature, DecodeError, ValueError, TypeError, x509.ExtensionNotFound) as fault:
        say("broken", why=f"{type(fault).__name__}: {fault}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--area", required=True, help="our county, six digits")
    for name in ("cert", "key", "root", "lists", "dir"):
        parser.add_argument(f"--{name}", required=True, type=pathlib.Path)
    parser.add_argument("--listen", required=True, help="HOST:PORT of our node API")
    parser.add_argument("--to", required=True, help="the node we talk to, six digits")
    parser.add_argument("--endpoint", required=True, help="HOST:PORT where it is")
    parser.add_argument("--fault", choices=["forgets"], help="break a promise, for trials of conformance tests")
    parser.add_argument("--send", type=int, default=0, help="messages to send at the start")
    run(parser.parse_args())


if __name__ == "__main__":
    main()
