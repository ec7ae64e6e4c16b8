"""Values to bytes and back, one format a file; no policy.

Importing this room loads no third-party package: formats are imported when they are chosen.
"""

from cachewright.codecs.choose import codec_for, compressor_for
from cachewright.codecs.payload import Compressor, PayloadCodec, ValueTooLarge
from cachewright.codecs.sensitive import Sensitive

__all__ = [
    "Compressor",
    "PayloadCodec",
    "Sensitive",
    "ValueTooLarge",
    "codec_for",
    "compressor_for",
]
