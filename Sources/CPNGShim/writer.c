#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "common.h"

typedef struct {
  uint8_t *bytes;
  size_t count, capacity;
  uint8_t *row;
  cpng_error *error;
  char *warning;
} png_sink;

static void on_error(png_structp png, png_const_charp message) {
  png_sink *sink = png_get_error_ptr(png);
  if (sink->error->code == CPNG_OK) cpng_fail(sink->error, CPNG_DAMAGED, "%s", message);
  png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp message) {
  png_sink *sink = png_get_error_ptr(png);
  if (!sink->warning[0]) snprintf(sink->warning, 200, "%s", message);
}

static void on_write(png_structp png, png_bytep data, size_t count) {
  png_sink *sink = png_get_io_ptr(png);
  if (sink->capacity - sink->count < count) {
    size_t capacity = sink->capacity * 2 + count + 4096;
    uint8_t *bytes = realloc(sink->bytes, capacity);
    if (!bytes) {
      cpng_fail(sink->error, CPNG_NO_MEMORY, "out of memory for %zu bytes of PNG", capacity);
      png_error(png, "out of memory");
    }
    sink->bytes = bytes;
    sink->capacity = capacity;
  }
  memcpy(sink->bytes + sink->count, data, count);
  sink->count += count;
}

static void on_flush(png_structp png) { (void)png; }

static void write_metadata(png_structp png, png_infop info, const cpng_metadata *metadata) {
  if (metadata->icc_bytes > 0)
    png_set_iCCP(png, info, "ICC profile", PNG_COMPRESSION_TYPE_BASE, metadata->icc, (png_uint_32)metadata->icc_bytes);
  if (metadata->srgb_intent >= 0) png_set_sRGB(png, info, metadata->srgb_intent);
  if (metadata->has_gamma) png_set_gAMA_fixed(png, info, (png_fixed_point)metadata->gamma);
  if (metadata->has_chroma) {
    const uint32_t *c = metadata->chroma;
    png_set_cHRM_fixed(png, info, (png_fixed_point)c[0], (png_fixed_point)c[1], (png_fixed_point)c[2],
                       (png_fixed_point)c[3], (png_fixed_point)c[4], (png_fixed_point)c[5], (png_fixed_point)c[6],
                       (png_fixed_point)c[7]);
  }
  if (metadata->exif_bytes > 0)
    png_set_eXIf_1(png, info, (png_uint_32)metadata->exif_bytes, (png_bytep)metadata->exif);
}

int cpng_write(uint32_t width, uint32_t height, int colour_samples, const uint8_t *colour, const uint8_t *alpha,
               const cpng_metadata *metadata, int level, int filter, uint8_t **out, size_t *out_size, char *warning,
               cpng_error *error) {
  // The sink lives on the heap, so that longjmp cannot leave its fields undefined.
  png_sink *sink = calloc(1, sizeof *sink);
  if (!sink) return cpng_fail(error, CPNG_NO_MEMORY, "out of memory");
  sink->error = error;
  sink->warning = warning;
  warning[0] = 0;
  error->code = CPNG_OK;
  error->message[0] = 0;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, sink, on_error, on_warning);
  png_infop info = png ? png_create_info_struct(png) : NULL;
  if (!info) {
    if (png) png_destroy_write_struct(&png, NULL);
    free(sink);
    return cpng_fail(error, CPNG_NO_MEMORY, "libpng could not start");
  }
  if (setjmp(png_jmpbuf(png))) {
    png_destroy_write_struct(&png, &info);
    free(sink->row);
    free(sink->bytes);
    free(sink);
    return error->code;
  }
  png_set_write_fn(png, sink, on_write, on_flush);
  png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
  png_set_benign_errors(png, 1);
  png_set_option(png, PNG_SKIP_sRGB_CHECK_PROFILE, PNG_OPTION_ON);
  png_set_compression_level(png, level);
  if (filter == CPNG_FILTER_AVERAGE) png_set_filter(png, PNG_FILTER_TYPE_BASE, PNG_FILTER_AVG);
  // With filters libpng would choose Z_FILTERED, which was measured slower and, above level 3, larger on photographs.
  png_set_compression_strategy(png, 0);
  // By default every 8 KiB become an IDAT chunk of their own.
  png_set_compression_buffer_size(png, 1 << 16);
  int type = colour_samples == 3 ? PNG_COLOR_TYPE_RGB : PNG_COLOR_TYPE_GRAY;
  if (alpha) type |= PNG_COLOR_MASK_ALPHA;
  png_set_IHDR(png, info, width, height, 8, type, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
               PNG_FILTER_TYPE_DEFAULT);
  write_metadata(png, info, metadata);
  png_write_info(png, info);

  const size_t samples = (size_t)colour_samples, channels = samples + (alpha ? 1 : 0);
  if (alpha) {
    sink->row = malloc((size_t)width * channels);
    if (!sink->row) {
      cpng_fail(error, CPNG_NO_MEMORY, "out of memory for a row");
      png_error(png, "out of memory");
    }
  }
  for (size_t y = 0; y < height; y++) {
    const uint8_t *from = colour + y * width * samples;
    if (alpha) {
      const uint8_t *mask = alpha + y * width;
      for (size_t x = 0; x < width; x++) {
        for (size_t c = 0; c < samples; c++) sink->row[x * channels + c] = from[x * samples + c];
        sink->row[x * channels + samples] = mask[x];
      }
      from = sink->row;
    }
    png_write_row(png, from);
  }
  // Without the info: given it, libpng 1.6.39 writes eXIf a second time.
  png_write_end(png, NULL);
  png_destroy_write_struct(&png, &info);
  *out = sink->bytes;
  *out_size = sink->count;
  free(sink->row);
  free(sink);
  return CPNG_OK;
}
