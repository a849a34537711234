"""Times iterations of Cool-chic 5.0's own encoder. See overfit.sh speed.

    coolchic.py CHECKOUT PICTURE CONFIG LAMBDA ITERATIONS WARM_UP

Runs the checkout's cc_encode.py as it is up to its main training phase, without the warm-up that picks one of several
starts, and notes when each of the optimiser's steps ends; after the last one it stops. So an iteration is the whole of
one turn of its training loop: forward, loss, backward, clipping, step. No validation falls among the first 100.
Prints JSON.
"""
import contextlib
import io
import json
import os
import runpy
import sys
import tempfile
import time


class Done(Exception):
    pass


def main():
    checkout, picture, config, weight, iterations, warm_up = sys.argv[1:]
    picture, wanted = os.path.abspath(picture), int(iterations) + int(warm_up) + 1
    checkout = os.path.abspath(checkout)
    os.chdir(checkout)
    sys.path.insert(0, checkout)
    import torch
    import coolchic.component.video as video
    import coolchic.training.train as training

    stamps = []

    class Timed(training.SOAP):
        def step(self, *arguments, **named):
            result = super().step(*arguments, **named)
            stamps.append((time.perf_counter(), time.process_time()))
            if len(stamps) == wanted:
                raise Done
            return result

    training.SOAP = Timed
    video.warmup = lambda list_candidates, **others: list_candidates[0]
    folder = tempfile.mkdtemp()
    sys.argv = ["cc_encode.py", f"--input={picture}", f"--output={folder}/out.cool", f"--workdir={folder}",
                f"--lmbda={weight}", f"--dec_cfg_residue={checkout}/cfg/dec/intra/{config}.cfg"]
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said):
            runpy.run_path(f"{checkout}/cc_encode.py", run_name="__main__")
        sys.exit("cc_encode.py ended by itself:\n" + said.getvalue())
    except Done:
        pass
    turns = list(zip(stamps, stamps[1:]))[int(warm_up):]
    wall, cpu = ([(b[k] - a[k]) * 1e3 for a, b in turns] for k in (0, 1))
    print(json.dumps({"torch": torch.__version__, "threads": torch.get_num_threads(), "milliseconds": wall,
                      "cpuMilliseconds": cpu}))


if __name__ == "__main__":
    main()
