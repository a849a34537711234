// The parts of the report page of `nccodec bench`, inside the binary.
#ifndef NC_BENCHPAGE_H
#define NC_BENCHPAGE_H

#include <stddef.h>

typedef struct {
  const void* bytes;
  size_t count;
} nc_page_part;

// The page, UTF-8; says itself where the results go.
nc_page_part nc_page_html(void);

#endif
