/// The help of the commands for KV caches.
extension Help {
  static let kv = """
    OVERVIEW: Work with KV caches.

    USAGE: nccodec kv <subcommand>

    OPTIONS:
      --version               Show the version.
      -h, --help              Show help information.

    SUBCOMMANDS:
      calibrate               Learn a profile of a model from its KV caches, for
                              effort 9.
      plan                    Choose what of a cache to fetch so that it is there
                              in time.
      store                   Keep KV caches in a folder, each common prefix once.

      See 'nccodec help kv <subcommand>' for detailed help.

    """

  static let kvPlan = """
    OVERVIEW: Choose what of a cache to fetch so that it is there in time.

    For each part of a cache that was encoded with --levels, says which level to
    fetch over a link of --bandwidth, or that the model should compute the part
    anew from the text (with --recompute-rate), so that all is there by --deadline.
    Parts are fetched in order; the model may compute while the link fetches.

    Bandwidth is in bits (bps, kbps, Mbps, Gbps) or bytes (B/s, kB/s, MB/s, GB/s,
    also KiB/s, MiB/s, GiB/s) a second; the deadline in us, ms, s or min.

    Rules: ahead has the least squared error that the time allows and lets the
    model compute the first parts while later ones are fetched; cachegen gives each
    part an equal share of the deadline, takes the best level that fits it, and
    else computes.

    Mean quality is by tokens, what is computed anew counting as 100; the even
    quality is that of which a whole cache would be off by as much.

    Exit codes: 3 where the deadline cannot be met; the plan that comes soonest is
    printed all the same. Others as for all commands.

    Examples:
      nccodec encode --levels 20,40,70 cache.safetensors cache.ncb
      nccodec kv plan cache.ncb --bandwidth 1.5Gbps --deadline 100ms
      nccodec kv plan cache.ncb --bandwidth 20MB/s --deadline 1s --recompute-rate
    4000

    USAGE: nccodec kv plan <file.ncb> --bandwidth <speed> --deadline <time> [--recompute-rate <n>] [--rule <rule>] [--json]

    ARGUMENTS:
      <file.ncb>              The cache; - for standard input.

    OPTIONS:
      --bandwidth <speed>     The link's speed, such as 1.5Gbps or 200MB/s.
      --deadline <time>       When all has to be there, such as 300ms or 2s.
      --recompute-rate <n>    Tokens a second that the model computes. (default: it
                              does not)
      --rule <rule>           ahead or cachegen. (default: ahead)
      --json                  Report as JSON.
      --version               Show the version.
      -h, --help              Show help information.

    """

  static let kvCalibrate = """
    OVERVIEW: Learn a profile of a model from its KV caches, for effort 9.

    Caches of many kinds of text make a profile that serves many kinds of text:
    some tens of caches of a thousand tokens each. --sensitivity says what noise
    costs the model (Training/kv/sensitivity.py makes it); without, all channels of
    a layer's keys count alike, and so do its values'. Files that are encoded with
    a profile name it by its hash and need it to be decoded.

    Examples:
      nccodec kv calibrate --out m.ncprofile --sensitivity s.safetensors caches/*
      nccodec encode --effort 9 --profile m.ncprofile cache.safetensors cache.ncb
      nccodec decode --profile m.ncprofile cache.ncb cache.safetensors

    USAGE: nccodec kv calibrate <cache> ... --out <file> [--sensitivity <file>] [--state <16...1024>] [--tokens <n>] [--threads <n>] [--force] [--quiet]

    ARGUMENTS:
      <cache>                 Caches of one model.

    OPTIONS:
      --out <file>            The profile to write; - for standard output.
      --sensitivity <file>    What noise costs the model, a safetensors file.
      --state <16...1024>     Numbers that pass from layer to layer, a multiple of
                              16: more make files smaller, and the profile larger
                              and slower. (default: 192)
      --tokens <n>            Tokens to learn from, at most. (default: 36000)
      --threads <n>           Threads to use. (default: one per core)
      --force                 Replace the profile if it exists.
      --quiet                 Print errors only.
      --version               Show the version.
      -h, --help              Show help information.

    """

  static let kvStore = """
    OVERVIEW: Keep KV caches in a folder, each common prefix once.

    Caches are cut into chunks of tokens. A chunk is an .ncb file, named by a hash
    of the model, the coding and all tokens up to its end, and is written once,
    however many caches begin with it. Several processes may use a folder at once;
    one that is killed leaves nothing that harms.

    Examples:
      nccodec kv store add caches chat.safetensors
      nccodec kv store get --tokens-file prompt.txt caches prefix.safetensors
      nccodec kv store list caches
      nccodec kv store gc --max-bytes 10000000000 --older-than 30 caches

    USAGE: nccodec kv store <subcommand>

    OPTIONS:
      --version               Show the version.
      -h, --help              Show help information.

    SUBCOMMANDS:
      add                     Add a KV cache to a store.
      get                     Get the longest stored prefix of a text's tokens as a
                              KV cache.
      list                    Show what is in a store.
      gc                      Remove the chunks of a store that were not used for
                              longest.

      See 'nccodec help kv store <subcommand>' for detailed help.

    """
}
