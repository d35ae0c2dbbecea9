"""Objects in `application/vnd.kubernetes.protobuf`. PURE.

`wire` reads varints and lengths, `tables` knows types and their fields, `values` reads the types
whose JSON form is not an object, `messages` compiles readers of all others, `decode` opens the
envelope.
"""

from apiserver.api.protobuf.decode import MAGIC, PROTOBUF, decode_protobuf

__all__ = ["MAGIC", "PROTOBUF", "decode_protobuf"]
