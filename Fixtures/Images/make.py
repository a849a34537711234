#!/usr/bin/env python3
"""Makes every picture in this folder but photo.png (its origin: ../README.md). Needs Pillow with WebP; run it here.

Content is `scene`: a smooth colour field with a disc and one-pixel lines, so that conversions, filters and chroma
sampling all show. PNG kinds that Pillow cannot write are put together chunk by chunk.
"""
import io
import pathlib
import struct
import zlib

from PIL import Image, ImageCms

HERE = pathlib.Path(__file__).resolve().parent


def scene(x, y, w, h):
    """RGBA 16-bit of a pixel."""
    r, g = 65535 * x // max(w - 1, 1), 65535 * y // max(h - 1, 1)
    b = 65535 * ((x * 7 + y * 13) % 32) // 31
    if (x - w / 2) ** 2 + (y - h / 2) ** 2 < (min(w, h) / 4) ** 2:
        r, g, b = 60000, 12000 + b // 4, 3000
    if x % 11 == 5:
        r = g = b = 40000
    return r, g, b, 65535 * ((x + y) % 17) // 16


def grey(p):
    return (p[0] * 299 + p[1] * 587 + p[2] * 114) // 1000


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def pack(values, depth):
    """A row of samples as PNG packs them."""
    if depth == 16:
        return b"".join(struct.pack(">H", v) for v in values)
    if depth == 8:
        return bytes(values)
    bits = "".join(format(v, f"0{depth}b") for v in values)
    bits += "0" * (-len(bits) % 8)
    return bytes(int(bits[i:i + 8], 2) for i in range(0, len(bits), 8))


ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]


def png(name, w, h, colour, depth, sample, interlaced=False, before=b"", after=b""):
    """sample(x, y) -> tuple of samples. before: chunks between IHDR and IDAT; after: between IDAT and IEND."""
    raw = b""
    for x0, y0, dx, dy in ADAM7 if interlaced else [(0, 0, 1, 1)]:
        columns = range(x0, w, dx)
        for y in range(y0, h, dy) if columns else []:
            raw += b"\0" + pack([v for x in columns for v in sample(x, y)], depth)
    ihdr = struct.pack(">IIBBBBB", w, h, depth, colour, 0, 0, int(interlaced))
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", ihdr) + before + chunk(b"IDAT", zlib.compress(raw, 9)) + after
    data += chunk(b"IEND", b"")
    if name:
        (HERE / name).write_bytes(data)
    return data


def to(depth, v16):
    return v16 * ((1 << depth) - 1) // 65535


def pngs():
    w, h = 35, 27
    for d in (1, 2, 4, 8, 16):
        png(f"grey{d}.png", w, h, 0, d, lambda x, y: (to(d, grey(scene(x, y, w, h))),))
    png("greyalpha8.png", w, h, 4, 8, lambda x, y: (to(8, grey(scene(x, y, w, h))), to(8, scene(x, y, w, h)[3])))
    png("rgb8.png", w, h, 2, 8, lambda x, y: [to(8, v) for v in scene(x, y, w, h)[:3]])
    png("rgba8.png", w, h, 6, 8, lambda x, y: [to(8, v) for v in scene(x, y, w, h)])
    png("rgb16.png", w, h, 2, 16, lambda x, y: scene(x, y, w, h)[:3])
    png("rgba16.png", w, h, 6, 16, lambda x, y: scene(x, y, w, h))
    png("rgb8-adam7.png", w, h, 2, 8, lambda x, y: [to(8, v) for v in scene(x, y, w, h)[:3]], interlaced=True)
    png("rgba8-adam7.png", w, h, 6, 8, lambda x, y: [to(8, v) for v in scene(x, y, w, h)], interlaced=True)
    png("grey4-adam7.png", 5, 3, 0, 4, lambda x, y: ((x * 3 + y) % 16,), interlaced=True)
    palette = bytes(v for i in range(16) for v in (i * 17, 255 - i * 17, i * 40 % 256))
    index = lambda x, y: ((x // 3 + y) % 16,)
    png("palette4.png", w, h, 3, 4, index, before=chunk(b"PLTE", palette))
    png("palette4-trns.png", w, h, 3, 4, index,
        before=chunk(b"PLTE", palette) + chunk(b"tRNS", bytes(i * 25 for i in range(9))))
    png("palette8-grey.png", w, h, 3, 8, lambda x, y: ((x + y) % 3,),
        before=chunk(b"PLTE", bytes([0, 0, 0, 200, 200, 200, 255, 255, 255, 9, 8, 7])))
    png("rgb8-trns.png", w, h, 2, 8, lambda x, y: [to(8, v) for v in scene(x, y, w, h)[:3]],
        before=chunk(b"tRNS", struct.pack(">HHH", *[to(8, 40000)] * 3)))
    png("1x1.png", 1, 1, 2, 8, lambda x, y: (1, 2, 3))
    icc = srgb_profile()
    png("metadata.png", 8, 8, 2, 8, lambda x, y: (x * 30, y * 30, 77),
        before=chunk(b"gAMA", struct.pack(">I", 50000)) + chunk(b"iCCP", b"test\0\0" + zlib.compress(icc))
        + chunk(b"eXIf", exif(6)))
    png("srgb-exif-last.png", 8, 8, 2, 8, lambda x, y: (x * 30, y * 30, 77), before=chunk(b"sRGB", b"\1"),
        after=chunk(b"eXIf", exif(3)))


def exif(orientation, order=">"):
    head = b"MM\0*" if order == ">" else b"II*\0"
    return head + struct.pack(order + "IHHHIHHI", 8, 1, 0x112, 3, 1, orientation, 0, 0)


def srgb_profile():
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile[:24] + struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + profile[36:]  # a fixed date: the same bytes each time


def picture(mode, w=35, h=27):
    image = Image.new("RGBA", (w, h))
    image.putdata([tuple(to(8, v) for v in scene(x, y, w, h)) for y in range(h) for x in range(w)])
    return image if mode == "RGBA" else image.convert("RGB").convert(mode)


def stills():
    icc = srgb_profile()
    smooth = Image.open(HERE / "photo.png").crop((96, 64, 96 + 67, 64 + 45))
    save = lambda image, name, **options: image.save(HERE / name, **options)
    save(smooth.convert("L"), "grey.jpg", quality=90)
    save(smooth, "420.jpg", quality=90, subsampling="4:2:0")
    save(smooth, "422.jpg", quality=90, subsampling="4:2:2")
    save(smooth, "444.jpg", quality=90, subsampling="4:4:4")
    save(smooth, "progressive.jpg", quality=90, subsampling="4:2:0", progressive=True)
    save(smooth, "orientation6-icc.jpg", quality=90, subsampling="4:4:4", icc_profile=icc, exif=b"Exif\0\0" + exif(6, "<"))
    save(smooth.convert("CMYK"), "cmyk.jpg", quality=90)
    save(smooth, "lossy.webp", quality=80, method=6)
    save(smooth, "lossless.webp", lossless=True)
    save(picture("RGBA"), "lossless-alpha.webp", lossless=True, exact=True, exif=exif(8), icc_profile=icc)
    save(picture("RGBA"), "lossy-alpha.webp", quality=80)
    save(smooth, "animated.webp", save_all=True, append_images=[smooth.rotate(180)], quality=30)
    save(picture("RGB"), "rgb.bmp")
    save(picture("L"), "grey.bmp")
    save(picture("1"), "mono.bmp")
    save(picture("RGB"), "rgb8.tif", compression="tiff_lzw", icc_profile=icc, tiffinfo={274: 3})
    save(picture("RGBA"), "rgba8.tif", compression="tiff_lzw")
    save(picture("1"), "mono.tif")
    grey16 = Image.frombytes("I;16", (35, 27), b"".join(
        struct.pack("<H", grey(scene(x, y, 35, 27))) for y in range(27) for x in range(35)))
    save(grey16, "grey16.tif")
    save(picture("L"), "pages.tif", save_all=True, append_images=[picture("L")])
    save(picture("RGB", 9, 5), "rgb.ppm")


def truth():
    """What Pillow (libjpeg-turbo, libwebp) makes of the lossy files, as PNG, to compare with."""
    for name in ("420.jpg", "422.jpg", "444.jpg", "grey.jpg", "progressive.jpg", "lossy.webp"):
        Image.open(HERE / name).save(HERE / f"{name}.truth.png", optimize=True)
    Image.open(HERE / "cmyk.jpg").convert("RGB").save(HERE / "cmyk.jpg.truth.png", optimize=True)


def broken():
    good = png(None, 16, 16, 2, 8, lambda x, y: (x * 16, y * 16, 99))
    bad = bytearray(good)
    bad[good.index(b"IEND") - 5] ^= 0x40  # the end of IDAT's checksum
    (HERE / "broken-crc.png").write_bytes(bad)
    (HERE / "broken-truncated.png").write_bytes(good[:len(good) * 2 // 3])
    # Declares 65,535 x 65,535 pixels in a hundred bytes.
    ihdr = struct.pack(">IIBBBBB", 65535, 65535, 8, 6, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", ihdr) + chunk(b"IDAT", zlib.compress(b"\0" * 64)) + chunk(b"IEND", b"")
    (HERE / "broken-huge.png").write_bytes(bomb)
    # A profile that claims, and inflates to, 16 MB.
    profile = struct.pack(">I", 16 << 20) + srgb_profile()[4:]
    icc = chunk(b"iCCP", b"bomb\0\0" + zlib.compress(profile + bytes((16 << 20) - len(profile)), 9))
    (HERE / "broken-icc-bomb.png").write_bytes(png(None, 2, 2, 2, 8, lambda x, y: (7, 7, 7), before=icc))
    jpeg = bytearray((HERE / "420.jpg").read_bytes())
    (HERE / "broken-truncated.jpg").write_bytes(jpeg[:len(jpeg) * 2 // 3])
    at = jpeg.index(b"\xff\xc0") + 5
    jpeg[at:at + 4] = b"\xff\xff\xff\xff"
    (HERE / "broken-huge.jpg").write_bytes(jpeg)


if __name__ == "__main__":
    pngs()
    stills()
    truth()
    broken()
