"""Results that a page must survive, from a sample: hostile, whose every text tries to leave the JSON, the HTML or the folder,
while names stay consistent; sparse, with next to nothing measured; empty, with nothing."""
import copy, json, sys

TEXTS = [
    "</script><script>window.hacked=1</script>", "<img src=x onerror=window.hacked=2>", "<!--<script>", "\"><svg onload='window.hacked=3'>",
    "a&amp;b <b>bold</b> \u2028\u2029 \u202etxt.exe", "\u6f22\u5b57 \u00fc \U0001f600", "{{style}}{{results}}", "\\u003cb> \\\" ${window.hacked=4} `", "x" * 300,
]


def hostile(results):
    made = copy.deepcopy(results)
    names = {}
    for i, file in enumerate(f for f in made["files"] if not f["error"]):
        # The names of members that every object has, too.
        names[file["name"]] = ["__proto__", "constructor"][i] if i < 2 else TEXTS[i - 2]
    renamed = {c["name"]: TEXTS[i] for i, c in enumerate(c for c in made["codecs"] if not c["missing"])}
    renamed["jpeg"] = "__proto__"
    for file in made["files"]:
        file["name"] = names.get(file["name"], TEXTS[1])
        file["path"] = TEXTS[0]
        file["error"] = file["error"] and TEXTS[0] + TEXTS[3]
    for i, codec in enumerate(made["codecs"]):
        codec["name"] = renamed.get(codec["name"], codec["name"])
        codec["title"] = codec["version"] = codec["settings"] = TEXTS[i % len(TEXTS)]
        codec["missing"] = codec["missing"] and TEXTS[2]
    for i, point in enumerate(made["points"]):
        point["file"], point["codec"] = names[point["file"]], renamed[point["codec"]]
        point["setting"] = TEXTS[i % len(TEXTS)]
        point["error"] = point["error"] and TEXTS[0]
        if point["picture"]:
            point["picture"] = ["../../../../etc/hostname", "http://127.0.0.1:9/a.png", "//127.0.0.1:9/a.png", "javascript:window.hacked=5",
                                "images/50%/#a?b=\"c\".png", "data:image/svg+xml,<svg/>", "..\\a.png", "/etc/hostname"][i % 8]
    summary = made["summary"]
    for curve in summary["curves"]:
        curve["codec"] = renamed[curve["codec"]]
        for point in curve["points"]:
            point["setting"] = TEXTS[0]
    for deltas in ("bdRate", "bdPSNR"):
        summary[deltas] = {m: {renamed.get(a, a): {renamed[t]: v for t, v in row.items()} for a, row in table.items()}
                           for m, table in summary[deltas].items()}
    for i, reference in enumerate(made["references"]):
        reference["title"] = reference["source"] = TEXTS[i]
    for measure in made["measures"]:
        measure["title"] = measure["title"] + TEXTS[1]
        measure["version"] = TEXTS[0]
    made["run"] |= {"command": TEXTS[0] + TEXTS[8], "nccodec": TEXTS[3], "note": TEXTS[0], "started": TEXTS[1]}
    made["run"]["machine"] |= {"cpu": TEXTS[0], "simd": TEXTS[1], "os": TEXTS[5]}
    return made


def sparse(results):
    """One file, a point a codec, one of them lossless, without times, without summary, without a single measure of another."""
    made = copy.deepcopy(results)
    made["files"] = made["files"][:1]
    made["points"] = [p for p in made["points"] if p["file"] == made["files"][0]["name"] and p["point"] == 0]
    for point in made["points"]:
        point["encodeSeconds"], point["decodeSeconds"], point["encodeCPUSeconds"], point["decodeCPUSeconds"] = [], [], [], []
    made["points"][0]["measures"]["psnr"] = "inf"
    made["points"][1]["measures"] = {name: None for name in made["points"][1]["measures"]}
    made["files"][0]["picture"] = None
    for point in made["points"]:
        point["picture"] = None
    return made | {"summary": None, "references": []}


def empty(results):
    """Every file was unreadable."""
    made = copy.deepcopy(results)
    made["files"] = [f for f in made["files"] if f["error"]]
    return made | {"points": [], "summary": {"curves": [], "bdRate": {}, "bdPSNR": {}}}


if __name__ == "__main__":
    with open(sys.argv[2]) as file:
        json.dump({"hostile": hostile, "sparse": sparse, "empty": empty}[sys.argv[1]](json.load(file)), sys.stdout, ensure_ascii=False)
