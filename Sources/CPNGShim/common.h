#ifndef CPNGSHIM_COMMON_H
#define CPNGSHIM_COMMON_H

#include <png.h>
#include <stdarg.h>
#include <stdio.h>

#include "cpngshim.h"

static inline int cpng_fail(cpng_error *error, int code, const char *format, ...) {
  error->code = code;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(error->message, sizeof error->message, format, arguments);
  va_end(arguments);
  return code;
}

#endif
