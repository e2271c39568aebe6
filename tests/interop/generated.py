"""The modules that protoc makes of proto/, made anew at each start, so that they are those of this tree."""

import importlib
import pathlib
import sys
import tempfile

from grpc_tools import protoc

PROTO = pathlib.Path(__file__).resolve().parents[2] / "proto"
_out = tempfile.mkdtemp(prefix="liangdi-interop-")
_files = sorted(str(p) for d in ("exchange", "message") for p in (PROTO / "liangdi" / d).rglob("*.proto"))
if protoc.main(["protoc", f"-I{PROTO}", f"--python_out={_out}", f"--grpc_python_out={_out}", *_files]) != 0:
    sys.exit("protoc could not read proto/")
sys.path.insert(0, _out)

pb = importlib.import_module("liangdi.exchange.v1.envelope_pb2")
node_pb2 = importlib.import_module("liangdi.exchange.v1.node_pb2")
node_grpc = importlib.import_module("liangdi.exchange.v1.node_pb2_grpc")
evidence_pb2 = importlib.import_module("liangdi.exchange.v1.evidence_pb2")
content_pb2 = importlib.import_module("liangdi.message.v1.content_pb2")
bodies_pb2 = importlib.import_module("liangdi.message.v1.bodies_pb2")
