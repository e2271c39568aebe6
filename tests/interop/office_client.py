"""A clerk's program in another language: knows nothing but the address, and learns the rest by reflection.

Reads one JSON object from standard input (two offices with their certificates, a person), registers her at one office, tells
the other, answers there, lists at both, and makes mistakes on purpose. Prints one JSON object with what it saw. See
tests/it/office_client.rs for how it is run.
"""

import json
import sys
import time

import grpc
from google.protobuf import json_format, message_factory
from google.protobuf.descriptor_pool import DescriptorPool
from google.rpc import error_details_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from grpc_status import rpc_status

PACKAGE = "liangdi.office.v1"
PATIENCE_S = 60


class Office:
    """The office API of one node, as its own reflection describes it."""

    def __init__(self, given):
        read = lambda name: open(given[name], "rb").read()
        credentials = grpc.ssl_channel_credentials(read("root"), read("key"), read("cert"))
        name = ("grpc.ssl_target_name_override", given["name"])
        self.channel = grpc.secure_channel(given["address"], credentials, [name])
        self.database = ProtoReflectionDescriptorDatabase(self.channel)
        self.pool = DescriptorPool(self.database)

    def services(self):
        return sorted(self.database.get_services())

    def call(self, service, method, **request):
        """Calls a method with a request in JSON; the answer in JSON, and every field of it."""
        found = self.pool.FindServiceByName(f"{PACKAGE}.{service}").FindMethodByName(method)
        takes = message_factory.GetMessageClass(found.input_type)
        gives = message_factory.GetMessageClass(found.output_type)
        call = self.channel.unary_unary(
            f"/{PACKAGE}.{service}/{method}",
            request_serializer=takes.SerializeToString,
            response_deserializer=gives.FromString,
        )
        answer = call(json_format.ParseDict(request, takes()), timeout=20)
        return json_format.MessageToDict(answer, always_print_fields_with_no_presence=True)


def refusal(work):
    """What a refused call says: the status, the reason of the catalogue, and what is wrong with which field."""
    try:
        work()
    except grpc.RpcError as error:
        status = rpc_status.from_call(error)
        said = {"code": error.code().name, "reason": "", "fields": [], "texts": []}
        for detail in status.details:
            info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
            localized = error_details_pb2.LocalizedMessage()
            if detail.Unpack(info):
                said["reason"] = info.reason
            elif detail.Unpack(bad):
                said["fields"] += [violation.field for violation in bad.field_violations]
                said["texts"] += [violation.description for violation in bad.field_violations]
            elif detail.Unpack(localized):
                said["texts"].append(localized.message)
        return said
    raise AssertionError("this had to be refused")


def eventually(what, look):
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        found = look()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"never: {what}")


def send_when_known(office, **request):
    """The other county's card may still be on its way."""
    def attempt():
        try:
            return office.call("MessageService", "SendMessage", **request)
        except grpc.RpcError as error:
            if error.code() in (grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.UNAVAILABLE):
                return None
            raise
    return eventually("the message is accepted", attempt)


def main():
    given = json.load(sys.stdin)
    here, there = Office(given["here"]), Office(given["there"])
    person, origin, residence = given["person"], given["there"]["area"], given["here"]["area"]
    registration = {
        "originArea": origin, "residenceArea": residence, "arrivedOn": given["today"], "address": "梧桐路1号甲楼",
    }
    whole = {
        "document": person["document"], "name": person["name"], "sex": person["sex"], "bornOn": person["born_on"],
    }
    registered = here.call(
        "RegistrationService", "RegisterArrival",
        person=whole, registration=registration, idempotencyKey="python-1", reason="本人到窗口登记",
    )
    again = here.call(
        "RegistrationService", "RegisterArrival",
        person=whole, registration=registration, idempotencyKey="python-1", reason="本人到窗口登记",
    )
    content = {
        "basis": "LAWFUL_BASIS_STATUTORY_DUTY",
        "purpose": "PURPOSE_RESIDENCE_REGISTRATION",
        "person": {"name": person["name"], "document": person["document"]},
        "arrivalNotice": {
            "registrationId": given["registration_id"], "arrivedOn": given["today"], "residenceArea": residence,
        },
    }
    sent = send_when_known(here, to=origin, content=content, idempotencyKey="python-2")
    id = sent["messageId"]
    listed = eventually("the notice is on the other side's list", lambda: [
        track for track in there.call("MessageService", "ListTodo")["messages"] if track["messageId"] == id
    ])
    access = {"basis": "LAWFUL_BASIS_STATUTORY_DUTY", "purpose": "PURPOSE_RESIDENCE_REGISTRATION"}
    read = there.call("MessageService", "GetMessage", messageId=id, access=access)
    answer = {
        **{field: content[field] for field in ("basis", "purpose", "person")},
        "caseId": given_bytes(id), "inReplyTo": given_bytes(id),
        "arrivalFeedback": {"outcome": "ARRIVAL_OUTCOME_CONFIRMED"},
    }
    answered = send_when_known(there, to=residence, content=answer, idempotencyKey="python-3")
    back = eventually("the answer is here", lambda: [
        track for track in here.call("MessageService", "ListMessages", direction="DIRECTION_RECEIVED")["messages"]
        if track["messageId"] == answered["messageId"]
    ])
    wrong = {**whole, "document": {**person["document"], "number": "123"}, "bornOn": "2024-02-30", "name": ""}
    print(json.dumps({
        "services": here.services(),
        "registered": registered, "same": registered == again,
        "listed": listed[0], "read": read["content"]["arrivalNotice"], "back": back[0],
        "wrong_fields": refusal(lambda: here.call(
            "RegistrationService", "RegisterArrival", person=wrong, registration=registration,
        )),
        "no_basis": refusal(lambda: there.call("MessageService", "GetMessage", messageId=id)),
        "no_such_message": refusal(lambda: here.call(
            "MessageService", "TrackMessage", messageId="00000000-0000-7000-8000-000000000000",
        )),
        "wrong_role": refusal(lambda: here.call("AuditService", "ListAccess")),
        "not_agreed": refusal(lambda: here.call(
            "MessageService", "SendMessage", to=origin, content={
                **{field: content[field] for field in ("purpose", "person")}, "basis": "LAWFUL_BASIS_CONSENT",
                "pregnancyReport": {},
            },
        )),
    }, ensure_ascii=False))


def given_bytes(id):
    """An id as bytes in JSON."""
    import base64
    import uuid
    return base64.b64encode(uuid.UUID(id).bytes).decode()


if __name__ == "__main__":
    main()
