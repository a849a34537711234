/// What `--help` prints, to the letter.
enum Help {
  static let root = """
    OVERVIEW: Small pictures, videos, sounds and KV caches from learned codecs,
    which decode to the same bits on every machine.

    Pictures go in as PNG, JPEG, WebP, BMP, TIFF, QOI or PNM and become .ncb files;
    those come back as PNG. Video goes in from any file with video and comes back
    as MP4, MKV, WebM, MOV, AVI, Y4M or pictures. Sound goes in from any file with
    sound and comes back as WAV, FLAC, Opus, Vorbis, MP3 or AAC. The file name -
    means standard input or standard output.

    Examples:
      nccodec encode photo.png photo.ncb
      nccodec decode photo.ncb back.png
      nccodec encode film.mp4 film.ncb
      nccodec decode film.ncb film.mkv
      nccodec encode song.flac song.ncb
      nccodec decode song.ncb song.wav
      nccodec info photo.ncb
      nccodec verify photo.ncb

    Exit codes:
      0  success
      1  failure: one line on standard error says why, and no output is left behind
      2  usage: the command line makes no sense
      3  kv store get: nothing of the text is stored

    USAGE: nccodec <subcommand>

    OPTIONS:
      --version               Show the version.
      -h, --help              Show help information.

    SUBCOMMANDS:
      encode                  Encode a picture, a video, sound or a KV cache as
                              .ncb.
      decode                  Decode an .ncb file to PNG, to a video or sound file,
                              or to the file that a KV cache came in.
      info                    Show what is in an .ncb file.
      verify                  Check an .ncb file: its checksums, and that it
                              decodes.
      kv                      Work with KV caches.
      bench                   Measure codecs beside each other, and make a report.

      See 'nccodec help <subcommand>' for detailed help.

    """

  static let encode = """
    OVERVIEW: Encode a picture, a video, sound or a KV cache as .ncb.

    Reads PNG, JPEG, WebP, BMP, TIFF, QOI and PNM. Grey stays grey; alpha is kept
    losslessly; ICC profile, gamma and EXIF are kept. More than 8 bits a sample are
    rounded to 8.

    Two codecs: hyperprior encodes in a fraction of a second; overfit fits a small
    network to the picture, which takes from ten seconds (effort 1) over minutes
    (5) to a quarter of an hour (9) for 768x512 on two cores and makes smaller
    files. Without --codec, an effort of 4 or more means overfit and less means
    hyperprior.

    Aims: with hyperprior, --bpp and --psnr take the nearest quality; with overfit,
    they repeat parts of the fit until they are met, in two to three times the
    time. The report says what was reached. --lambda is what overfit minimises:
    squared error of samples 0...1 + lambda * bits per pixel; about 0.02 (small) to
    0.0001 (good). The result does not depend on --threads.

    Video is read from whatever libavformat knows (MP4, MKV, WebM, MOV, AVI, Y4M,
    raw H.264, ...) and from numbered pictures such as frames/%04d.png, in memory
    that does not grow with its length, and coded by hnerv: a small network is
    fitted to each segment of up to 256 frames, which takes minutes to hours;
    decoding is fast, and any frame is found without the others. With --codec nerv
    or nervpp, the network makes frames of their numbers alone; with --codec
    nirvana, each eight frames have a network that begins as the one before has
    ended, of which what changed is kept. --quality 0 to 100, --bpp or --params say
    how small the file is, --epochs or --effort (1 to 9) how long is fitted. Times,
    rate, rotation and colours are kept; its sound is copied bit by bit (--audio
    none leaves it out, --audio neural codes it anew, as sound alone is). More than
    8 bits a sample are rounded to 8. With --resume, an encoding that ended before
    its end is gone on with by the same command. With --codec mdct or tokens, the
    sound alone is coded.

    Sound is read from whatever libavformat knows (WAV, FLAC, MP3, Opus, M4A, Ogg,
    the sound of a video, ...), in memory that does not grow with its length, and
    coded by mdct: --kbps, or --quality 0 to 100, for the ear or with --target mse
    for the least squared error. Below 8 kbps a channel, or with --codec tokens, a
    neural codec makes 40 or 75 frames of 1 to 8 tokens a second, of 0.48 to 5.6
    kbps a channel: the most that --kbps has room for, before entropy coding makes
    them less, or --quality 0 to 100, or --tokens-rate and --tokens-levels. It
    codes speech and music at 24 kHz. --tokens writes the tokens for language
    models; an .npy of tokens with --codec tokens becomes a file, too. Sample rate,
    length to the sample, channels and tags are kept; above 48 kHz, and for tokens,
    it is resampled, and back when it is decoded. A file that is cut short is used
    as far as it goes; samples that are no finite numbers are refused.

    KV caches of language models are read from safetensors, .npy, .npz and
    llama.cpp's sequence states, and coded by kv: --quality 0 to 100 (100 as good
    as q8_0), --bits, or --lossless. Efforts up to 4 are the fastest; from 5 on,
    half the bits at the same quality, at about 25 MB/s; 9, with a --profile of the
    model, half of that. Other tensors of the file are kept losslessly. --levels
    puts several qualities into one file, to choose from when decoding ('nccodec kv
    plan'); --append adds the tokens that follow to a file, from a cache that holds
    them alone or behind those that the file has. --codec cachegen codes caches as
    CacheGen does, to compare with.

    Ctrl-C leaves nothing behind. With --keep-best the first Ctrl-C ends the fit,
    writes the best so far and exits with 0; the second one leaves nothing behind.

    Examples:
      nccodec encode photo.png photo.ncb
      nccodec encode --quality 80 photo.jpg photo.ncb
      nccodec encode --bpp 0.25 --force photo.png photo.ncb
      nccodec encode --psnr 35 --json photo.png photo.ncb
      nccodec encode --effort 5 photo.png photo.ncb
      nccodec encode --codec overfit --bpp 0.2 photo.png photo.ncb
      nccodec encode --effort 9 --lambda 0.001 --keep-best photo.png photo.ncb
      nccodec encode --effort 5 --decoder-cost 500 photo.png photo.ncb
      cat photo.png | nccodec encode - - > photo.ncb
      nccodec encode film.mp4 film.ncb
      nccodec encode --epochs 30 --params 0.35M --resume fit film.mp4 film.ncb
      nccodec encode --codec nervpp --bpp 0.1 film.mp4 film.ncb
      nccodec encode --codec nirvana --epochs 100 film.mp4 film.ncb
      nccodec encode --audio neural --kbps 24 film.mp4 film.ncb
      nccodec encode --start 1:30 --duration 10 --scale 640x360 film.mkv part.ncb
      nccodec encode --rate 30 --effort 5 frames/%04d.png film.ncb
      nccodec encode song.flac song.ncb
      nccodec encode --kbps 48 talk.mp3 talk.ncb
      nccodec encode --quality 70 --target mse film.mp4 sound.ncb
      nccodec encode --kbps 3 talk.wav talk.ncb
      nccodec encode --tokens-rate 40 --tokens talk.npy talk.wav talk.ncb
      nccodec encode cache.safetensors cache.ncb
      nccodec encode --bits 3.5 state.bin cache.ncb
      nccodec encode --effort 5 --quality 30 cache.safetensors cache.ncb
      nccodec encode --effort 9 --profile m.ncprofile cache.safetensors cache.ncb
      nccodec encode --levels 20,40,70 cache.safetensors cache.ncb
      nccodec encode --append longer.safetensors cache.ncb

    USAGE: nccodec encode [<options>] <in> <out.ncb>

    ARGUMENTS:
      <in>                    The picture, video, sound or cache; - for standard
                              input.
      <out.ncb>               The file to write; - for standard output.

    OPTIONS:
      --codec <codec>         The codec. (default: by input and effort) (values:
                              hyperprior, overfit, hnerv, nerv, nervpp, nirvana,
                              mdct, tokens, kv, cachegen)
      --effort <1...9>        1 (fastest) to 9 (smallest files). (default: 1, of
                              video 3)
      --decoder-cost <n>      Multiplications per pixel that decoding may take:
                              500, 1000, 2000 or 3000. Overfit only. (default: 2000)
      --quality <0...100>     0 (smallest) to 100 (best). (default: 50)
      --bpp <bits>            Aim for that many bits per pixel, the whole file
                              counted, a video's sound aside.
      --psnr <dB>             Aim for that PSNR, of the decoded picture in 8 bits.
      --lambda <x>            Weigh bits against error by that, above 0 and at most
                              1. Overfit only.
      --keep-best             On Ctrl-C, write the best so far. Overfit and video
                              only.
      --threads <n>           Threads to use. (default: one per core)
      --force                 Overwrite the output if it exists.
      --quiet                 Print errors only.
      --json                  Report as JSON.
      --params <n>            Weights and embeddings of each segment's network,
                              such as 0.35M or 350000. Video only.
      --cheap-blocks          Smaller kernels in HNeRV's last stages, for faster
                              decoding and somewhat larger files. Video only.
      --epochs <n>            How often each frame is fitted. Video only. (default:
                              by --effort)
      --start <time>          Begin at that time, such as 90, 1:30 or 0:01:30.5.
                              Video only.
      --duration <time>       Encode that much. Video only. (default: to the end)
      --scale <WxH>           Scale frames to that many pixels. Video only.
      --rate <rate>           Frames a second of numbered pictures and streams
                              without times, such as 30 or 30000/1001. Video only.
                              (default: what the stream says, or 25)
      --audio <copy|neural|none>
                              copy (all sound tracks, bit by bit), neural (coded
                              anew, as sound alone is: --kbps and the like are its)
                              or none. Video only. (default: copy) (values: copy,
                              neural, none)
      --segment-frames <1...4096>
                              Frames of a segment. Video only. (default: at most
                              256 and 384 MB of samples)
      --resume <file>         Save the fit in that file each minute and on Ctrl-C,
                              and go on from it if it is there. Video only.
      --kbps <kbps>           Aim for that many kbit/s on average, the whole file
                              counted. Sound only.
      --target <target>       perceptual (what sounds most alike) or mse (the least
                              squared error). Sound only. (default: perceptual)
                              (values: perceptual, mse)
      --tokens-rate <75|40>   Frames of tokens a second, 75 or 40. Codec tokens
                              only. (default: by --kbps or --quality)
      --tokens-levels <1...8> Tokens of a frame. Codec tokens only. (default: by
                              --kbps or --quality)
      --group <seconds>       Sound of a part of the file, 0.02 to 10: short ones
                              for live use. Codec tokens only. (default: 10)
      --tokens <out.npy>      Write the tokens, uint16 [channels, levels, frames].
                              Codec tokens only.
      --bits <bits>           Aim for that many bits per element of keys and
                              values. Caches only.
      --lossless              Keep every bit. Caches only.
      --chunk <n>             Tokens of a part that decodes on its own. Caches
                              only. (default: 256)
      --segment <n>           Tokens after which decoding can begin anew, at
                              efforts from 5 on. Caches only. (default: 4096)
      --axes <axes>           The arrays' axes, such as
                              layer,kv_head,token,head_dim. Caches only. (default:
                              as the file says)
      --rope <layout>         RoPE's layout: interleaved, halves or none. Caches
                              only.
      --rope-base <base>      RoPE's base. Caches only.
      --model <name>          The model's name. Caches only.
      --before-rope           The keys are before RoPE. Caches only. (default: as
                              the file says)
      --bf16                  16-bit integers are bfloat16's bits. Caches only.
      --drop-k-pre            Leave out k_pre where there is k too. Caches only.
      --kv-heads <n>          Heads, where an axis holds heads and channels. Caches
                              only.
      --levels <n,...>        Qualities that the file holds beside each other, such
                              as 70,40,20. Caches only.
      --append                Add the positions after its last to the output, which
                              exists; quality and parts are its own. Caches only.
      --keep-tokens <n>       Keep that many tokens of each head, such as 512, 0.5
                              or 50%, and evict the others. Caches only.
      --profile <file>        A profile of the model, for effort 9 ('nccodec kv
                              calibrate'). Caches only.
      --merge-tokens          Average values of tokens that --keep-tokens does not
                              keep into like ones. Caches only.
      --level <1...3>         CacheGen's level, 1 (smallest) to 3. Cachegen only.
                              (default: 2)
      --variant <variant>     paper (anchors and differences) or released
                              (LMCache's code). Cachegen only. (default: paper)
      --version               Show the version.
      -h, --help              Show help information.

    """

  static let decode = """
    OVERVIEW: Decode an .ncb file to PNG, to a video or sound file, or to the file
    that a KV cache came in.

    The samples are the same on every machine; of sound's tokens they may differ,
    50 dB below the sound. Without --png-level, PNG is written fast; higher levels
    write smaller files and take longer, with the same samples.

    Video goes to MP4, MOV, MKV, WebM, AVI, Y4M or numbered pictures
    (frames/%04d.png), by the output's name or --format; to MKV on standard output.
    Its sound goes along where the output can hold it: copied sound as it is, sound
    that was coded anew as AAC (MP4, MOV), Opus (MKV, WebM) or MP3 (AVI). Without
    --encoder the video is coded at a quality whose loss is not seen; --encoder
    ffv1 --chroma rgb keeps each sample. With --frames, only the segments that hold
    those frames are decoded, and times count from the first of them.

    Sound goes to WAV, FLAC, Opus (.opus), Vorbis (.ogg), MP3 or AAC (.m4a), by the
    output's name or --format; to WAV on standard output. It is as long as it was,
    to the sample, at the rate that it had, or the nearest that the format has. WAV
    and FLAC get 16 bits, rounded to nearest; what lies beyond full scale is
    clipped, except by --sample-format float. An .npy of a sound's tokens, integers
    [channels, levels, frames], is decoded as the file would be that was encoded
    so; --tokens-rate says how many frames a second it has. An output .npy gets the
    tokens of a file that has them.

    Examples:
      nccodec decode photo.ncb photo.png
      nccodec decode --force --png-level 9 photo.ncb photo.png
      cat photo.ncb | nccodec decode - - > photo.png
      nccodec decode film.ncb film.mp4
      nccodec decode --frames 100:200 film.ncb part.mkv
      nccodec decode --encoder libx265 --encoder-options crf=20 film.ncb film.mkv
      nccodec decode film.ncb frames/%04d.png
      nccodec decode song.ncb song.wav
      nccodec decode --start 1:30 --duration 10 song.ncb part.flac
      cat song.ncb | nccodec decode - - | aplay
      nccodec decode --tokens-rate 40 talk.npy talk.wav
      nccodec decode cache.ncb cache.safetensors
      nccodec decode --tokens 0:512 --layers 4:8 cache.ncb part.npz
      nccodec decode --choose 0,2,1 cache.ncb cache.safetensors

    USAGE: nccodec decode [<options>] <in.ncb> <out>

    ARGUMENTS:
      <in.ncb>                The file to decode; - for standard input.
      <out>                   The file to write; - for standard output.

    OPTIONS:
      --threads <n>           Threads to use. (default: one per core)
      --png-level <0...9>     zlib's compression level of the PNG. (default: fast)
      --force                 Overwrite the output if it exists.
      --quiet                 Print errors only.
      --frames <a:b>          Decode frames a to b - 1 alone, counted from 0, such
                              as 100:200 or 100: to the end. Video only.
      --encoder <name>        libavcodec's encoder of the output, such as libx264,
                              libx265, libsvtav1, ffv1. Video only. (default:
                              libx264; of webm libvpx-vp9, of y4m rawvideo)
      --encoder-options <a=b:...>
                              Its options, such as crf=20:preset=slow. Video only.
                              (default: a quality whose loss is not seen)
      --chroma <sampling>     Colour samples of the output: 420, 422, 444 or rgb.
                              Video only. (default: 420, of y4m 444) (values: 420,
                              422, 444, rgb)
      --audio <copy|none>     copy (what was coded anew becomes AAC, Opus or MP3,
                              by the output) or none. Video only. (default: copy,
                              where the output can hold it) (values: copy, none)
      --start <time>          Begin at that time, such as 90, 1:30 or 0:01:30.5.
                              Sound only.
      --duration <time>       Decode that much. Sound only. (default: to the end)
      --sample-format <format>
                              What WAV and FLAC hold. Sound only. (default: 16)
                              (values: 16, 24, float)
      --kbps <kbps>           kbit/s of Opus, Vorbis, MP3 and AAC. Sound only.
                              (default: 96 a channel; MP3 128 or 256)
      --tokens-rate <75|40>   Frames a second of tokens in an .npy, 75 or 40.
                              (default: 75)
      --profile <file>        The profile that the file was encoded with. Caches
                              only.
      --tokens <a:b>          Decode these positions alone. Caches only.
      --layers <a:b>          Decode these layers alone. Caches only.
      --format <format>       safetensors, npy, npz or llama of caches; mp4, mov,
                              mkv, webm, avi, y4m or pictures of video; wav, flac,
                              opus, ogg, mp3 or m4a of sound. (default: by the
                              output's name, or what was encoded)
      --level <n>             The level to decode, 0 the best. Caches only.
                              (default: 0)
      --choose <n,...>        The level of each part, from the first on. Caches
                              only.
      --version               Show the version.
      -h, --help              Show help information.

    """

  static let info = """
    OVERVIEW: Show what is in an .ncb file.

    Shows the picture's size, codec, model and quality, the bytes of each section,
    and every field of every header; of an overfitted picture also what each grid
    of latents and each part of its networks takes; of video its size, rate,
    segments and sound; of sound its rate, channels, length and tags, of tokens
    also what each level takes. Checksums are checked.

    Examples:
      nccodec info photo.ncb
      nccodec info --json photo.ncb

    USAGE: nccodec info <file> [--json]

    ARGUMENTS:
      <file>                  The file to show; - for standard input.

    OPTIONS:
      --json                  Report as JSON.
      --version               Show the version.
      -h, --help              Show help information.

    """

  static let verify = """
    OVERVIEW: Check an .ncb file: its checksums, and that it decodes.

    Prints the CRC-32 of the decoded samples (rows from the top, then the alpha
    plane), which is the same on every machine; of a video, that of its frames' R,
    G and B planes; of a cache, those of each level's elements; of sound, that of
    its samples as 32-bit floats, channel beside channel, or of its tokens, by
    channel and level, as their samples may differ a little. Nothing is written.

    Examples:
      nccodec verify photo.ncb
      nccodec verify --quiet photo.ncb && echo intact

    USAGE: nccodec verify <file> [--profile <file>] [--threads <n>] [--quiet]

    ARGUMENTS:
      <file>                  The file to check; - for standard input.

    OPTIONS:
      --profile <file>        The profile that a cache was encoded with.
      --threads <n>           Threads to use. (default: one per core)
      --quiet                 Print errors only.
      --version               Show the version.
      -h, --help              Show help information.

    """
}
