#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "common.h"

struct cpng_reader {
  png_structp png;
  png_infop info;
  const uint8_t *data;
  size_t size, position;
  cpng_error *error;  // the running call's; set before each setjmp
  int warnings;
  char first_warning[200];
  // Scratch that a longjmp would otherwise leak.
  uint8_t *pixels;
  int is_animated;
};

static void on_error(png_structp png, png_const_charp message) {
  cpng_reader *reader = png_get_error_ptr(png);
  // A callback of ours may have set a more exact code already.
  if (reader->error->code == CPNG_OK)
    cpng_fail(reader->error, CPNG_DAMAGED, "%s (near byte %zu)", message, reader->position);
  png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp message) {
  cpng_reader *reader = png_get_error_ptr(png);
  if (reader->warnings++ == 0)
    snprintf(reader->first_warning, sizeof reader->first_warning, "%s", message);
}

static void on_read(png_structp png, png_bytep out, size_t count) {
  cpng_reader *reader = png_get_io_ptr(png);
  if (count > reader->size - reader->position) {
    cpng_fail(reader->error, CPNG_TRUNCATED, "the file ends at byte %zu, %zu bytes too early", reader->size,
              count - (reader->size - reader->position));
    png_error(png, "truncated");
  }
  memcpy(out, reader->data + reader->position, count);
  reader->position += count;
}

// Unknown chunks are dropped; an acTL is noted first.
static int on_unknown(png_structp png, png_unknown_chunkp chunk) {
  cpng_reader *reader = png_get_user_chunk_ptr(png);
  if (memcmp(chunk->name, "acTL", 4) == 0) reader->is_animated = 1;
  // Critical chunks are libpng's to refuse: 0 says "not handled".
  return (chunk->name[0] & 0x20) != 0;
}

static void fill_metadata(cpng_reader *reader, cpng_metadata *out) {
  png_structp png = reader->png;
  png_infop info = reader->info;
  memset(out, 0, sizeof *out);
  out->srgb_intent = -1;

  png_charp name;
  int compression;
  png_bytep profile;
  png_uint_32 profile_bytes;
  if (png_get_iCCP(png, info, &name, &compression, &profile, &profile_bytes)) {
    out->icc = profile;
    out->icc_bytes = profile_bytes;
  }
  png_bytep exif;
  png_uint_32 exif_bytes;
  if (png_get_eXIf_1(png, info, &exif_bytes, &exif)) {
    out->exif = exif;
    out->exif_bytes = exif_bytes;
  }
  png_fixed_point gamma;
  if (png_get_gAMA_fixed(png, info, &gamma) && gamma > 0) {
    out->has_gamma = 1;
    out->gamma = (uint32_t)gamma;
  }
  int intent;
  if (png_get_sRGB(png, info, &intent) && intent >= 0 && intent <= 3) out->srgb_intent = intent;
  png_fixed_point c[8];
  if (png_get_cHRM_fixed(png, info, c, c + 1, c + 2, c + 3, c + 4, c + 5, c + 6, c + 7)) {
    out->has_chroma = 1;
    for (int i = 0; i < 8; i++) {
      if (c[i] < 0) out->has_chroma = 0;
      out->chroma[i] = (uint32_t)c[i];
    }
  }
}

static void fill_header(cpng_reader *reader, cpng_header *header) {
  png_structp png = reader->png;
  png_infop info = reader->info;
  int type = png_get_color_type(png, info);
  header->width = png_get_image_width(png, info);
  header->height = png_get_image_height(png, info);
  header->bit_depth = png_get_bit_depth(png, info);
  header->is_palette = type == PNG_COLOR_TYPE_PALETTE;
  header->colour_samples = (type & PNG_COLOR_MASK_COLOR) ? 3 : 1;
  header->has_alpha = (type & PNG_COLOR_MASK_ALPHA) != 0 || png_get_valid(png, info, PNG_INFO_tRNS) != 0;
  header->is_animated = reader->is_animated;
  fill_metadata(reader, &header->metadata);
}

cpng_reader *cpng_open(const uint8_t *data, size_t size, const cpng_limits *limits, cpng_header *header,
                       cpng_error *error) {
  error->code = CPNG_OK;
  error->message[0] = 0;
  cpng_reader *reader = calloc(1, sizeof *reader);
  if (!reader) {
    cpng_fail(error, CPNG_NO_MEMORY, "out of memory");
    return NULL;
  }
  reader->data = data;
  reader->size = size;
  reader->error = error;
  reader->png = png_create_read_struct(PNG_LIBPNG_VER_STRING, reader, on_error, on_warning);
  if (reader->png) reader->info = png_create_info_struct(reader->png);
  if (!reader->info) {
    cpng_fail(error, CPNG_NO_MEMORY, "libpng could not start");
    cpng_close(reader);
    return NULL;
  }
  png_structp png = reader->png;
  if (setjmp(png_jmpbuf(png))) {
    cpng_close(reader);
    return NULL;
  }
  png_set_read_fn(png, reader, on_read);
  // Sizes beyond ours are told apart from damage below, so libpng gets only the format's own limit.
  png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
  png_set_chunk_malloc_max(png, limits->max_metadata_bytes);
  png_set_chunk_cache_max(png, 64);
  png_set_benign_errors(png, 1);
  png_set_option(png, PNG_SKIP_sRGB_CHECK_PROFILE, PNG_OPTION_ON);
  // Text is never used here: dropped unread, so that a small zTXt cannot inflate to gigabytes.
  static const png_byte unread[] = "tEXt\0zTXt\0iTXt\0sPLT\0hIST";
  png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, unread, 5);
  png_set_read_user_chunk_fn(png, reader, on_unknown);

  png_read_info(png, reader->info);
  fill_header(reader, header);
  if ((uint64_t)header->width * header->height > limits->max_pixels) {
    cpng_fail(error, CPNG_LIMIT, "%u x %u is more than %llu pixels", header->width, header->height,
              (unsigned long long)limits->max_pixels);
    cpng_close(reader);
    return NULL;
  }
  return reader;
}

int cpng_read(cpng_reader *reader, uint8_t *colour, uint8_t *alpha, cpng_header *header, cpng_error *error) {
  png_structp png = reader->png;
  png_infop info = reader->info;
  reader->error = error;
  error->code = CPNG_OK;
  error->message[0] = 0;
  if (setjmp(png_jmpbuf(png))) return error->code;

  const size_t width = png_get_image_width(png, info), height = png_get_image_height(png, info);
  const int samples = header->colour_samples;
  const int has_alpha = header->has_alpha;
  const int depth = png_get_bit_depth(png, info);
  if (header->is_palette) png_set_palette_to_rgb(png);
  if (samples == 1 && depth < 8) png_set_expand_gray_1_2_4_to_8(png);
  if (png_get_valid(png, info, PNG_INFO_tRNS)) png_set_tRNS_to_alpha(png);
  // Exact: round(v * 255 / 65535), where png_set_strip_16 would cut.
  if (depth == 16) png_set_scale_16(png);
  const int passes = png_set_interlace_handling(png);
  png_read_update_info(png, info);

  const size_t channels = (size_t)(samples + (has_alpha ? 1 : 0));
  if (png_get_rowbytes(png, info) != width * channels)
    return cpng_fail(error, CPNG_DAMAGED, "libpng gives rows of %zu bytes instead of %zu",
                     (size_t)png_get_rowbytes(png, info), width * channels);

  if (!has_alpha) {
    for (int pass = 0; pass < passes; pass++)
      for (size_t y = 0; y < height; y++) png_read_row(png, colour + y * width * samples, NULL);
  } else {
    // Only an interlaced picture needs all of its rows at once.
    const size_t kept = passes > 1 ? height : 1;
    reader->pixels = calloc(kept, width * channels);
    if (!reader->pixels) return cpng_fail(error, CPNG_NO_MEMORY, "out of memory for %zu x %zu", width, height);
    for (int pass = 0; pass < passes; pass++)
      for (size_t y = 0; y < height; y++) {
        uint8_t *row = reader->pixels + (kept > 1 ? y : 0) * width * channels;
        png_read_row(png, row, NULL);
        if (pass + 1 < passes) continue;
        uint8_t *to = colour + y * width * samples, *mask = alpha + y * width;
        for (size_t x = 0; x < width; x++) {
          for (int c = 0; c < samples; c++) to[x * samples + c] = row[x * channels + c];
          mask[x] = row[x * channels + samples];
        }
      }
  }
  png_read_end(png, info);
  fill_metadata(reader, &header->metadata);
  header->is_animated = reader->is_animated;
  return CPNG_OK;
}

int cpng_warning_count(const cpng_reader *reader) { return reader->warnings; }
const char *cpng_first_warning(const cpng_reader *reader) { return reader->first_warning; }

void cpng_close(cpng_reader *reader) {
  if (!reader) return;
  free(reader->pixels);
  if (reader->png) png_destroy_read_struct(&reader->png, reader->info ? &reader->info : NULL, NULL);
  free(reader);
}
