// The parts of the report page of `nccodec bench`, inside the binary. All are UTF-8.
#ifndef NC_BENCHPAGE_H
#define NC_BENCHPAGE_H

#include <stddef.h>

typedef struct {
  const void* bytes;
  size_t count;
} nc_page_part;

// HTML, in which {{style}}, {{results}}, {{licence}}, {{chart}} and {{script}} stand for the rest.
nc_page_part nc_page_template(void);
nc_page_part nc_page_style(void);
// Our scripts, joined in the order they run.
nc_page_part nc_page_script(void);
// Chart.js, and the licence that goes where it goes; see Page/chart/README.md.
nc_page_part nc_page_chart(void);
nc_page_part nc_page_chart_licence(void);

#endif
