#!/usr/bin/env python3
"""What `kv plan` chooses over many deadlines, by its rule and by CacheGen's, with a model at hand and without.

Both rules are simulated at a constant speed of the link. A row: how many deadlines each rule meets, and the mean quality of the
fetched and computed parts (computed ones count as 100) over the deadlines that both meet.
"""
import argparse
import json
import os
import subprocess
import tempfile


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cache")
    parser.add_argument("--nccodec", required=True)
    parser.add_argument("--levels", default="70,40,20")
    parser.add_argument("--chunk", default="64")
    parser.add_argument("--bandwidth", default="1Gbps")
    parser.add_argument("--deadlines", default="20:62:2", help="first:last:step, in ms")
    parser.add_argument("--rates", default="0,10000", help="tokens a second that the model computes; 0: it does not")
    options = parser.parse_args()
    first, last, step = (int(x) for x in options.deadlines.split(":"))
    deadlines = range(first, last + 1, step)
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "levels.ncb")
        subprocess.run(
            [options.nccodec, "encode", "--quiet", "--levels", options.levels, "--chunk", options.chunk, options.cache, file], check=True)
        print(f"{os.path.basename(options.cache)} in parts of {options.chunk} tokens, levels {options.levels}, {options.bandwidth}, "
              f"{len(deadlines)} deadlines of {first} to {last} ms")
        print("| tokens/s computed | ahead meets | cachegen meets | both meet | mean quality: ahead | cachegen |")
        print("|---|---|---|---|---|---|")
        for rate in options.rates.split(","):
            plans = [[plan(options, file, deadline, rate, rule) for rule in ("ahead", "cachegen")] for deadline in deadlines]
            both = [pair for pair in plans if all(p["met"] for p in pair)]
            met = [sum(pair[i]["met"] for pair in plans) for i in (0, 1)]
            means = ["%.1f" % (sum(pair[i]["meanQuality"] for pair in both) / len(both)) if both else "-" for i in (0, 1)]
            print(f"| {rate if rate != '0' else 'none'} | {met[0]} | {met[1]} | {len(both)} | {means[0]} | {means[1]} |")


def plan(options, file, deadline, rate, rule):
    command = [options.nccodec, "kv", "plan", "--json", "--rule", rule, "--bandwidth", options.bandwidth, "--deadline", f"{deadline}ms"]
    if rate != "0":
        command += ["--recompute-rate", rate]
    result = subprocess.run(command + [file], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if result.returncode not in (0, 3):  # 3: the deadline cannot be met
        raise SystemExit(result.stderr)
    return json.loads(result.stdout)


main()
