// PNG in memory through libpng, for Swift.
//
// libpng reports errors by longjmp, which must not cross a Swift frame; so every setjmp and every libpng call that may
// jump stands in this C target, and Swift sees return codes and messages. That is the one reason for its existence
// beside the module map CLibPNG.
#ifndef CPNGSHIM_H
#define CPNGSHIM_H

#include <stddef.h>
#include <stdint.h>

enum {
  CPNG_OK = 0,
  CPNG_DAMAGED = 1,      // libpng refused the bytes; the message says why
  CPNG_TRUNCATED = 2,    // the bytes end inside the picture
  CPNG_LIMIT = 3,        // larger than the caller allows
  CPNG_NO_MEMORY = 4,
};

enum {
  CPNG_FILTER_ADAPTIVE = 0,  // libpng tries all five on each row
  CPNG_FILTER_AVERAGE = 1,   // the average of left and above on every row
};

typedef struct {
  int code;
  char message[200];
} cpng_error;

typedef struct {
  uint64_t max_pixels;
  size_t max_metadata_bytes;  // bound on each chunk libpng may hold or inflate
} cpng_limits;

// Metadata of a picture: for reading, pointers live as long as the reader; for writing, they are the caller's.
typedef struct {
  const uint8_t *icc;
  size_t icc_bytes;
  const uint8_t *exif;
  size_t exif_bytes;
  int has_gamma;
  uint32_t gamma;  // 1/100000
  int srgb_intent;  // 0...3, or -1
  int has_chroma;
  uint32_t chroma[8];  // white, red, green, blue; x then y; 1/100000
} cpng_metadata;

typedef struct {
  uint32_t width, height;
  int bit_depth;      // in the file: 1, 2, 4, 8, 16
  int colour_samples; // after expansion: 1 grey, 3 RGB
  int has_alpha;
  int is_palette;
  int is_animated;    // has an acTL chunk before the pixels
  cpng_metadata metadata;
} cpng_header;

typedef struct cpng_reader cpng_reader;

// Reads everything before the pixels. `data` must outlive the reader. NULL, with `error` filled, on failure.
cpng_reader *cpng_open(const uint8_t *data, size_t size, const cpng_limits *limits, cpng_header *header,
                       cpng_error *error);

// Reads the pixels as 8-bit samples [height, width, colour_samples] and, if has_alpha, alpha [height, width], then the
// rest of the file. Chunks after the pixels may add metadata, so `header` is filled again. Call it once.
int cpng_read(cpng_reader *reader, uint8_t *colour, uint8_t *alpha, cpng_header *header, cpng_error *error);

// How many warnings libpng gave, and the first of them ("" if none).
int cpng_warning_count(const cpng_reader *reader);
const char *cpng_first_warning(const cpng_reader *reader);

void cpng_close(cpng_reader *reader);

// Writes an 8-bit PNG of [height, width, colour_samples] samples and an alpha plane [height, width] or NULL.
// level is zlib's, 0...9; filter is one of CPNG_FILTER_*. On success *out is malloc'ed and the caller's to free(). Metadata that libpng will not write
// is left out and named in `warning` (200 bytes).
int cpng_write(uint32_t width, uint32_t height, int colour_samples, const uint8_t *colour, const uint8_t *alpha,
               const cpng_metadata *metadata, int level, int filter, uint8_t **out, size_t *out_size, char *warning,
               cpng_error *error);

#endif
