"""Trains the authors' NeRV (haochen-rye/NeRV, a checkout of it) on this CPU, as `nerv.sh` does beside ours.

    nerv.py CHECKOUT FRAMES_FOLDER OUT_FOLDER [--epochs 100] [--seed 1] [--threads 1]

The folder holds Carphone's frames as PNG. The network is that of `codecbench video-fit --codec nerv --parameters 50000`, the setting the one of
`--published`: squared error, Adam at 1e-3 with 0.9 and 0.999, two frames an iteration, a tenth of the epochs to rise. The code wants CUDA: what moves
numbers there is made to leave them. The last lines of its log have the PSNR, the mean over frames after the last epoch.
"""
import os
import runpy
import sys

from hnerv import command_line


def stay_on_cpu():
    import numpy
    import torch

    torch.Tensor.cuda = torch.nn.Module.cuda = lambda self, *arguments, **options: self
    torch.cuda.device_count = lambda: 1
    torch.cuda.synchronize = lambda *arguments: None
    if not hasattr(numpy, "asfarray"):
        numpy.asfarray = lambda values: numpy.asarray(values, dtype=float)


def main():
    options = command_line(__doc__, "100", seed="1")
    # It looks for ./data/NAME and writes below ./output.
    out = options.out.resolve()
    (out / "data").mkdir(parents=True, exist_ok=True)
    link = out / "data" / "clip"
    if not link.exists():
        link.symlink_to(options.frames.resolve(), target_is_directory=True)
    checkout = options.checkout.resolve()
    os.chdir(out)
    stay_on_cpu()
    sys.path.insert(0, str(checkout))
    sys.argv = [
        "train_nerv.py", "--dataset", "clip", "--outf", "fit", "-e", options.epochs, "--eval_freq", options.epochs, "-j", "0",
        "--embed", "1.25_40", "--stem_dim_num", "68_1", "--fc_hw_dim", "9_11_4", "--strides", "2", "2", "2", "2", "--expansion", "1", "--reduction", "2",
        "--lower-width", "14", "--num-blocks", "1", "--conv_type", "conv", "--norm", "none", "--act", "swish", "--single_res",
        "--loss_type", "L2", "-b", "2", "--lr", "0.001", "--beta", "0.9", "--warmup", "0.1", "--lr_type", "cosine", "--manualSeed", options.seed]
    runpy.run_path(str(checkout / "train_nerv.py"), run_name="__main__")


if __name__ == "__main__":
    main()
