"""Raw priors to a weights file (bitstream-spec 7, 9.10): python pack.py FOLDER 1 5 ../../Sources/CModels/Weights/overfit-1.ncw

It gets the models from the first number to the second, as far as they are there. Values become int16 in 2^-10. Offsets of
scale indices are 0 (128 in the file) unless MODEL.PRESET.offsets (int8) is there."""
import pathlib
import struct
import sys
import zlib

import numpy as np

folder, first, last, out = pathlib.Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
PRESETS = {"low": "low", "medium": "medium", "high": "high", "veryHigh": "veryhigh"}
tensors = []
for model in range(first, last + 1):
    for swift, name in PRESETS.items():
        path = folder / f"{model}.{swift}.f32"
        if not path.exists():
            print("no", path)
            continue
        values = np.fromfile(path, "<f4")
        fixed = np.round(values * 1024)
        assert np.abs(fixed).max() < 32768, path
        offsets = np.zeros(len(values), np.int16)
        if (side := path.with_suffix(".offsets")).exists():
            offsets = np.fromfile(side, "i1").astype(np.int16)
        tensors.append((f"{model}.{name}.values", 0, fixed.astype("<i2").tobytes(), len(values)))
        tensors.append((f"{model}.{name}.offsets", 2, (offsets + 128).astype("u1").tobytes(), len(values)))
data = b"NCWT" + struct.pack("<BBHH", 1, 2, 1, len(tensors))
for name, kind, values, count in tensors:
    data += bytes([len(name)]) + name.encode() + struct.pack("<BBI", kind, 1, count) + values
crc = zlib.crc32(data)
pathlib.Path(out).write_bytes(data + struct.pack("<I", crc))
print(f"{len(tensors)} tensors, {len(data) + 4} bytes, CRC-32 0x{crc:08X}")
