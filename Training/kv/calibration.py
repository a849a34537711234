#!/usr/bin/env python3
"""Texts a profile is calibrated on: cuts of shared/data, of brotli's sdist (make_kv.py fetch brings it), of this repository at a
fixed commit, and texts made here.  Never a text of data/kv/texts that is judged, nor plrabn12, JSON of boto3 or Python's library.

    python calibration.py SHARED_DATA WORK OUT [CACHES]    # texts -> OUT, caches of 1,024 tokens -> CACHES

OUT/origins.tsv records where each text comes from.
"""
import random, re, subprocess, sys, tarfile
from pathlib import Path

REPOSITORY_COMMIT = "5b6226b"
TOKENS = 1024
TEXTS = {}


def add(name, text, origin):
    TEXTS[name] = (text, origin)


def cut(name, text, at, origin, size=9000):
    at = text.find("\n", at) + 1
    add(name, text[at:at + size], f"{origin} from character {at}")


def collected(data, work):
    wiki = (data / "small/enwik8-prefix-4000000.xml").read_text("utf-8", "replace")
    for i in range(12):
        cut(f"wiki{i:02}", wiki, 100_000 + 320_000 * i, "enwik8-prefix-4000000.xml")
    for i in range(6):                                              # the same encyclopaedia as running text
        a = wiki.find("\n", 250_000 + 600_000 * i)
        t = wiki[a:a + 60_000]
        for pattern, by in ((r"<[^>]*>", ""), (r"&\w+;", ""), (r"\{\{.*?\}\}", ""), (r"\[\[[^\]|]*\|([^\]]*)\]\]", r"\1"), (r"\[\[|\]\]|'''?|={2,}", "")):
            t = re.sub(pattern, by, t)
        t = "\n\n".join(p for p in t.split("\n") if len(p) > 150)
        add(f"plain{i}", t[:9000], f"enwik8-prefix-4000000.xml from character {a}, markup stripped")
    drama = (data / "small/tinyshakespeare.txt").read_text()
    for i, a in enumerate((20_000, 600_000)):
        cut(f"drama{i}", drama, a, "tinyshakespeare.txt")
    with tarfile.open(next(work.glob("brotli-*.tar.gz"))) as t:
        root = t.getnames()[0].split("/")[0]
        for name, member, at in (("c0", "c/enc/metablock.c", 2000), ("c1", "c/tools/brotli.c", 20_000), ("c2", "c/enc/compress_fragment.c", 1000),
                                 ("h0", "c/include/brotli/encode.h", 500), ("h1", "c/common/platform.h", 0), ("ctables", "c/enc/entropy_encode_static.h", 3000),
                                 ("cpython", "python/_brotli.c", 3000), ("py0", "setup.py", 0)):
            cut(name, t.extractfile(f"{root}/{member}").read().decode(), at, f"brotli 1.2.1 {member}")
    top = Path(__file__).resolve().parents[2]
    for name, member, at in (("swift0", "Sources/EntropyCoding/RANSDecoder.swift", 0), ("swift1", "Sources/MediaIO/LlamaState.swift", 0),
                             ("swift2", "Tests/BitstreamTests/FieldTests.swift", 2000), ("cpp0", "Sources/CKernels/overfit_grid.cpp", 0),
                             ("py1", "Training/hyperprior/export.py", 0), ("py2", "Benchmarks/overfit.py", 0), ("md0", "README.md", 0),
                             ("md1", "bitstream-spec.md", 9000)):
        text = subprocess.run(["git", "-C", str(top), "show", f"{REPOSITORY_COMMIT}:{member}"], capture_output=True, check=True, text=True).stdout
        cut(name, text, at, f"this repository {REPOSITORY_COMMIT} {member}")


# ----------------------------------------------------------------------------- texts made here
WORDS = """time year people way day man thing woman life child world school state family student group country problem hand part place case week
company system program question work government number night point home water room mother area money story fact month lot right study book eye job
word business issue side kind head house service friend father power hour game line end member law car city community name president team minute
idea body information back parent face others level office door health person art war history party result change morning reason research girl
guy moment air teacher force education""".split()
NAMES = "Anna Ben Carla David Elif Farid Grace Hugo Ines Jonas Kofi Lena Mateo Nadia Oskar Priya Quentin Rosa Samuel Tomas Uma Viktor Wei Yusuf Zoe".split()
PLACES = "Lisbon Oslo Nairobi Lima Osaka Prague Austin Hanoi Turin Perth Quito Accra Riga Porto Bergen Kyoto".split()
VERBS = "found lost opened closed painted sold repaired measured carried forgot remembered described borrowed returned counted".split()
TONGUES = {
    "de": "Der Zug nach Hamburg hatte heute wieder zwanzig Minuten Verspätung.|Könnten Sie mir bitte sagen, wo sich der nächste Bahnhof befindet?|Im Herbst fallen die Blätter von den Bäumen, und die Tage werden kürzer.|Die Ergebnisse der Untersuchung wurden gestern veröffentlicht.|Sie legte das Buch auf den Tisch und sah lange aus dem Fenster.|Für den Teig braucht man Mehl, Eier, Milch und eine Prise Salz.",
    "fr": "Le marché ouvre à huit heures et ferme vers midi.|Je ne savais pas que la réunion avait été reportée à jeudi.|Les enfants jouaient dans la cour pendant que la pluie tombait.|Il faudrait vérifier les résultats avant de publier l'article.|Cette vieille maison appartenait autrefois à un médecin du village.|Ajoutez le sucre, puis mélangez doucement jusqu'à obtenir une pâte lisse.",
    "es": "La biblioteca estaba cerrada porque era día festivo.|¿Cuánto cuesta un billete de ida y vuelta a Sevilla?|Los científicos midieron la temperatura del agua durante tres años.|Mi abuela contaba historias de cuando era niña en la montaña.|El gobierno anunció nuevas medidas para ahorrar energía.|Todavía no he terminado de leer la novela que me prestaste.",
    "it": "La finestra dava su un cortile pieno di gerani.|Il treno delle sette è stato soppresso per uno sciopero.|Non bisogna confondere la causa con l'effetto.|Domani andremo al mare, se il tempo lo permette.|Il professore spiegò la lezione con molti esempi.|Hanno restaurato l'affresco con grande pazienza.",
    "nl": "De fietsen stonden in een lange rij langs de gracht.|Kun je mij morgen even bellen over de vergadering?|Het museum is op maandag gesloten.|Volgens de onderzoekers stijgt de zeespiegel sneller dan verwacht.|Zij heeft de brief nooit beantwoord.|In de winter schaatsen we op de plas achter het dorp.",
    "pt": "O barco partiu cedo, antes de o sol nascer.|Preciso de comprar pão, queijo e um litro de leite.|A cidade cresceu muito nas últimas décadas.|Ninguém sabia explicar o que tinha acontecido.|As crianças aprenderam a nadar no verão passado.|O relatório será entregue na próxima semana.",
    "pl": "Jutro rano pojedziemy nad jezioro.|Nie wiem, czy zdążę na ostatni autobus.|Badacze opisali nowy gatunek motyla.|Na stole leżały jabłka, chleb i stary zegarek.|Proszę wypełnić formularz drukowanymi literami.",
    "tr": "Yarın sabah erkenden yola çıkacağız.|Bu kitabı daha önce okumuş muydun?|Köyün ortasında büyük bir çınar ağacı vardı.|Toplantı saat üçte başlayacak.|Kahvenin yanında biraz lokum getirdiler.",
    "ru": "Завтра утром мы поедем к озеру.|Он долго смотрел в окно и ничего не говорил.|Учёные измерили температуру воды в трёх точках.|Эта книга стоит дороже, чем я думал.|Поезд прибыл на станцию с опозданием.",
    "el": "Το τρένο έφτασε με καθυστέρηση.|Δεν ήξερα ότι η βιβλιοθήκη ήταν κλειστή.|Τα παιδιά έπαιζαν στην αυλή.",
    "zh": "明天早上我们去湖边。|这本书比我想的要贵。|火车晚点了二十分钟。|研究人员测量了水的温度。|孩子们在院子里玩。",
    "ja": "明日の朝、湖へ行きます。|この本は思ったより高かった。|電車は二十分遅れて到着した。|子供たちは庭で遊んでいた。",
    "ar": "وصل القطار متأخرا عشرين دقيقة.|كان الأطفال يلعبون في الفناء.|هذا الكتاب أغلى مما توقعت.",
    "hi": "कल सुबह हम झील पर जाएंगे।|यह किताब मेरी सोच से महंगी थी।|बच्चे आंगन में खेल रहे थे।"}


def generated():
    r = random.Random(20261128)
    w, nm, pl = (lambda: r.choice(WORDS)), (lambda: r.choice(NAMES)), (lambda: r.choice(PLACES))
    def sentence():
        return r.choice([
            lambda: f"{nm()} {r.choice(VERBS)} the {w()} of the {w()} in {pl()}.", lambda: f"There was a {w()} near the {w()}, and {nm()} {r.choice(VERBS)} it before the {w()} came.",
            lambda: f"Why would a {w()} need a {w()}?", lambda: f"In {r.randint(1700, 2030)}, the {w()} of {pl()} {r.choice(VERBS)} {r.randint(2, 900)} {w()}s.",
            lambda: f"\"If the {w()} is late,\" said {nm()}, \"we shall ask the {w()}.\"", lambda: f"No {w()} without a {w()}: that was what {nm()} always said.",
            lambda: f"It takes about {r.randint(2, 90)} minutes, a {w()} and some {w()} to reach {pl()} from {pl()}."])()
    def many(make, joiner="\n", n=400):
        return joiner.join(make(i) for i in range(n))
    g = lambda name, text: add(name, text[:12000], "made by calibration.py")
    import json
    record = lambda i: dict(id=1000 + i, name=f"{nm()} {nm()}", city=pl(), active=r.random() < .5, score=round(r.gauss(50, 20), 2), tags=[w() for _ in range(r.randint(0, 4))],
                            address=dict(street=f"{r.randint(1, 99)} {w().title()} Street", zip=f"{r.randint(0, 99999):05}"), note=None if r.random() < .3 else sentence())
    g("json-records", json.dumps([record(i) for i in range(60)], indent=2))
    g("json-compact", many(lambda i: json.dumps(record(i), separators=(",", ":"))))
    def schema(d):
        kind = r.choice(["string", "integer", "number", "boolean", "array", "object"]) if d else "object"
        s = {"type": kind}
        if kind == "object": s["properties"] = {w() + r.choice(["", "Id", "Name", "Count"]): schema(d - 1 if d else 3) if d != 1 else {"type": "string"} for _ in range(4)}; s["required"] = list(s["properties"])[:2]
        if kind == "array": s["items"] = {"$ref": f"#/definitions/{w().title()}"}
        if r.random() < .4: s["description"] = sentence()
        return s
    g("json-schema", json.dumps({"$schema": "http://json-schema.org/draft-07/schema#", "definitions": {w().title() + str(i): schema(0) for i in range(14)}}, indent=4))
    g("json-geo", json.dumps(dict(type="FeatureCollection", features=[dict(type="Feature", properties=dict(name=pl(), population=r.randint(1000, 10**7)), geometry=dict(type="Polygon",
      coordinates=[[[round(r.uniform(-180, 180), 5), round(r.uniform(-90, 90), 5)] for _ in range(6)]])) for _ in range(30)]), indent=1))
    g("csv", "id,date,name,city,amount,currency,status\n" + many(lambda i: f"{i},{r.randint(2015, 2026)}-{r.randint(1, 12):02}-{r.randint(1, 28):02},{nm()},{pl()},{r.uniform(1, 9999):.2f},{r.choice(['EUR', 'USD', 'JPY'])},{r.choice(['open', 'paid', 'void'])}"))
    g("tsv-numbers", many(lambda i: "\t".join(f"{r.gauss(0, 10 ** r.randint(-2, 4)):.4g}" for _ in range(6))))
    g("log", many(lambda i: f"2026-0{1 + i % 9}-1{i % 10}T{i % 24:02}:{r.randint(0, 59):02}:{r.randint(0, 59):02}.{r.randint(0, 999):03}Z {r.choice(['INFO', 'WARN', 'ERROR', 'DEBUG'])} [{w()}-{r.randint(1, 8)}] {w()}.{w().title()}: " + r.choice(["connection from 10.%d.%d.%d closed" % (r.randint(0, 255), r.randint(0, 255), r.randint(0, 255)), f"request {r.getrandbits(64):016x} took {r.randint(1, 5000)} ms", f"retry {r.randint(1, 5)} of 5: {w()} not found", f"cache hit ratio {r.random():.3f}"])))
    g("html", "<!DOCTYPE html>\n<html lang=\"en\">\n<head><title>" + sentence() + "</title></head>\n<body>\n" + many(lambda i: r.choice([lambda: f"  <h2 id=\"{w()}\">{w().title()} and {w()}</h2>", lambda: f"  <p class=\"{w()}\">{sentence()} <a href=\"/{w()}/{w()}.html\">{w()}</a> {sentence()}</p>", lambda: "  <ul>\n" + "\n".join(f"    <li><b>{w()}</b>: {sentence()}</li>" for _ in range(3)) + "\n  </ul>", lambda: f"  <table><tr><td>{w()}</td><td align=\"right\">{r.randint(0, 999)}</td></tr></table>"])(), n=120))
    g("xml", "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<catalog>\n" + many(lambda i: f"  <item id=\"{w()}-{i}\" lang=\"en\">\n    <title>{w().title()} of {pl()}</title>\n    <author>{nm()}</author>\n    <price currency=\"EUR\">{r.uniform(1, 90):.2f}</price>\n    <abstract>{sentence()}</abstract>\n  </item>", n=90))
    g("sql", many(lambda i: r.choice([lambda: f"INSERT INTO {w()}s (id, {w()}, {w()}) VALUES ({i}, '{nm()}', {r.randint(0, 9999)});", lambda: f"SELECT t.{w()}, COUNT(*) AS n FROM {w()}s t JOIN {w()}s u ON t.id = u.{w()}_id WHERE t.{w()} > {r.randint(1, 99)} GROUP BY t.{w()} ORDER BY n DESC LIMIT 10;", lambda: f"CREATE TABLE {w()}s (\n  id INTEGER PRIMARY KEY,\n  {w()} VARCHAR(64) NOT NULL,\n  {w()} DECIMAL(10, 2) DEFAULT 0\n);"])(), n=200))
    g("yaml", many(lambda i: f"- name: {w()}-{w()}\n  image: registry.example.org/{w()}:{r.randint(0, 9)}.{r.randint(0, 20)}\n  replicas: {r.randint(1, 9)}\n  env:\n    {w().upper()}_URL: http://{w()}:{r.randint(1024, 9999)}/\n    {w().upper()}: \"{r.choice(['true', 'false'])}\"\n  command: [\"{w()}\", \"--{w()}\", \"{r.randint(0, 99)}\"]", n=90))
    g("latex", "\\documentclass{article}\n\\begin{document}\n" + many(lambda i: r.choice([lambda: f"\\section{{{w().title()} and {w()}}}\n{sentence()} {sentence()}", lambda: f"\\begin{{equation}}\n  f_{{{i}}}(x) = \\sum_{{k=0}}^{{{r.randint(2, 9)}}} \\frac{{x^{{{r.randint(2, 9)}}}}}{{k! + \\alpha_{{{r.randint(1, 9)}}}}} \\leq \\sqrt{{{r.randint(2, 99)}\\pi}}\n\\end{{equation}}", lambda: f"{sentence()} See~\\cite{{{nm().lower()}{r.randint(1990, 2026)}}} and Table~\\ref{{tab:{w()}}}: $\\lambda_{{{r.randint(1, 9)}}} \\in [0, {r.randint(2, 9)})$."])(), n=100))
    g("sums", many(lambda i: (lambda a, b: r.choice([f"{a} + {b} = {a + b}", f"{a} * {b} = {a * b}", f"What is {a} minus {b}? The answer is {a - b}.", f"{a} / {b} = {a / b:.3f}"]))(r.randint(2, 999), r.randint(2, 999))))
    g("chat0", many(lambda i: f"<|im_start|>user\n{r.choice(['Can you explain', 'Write a short note about', 'What do you know about', 'Help me with', 'Compare these two:'])} the {w()} and the {w()} of {pl()}?<|im_end|>\n<|im_start|>assistant\nOf course! Here are a few points:\n\n1. **{w().title()}**: {sentence()}\n2. **{w().title()}**: {sentence()}\n3. **{w().title()}**: {sentence()}\n\nLet me know if you would like more about the {w()}.<|im_end|>", n=40))
    g("chat1", many(lambda i: f"{nm()}: {r.choice(['hey', 'ok', 'lol', 'hmm', 'well', 'no way!!', 'yes', 'sorry'])}, {sentence()[:-1].lower()}{r.choice(['...', '?', '!', ' :)', ''])}"))
    g("nonsense", many(lambda i: sentence() + (" " if i % 6 else "\n\n"), ""))
    g("verse", many(lambda i: f"{r.choice(['O', 'And', 'But', 'Where', 'For'])} {w()} of {w()}, {r.choice(['thou', 'that', 'the', 'my'])} {w()} {r.choice(['sings', 'falls', 'burns', 'sleeps'])},\n{r.choice(['Soft as', 'Beyond', 'Beneath', 'Above'])} the {w()} where the {w()} {r.choice(['weeps', 'keeps', 'gleams', 'dreams'])}" + ("." if i % 2 else ",\n"), n=120))
    g("hex", many(lambda i: f"{i * 16:08x}  " + " ".join(f"{r.getrandbits(8):02x}" for _ in range(16)), n=90) + "\n" + many(lambda i: "".join(r.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") for _ in range(76)), n=40))
    for i in range(3):
        lines = [s for k in TONGUES for s in TONGUES[k].split("|") if (k in ("de", "fr", "es", "it", "nl", "pt")) == (i < 2)]
        r.shuffle(lines)
        if i == 1: lines.sort(key=lambda s: [k for k in TONGUES if s in TONGUES[k]][0])
        g(f"tongues{i}", " ".join(lines) + "\n" + " ".join(lines[::-1]))
    def js(i):
        a, b, c = w(), w(), w()
        return r.choice([f"export function {a}{b.title()}({c}, options = {{}}) {{\n  if (!{c} || {c}.length === 0) return null;\n  const {b} = {c}.map((x) => x.{a} * {r.randint(2, 9)}).filter(Boolean);\n  return {b}.reduce((s, x) => s + x, 0);\n}}\n",
                         f"class {a.title()} extends {b.title()} {{\n  constructor({c}) {{\n    super();\n    this.{c} = {c}; // {sentence()}\n  }}\n  async get{b.title()}(id) {{\n    const res = await fetch(`/api/{a}/${{id}}`);\n    return res.json();\n  }}\n}}\n"])
    g("js", many(js, n=40))
    def java(i):
        a, b, c = w(), w(), w()
        return f"    /** {sentence()} */\n    public static List<{a.title()}> {b}{c.title()}(Map<String, {a.title()}> {c}, int limit) throws IOException {{\n        List<{a.title()}> out = new ArrayList<>();\n        for (Map.Entry<String, {a.title()}> e : {c}.entrySet()) {{\n            if (e.getValue().get{b.title()}() > {r.randint(1, 99)}) out.add(e.getValue());\n        }}\n        return out.subList(0, Math.min(limit, out.size()));\n    }}\n"
    g("java", many(java, n=40))
    def sh(i):
        a, b = w(), w()
        return r.choice([f"for f in /var/{a}/*.{b}; do\n  [ -f \"$f\" ] || continue\n  echo \"$f: $(wc -l < \"$f\")\" >> {a}.log\ndone", f"if ! grep -q '^{a}=' \"${b.upper()}\"; then\n  printf '%s\\n' \"{a}={r.randint(1, 99)}\" | sudo tee -a /etc/{b}.conf\nfi", f"{a}_{b}() {{\n  local n=${{1:-{r.randint(1, 9)}}}  # {sentence()}\n  find . -name '*.{a}' -mtime +$n -print0 | xargs -0 rm -f\n}}"])
    g("shell", many(sh, n=60))
    g("recipe", many(lambda i: f"## {w().title()} {r.choice(['soup', 'pie', 'salad', 'stew'])}\n\nServes {r.randint(2, 8)}. {sentence()}\n\n- {r.randint(50, 900)} g {r.choice(['flour', 'rice', 'carrots', 'butter'])}\n- {r.randint(1, 5)} {r.choice(['eggs', 'onions', 'cloves of garlic'])}\n- 1/{r.randint(2, 4)} tsp salt\n\n1. Heat the {r.choice(['oven', 'pan'])} to {r.randint(120, 240)} °C.\n2. {r.choice(['Stir', 'Chop', 'Fold', 'Whisk'])} everything for {r.randint(2, 40)} minutes.\n", n=30))


if __name__ == "__main__":
    data, work, out = map(Path, sys.argv[1:4])
    collected(data, work)
    generated()
    out.mkdir(parents=True, exist_ok=True)
    for name, (text, _) in TEXTS.items():
        (out / f"{name}.txt").write_text(text)
    (out / "origins.tsv").write_text("".join(f"{n}\t{o}\n" for n, (_, o) in TEXTS.items()))
    if len(sys.argv) > 4:
        caches = Path(sys.argv[4])
        sys.path.insert(0, str(data / "kv"))
        import numpy as np
        from make_kv import Llama, GGUF_NAME
        from safetensors.numpy import save_file
        m = Llama(work / GGUF_NAME)
        caches.mkdir(parents=True, exist_ok=True)
        for name, (text, _) in TEXTS.items():
            if (caches / f"{name}.safetensors").exists(): continue
            ids = m.tok.encode(text).ids[:TOKENS]
            kp, _, v, _ = m.prefill(ids)
            save_file({"k_pre": kp.astype(np.float16), "v": v.astype(np.float16), "tokens": np.asarray(ids, np.int32)}, caches / f"{name}.safetensors",
                      metadata=dict(model=GGUF_NAME, text=name, prefix=str(len(ids)), rope_layout="interleaved", rope_base=str(m.base), axes="layer,kv_head,token,head_dim"))
            print(name, len(ids), flush=True)
