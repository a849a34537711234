"""Crops of ../shared/data/train-images-small and train-images to one mosaic PNG: python mosaic.py ROWS COLUMNS OUT.png

Every crop of 256x256 starts on a multiple of 64, so that no latent of the coarsest usual grid sees two pictures."""
import io
import pathlib
import sys
import tarfile

import numpy as np
from PIL import Image

rows, columns, out = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
data = pathlib.Path(__file__).parents[2] / ".." / "shared" / "data"
crops = []
for name in ("train-images-small", "train-images"):
    for path in sorted((data / name).glob("*.tar")):
        with tarfile.open(path) as tar:
            for member in sorted(tar.getmembers(), key=lambda m: m.name):
                if member.name.endswith(".webp"):
                    crops.append(np.asarray(Image.open(io.BytesIO(tar.extractfile(member).read())).convert("RGB")))
# The same crops as the loader of ../hyperprior gives, shuffled once.
order = np.random.default_rng(0).permutation(len(crops))[: rows * columns]
picture = np.concatenate([np.concatenate([crops[order[r * columns + c]] for c in range(columns)], 1) for r in range(rows)], 0)
Image.fromarray(picture).save(out)
