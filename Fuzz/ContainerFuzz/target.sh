targets=(Bitstream)
maps=(CZlib)
link=(-lz)
