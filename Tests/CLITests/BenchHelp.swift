/// What `nccodec bench ... --help` prints.
extension Help {
  static let bench = """
    OVERVIEW: Measure codecs beside each other, and make a report.

    USAGE: nccodec bench <subcommand>

    OPTIONS:
      --version               Show the version.
      -h, --help              Show help information.

    SUBCOMMANDS:
      image                   Measure codecs of pictures: rate, quality and time on
                              your own files.
      video                   Measure codecs of video: rate, quality and time on
                              your own clips.
      audio                   Measure codecs of sound: rate, quality and time on
                              your own files.
      kv                      Measure codecs of KV caches: bits, error and time on
                              your own caches.
      compare                 Measure how far a picture is from another.
      page                    Make a report's page again from its results.json.

      See 'nccodec help bench <subcommand>' for detailed help.

    """

  static let benchImage = """
    OVERVIEW: Measure codecs of pictures: rate, quality and time on your own files.

    Every codec gets the same 8-bit RGB in memory and gives the bytes of a whole
    file; what those decode to is compared with the original. Ours: hyperprior,
    overfit (at --effort; or overfit1 to overfit9). Others run through libavcodec:
    jpeg, jpegplain, webp, webp4, avif, avif420, avifslow, svtav1, jxl, jpeg2000;
    one that this libavcodec lacks is named as missing.

    With --out, results.json has every measurement, results.csv the same as a
    table, and index.html plots and shows them. A second run measures only what is
    missing; Ctrl-C keeps what is done.

    Times are of this machine, and with several workers of a busy one: processor
    seconds are recorded beside them.

    Examples:
      nccodec bench image photos --out report
      nccodec bench image --codecs hyperprior,overfit,jpeg,webp,avif,jxl --points 8
    photos --out report
      nccodec bench image ../shared/data/kodak --reference kodak --out report
      nccodec bench image a.png b.png --codecs hyperprior,jpeg --against
    report/results.json
      nccodec bench image --digits ../shared/data/small --out machine

    Exit codes: 0; 1 where a file or point failed, a comparison was lost, or the
    run was stopped.

    USAGE: nccodec bench image [<options>] [<files> ...]

    ARGUMENTS:
      <files>                 Pictures, or folders of them.

    OPTIONS:
      --digits <folder>       In place of pictures: mosaics of MNIST's test digits,
                              and how many of them a small classifier still reads.
                              The folder has t10k-images-idx3-ubyte and
                              t10k-labels-idx1-ubyte, gzipped or not.
      --measures <names>      The measures to take, by name, with commas. (default:
                              all)
      --codecs <names>        The codecs, with commas between them. (default:
                              hyperprior,jpeg,webp,avif,jpeg2000)
      --effort <1...9>        The effort of overfit. (default: 1)
      --reference <curves>    Show published curves beside: kodak, or a file of
                              that form; :name,name behind it picks some.
      --pictures <n>          Keep the decoded pictures of so many files, for the
                              page. (default: 3)
      --isolate               Measure each point in processes of its own, so that
                              peak memory is known.
      --out <folder>          Keep the report in that folder: results.json,
                              results.csv, index.html. What it has is not measured
                              again.
      --points <1...32>       Points of each codec's curve. (default: 6)
      --repeat <n>            Time each point that often. (default: 1)
      --workers <n>           Points measured at once; 1 gives the calmest times.
                              (default: one per core)
      --against <results.json>
                              Fail where our codecs have become worse than in that
                              report.
      --tolerance-rate <percent>
                              BD-rate that is no loss yet. (default: 1)
      --tolerance-speed <percent>
                              How much slower, as a ratio to jpeg in the same run
                              (video: to x264, audio: to opus, kv: to q8_0), is no
                              loss yet; none: any. (default: 15)
      --fresh                 Measure everything, whatever the folder has.
      --quiet                 Print errors only.
      --version               Show the version.
      -h, --help              Show help information.

    """

  static let benchKV = """
    OVERVIEW: Measure codecs of KV caches: bits, error and time on your own caches.

    Ours: kv1, kv5 (--effort 1 and 5), kv9 (with --profile), lossless; cachegen,
    CacheGen's scheme in our files. Others: q8_0 and q4_0 as llama.cpp quantises,
    f16 as it is. Rates are bits per element of whole files (of q8_0, q4_0 and f16,
    of the numbers alone); errors are signal-to-noise ratios of keys and of values,
    in dB over all elements.

    Each codec runs on one thread. Report, resuming and Ctrl-C are as of 'bench
    image'.

    Examples:
      nccodec bench kv cache.safetensors
      nccodec bench kv --codecs kv1,kv5,kv9,q8_0,q4_0 --profile m.ncprofile caches
    --out report

    USAGE: nccodec bench kv <files> ... [--codecs <names>] [--profile <file>] [--out <folder>] [--points <1...32>] [--repeat <n>] [--workers <n>] [--against <results.json>] [--tolerance-rate <percent>] [--tolerance-speed <percent>] [--fresh] [--quiet]

    ARGUMENTS:
      <files>                 Caches, or folders of them.

    OPTIONS:
      --codecs <names>        The codecs, with commas between them. (default:
                              kv1,kv5,lossless,cachegen,q8_0,q4_0,f16)
      --profile <file>        The profile of the caches' model, for kv9.
      --out <folder>          Keep the report in that folder: results.json,
                              results.csv, index.html. What it has is not measured
                              again.
      --points <1...32>       Points of each codec's curve. (default: 6)
      --repeat <n>            Time each point that often. (default: 1)
      --workers <n>           Points measured at once; 1 gives the calmest times.
                              (default: one per core)
      --against <results.json>
                              Fail where our codecs have become worse than in that
                              report.
      --tolerance-rate <percent>
                              BD-rate that is no loss yet. (default: 1)
      --tolerance-speed <percent>
                              How much slower, as a ratio to jpeg in the same run
                              (video: to x264, audio: to opus, kv: to q8_0), is no
                              loss yet; none: any. (default: 15)
      --fresh                 Measure everything, whatever the folder has.
      --quiet                 Print errors only.
      --version               Show the version.
      -h, --help              Show help information.

    """

  static let benchCompare = """
    OVERVIEW: Measure how far a picture is from another.

    Prints every measure that bench image has, of 8-bit samples, alpha left out:
    PSNR, PSNR of YUV by 6:1:1, SSIM, MS-SSIM, and SSIMULACRA, Butteraugli and VMAF
    where their programs are installed. A grey picture against one in colour is
    taken as RGB.

    Examples:
      nccodec bench compare photo.png decoded.png
      nccodec bench compare --json --measures psnr,msssim photo.png decoded.png

    USAGE: nccodec bench compare <original> <decoded> [--measures <name,...>] [--json]

    ARGUMENTS:
      <original>              The original; - for standard input.
      <decoded>               The picture to hold against it.

    OPTIONS:
      --measures <name,...>   The measures to take, by name. (default: all)
      --json                  Print one JSON object: a number for each measure, or
                              null, and why.
      --version               Show the version.
      -h, --help              Show help information.

    """

  static let benchPage = """
    OVERVIEW: Make a report's page again from its results.json.

    Writes index.html beside results.json, or to another folder; one that is there
    is replaced. The page is whole and asks nothing of the network. Its viewer
    looks for decoded pictures in the folder that the page is in.

    Examples:
      nccodec bench page report/results.json
      nccodec bench page results.json --out report/

    USAGE: nccodec bench page <results.json> [--out <folder>]

    ARGUMENTS:
      <results.json>          The results; - for standard input.

    OPTIONS:
      --out <folder>          Folder of the page; made where it is missing.
      --version               Show the version.
      -h, --help              Show help information.

    """

  static let benchAudio = """
    OVERVIEW: Measure codecs of sound: rate, quality and time on your own files.

    Every codec gets the same floats in memory and gives the bytes of a whole file;
    what those decode to is compared with the original, at its sample rate (above
    48 kHz: at 48 kHz) and of its length. Ours: mdct, mdct-mse (least squared
    error), tokens (the nearest of their rates). Others run through libav: mp3,
    aac, opus; one that this libav lacks is named as missing.

    SI-SDR and log-spectral distance are ours; ViSQOL, PESQ and STOI come from
    programs visqol, pesq and stoi where they are installed ('Benchmarks/audio.sh
    programs' makes some). The last two and ViSQOL's speech mode are for speech.

    Rates are kilobits per second of whole files, all channels together. Report,
    resuming and Ctrl-C are as of 'bench image'.

    Examples:
      nccodec bench audio sounds --out report
      nccodec bench audio sounds --codecs mdct,mp3,aac,opus --kbps 24,48,64 --out
    report
      nccodec bench audio speech.wav --measures sisdr,visqol
      nccodec bench audio speech --codecs tokens,opus --kbps 0.9,3,6 --out report

    USAGE: nccodec bench audio [<options>] <files> ...

    ARGUMENTS:
      <files>                 Sounds, or folders of them.

    OPTIONS:
      --codecs <names>        The codecs, with commas between them. (default:
                              mdct,mp3,aac,opus)
      --kbps <numbers>        The rates, with commas between them. (default:
                              --points of them from 16 to 96)
      --measures <names>      The measures to take, by name, with commas. (default:
                              all)
      --out <folder>          Keep the report in that folder: results.json,
                              results.csv, index.html. What it has is not measured
                              again.
      --points <1...32>       Points of each codec's curve. (default: 6)
      --repeat <n>            Time each point that often. (default: 1)
      --workers <n>           Points measured at once; 1 gives the calmest times.
                              (default: one per core)
      --against <results.json>
                              Fail where our codecs have become worse than in that
                              report.
      --tolerance-rate <percent>
                              BD-rate that is no loss yet. (default: 1)
      --tolerance-speed <percent>
                              How much slower, as a ratio to jpeg in the same run
                              (video: to x264, audio: to opus, kv: to q8_0), is no
                              loss yet; none: any. (default: 15)
      --fresh                 Measure everything, whatever the folder has.
      --quiet                 Print errors only.
      --version               Show the version.
      -h, --help              Show help information.

    """

  static let benchVideo = """
    OVERVIEW: Measure codecs of video: rate, quality and time on your own clips.

    Every codec gets the same frames, R'G'B' of 8 bits: those that --start,
    --duration and --frames leave, scaled by --scale, of which --crop keeps the
    middle. Ours are hnerv, nerv, nervpp and nirvana, fitted on all cores. Others
    run through libavcodec, on one thread: x264 and x265 (preset medium), svtav1
    (preset 8), with --points rate factors each (crf 46 to 18, 46 to 20, 63 to 25);
    one that this libavcodec lacks is named as missing.

    Rates are bits per pixel without sound: of our whole files, of the others'
    packets. PSNR is of R, G and B together; it and MS-SSIM are means over the
    frames (MS-SSIM of frames with more than 160 pixels a side). At the end there
    is what every codec takes for the PSNR of each point of ours, clip by clip,
    between its points.

    Ours take minutes to hours a point. Report, resuming and Ctrl-C are as of
    'bench image'.

    Examples:
      nccodec bench video film.mp4 --duration 10 --scale 640x360 --out report
      nccodec bench video film.mp4 --crop 1280x640 --params 0.35M --epochs 30
      nccodec bench video clips --codecs x264,x265,svtav1 --points 8

    USAGE: nccodec bench video [<options>] <files> ...

    ARGUMENTS:
      <files>                 Videos, or folders of them.

    OPTIONS:
      --codecs <names>        The codecs, with commas between them. (default:
                              hnerv,x264,x265,svtav1)
      --qualities <numbers>   The qualities of ours, 0 to 100, with commas.
                              (default: 25,50,75)
      --params <numbers>      In their place, weights and embeddings of its
                              networks, such as 0.35M,1.5M.
      --effort <1...9>        The effort of ours. (default: 3)
      --epochs <n>            How often ours fits each frame. (default: by
                              --effort, 5 to 600)
      --start <time>          Begin at that time, such as 90, 1:30 or 0:01:30.5.
      --duration <time>       Measure that much of each clip. (default: to the end)
      --frames <n>            Measure so many frames of each clip. (default: all)
      --scale <WxH>           Scale frames to that many pixels.
      --crop <WxH>            Keep that many pixels of their middle.
      --measures <names>      The measures to take: psnr, psnrYUV, ssim, msssim.
                              (default: psnr,msssim)
      --out <folder>          Keep the report in that folder: results.json,
                              results.csv, index.html. What it has is not measured
                              again.
      --points <1...32>       Points of each codec's curve. (default: 6)
      --repeat <n>            Time each point that often. (default: 1)
      --workers <n>           Points measured at once; 1 gives the calmest times.
                              (default: one per core)
      --against <results.json>
                              Fail where our codecs have become worse than in that
                              report.
      --tolerance-rate <percent>
                              BD-rate that is no loss yet. (default: 1)
      --tolerance-speed <percent>
                              How much slower, as a ratio to jpeg in the same run
                              (video: to x264, audio: to opus, kv: to q8_0), is no
                              loss yet; none: any. (default: 15)
      --fresh                 Measure everything, whatever the folder has.
      --quiet                 Print errors only.
      --version               Show the version.
      -h, --help              Show help information.

    """
}
