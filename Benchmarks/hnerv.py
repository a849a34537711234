"""Trains the authors' HNeRV (haochen-rye/HNeRV, a checkout of it) on this CPU, as `hnerv.sh` does beside ours.

    hnerv.py CHECKOUT FRAMES_FOLDER OUT_FOLDER [--epochs 30] [--size 0.35] [--threads 1]

The folder holds a clip's frames as PNG. Three packages that the code imports and CPUs do not need are replaced by what it uses of them:
timm (an initialisation and dropped paths, of which there are none), decord and pytorchvideo (readers of videos, where pictures are read).
An interrupted run goes on from its last checkpoint. The last line of its log has the PSNR, the mean over frames after the last epoch.
"""
import argparse
import os
import pathlib
import runpy
import sys
import types


def replace_packages():
    import torch

    class Identity(torch.nn.Identity):
        def __init__(self, probability=0.0):
            super().__init__()

    def module(name, **contents):
        sys.modules[name] = types.ModuleType(name)
        sys.modules[name].__dict__.update(contents)

    module("timm"), module("timm.models")
    module("timm.models.layers", trunc_normal_=torch.nn.init.trunc_normal_, DropPath=Identity)
    module("decord", bridge=types.SimpleNamespace(set_bridge=lambda name: None))
    module("pytorchvideo"), module("pytorchvideo.data")
    module("pytorchvideo.data.encoded_video", EncodedVideo=type("EncodedVideo", (), {}))


def command_line(description, epochs, **others):
    """What the programs for the authors' codes are told; `others` are defaults of options by name. Sets how many threads PyTorch takes."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("checkout", "frames", "out"):
        parser.add_argument(name, type=pathlib.Path)
    for name, default in {"epochs": epochs, **others, "threads": "1"}.items():
        parser.add_argument(f"--{name}", default=default)
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = options.threads
    return options


def main():
    # Millions of parameters, embeddings included; height_width.
    options = command_line(__doc__, "30", size="0.35", crop="640_1280")
    replace_packages()
    sys.path.insert(0, str(options.checkout.resolve()))
    strides = "5 4 4 2 2".split()
    sys.argv = [
        "train_nerv_all.py", "--outf", str(options.out.resolve()), "--data_path", str(options.frames), "--vid", "clip",
        "--conv_type", "convnext", "pshuffel", "--act", "gelu", "--norm", "none", "--crop_list", options.crop, "--resize_list", "-1",
        "--loss", "L2", "--enc_strds", *strides, "--enc_dim", "64_16", "--dec_strds", *strides, "--ks", "0_1_5", "--reduce", "1.2",
        "--modelsize", options.size, "-e", options.epochs, "--eval_freq", options.epochs, "--lower_width", "12", "-b", "2", "--lr", "0.001"]
    runpy.run_path(str(options.checkout / "train_nerv_all.py"), run_name="__main__")


if __name__ == "__main__":
    main()
